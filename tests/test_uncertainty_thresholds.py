"""Thresholds on uncertainty: what U_min hangs on, and a risk that is kept in 95 of 100 draws."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from delineate.errors import DelineateError
from delineate.uncertainty import Reference
from delineate.uncertainty.quality import UNCERTAIN
from delineate.uncertainty.thresholds import (
    RISKY,
    UNPROVEN,
    Decider,
    Threshold,
    decide,
    decider,
    fewest,
    first_number,
    tolerated,
    within_risk,
)


def reference(
    u: list[float] | NDArray[np.float64], good: list[bool] | NDArray[np.bool_]
) -> Reference:
    """Images that score 0.9 or 0.1."""
    scores = tuple(0.9 if g else 0.1 for g in good)
    return Reference(tuple(f"r{i}" for i in range(len(u))), tuple(u), scores, "map")


def ramp(n: int, *bad: int) -> Reference:
    """n images, ever more uncertain; those of these numbers fail."""
    return reference(np.arange(1, n + 1) / 1000, [i not in bad for i in range(n)])


def test_u_min_rests_on_the_images_below_it_and_one_image_decides() -> None:
    known = reference([0.02, 0.05, 0.01, math.nan, 0.03], [True, False, True, False, False])
    assert decide(known, 0.5) == Threshold(0.03, 4, 2, 0, UNCERTAIN)
    assert decider(known, 0.5) == Decider("r4", 0.03, 0.1, 0.05)
    assert decide(known, 0.05) == Threshold(math.inf, 4, 4, 0, UNCERTAIN)
    assert decider(known, 0.05) is None
    assert decider(ramp(5, 3), 0.5) == Decider("r3", 0.004, 0.1, math.inf)


@pytest.mark.parametrize("risk", [0.05, 0.1, 0.2, 0.33, 0.5])
def test_the_numbers_are_those_of_clopper_and_pearson(risk: float) -> None:
    for failures in (0, 1, 4):
        k = fewest(risk, failures)
        ends = [
            stats.binomtest(failures, n, alternative="less").proportion_ci(0.95, "exact").high
            for n in (k - 1, k)
        ]
        assert ends[1] <= risk < ends[0]
        assert tolerated(k, risk) == failures and tolerated(k - 1, risk) == failures - 1
    assert (fewest(0.05), fewest(0.1), fewest(0.2)) == (59, 29, 14)


def test_no_single_image_among_the_most_certain_decides() -> None:
    # Of 44 images the test begins with 22, of which one may fail, whichever that is.
    assert first_number(44, 0.2) == 22
    assert first_number(27, 0.2) == 14 and first_number(10, 0.2) == 14
    found = within_risk(ramp(44, 0, 26, 27, 28, 29), 0.5, 0.2)
    assert found == Threshold(0.027, 44, 26, 1, RISKY)
    assert within_risk(ramp(44, 0, 1, 30), 0.5, 0.2) == Threshold(0.0, 44, 0, 0, UNPROVEN)
    assert decide(ramp(44, 0), 0.5).below == 0  # where U_min would accept nothing


def test_all_are_accepted_or_none() -> None:
    assert within_risk(ramp(30), 0.5, 0.2) == Threshold(math.inf, 30, 30, 0, RISKY)
    assert within_risk(ramp(13), 0.5, 0.2) == Threshold(0.0, 13, 0, 0, UNPROVEN)
    assert within_risk(ramp(0), 0.5, 0.2).value == 0
    for risk in (0.0, 1.0, -0.1, 20.0, math.nan):
        with pytest.raises(DelineateError, match="between 0 and 1"):
            within_risk(ramp(30), 0.5, risk)


def test_images_of_equal_uncertainty_are_accepted_together() -> None:
    # All ten that share a U follow 20 good ones: five of them fail, which is too many of 30.
    u = [*np.arange(1, 21) / 1000, *[0.05] * 10]
    good = [True] * 20 + [True, False] * 5
    found = within_risk(reference(u, good), 0.5, 0.2)
    assert (found.value, found.below, found.failed) == (0.05, 20, 0)


def _rising(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-8 * (u - 0.7)))


def _at_the_limit(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full_like(u, 0.2001)  # whatever is accepted is too much


def _step(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(u < 0.4, 0.1, 0.6)


def _falling(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.35 - 0.3 * u  # uncertainty that misleads


@pytest.mark.parametrize("fails", [_rising, _at_the_limit, _step, _falling])
@pytest.mark.parametrize("n", [44, 120])
def test_the_risk_is_kept_in_95_of_100_draws(
    n: int, fails: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> None:
    """The reference is drawn anew each time; the share of failures below a U is an integral."""
    rng, risk, draws = np.random.default_rng(n), 0.2, 1000
    grid = (np.arange(20_000) + 0.5) / 20_000
    share = np.cumsum(fails(grid)) / np.arange(1, len(grid) + 1)
    exceeded = accepted = 0
    for _ in range(draws):
        u = rng.random(n)
        found = within_risk(reference(u, rng.random(n) >= fails(u)), 0.5, risk)
        if found.value > 0:
            accepted += 1
            exceeded += share[int(min(found.value, 1) * len(grid)) - 1] > risk
    # Four standard errors of a frequency of 5 % in so many draws.
    assert exceeded / draws <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / draws)
    if fails is _rising:
        assert accepted / draws > 0.5
    if fails is _at_the_limit:
        assert exceeded == accepted > 0
