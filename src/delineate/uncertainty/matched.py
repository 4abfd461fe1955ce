"""Does the probability of an object come true: is it matched with an object of the truth?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from delineate.metrics import match
from delineate.uncertainty.calibration import Reliability, reliability

BINS = 10
"""Bins of the reliability of objects, of which there are fewer than pixels."""


def object_reliability(
    truth: ArrayLike,
    found: ArrayLike,
    ids: ArrayLike,
    probability: ArrayLike,
    threshold: float = 0.5,
    bins: int = BINS,
) -> Reliability:
    """Count how often objects of some probability are matched with a true one.

    An object is right where it is matched one to one at IoU >= `threshold`; see
    `delineate.metrics.match`. True objects that were missed state no probability and do not count.
    For detections: Küppers et al. 2020, "Multivariate confidence calibration for object detection".

    Parameters
    ----------
    truth, found : label images of one shape, 0 background.
    ids : (n,), objects of `found`; those that it does not have are left out, as are objects of it
        that are not among them.
    probability : (n,), in [0, 1]; NaN is left out.
    threshold : smallest IoU of a match.
    bins : number of bins.

    Raises
    ------
    LabelError : a label image is none, or their shapes differ.
    ValueError : a probability is outside [0, 1], or the columns have different lengths.
    """
    own, stated = np.asarray(ids), np.asarray(probability, np.float64)
    if own.shape != stated.shape or own.ndim != 1:
        raise ValueError(
            f"ids of the shape {own.shape} and probabilities {stated.shape}: expected two equal "
            "columns"
        )
    counted = np.isin(own, np.unique(found)) & (own > 0) & ~np.isnan(stated)
    own, stated = own[counted], stated[counted]
    matched = np.isin(own, match(truth, found, threshold).pred_ids)
    return reliability(stated, matched, bins)
