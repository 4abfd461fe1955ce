"""The expected score: the line, honest intervals by simulation, and what it refuses to say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from delineate.uncertainty import MINIMUM_REFERENCES, ExpectedScore, Reference

NAN = math.nan


def reference(u: NDArray, score: NDArray) -> Reference:
    names = tuple(str(i) for i in range(len(u)))
    return Reference(names, tuple(map(float, u)), tuple(map(float, score)), "dice")


def images(n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """U and score of images; the scatter grows with U, as it does in practice."""
    u = rng.uniform(0.02, 0.12, n)
    return u, np.clip(1 - 4 * u + rng.normal(0, 0.02 + 0.5 * u), 0, 1)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_line_is_that_of_least_squares() -> None:
    u, score = images(22, rng())
    line = LinearRegression().fit(u[:, None], score)
    expected = ExpectedScore(reference(u, score))
    for new in (0.03, 0.08, 0.11):
        assert expected.estimate(new).value == pytest.approx(line.predict([[new]])[0])
    # Over the reference itself the mean expected score is the mean score.
    assert expected.batch(u, rng(), n=10).value == pytest.approx(score.mean())


def test_the_interval_is_the_jackknife_plus() -> None:
    """Barber et al. 2021, equation 1.2, with a regression a left-out image."""
    u, score = images(19, rng())
    new, low, high = 0.06, [], []
    for i in range(19):
        others = np.arange(19) != i
        line = LinearRegression().fit(u[others, None], score[others])
        at_new, at_own = line.predict([[new], [u[i]]])
        low.append(at_new - abs(score[i] - at_own))
        high.append(at_new + abs(score[i] - at_own))
    found = ExpectedScore(reference(u, score), level=0.9).estimate(new)
    # floor(0.1 · 20) = 2nd smallest and ceil(0.9 · 20) = 18th smallest.
    assert found.low == pytest.approx(sorted(low)[1])
    assert found.high == pytest.approx(sorted(high)[17])
    assert not found.extrapolated


def test_intervals_of_images_cover_as_often_as_they_say() -> None:
    generator = np.random.default_rng(1)
    hits = []
    for _ in range(300):
        expected = ExpectedScore(reference(*images(22, generator)), level=0.9)
        for u, score in zip(*images(3, generator), strict=True):
            estimate = expected.estimate(u)
            hits.append(estimate.low <= score <= estimate.high)
    assert 0.87 <= np.mean(hits) <= 0.97


@pytest.mark.parametrize("size", [4, 60])
def test_intervals_of_batches_cover_as_often_as_they_say(size: int) -> None:
    generator = np.random.default_rng(2)
    hits, widths = [], []
    for _ in range(200):
        expected = ExpectedScore(reference(*images(22, generator)), level=0.9)
        u, score = images(size, generator)
        estimate = expected.batch(u, generator, n=300)
        hits.append(estimate.low <= score.mean() <= estimate.high)
        widths.append(estimate.high - estimate.low)
    assert np.mean(hits) >= 0.86
    assert np.mean(widths) < 0.25


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 0.25), st.floats(0, 1)), min_size=10, max_size=25),
    st.lists(st.floats(0, 0.25), min_size=2, max_size=6),
)
def test_more_uncertainty_never_promises_more(
    rows: list[tuple[float, float]], new: list[float]
) -> None:
    expected = ExpectedScore(reference(*np.array(rows).T))
    estimates = [expected.estimate(u) for u in sorted(new)]
    for one in estimates:
        assert 0 <= one.low <= one.value <= one.high <= 1
    assert all(b.value <= a.value + 1e-9 for a, b in itertools.pairwise(estimates))
    batch = expected.batch(new, rng(), n=50)
    assert batch.value == pytest.approx(np.mean([e.value for e in estimates]))
    assert 0 <= batch.low <= batch.value <= batch.high <= 1


def test_a_rising_relation_is_not_believed() -> None:
    u = np.linspace(0, 0.2, 12)
    expected = ExpectedScore(reference(u, 0.3 + u))
    assert expected.estimate(0.0).value == expected.estimate(0.2).value == pytest.approx(0.4)


def test_beyond_the_reference_it_goes_on_falling_and_says_so() -> None:
    u = np.linspace(0.02, 0.1, 20)
    expected = ExpectedScore(reference(u, 1 - 5 * u))
    beyond = expected.estimate(0.15)
    assert beyond.extrapolated and beyond.value == pytest.approx(0.25)
    assert expected.estimate(0.24).value == 0
    batch = expected.batch([0.05, 0.15, NAN], rng())
    assert (batch.n, batch.missing, batch.extrapolated) == (2, 1, 1)


def test_equal_uncertainties_and_equal_scores() -> None:
    flat = ExpectedScore(reference(np.full(12, 0.1), np.linspace(0.5, 0.9, 12)))
    assert flat.estimate(0.1).value == pytest.approx(0.7)
    assert flat.estimate(0.2).value == pytest.approx(0.7) and flat.estimate(0.2).extrapolated
    perfect = ExpectedScore(reference(np.linspace(0.1, 0.2, 12), np.ones(12))).estimate(0.15)
    assert perfect[:3] == pytest.approx((1, 1, 1))


def test_with_few_references_nothing_is_estimated_and_the_reason_given() -> None:
    u, score = images(MINIMUM_REFERENCES, rng())
    few = ExpectedScore(reference(np.r_[u[1:], NAN], score))
    assert few.reason.startswith("9 reference images have") and "10" in few.reason
    one = ExpectedScore(reference(u[:1], score[:1]))
    assert one.reason.startswith("1 reference image has an uncertainty;")
    assert all(math.isnan(v) for v in few.estimate(0.05)[:3])
    assert math.isnan(few.batch([0.05], rng()).value)
    enough = ExpectedScore(reference(u, score))
    assert enough.reason == ""
    assert all(math.isnan(v) for v in (*enough.estimate(NAN)[:3], *enough.estimate(None)[:3]))
    empty = enough.batch([NAN], rng())
    assert math.isnan(empty.value) and (empty.n, empty.missing) == (0, 1)
    # Ten images cannot tell where 95 % lie: the interval is all there is.
    assert ExpectedScore(reference(u, score), level=0.95).estimate(0.05)[1:3] == (0, 1)
    assert enough.estimate(0.05).low > 0
