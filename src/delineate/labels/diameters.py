"""Diameters of objects: those of the disk or ball with as many pixels."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.labels._check import check_labels
from delineate.labels.relabel import object_sizes


def diameters(labels: ArrayLike) -> NDArray[np.float64]:
    """Diameter in pixels of each object, in the order of ascending ids.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integer, 0 background.

    Returns
    -------
    float64 array (objects,): 2 √(area/π) in 2D, ∛(6 volume/π) in 3D.

    Raises
    ------
    LabelError : the array is not of integers, holds negative ones, or has other axes.
    """
    array = check_labels(labels, (2, 3))
    return equivalent_diameter(object_sizes(array)[1].astype(np.float64), array.ndim)


def median_diameter(labels: ArrayLike) -> float:
    """Median of `diameters`; NaN where there is no object, since no diameter would be true.

    Raises
    ------
    LabelError : the array is not of integers, holds negative ones, or has other axes.
    """
    each = diameters(labels)
    return float(np.median(each)) if each.size else math.nan


def equivalent_diameter(sizes: NDArray[np.float64], ndim: int) -> NDArray[np.float64]:
    """Diameter of the disk (2) or ball (3) of the given area or volume."""
    if ndim == 2:
        return cast(NDArray[np.float64], 2 * np.sqrt(sizes / math.pi))
    return cast(NDArray[np.float64], np.cbrt(6 * sizes / math.pi))
