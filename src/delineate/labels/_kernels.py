"""Numba kernels of the label functions that read every pixel once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _slot(key: Any, keys: Any, counts: Any) -> Any:
    """Place of `key` in an open-addressing table whose length is a power of two."""
    mask = np.uint64(counts.size - 1)
    mixed = key * np.uint64(0x9E3779B97F4A7C15)
    place = (mixed ^ (mixed >> np.uint64(32))) & mask
    while counts[place] != 0 and keys[place] != key:
        place = (place + np.uint64(1)) & mask
    return np.int64(place)


@njit(cache=True, nogil=True)
def count_ids(values: Any, keys: Any, counts: Any, used: int) -> Any:
    """Add the non-zero values to a hash table of counts; a run of equal values is one look-up."""
    n = values.size
    i = 0
    while i < n:
        value = values[i]
        start = i
        i += 1
        while i < n and values[i] == value:
            i += 1
        if value == 0:
            continue
        place = _slot(value, keys, counts)
        if counts[place] == 0:
            if 2 * (used + 1) > counts.size:
                old_keys, old_counts = keys, counts
                keys = np.zeros(2 * old_keys.size, np.uint64)
                counts = np.zeros(2 * old_keys.size, np.int64)
                for k in range(old_counts.size):
                    if old_counts[k] != 0:
                        moved = _slot(old_keys[k], keys, counts)
                        keys[moved] = old_keys[k]
                        counts[moved] = old_counts[k]
                place = _slot(value, keys, counts)
            keys[place] = value
            used += 1
        counts[place] += i - start
    return keys, counts, used


@njit(cache=True, nogil=True)
def replace_ids(values: Any, ids: Any, out: Any) -> None:
    """Write each value's rank in the ascending `ids`, counted from 1; 0 stays 0."""
    previous = np.uint64(0)
    rank = 0
    for i in range(values.size):
        value = values[i]
        if value != previous:
            previous = value
            if value == 0:
                rank = 0
            else:
                rank = np.searchsorted(ids, value) + 1
        out[i] = rank


@njit(cache=True, nogil=True)
def erase_ids(values: Any, ids: Any, out: Any) -> None:
    """Write 0 where the value is one of the ascending `ids`; leave the rest of `out` alone."""
    previous = np.uint64(0)
    erase = False
    for i in range(values.size):
        value = values[i]
        if value != previous:
            previous = value
            place = np.searchsorted(ids, value)
            erase = place < ids.size and ids[place] == value
        if erase:
            out[i] = 0


@njit(cache=True, nogil=True)
def hole_owners(labels: Any, parts: Any, flat: bool, owners: Any) -> None:
    """For each part of the background, the one label around it, or -1 if several or the border.

    `labels` and `parts` are (Z, Y, X); with `flat` (one plane) the faces along Z do not count.
    """
    nz, ny, nx = labels.shape
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                part = parts[z, y, x]
                if part == 0 or owners[part] < 0:
                    continue
                if y == 0 or y == ny - 1 or x == 0 or x == nx - 1:
                    owners[part] = -1
                    continue
                if not flat and (z == 0 or z == nz - 1):
                    owners[part] = -1
                    continue
                _meet(owners, part, labels[z, y - 1, x])
                _meet(owners, part, labels[z, y + 1, x])
                _meet(owners, part, labels[z, y, x - 1])
                _meet(owners, part, labels[z, y, x + 1])
                if not flat:
                    _meet(owners, part, labels[z - 1, y, x])
                    _meet(owners, part, labels[z + 1, y, x])


@njit(cache=True, nogil=True)
def _meet(owners: Any, part: int, label: int) -> None:
    """Note that the background part adjoins the label."""
    if label == 0 or owners[part] < 0:
        return
    if owners[part] == 0:
        owners[part] = label
    elif owners[part] != label:
        owners[part] = -1
