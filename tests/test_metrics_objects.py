"""Object scores against brute force over all pairs of objects, in 1D to 3D."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import find_boundaries

from delineate.errors import LabelError
from delineate.metrics import (
    SCORES,
    aggregated_jaccard,
    average_precision,
    boundary_f,
    dice,
    match,
    panoptic_quality,
    score_objects,
    score_table,
    seg_score,
)

Pair = tuple[NDArray[Any], NDArray[Any]]

pairs = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=8).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.int64, shape, elements=st.integers(0, 4)),
        hnp.arrays(np.int64, shape, elements=st.integers(0, 4)),
    )
)


def masks(labels: NDArray[Any]) -> list[NDArray[np.bool_]]:
    return [labels == i for i in np.unique(labels) if i]


def brute_seg(truth: NDArray[Any], pred: NDArray[Any]) -> float:
    if not truth.any():
        return float(not pred.any())
    scores = []
    for t in masks(truth):
        found = [p for p in masks(pred) if (t & p).sum() > t.sum() / 2]
        scores.append((t & found[0]).sum() / (t | found[0]).sum() if found else 0.0)
    return float(np.mean(scores))


def brute_aji(truth: NDArray[Any], pred: NDArray[Any]) -> float:
    predicted = masks(pred)
    used, common, union = set(), 0, 0
    for t in masks(truth):
        ious = [(t & p).sum() / (t | p).sum() for p in predicted]
        if ious and max(ious) > 0:
            j = int(np.argmax(ious))
            used.add(j)
            common += int((t & predicted[j]).sum())
            union += int((t | predicted[j]).sum())
        else:
            union += int(t.sum())
    union += sum(int(p.sum()) for j, p in enumerate(predicted) if j not in used)
    return common / union if union else 1.0


def brute_pq(truth: NDArray[Any], pred: NDArray[Any], threshold: float) -> float:
    ious = [
        (t & p).sum() / (t | p).sum()
        for t in masks(truth)
        for p in masks(pred)
        if (t & p).sum() / (t | p).sum() >= threshold
    ]
    n = len(masks(truth)) + len(masks(pred))
    return float(sum(ious) / (n / 2)) if n else 1.0


def brute_boundary_f(
    truth: NDArray[Any], pred: NDArray[Any], tolerance: float, spacing: tuple[float, ...]
) -> float:
    edges = [find_boundaries(labels, connectivity=1, mode="inner") for labels in (truth, pred)]
    if not edges[0].any() and not edges[1].any():
        return 1.0
    if not edges[0].any() or not edges[1].any():
        return 0.0
    far = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    recall = (far[1][edges[0]] <= tolerance).mean()
    precision = (far[0][edges[1]] <= tolerance).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


@settings(max_examples=100, deadline=None)
@given(pairs)
def test_seg_and_aji_are_those_of_their_papers(both: Pair) -> None:
    assert seg_score(*both) == pytest.approx(brute_seg(*both))
    assert aggregated_jaccard(*both) == pytest.approx(brute_aji(*both))


@settings(max_examples=100, deadline=None)
@given(pairs, st.sampled_from([0.55, 0.7]))
def test_panoptic_quality_is_that_of_its_paper(both: Pair, threshold: float) -> None:
    quality = panoptic_quality(*both, threshold)
    assert quality.pq == pytest.approx(brute_pq(*both, threshold))
    assert quality.pq == pytest.approx(quality.sq * quality.rq)
    assert quality.rq == match(*both, threshold).f1


@settings(max_examples=100, deadline=None)
@given(pairs, st.sampled_from([0.0, 1.0, 1.5, 3.0]), st.sampled_from([1.0, 0.7, 2.0]))
def test_boundary_f_is_that_of_distance_transforms(
    both: Pair, tolerance: float, step: float
) -> None:
    spacing = (step, 1.0, 1.0)[: both[0].ndim]
    expected = brute_boundary_f(*both, tolerance, spacing)
    assert boundary_f(*both, tolerance, spacing) == pytest.approx(expected)


def test_boundary_f_of_a_shifted_square() -> None:
    truth = np.zeros((20, 20), int)
    truth[5:15, 5:15] = 1
    shifted = np.roll(truth, 2, axis=1)
    assert boundary_f(truth, shifted, 2) == 1
    assert 0 < boundary_f(truth, shifted, 1) < 1
    assert boundary_f(truth, shifted, 1) == boundary_f(shifted, truth, 1)
    with pytest.raises(ValueError, match="tolerance"):
        boundary_f(truth, shifted, -1)
    with pytest.raises(ValueError, match="2 positive"):
        boundary_f(truth, shifted, 1, (1.0,))


@settings(max_examples=80, deadline=None)
@given(pairs, st.integers(0, 4))
def test_scores_of_an_image_are_those_of_the_single_functions(both: Pair, min_size: int) -> None:
    scores = score_objects(*both, min_size)
    cleaned = [labels.copy() for labels in both]
    for labels in cleaned:
        for value in np.unique(labels):
            if (labels == value).sum() < min_size:
                labels[labels == value] = 0
    half = match(*cleaned)
    quality = panoptic_quality(*cleaned)
    assert scores.values() == pytest.approx(
        {
            "AP50": half.ap,
            "AP75": average_precision(*cleaned, 0.75)[0],
            "mAP": average_precision(*cleaned).mean(),
            "precision50": half.precision,
            "recall50": half.recall,
            "F1_50": half.f1,
            "PQ": quality.pq,
            "SQ": quality.sq,
            "RQ": quality.rq,
            "SEG": seg_score(*cleaned),
            "AJI": aggregated_jaccard(*cleaned),
            "Dice": dice(cleaned[0] > 0, cleaned[1] > 0),
            "boundary_F": boundary_f(*cleaned),
        }
    )
    np.testing.assert_allclose(scores.ap, average_precision(*cleaned))
    assert (scores.n_truth, scores.n_pred) == (half.n_truth, half.n_pred)
    assert all(0 <= value <= 1 for value in scores.values().values())


@pytest.mark.parametrize("shape", [(6, 6), (3, 4, 5)])
def test_empty_conventions(shape: tuple[int, ...]) -> None:
    nothing, something = np.zeros(shape, int), np.ones(shape, int)
    something[0] = 0
    assert set(score_objects(nothing, nothing).values().values()) == {1.0}
    assert set(score_objects(something, something).values().values()) == {1.0}
    assert set(score_objects(nothing, something).values().values()) == {0.0}
    assert set(score_objects(something, nothing).values().values()) == {0.0}
    assert set(score_objects(nothing[:0], nothing[:0]).values().values()) == {1.0}


def test_the_table_averages_and_pools() -> None:
    rng = np.random.default_rng(2)
    scores = {}
    for k in range(6):
        truth = np.kron(np.arange(1, 26).reshape(5, 5), np.ones((8, 8), int))
        truth[::8] = truth[:, ::8] = 0
        pred = np.roll(truth, k, axis=1) * (rng.random(truth.shape) < 1 - 0.05 * k)
        scores[f"image {k}"] = score_objects(truth[: 16 + 4 * k], pred[: 16 + 4 * k])
    images, summary = score_table(scores, np.random.default_rng(0), n=500)
    assert list(images["image"]) == list(scores)
    assert set(SCORES) < set(images)
    for column in (*images.values(), *summary.values()):
        assert len(column) in (6, 2 * len(SCORES))
    rows = {
        (name, averaging): k
        for k, (name, averaging) in enumerate(
            zip(summary["score"], summary["averaging"], strict=True)
        )
    }
    mean, pooled = (rows["AP50", f"{kind} over images"] for kind in ("mean", "pooled"))
    assert summary["value"][mean] == pytest.approx(np.mean([s.ap[0] for s in scores.values()]))
    tp, fp, fn = (sum(getattr(s, kind)[0] for s in scores.values()) for kind in ("tp", "fp", "fn"))
    assert summary["value"][pooled] == pytest.approx(tp / (tp + fp + fn))
    assert summary["value"][mean] != pytest.approx(summary["value"][pooled], abs=1e-3)
    assert (summary["low"] <= summary["value"] + 1e-12).all()
    assert (summary["value"] <= summary["high"] + 1e-12).all()
    assert (summary["images"] == 6).all()
    assert (summary["objects"] == sum(s.n_truth for s in scores.values())).all()
    seg = rows["SEG", "pooled over images"]
    assert summary["value"][seg] == pytest.approx(
        sum(s.seg_sum for s in scores.values()) / summary["objects"][0]
    )


def test_scores_are_never_nan_and_intervals_only_of_one_image() -> None:
    nothing, something = np.zeros((6, 6), int), np.pad(np.ones((2, 2), int), 2)
    scores = {
        "empty": score_objects(nothing, nothing),
        "missed": score_objects(something, nothing),
        "invented": score_objects(nothing, something),
    }
    for some in (scores, {"empty": scores["empty"]}, {"invented": scores["invented"]}):
        summary = score_table(some, np.random.default_rng(0), n=200).summary
        assert np.isfinite(summary["value"]).all()
        ends = np.stack([summary["low"], summary["high"]])
        assert (np.isfinite(ends) if len(some) > 1 else np.isnan(ends)).all()
    with pytest.raises(ValueError, match="no images"):
        score_table({}, np.random.default_rng(0))


def test_other_shapes_are_refused() -> None:
    for function in (score_objects, seg_score, aggregated_jaccard, panoptic_quality, boundary_f):
        with pytest.raises(LabelError, match=r"\(2, 3\).*\(3, 2\)"):
            function(np.ones((2, 3), int), np.ones((3, 2), int))
