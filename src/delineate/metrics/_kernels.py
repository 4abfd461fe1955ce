"""Numba kernels of the metrics: counting of label pairs, and search near boundaries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

PairCounts = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64], int]


@njit(cache=True, nogil=True)
def _slot(a: Any, b: Any, keys_a: Any, keys_b: Any, counts: Any) -> Any:
    """Place of the pair (a, b) in an open-addressing table whose length is a power of two."""
    mask = np.uint64(counts.size - 1)
    mixed = (a * np.uint64(0x9E3779B97F4A7C15)) ^ (
        (b + np.uint64(1)) * np.uint64(0xC2B2AE3D27D4EB4F)
    )
    mixed ^= mixed >> np.uint64(29)
    place = (mixed * np.uint64(0x165667B19E3779F9) >> np.uint64(20)) & mask
    while counts[place] != 0 and (keys_a[place] != a or keys_b[place] != b):
        place = (place + np.uint64(1)) & mask
    return np.int64(place)


@njit(cache=True, nogil=True)
def _grow(keys_a: Any, keys_b: Any, counts: Any) -> Any:
    """The same table with twice the places."""
    size = 2 * counts.size
    new_a = np.zeros(size, np.uint64)
    new_b = np.zeros(size, np.uint64)
    new_counts = np.zeros(size, np.int64)
    for i in range(counts.size):
        if counts[i] != 0:
            place = _slot(keys_a[i], keys_b[i], new_a, new_b, new_counts)
            new_a[place] = keys_a[i]
            new_b[place] = keys_b[i]
            new_counts[place] = counts[i]
    return new_a, new_b, new_counts


@njit(cache=True, nogil=True)
def count_pairs(a: Any, b: Any, keys_a: Any, keys_b: Any, counts: Any, used: int) -> Any:
    """Add the pairs (a[i], b[i]) that are not (0, 0) to a hash table of counts.

    Equal pairs that follow each other are looked up once, so that the cost is that of the runs.
    """
    n = a.size
    i = 0
    while i < n:
        first_a = a[i]
        first_b = b[i]
        start = i
        i += 1
        while i < n and a[i] == first_a and b[i] == first_b:
            i += 1
        if first_a == 0 and first_b == 0:
            continue
        place = _slot(first_a, first_b, keys_a, keys_b, counts)
        if counts[place] == 0:
            if 2 * (used + 1) > counts.size:
                keys_a, keys_b, counts = _grow(keys_a, keys_b, counts)
                place = _slot(first_a, first_b, keys_a, keys_b, counts)
            keys_a[place] = first_a
            keys_b[place] = first_b
            used += 1
        counts[place] += i - start
    return keys_a, keys_b, counts, used


@njit(cache=True, nogil=True)
def count_near(points: Any, mask: Any, offsets: Any) -> int:
    """Number of `points` (flat indices) with a true pixel of `mask` at one of the `offsets`."""
    near = 0
    for i in range(points.size):
        for j in range(offsets.size):
            if mask[points[i] + offsets[j]]:
                near += 1
                break
    return near
