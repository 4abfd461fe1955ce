"""Panoptic quality: how well objects are outlined times how well they are found."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from delineate.metrics.matching import match


class PanopticQuality(NamedTuple):
    """`pq` = `sq` · `rq`: mean IoU of the matched objects times their F1."""

    pq: float
    sq: float
    rq: float


def panoptic_quality(
    truth: ArrayLike, pred: ArrayLike, threshold: float = 0.5, min_size: int = 0
) -> PanopticQuality:
    """Panoptic, segmentation and recognition quality (Kirillov et al. 2019, CVPR, eq. 1).

    PQ = Σ IoU of matches / (TP + FP/2 + FN/2), SQ = Σ IoU / TP, RQ = TP / (TP + FP/2 + FN/2).
    A match has IoU ≥ `threshold`, as everywhere in this package (the paper has > 0.5, which
    differs for an IoU of exactly 0.5 only). Nothing against nothing is 1 in all three, nothing
    against something 0.

    Parameters
    ----------
    truth, pred : integer arrays of one shape, any number of axes; 0 is background.
    threshold : smallest IoU of a match, in (0, 1].
    min_size : objects of fewer pixels are taken for background, in truth and prediction alike.

    Raises
    ------
    LabelError : a type is not integer, a number is negative, or the shapes differ.
    """
    found = match(truth, pred, threshold, min_size)
    return PanopticQuality(found.mean_matched_iou * found.f1, found.mean_matched_iou, found.f1)
