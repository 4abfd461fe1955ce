"""Overlap, matching and average precision against brute force on dense IoU matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from sklearn.metrics.cluster import contingency_matrix

from delineate.errors import LabelError
from delineate.metrics import (
    THRESHOLDS,
    average_precision,
    match,
    overlap_table,
)
from delineate.metrics import matching as matching_module

IDS = np.array([0, 3, 9, 2**33, 2**63, 2**64 - 1], np.uint64)

pairs = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=8).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.int64, shape, elements=st.integers(0, 5)),
        hnp.arrays(np.int64, shape, elements=st.integers(0, 5)),
    )
)


def dense_iou(truth: NDArray[Any], pred: NDArray[Any]) -> NDArray[np.float64]:
    """IoU of every object of the truth (rows) with every object of the prediction."""
    return np.array(
        [
            [
                ((truth == t) & (pred == p)).sum() / ((truth == t) | (pred == p)).sum()
                for p in np.unique(pred[pred > 0])
            ]
            for t in np.unique(truth[truth > 0])
        ]
    ).reshape(np.unique(truth[truth > 0]).size, np.unique(pred[pred > 0]).size)


def brute_match(iou: NDArray[np.float64], threshold: float) -> tuple[int, int, int, float]:
    """Tp, fp, fn and the sum of matched IoU by one assignment on the whole matrix, as StarDist."""
    n, m = iou.shape
    allowed = iou >= threshold
    rows, columns = linear_sum_assignment(-(allowed + iou / (2 * max(1, min(n, m)))))
    ok = allowed[rows, columns]
    tp = int(ok.sum())
    return tp, m - tp, n - tp, float(iou[rows, columns][ok].sum())


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_overlaps_are_the_contingency_matrix(both: tuple[NDArray[Any], NDArray[Any]]) -> None:
    truth, pred = both
    table = overlap_table(truth, pred)
    expected = contingency_matrix(truth.ravel(), pred.ravel())
    rows, columns = np.unique(truth), np.unique(pred)
    expected = expected[rows > 0][:, columns > 0]
    dense = np.zeros(expected.shape, np.int64)
    dense[table.truth_index, table.pred_index] = table.counts
    np.testing.assert_array_equal(dense, expected)
    np.testing.assert_array_equal(table.truth_ids, rows[rows > 0])
    np.testing.assert_array_equal(table.pred_ids, columns[columns > 0])
    np.testing.assert_array_equal(table.truth_sizes, [(truth == i).sum() for i in table.truth_ids])
    np.testing.assert_array_equal(table.pred_sizes, [(pred == i).sum() for i in table.pred_ids])


@settings(max_examples=150, deadline=None)
@given(pairs, st.sampled_from([0.05, 0.1, 0.25, 1 / 3, 0.5, 0.55, 0.7, 1.0]))
def test_matching_is_the_assignment_on_the_dense_matrix(
    both: tuple[NDArray[Any], NDArray[Any]], threshold: float
) -> None:
    truth, pred = both
    tp, fp, fn, _ = brute_match(dense_iou(truth, pred), threshold)
    found = match(truth, pred, threshold)
    assert (found.tp, found.fp, found.fn) == (tp, fp, fn)
    for t, p, iou in zip(found.truth_ids, found.pred_ids, found.ious, strict=True):
        union = ((truth == t) | (pred == p)).sum()
        assert iou == ((truth == t) & (pred == p)).sum() / union >= threshold
    assert len(set(found.truth_ids)) == len(set(found.pred_ids)) == tp


@settings(max_examples=60, deadline=None)
@given(pairs, st.permutations(range(1, 6)), st.sampled_from([0.2, 0.5, 0.75]))
def test_ids_do_not_matter_and_sides_swap(
    both: tuple[NDArray[Any], NDArray[Any]], order: list[int], threshold: float
) -> None:
    truth, pred = both
    found = match(truth, pred, threshold)
    renamed = match(IDS[[0, *order]][truth], IDS[pred], threshold)
    swapped = match(pred, truth, threshold)
    assert (renamed.tp, renamed.fp, renamed.fn) == (found.tp, found.fp, found.fn)
    assert (swapped.tp, swapped.fn, swapped.fp) == (found.tp, found.fp, found.fn)
    assert (swapped.precision, swapped.f1, swapped.ap) == (found.recall, found.f1, found.ap)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_average_precision_falls_with_the_threshold(
    both: tuple[NDArray[Any], NDArray[Any]],
) -> None:
    truth, pred = both
    values = average_precision(truth, pred)
    assert values.shape == (10,)
    assert (np.diff(values) <= 0).all()
    assert (average_precision(truth, truth) == 1).all()
    expected = [brute_match(dense_iou(truth, pred), t)[:3] for t in THRESHOLDS]
    np.testing.assert_allclose(
        values, [tp / max(tp + fp + fn, 1) if tp + fp + fn else 1 for tp, fp, fn in expected]
    )


@settings(max_examples=40, deadline=None)
@given(pairs, st.integers(1, 6))
def test_min_size_acts_on_both_sides(
    both: tuple[NDArray[Any], NDArray[Any]], min_size: int
) -> None:
    cleaned = [labels.copy() for labels in both]
    for labels in cleaned:
        for value in np.unique(labels):
            if (labels == value).sum() < min_size:
                labels[labels == value] = 0
    for threshold in (0.3, 0.6):
        got, expected = match(*both, threshold, min_size), match(*cleaned, threshold)
        assert got[:4] == expected[:4]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("threshold", [0.05, 0.1, 0.2, 0.3, 0.5, 0.6])
def test_crowded_objects_have_the_same_partners_as_on_the_dense_matrix(
    seed: int, threshold: float
) -> None:
    # Two Voronoi mosaics: every object meets several, and no two IoU are equal.
    rng = np.random.default_rng(seed)
    grid = np.indices((60, 70)).reshape(2, -1).T
    truth, pred = (
        cKDTree(points).query(grid)[1].reshape(60, 70) + 1
        for points in (rng.uniform(0, 70, (40, 2)), rng.uniform(0, 70, (45, 2)))
    )
    tp, fp, fn, total = brute_match(dense_iou(truth, pred), threshold)
    found = match(truth, pred, threshold)
    assert (found.tp, found.fp, found.fn) == (tp, fp, fn)
    assert found.ious.sum() == pytest.approx(total, rel=1e-12)


def test_the_number_of_matches_goes_before_their_quality() -> None:
    truth = np.repeat([1, 2], [10, 10])
    pred = np.repeat([1, 1, 2], [8, 6, 6])
    # IoU: 1-1 10/14, 2-1 4/20, 2-2 6/10; a greedy choice by IoU agrees, one by order of id not.
    assert match(truth, pred, 0.1).ious == pytest.approx([10 / 14, 6 / 10])
    truth = np.array([1] * 4 + [2] * 3)
    pred = np.array([1] * 2 + [2] * 2 + [2] * 3)
    # 2-2 has 3/5 and 1-2 2/7; taking 2-2 leaves 1-1 with 2/4: two matches.
    assert match(truth, pred, 0.25).tp == 2


def test_a_component_too_large_for_a_dense_matrix_gets_the_same_matches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    truth, pred = rng.integers(0, 40, (2, 30, 30))
    dense = match(truth, pred, 0.01)
    monkeypatch.setattr(matching_module, "_DENSE_CELLS", 0)
    sparse = match(truth, pred, 0.01)
    assert dense[:4] == sparse[:4]
    assert dense.ious.sum() == pytest.approx(sparse.ious.sum())
    assert dense.tp > 30


def test_empty_conventions() -> None:
    nothing, something = np.zeros((4, 4), int), np.ones((4, 4), int)
    for threshold in (0.3, 0.5, 0.9):
        both = match(nothing, nothing, threshold)
        assert both.precision == both.recall == both.f1 == both.ap == both.mean_matched_iou == 1
        for found in (match(nothing, something, threshold), match(something, nothing, threshold)):
            assert found.precision == found.recall == found.f1 == found.ap == 0
            assert found.mean_matched_iou == 0
    assert (average_precision(np.zeros((0, 3), int), np.zeros((0, 3), int)) == 1).all()


def test_an_iou_equal_to_the_threshold_counts() -> None:
    truth, pred = np.array([1, 1, 1, 1, 1]), np.array([1, 1, 1, 0, 0])
    assert match(truth, pred, 0.6).tp == 1
    assert average_precision(truth, pred).sum() == 3


def test_many_objects_make_the_table_grow() -> None:
    truth = np.arange(1, 40_001).reshape(200, 200)
    pred = truth[::-1].copy()
    pred[:100] = truth[:100]
    assert match(truth, pred).tp == 20_000
    assert overlap_table(truth, pred).counts.size == 40_000


def test_what_cannot_be_compared_is_refused() -> None:
    labels = np.ones((3, 4), int)
    with pytest.raises(LabelError, match=r"\(3, 4\).*\(4, 3\)"):
        match(labels, labels.T)
    with pytest.raises(LabelError, match="the prediction has the type float64"):
        match(labels, labels * 1.0)
    with pytest.raises(LabelError, match="truth has the type bool"):
        match(labels > 0, labels)
    with pytest.raises(LabelError, match="-2"):
        overlap_table(labels, labels * -2)
    with pytest.raises(ValueError, match="threshold"):
        match(labels, labels, 0)
