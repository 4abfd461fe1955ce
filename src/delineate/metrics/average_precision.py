"""Average precision of objects as the field counts it: TP / (TP + FP + FN) over IoU thresholds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.metrics.matching import match_overlaps
from delineate.metrics.overlap import overlap_table

THRESHOLDS: tuple[float, ...] = tuple(k / 100 for k in range(50, 100, 5))
"""0.50, 0.55 … 0.95, each the nearest float of its decimal."""


def average_precision(
    truth: ArrayLike,
    pred: ArrayLike,
    thresholds: ArrayLike = THRESHOLDS,
    min_size: int = 0,
) -> NDArray[np.float64]:
    """TP / (TP + FP + FN) at each IoU threshold.

    The convention of cellpose, StarDist and the 2018 Data Science Bowl (Caicedo et al. 2019,
    Nature Methods 16:1247), not the ranked AP of COCO. Nothing against nothing is 1.

    Parameters
    ----------
    truth, pred : integer arrays of one shape, any number of axes; 0 is background.
    thresholds : IoU thresholds in (0, 1].
    min_size : objects of fewer pixels are taken for background, in truth and prediction alike.

    Returns
    -------
    float64 array, one value a threshold.

    Raises
    ------
    LabelError : a type is not integer, a number is negative, or the shapes differ.
    """
    overlaps = overlap_table(truth, pred, min_size)
    wanted = np.atleast_1d(np.asarray(thresholds, np.float64))
    return np.array([match_overlaps(overlaps, float(t)).ap for t in wanted])
