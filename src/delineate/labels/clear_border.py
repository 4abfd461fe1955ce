"""Remove objects that the border of the image cuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.labels._check import check_labels
from delineate.labels.remove_small import remove_ids


def clear_border(labels: ArrayLike, axes: Sequence[int] | None = None) -> NDArray[np.integer[Any]]:
    """Make background of the objects with a pixel at the border of the image; other ids stay.

    Parameters
    ----------
    labels : integer array of any number of axes, 0 background.
    axes : axes whose two ends count, all by default; ``(-2, -1)`` keeps the objects of a volume
        that only its first and last plane cut.

    Raises
    ------
    LabelError : the array is not of integers, or holds negative ones.
    """
    array = check_labels(labels)
    touching = [np.zeros(0, array.dtype)]
    for axis in range(array.ndim) if axes is None else axes:
        if array.shape[axis]:
            touching += [np.unique(np.take(array, end, axis)) for end in (0, -1)]
    ids = np.unique(np.concatenate(touching))
    return remove_ids(array, ids[ids != 0])
