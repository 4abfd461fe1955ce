"""Aggregated Jaccard index: one IoU over all objects of an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from delineate.metrics.overlap import Overlaps, overlap_table


def aggregated_jaccard(truth: ArrayLike, pred: ArrayLike, min_size: int = 0) -> float:
    """Aggregated Jaccard index (Kumar et al. 2017, IEEE TMI 36:1550, algorithm 1).

    Each true object takes the predicted one with the best IoU (of equals, the lowest id; one may
    be taken several times); the intersections of these pairs are summed, and so are their unions,
    to which come the sizes of the true and predicted objects without a pair. Nothing against
    nothing is 1, nothing against something 0.

    Parameters
    ----------
    truth, pred : integer arrays of one shape, any number of axes; 0 is background.
    min_size : objects of fewer pixels are taken for background, in truth and prediction alike.

    Raises
    ------
    LabelError : a type is not integer, a number is negative, or the shapes differ.
    """
    intersection, union = aggregated_sums(overlap_table(truth, pred, min_size))
    return intersection / union if union else 1.0


def aggregated_sums(overlaps: Overlaps) -> tuple[int, int]:
    """Aggregated intersection and union, in pixels."""
    order = np.lexsort((overlaps.pred_index, -overlaps.ious, overlaps.truth_index))
    _, first = np.unique(overlaps.truth_index[order], return_index=True)
    best = order[first]
    pred, common = overlaps.pred_index[best], int(overlaps.counts[best].sum())
    alone = np.ones(overlaps.pred_ids.size, bool)
    alone[pred] = False
    union = (
        int(overlaps.truth_sizes.sum())
        + int(overlaps.pred_sizes[pred].sum())
        - common
        + int(overlaps.pred_sizes[alone].sum())
    )
    return common, union
