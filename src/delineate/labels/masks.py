"""Masks: files of one value inside, whose connected parts are the objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.labels._check import check_labels

INSIDE = (1, 255, 65535)
"""What stands for inside in a mask: 1, or white of 8 or 16 bits."""


def mask_value(labels: ArrayLike) -> int | None:
    """The value of the inside of a mask; None where the numbers are ids of objects.

    A mask has no value above 0 but a single one of `INSIDE`. Any other single value, such as 7, is
    the id of one object; so it is with no value at all.

    Parameters
    ----------
    labels : bool or integer array of any number of axes, 0 is background: all of a file, since a
        part of it may have fewer objects.

    Raises
    ------
    LabelError : the array is neither of bool nor of integers, or holds negative ones.

    Examples
    --------
    >>> mask_value([[0, 255], [255, 0]]), mask_value([[0, 7]]), mask_value([[1, 2]])
    (255, None, None)
    """
    array = _integers(labels)
    top = int(array.max(initial=0))
    if top not in INSIDE or (top > 1 and ((array > 0) & (array != top)).any()):
        return None
    return top


def connected_parts(mask: ArrayLike) -> NDArray[np.uint32]:
    """Connected parts of what is not 0, ids 1…N; pixels that meet at a corner are connected.

    Parameters
    ----------
    mask : bool or integer array over spatial axes.
    """
    from skimage.measure import label

    inside = np.asarray(mask) != 0
    return np.asarray(label(inside, connectivity=inside.ndim)).astype(np.uint32)


def _integers(labels: ArrayLike) -> NDArray[Any]:
    array = np.asarray(labels)
    return check_labels(array.view(np.uint8) if array.dtype == bool else array)
