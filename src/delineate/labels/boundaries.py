"""Pixels at the inner boundary of objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.labels._check import check_labels


def boundaries(labels: ArrayLike) -> NDArray[np.bool_]:
    """Mask of the object pixels that share a face with another object or the background.

    The border of the image is no boundary. Any number of axes; equal to the "inner" boundaries of
    scikit-image's `find_boundaries` with connectivity 1.

    Parameters
    ----------
    labels : integer array, 0 background.

    Raises
    ------
    LabelError : the array is not of integers, or holds negative ones.
    """
    array = check_labels(labels)
    mask = np.zeros(array.shape, bool)
    for axis in range(array.ndim):
        moved, out = np.moveaxis(array, axis, 0), np.moveaxis(mask, axis, 0)
        differs = moved[1:] != moved[:-1]
        out[1:] |= differs
        out[:-1] |= differs
    mask &= array != 0
    return mask
