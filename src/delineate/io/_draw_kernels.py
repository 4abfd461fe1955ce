"""Numba kernel that paints runs of pixels."""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(cache=True, nogil=True)
def paint(
    canvas: Any, contested: Any, counts: Any, row: Any, start: Any, stop: Any, value: Any
) -> None:
    """Write ``value[k]`` into ``canvas[row[k], start[k]:stop[k]]``, one run after the other.

    Pixels of `contested` become true where a value replaces another one that is not 0. `counts` is
    kept as the number of pixels of each value but 0.
    """
    for k in range(row.size):
        y, new = row[k], value[k]
        for x in range(start[k], stop[k]):
            old = canvas[y, x]
            if old == new:
                continue
            if old != 0:
                contested[y, x] = True
                counts[old] -= 1
            canvas[y, x] = new
            counts[new] += 1
