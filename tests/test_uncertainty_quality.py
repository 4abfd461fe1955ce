"""Reference, U_min and verdict; ranking against scikit-learn, SciPy and all orders of ties."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from delineate.errors import ModelError
from delineate.uncertainty import (
    Reference,
    auroc,
    auroc_interval,
    ranking,
    risk_coverage,
    spearman_interval,
    u_min,
    verdict,
    verification,
)
from delineate.uncertainty.quality import NOTHING, UNCERTAIN, UNLIKE, reason_to_verify

NAN = math.nan


def reference(u: list[float], score: list[float], **more: Any) -> Reference:
    names = tuple(f"image{i}" for i in range(len(u)))
    return Reference(names, tuple(u), tuple(score), "dice", **more)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_u_min_is_the_least_uncertainty_of_a_failure() -> None:
    known = reference([0.02, 0.10, 0.05, NAN], [0.9, 0.5, 0.7, 0.0])
    assert u_min(known, 0.8) == 0.05
    assert u_min(known, 0.6) == 0.10
    assert u_min(known, 0.7) == 0.10  # a score equal to the requirement is good enough
    # A failure without U is verified anyhow: it does not move the threshold.
    assert u_min(known, 0.1) == math.inf
    assert u_min(reference([], []), 0.5) == math.inf


def test_the_verdict_is_verify_from_u_min_on_and_wherever_u_is_missing() -> None:
    assert verdict(0.05, 0.05) == "verify"
    assert verdict(0.0499, 0.05) == "accept"
    assert verdict(NAN, 0.05) == verdict(None, math.inf) == "verify"
    assert verdict(0.2, math.inf) == "accept"


def test_no_uncertainty_vouches_for_an_image_unlike_the_training_images() -> None:
    assert verdict(0.02, 0.05, 12.0) == verdict(0.02, math.inf, 3.01) == "verify"
    assert verdict(0.02, 0.05, 3.0) == verdict(0.02, 0.05, NAN) == "accept"
    reasons = [reason_to_verify(u, 0.05, n) for u, n in ((0.1, 4.0), (NAN, 1.0), (0.05, 1.0))]
    assert reasons == [UNLIKE, NOTHING, UNCERTAIN]
    assert reason_to_verify(0.02, 0.05, 1.0) == ""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.just(NAN), st.floats(0, 0.25)), st.floats(0, 1)), max_size=12),
    st.floats(0, 1),
)
def test_no_failure_of_the_reference_is_accepted(
    rows: list[tuple[float, float]], required: float
) -> None:
    known = reference([u for u, _ in rows], [s for _, s in rows])
    threshold = u_min(known, required)
    for u, score in rows:
        assert score >= required or verdict(u, threshold) == "verify"
    saved = Reference.from_dict(json.loads(json.dumps(known.to_dict(), allow_nan=False)))
    assert repr(saved) == repr(known)


def test_what_is_no_reference_is_refused() -> None:
    saved = reference([0.1], [0.5], measure="aleatoric", origin="out-of-fold").to_dict()
    assert Reference.from_dict(saved).measure == "aleatoric"
    with pytest.raises(ModelError, match="metric"):
        Reference.from_dict({k: v for k, v in saved.items() if k != "metric"})
    with pytest.raises(ModelError, match="held-out"):
        Reference.from_dict(saved | {"origin": "elsewhere"})
    with pytest.raises(ModelError, match="cannot be read"):
        Reference.from_dict(saved | {"images": None})
    for u, score in ((-0.1, 0.5), (0.1, 1.5), (0.1, NAN)):
        with pytest.raises(ModelError, match="image0"):
            reference([u], [score])
    with pytest.raises(ModelError, match=r"\(1, 2, 1\)"):
        Reference(("a",), (0.1, 0.2), (0.5,), "dice")


scored = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30)


@settings(max_examples=150, deadline=None)
@given(scored)
def test_auroc_is_that_of_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([s for s, _ in rows]), np.array([p for _, p in rows])
    ours = auroc(scores, positive)
    if positive.all() or not positive.any():
        assert ours is None
        assert auroc_interval(scores, positive, rng()) is None
        return
    assert ours == pytest.approx(roc_auc_score(positive, scores))
    assert auroc(-scores, positive) == pytest.approx(1 - ours)
    assert auroc(np.exp(scores), positive) == pytest.approx(ours)
    interval = auroc_interval(scores, positive, rng(), n=50)
    assert interval is not None
    assert 0 <= interval.low <= interval.high <= 1
    assert interval.value == pytest.approx(ours)


def test_the_interval_of_auroc_is_that_of_scipy() -> None:
    generator = np.random.default_rng(3)
    bad, good = generator.normal(1, 1, 25), generator.normal(0, 1, 40)
    theirs = stats.bootstrap(
        (bad, good),
        lambda a, b, axis: (a[..., :, None] > b[..., None, :]).mean(axis=(-1, -2)),
        method="percentile",
        n_resamples=4000,
        batch=200,
        rng=np.random.default_rng(1),
    ).confidence_interval
    ours = auroc_interval(np.r_[bad, good], np.r_[np.ones(25), np.zeros(40)] > 0, rng(), n=4000)
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)
    with pytest.raises(ValueError, match="1 of them NaN"):
        auroc([NAN, 1.0], [True, False])
    with pytest.raises(ValueError, match="one length"):
        auroc([1.0], [True, False])


def test_spearman_and_its_interval_are_those_of_scipy() -> None:
    generator = np.random.default_rng(4)
    x = generator.integers(0, 15, 30).astype(float)
    y = -x + generator.normal(0, 4, 30)
    ours = spearman_interval(x, y, rng(), n=4000)
    assert ours is not None and ours.n == 30
    assert ours.value == pytest.approx(stats.spearmanr(x, y).statistic)
    theirs = stats.bootstrap(
        (x, y),
        lambda a, b: stats.spearmanr(a, b).statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=1500,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_there_is_no_correlation_without_spread() -> None:
    assert spearman_interval([1, 2], [2, 1], rng()) is None
    assert spearman_interval([1, 1, 1], [1, 2, 3], rng()) is None
    assert spearman_interval([1, 2, 3], [1, 1, 1], rng()) is None
    down = spearman_interval([1, 2, 3], [3, 2, 1], rng())
    assert down is not None and down[:3] == pytest.approx((-1, -1, -1))
    with pytest.raises(ValueError, match="one length"):
        spearman_interval([1, 2], [1], rng())


def over_all_orders(u: list[int], loss: list[float]) -> NDArray[Any]:
    """Mean risk curve over every order that sorts by uncertainty."""
    orders = [
        order
        for order in itertools.permutations(range(len(u)))
        if all(u[a] <= u[b] for a, b in itertools.pairwise(order))
    ]
    count = np.arange(1, len(u) + 1)
    return np.mean([np.cumsum([loss[i] for i in order]) / count for order in orders], axis=0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=6), st.randoms()
)
def test_the_risk_is_the_mean_over_orders_of_ties(
    rows: list[tuple[int, float]], random: Any
) -> None:
    u, loss = [r[0] for r in rows], [r[1] for r in rows]
    curve = risk_coverage(u, loss)
    np.testing.assert_allclose(curve.risk, over_all_orders(u, loss), atol=1e-12)
    assert curve.coverage[-1] == 1
    assert curve.risk[-1] == pytest.approx(np.mean(loss))
    assert curve.area == pytest.approx(curve.risk.mean())
    assert curve.excess >= 0
    assert curve.ideal == pytest.approx(risk_coverage(loss, loss).area)
    shuffled = random.sample(rows, len(rows))
    other = risk_coverage([r[0] for r in shuffled], [r[1] for r in shuffled])
    np.testing.assert_allclose(other.risk, curve.risk, atol=1e-12)


def test_a_perfect_order_has_no_excess_and_the_reverse_has_most() -> None:
    loss = np.linspace(0, 1, 11)
    assert risk_coverage(loss, loss).excess == 0
    worst = risk_coverage(-loss, loss)
    assert worst.area > risk_coverage(np.zeros(11), loss).area > risk_coverage(loss, loss).area
    assert risk_coverage([0.1], [0.3]).area == 0.3
    with pytest.raises(ValueError, match="length >= 1"):
        risk_coverage([], [])


def test_checking_the_most_uncertain_first_finds_the_failures() -> None:
    u = [0.4, 0.3, 0.2, 0.1]
    np.testing.assert_allclose(verification(u, [1, 0, 1, 0]), [0, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(verification([1, 1, 1, 1], [0, 0, 0, 1]), [0, 0.25, 0.5, 0.75, 1])
    with pytest.raises(ValueError, match="0 failures"):
        verification(u, [0, 0, 0, 0])


def test_a_ranking_tells_all_at_once() -> None:
    u = [0.01, 0.02, 0.03, 0.04, 0.05, NAN]
    score = [0.95, 0.90, 0.60, 0.85, 0.50, 0.0]
    found = ranking(reference(u, score), 0.8, rng())
    assert (found.n, found.missing, found.failures) == (5, 1, 2)
    assert found.spearman is not None and found.auroc is not None
    assert found.curve is not None and found.found is not None
    assert found.spearman.value == pytest.approx(stats.spearmanr(u[:5], score[:5]).statistic)
    assert found.auroc.value == pytest.approx(5 / 6)
    assert found.found.tolist() == [0, 0.5, 0.5, 1, 1, 1]
    expected = risk_coverage(u[:5], 1 - np.array(score[:5]))
    assert found.curve.area == pytest.approx(expected.area)


@pytest.mark.parametrize("score", [0.9, 0.1])
def test_no_failures_and_nothing_but_failures(score: float) -> None:
    found = ranking(reference([0.1, 0.2, 0.3], [score] * 3), 0.5, rng())
    assert found.auroc is None and found.spearman is None
    assert (found.found is None) == (score > 0.5)
    assert found.curve is not None and found.curve.excess == pytest.approx(0)


def test_one_image_and_none() -> None:
    one = ranking(reference([0.1], [0.4]), 0.5, rng())
    assert one.spearman is None and one.auroc is None
    assert one.curve is not None and one.curve.area == pytest.approx(0.6)
    for nothing in (reference([], []), reference([NAN], [0.3])):
        found = ranking(nothing, 0.5, rng())
        assert found[2:] == (0, None, None, None, None) and found.n == 0
