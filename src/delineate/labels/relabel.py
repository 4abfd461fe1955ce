"""Number the objects of a label image 1..N, whatever ids they had."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.labels._check import check_labels

_CHUNK = 1 << 22


def relabel(labels: ArrayLike) -> NDArray[np.uint32]:
    """Label image with the ids 1..N, in the order of the old ids; 1..N stays as it is.

    Parameters
    ----------
    labels : integer array of any number of axes; 0 is background, ids may have gaps and be huge.

    Raises
    ------
    LabelError : the array is not of integers, or holds negative ones.

    Examples
    --------
    >>> relabel([[7, 0, 4000000000]])
    array([[1, 0, 2]], dtype=uint32)
    """
    return compact(labels)[0]


def compact(labels: ArrayLike) -> tuple[NDArray[np.uint32], NDArray[np.integer[Any]]]:
    """`relabel`, and the old ids: object k + 1 of the result had the id ``ids[k]``."""
    from delineate.labels._kernels import replace_ids

    array = check_labels(labels)
    ids, _ = object_sizes(array)
    result = np.empty(array.shape, np.uint32)
    flat, out = array.reshape(-1), result.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        replace_ids(flat[part].astype(np.uint64), ids.astype(np.uint64), out[part])
    return result, ids


def object_sizes(labels: ArrayLike) -> tuple[NDArray[np.integer[Any]], NDArray[np.int64]]:
    """Ids (ascending, of the type of `labels`) and numbers of pixels of all objects.

    One pass into a hash table: the memory is that of the objects, not of the largest id.

    Raises
    ------
    LabelError : the array is not of integers, or holds negative ones.
    """
    from delineate.labels._kernels import count_ids

    array = check_labels(labels)
    flat = array.reshape(-1)
    table = np.zeros(1 << 12, np.uint64), np.zeros(1 << 12, np.int64), 0
    for start in range(0, flat.size, _CHUNK):
        table = count_ids(flat[start : start + _CHUNK].astype(np.uint64), *table)
    keys, counts, _ = table
    filled = np.flatnonzero(counts)
    order = filled[np.argsort(keys[filled])]
    return keys[order].astype(array.dtype), counts[order]


def smallest_dtype(n: int) -> np.dtype[Any]:
    """Smallest unsigned integer type that holds the ids 1..n.

    Examples
    --------
    >>> smallest_dtype(255), smallest_dtype(256)
    (dtype('uint8'), dtype('uint16'))
    """
    return np.min_scalar_type(max(int(n), 0))
