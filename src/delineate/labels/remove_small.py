"""Remove objects under a minimum size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.labels._check import check_labels
from delineate.labels.relabel import object_sizes

_CHUNK = 1 << 22


def remove_small(labels: ArrayLike, min_size: int) -> NDArray[np.integer[Any]]:
    """Make background of the objects with fewer than `min_size` pixels; other ids stay.

    Parameters
    ----------
    labels : integer array of any number of axes, 0 background.
    min_size : smallest number of pixels (voxels) that an object may keep.

    Raises
    ------
    LabelError : the array is not of integers, or holds negative ones.
    """
    array = check_labels(labels)
    ids, sizes = object_sizes(array)
    return remove_ids(array, ids[sizes < min_size])


def remove_ids(
    labels: NDArray[np.integer[Any]], ids: NDArray[np.integer[Any]]
) -> NDArray[np.integer[Any]]:
    """A copy of the label image in which the objects `ids` (ascending) are background."""
    from delineate.labels._kernels import erase_ids

    result = np.array(labels, order="C")
    if ids.size:
        flat, wanted = result.reshape(-1), ids.astype(np.uint64)
        for start in range(0, flat.size, _CHUNK):
            part = flat[start : start + _CHUNK]
            erase_ids(part.astype(np.uint64), wanted, part)
    return result
