"""Dice and IoU against scikit-learn; bootstrap intervals against SciPy and by coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import f1_score, jaccard_score

from delineate.errors import LabelError
from delineate.metrics import bootstrap_interval, class_counts, dice, iou

pairs = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.uint8, shape, elements=st.integers(0, 4)),
        hnp.arrays(np.uint8, shape, elements=st.integers(0, 4)),
    )
)


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_classes_are_those_of_scikit_learn(both: tuple[NDArray[Any], NDArray[Any]]) -> None:
    truth, pred = both
    classes = np.unique(np.concatenate([truth.ravel(), pred.ravel()]))
    classes = classes[classes > 0]
    if classes.size == 0:
        assert dice(truth, pred) == iou(truth, pred) == 1
        return
    flat = truth.ravel(), pred.ravel()
    args: dict[str, Any] = {"labels": classes, "average": None, "zero_division": 0}
    counts = class_counts(truth, pred)
    np.testing.assert_array_equal(counts.classes, classes)
    np.testing.assert_allclose(counts.dice, f1_score(*flat, **args))
    np.testing.assert_allclose(counts.iou, jaccard_score(*flat, **args))
    assert dice(truth, pred) == pytest.approx(f1_score(*flat, **args).mean())
    assert iou(truth, pred) == pytest.approx(jaccard_score(*flat, **args).mean())


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_masks_are_one_class(both: tuple[NDArray[Any], NDArray[Any]]) -> None:
    truth, pred = both[0] > 1, both[1] > 1
    assert dice(truth, pred) == dice(truth.astype(int) * 7, pred.astype(int) * 7)
    union = (truth | pred).sum()
    assert iou(truth, pred) == ((truth & pred).sum() / union if union else 1)


def test_empty_conventions_of_masks() -> None:
    nothing, something = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    for score in (dice, iou):
        assert score(nothing, nothing) == 1
        assert score(nothing, something) == score(something, nothing) == 0
        with pytest.raises(LabelError, match="float"):
            score(something, something * 0.5)
        with pytest.raises(LabelError, match=r"\(2, 2\).*\(1, 2\)"):
            score(something, something[:1])


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).gamma(2, size=40)
    ours = bootstrap_interval(values, np.random.default_rng(1), n=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.value == values.mean()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert (ours.n, ours.level) == (40, 0.95)


def test_the_interval_of_a_pooled_score_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    whole = rng.integers(1, 200, 30).astype(float)
    part = rng.binomial(whole.astype(int), rng.beta(6, 2, 30)).astype(float)
    ours = bootstrap_interval(
        np.stack([part, whole], axis=1),
        np.random.default_rng(1),
        level=0.9,
        n=20_000,
        statistic=lambda sums: sums[..., 0] / sums[..., 1],
    )
    theirs = stats.bootstrap(
        (part, whole),
        lambda p, w, axis: p.sum(axis) / w.sum(axis),
        paired=True,
        confidence_level=0.9,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert ours.value == part.sum() / whole.sum()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_intervals_cover_and_repeat() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        found = bootstrap_interval(rng.normal(1, 1, 50), rng, n=300)
        covered += found.low <= 1 <= found.high
    assert 0.88 <= covered / 200 <= 0.99
    values = rng.random(9)
    first, second = (bootstrap_interval(values, np.random.default_rng(5)) for _ in range(2))
    assert first == second
    alone = bootstrap_interval([0.25], rng)
    assert (alone.value, alone.low, alone.high, alone.n) == (0.25, 0.25, 0.25, 1)


def test_what_cannot_be_resampled_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="0 images"):
        bootstrap_interval([], rng)
    with pytest.raises(ValueError, match="level 95"):
        bootstrap_interval([1.0], rng, level=95)
    with pytest.raises(ValueError, match="statistic"):
        bootstrap_interval(np.ones((3, 2)), rng)
