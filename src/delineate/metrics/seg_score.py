"""SEG, the segmentation score of the Cell Tracking Challenge."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from delineate.metrics.overlap import Overlaps, overlap_table


def seg_score(truth: ArrayLike, pred: ArrayLike, min_size: int = 0) -> float:
    """Mean over the true objects of the IoU with the object that covers more than half of them.

    SEG of the Cell Tracking Challenge (Maška et al. 2014, Bioinformatics 30:1609, section 2.3):
    an object R is found as S where |R ∩ S| > |R| / 2, and then counts |R ∩ S| / |R ∪ S|, else 0.
    Predicted objects without a counterpart cost nothing, except where there is no true object:
    then the score is 0, and 1 if there is no predicted one either.

    Parameters
    ----------
    truth, pred : integer arrays of one shape, any number of axes; 0 is background.
    min_size : objects of fewer pixels are taken for background, in truth and prediction alike.

    Raises
    ------
    LabelError : a type is not integer, a number is negative, or the shapes differ.
    """
    overlaps = overlap_table(truth, pred, min_size)
    if overlaps.truth_ids.size == 0:
        return float(overlaps.pred_ids.size == 0)
    return seg_sum(overlaps) / overlaps.truth_ids.size


def seg_sum(overlaps: Overlaps) -> float:
    """Sum over the true objects of the IoU with the object that covers more than half of them."""
    covers = 2 * overlaps.counts > overlaps.truth_sizes[overlaps.truth_index]
    return float(np.sum(overlaps.ious[covers]))
