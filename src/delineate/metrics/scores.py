"""All object scores of an image as numbers that add up, so that images can be pooled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.metrics._check import check_pair
from delineate.metrics.aggregated_jaccard import aggregated_sums
from delineate.metrics.average_precision import THRESHOLDS
from delineate.metrics.boundary_f import BoundaryCounts, boundary_counts, boundary_f_of
from delineate.metrics.matching import match_overlaps
from delineate.metrics.overlap import overlap_table
from delineate.metrics.seg_score import seg_sum


class ObjectScores(NamedTuple):
    """Sums over the objects of one image, or of several added up, and the scores they make.

    Arrays have one entry for each of the IoU thresholds 0.50, 0.55 … 0.95. Nothing against
    nothing scores 1, nothing against something 0.
    """

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    matched_iou: NDArray[np.float64]
    """Sum of the IoU of the matched objects."""
    seg_sum: float
    """Sum of the IoU over the true objects that SEG counts as found."""
    jaccard: tuple[int, int]
    """Aggregated intersection and union, pixels."""
    foreground: tuple[int, int, int]
    """Pixels of objects in truth and prediction, in truth, in prediction."""
    boundary: BoundaryCounts

    @property
    def n_truth(self) -> int:
        """Number of objects in the truth."""
        return int(self.tp[0] + self.fn[0])

    @property
    def n_pred(self) -> int:
        """Number of objects in the prediction."""
        return int(self.tp[0] + self.fp[0])

    @property
    def ap(self) -> NDArray[np.float64]:
        """Average precision at each threshold."""
        return np.asarray(_ap(self.sums()))

    def sums(self) -> NDArray[np.float64]:
        """All numbers in one row (float64); rows of images add up."""
        return np.concatenate(
            [
                self.tp,
                self.fp,
                self.fn,
                self.matched_iou,
                [self.seg_sum],
                self.jaccard,
                self.foreground,
                self.boundary,
            ]
        ).astype(np.float64)

    def values(self) -> dict[str, float]:
        """Every score by its name (see `SCORES`)."""
        row = self.sums()
        return {name: float(score(row)) for name, score in SCORES.items()}


def score_objects(
    truth: ArrayLike, pred: ArrayLike, min_size: int = 0, tolerance: float = 2.0
) -> ObjectScores:
    """Score the objects of a prediction against the true ones.

    Parameters
    ----------
    truth, pred : integer arrays of one shape, any number of axes; 0 is background.
    min_size : objects of fewer pixels are taken for background, in truth and prediction alike.
    tolerance : distance in pixels within which boundaries agree (boundary F).

    Raises
    ------
    LabelError : a type is not integer, a number is negative, or the shapes differ.
    """
    images = check_pair(truth, pred)
    overlaps = overlap_table(*images, min_size)
    matchings = [match_overlaps(overlaps, t) for t in THRESHOLDS]
    if min_size > 1:
        images = (
            np.where(np.isin(images[0], overlaps.truth_ids), images[0], 0),
            np.where(np.isin(images[1], overlaps.pred_ids), images[1], 0),
        )
    return ObjectScores(
        np.array([m.tp for m in matchings]),
        np.array([m.fp for m in matchings]),
        np.array([m.fn for m in matchings]),
        np.array([m.ious.sum() for m in matchings]),
        seg_sum(overlaps),
        aggregated_sums(overlaps),
        (
            int(overlaps.counts.sum()),
            int(overlaps.truth_sizes.sum()),
            int(overlaps.pred_sizes.sum()),
        ),
        boundary_counts(*images, tolerance),
    )


def ratio(part: Any, whole: Any, otherwise: Any) -> Any:
    """part / whole, and `otherwise` where the whole is 0; element by element."""
    return np.where(np.equal(whole, 0), otherwise, part / np.where(np.equal(whole, 0), 1, whole))


_N = len(THRESHOLDS)


def _counts(sums: NDArray[np.float64]) -> tuple[Any, Any, Any, Any]:
    """TP, FP, FN and the sum of matched IoU, each (…, thresholds)."""
    tp, fp, fn, iou = (sums[..., k * _N : (k + 1) * _N] for k in range(4))
    return tp, fp, fn, iou


def _at_half(sums: NDArray[np.float64]) -> tuple[Any, Any, Any, Any]:
    """The same at IoU 0.5 alone."""
    tp, fp, fn, iou = (each[..., 0] for each in _counts(sums))
    return tp, fp, fn, iou


def _ap(sums: NDArray[np.float64]) -> Any:
    tp, fp, fn, _ = _counts(sums)
    return ratio(tp, tp + fp + fn, 1.0)


def _precision(sums: NDArray[np.float64]) -> Any:
    tp, fp, fn, _ = _at_half(sums)
    return ratio(tp, tp + fp, fn == 0)


def _recall(sums: NDArray[np.float64]) -> Any:
    tp, fp, fn, _ = _at_half(sums)
    return ratio(tp, tp + fn, fp == 0)


def _f1(sums: NDArray[np.float64]) -> Any:
    tp, fp, fn, _ = _at_half(sums)
    return ratio(2 * tp, 2 * tp + fp + fn, 1.0)


def _sq(sums: NDArray[np.float64]) -> Any:
    tp, fp, fn, iou = _at_half(sums)
    return ratio(iou, tp, fp + fn == 0)


def _seg(sums: NDArray[np.float64]) -> Any:
    tp, fp, fn, _ = _at_half(sums)
    return ratio(sums[..., 4 * _N], tp + fn, fp == 0)


def _aji(sums: NDArray[np.float64]) -> Any:
    return ratio(sums[..., 4 * _N + 1], sums[..., 4 * _N + 2], 1.0)


def _dice(sums: NDArray[np.float64]) -> Any:
    both, truth, pred = np.moveaxis(sums[..., 4 * _N + 3 : 4 * _N + 6], -1, 0)
    return ratio(2 * both, truth + pred, 1.0)


SCORES: dict[str, Any] = {
    "AP50": lambda sums: _ap(sums)[..., 0],
    "AP75": lambda sums: _ap(sums)[..., THRESHOLDS.index(0.75)],
    "mAP": lambda sums: _ap(sums).mean(axis=-1),
    "precision50": _precision,
    "recall50": _recall,
    "F1_50": _f1,
    "PQ": lambda sums: _sq(sums) * _f1(sums),
    "SQ": _sq,
    "RQ": _f1,
    "SEG": _seg,
    "AJI": _aji,
    "Dice": _dice,
    "boundary_F": lambda sums: boundary_f_of(sums[..., 4 * _N + 6 : 4 * _N + 10]),
}
"""Scores as functions of sums (…, k) as `ObjectScores.sums` gives them: of one image, or pooled.

AP, mAP (mean over IoU 0.50:0.05:0.95), precision, recall and F1 at IoU 0.5, panoptic,
segmentation and recognition quality at 0.5, SEG, aggregated Jaccard, Dice of the foreground,
boundary F.
"""
