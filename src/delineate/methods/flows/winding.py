"""Numba kernels of the heat far from an object's centre, carried on window by window.

Spread from the centre alone through an object that winds, heat needs more rounds than the object
is long: the square of its length in time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from delineate.methods.flows.heat import LIMB, NOTHING, Floats, Ints

WINDOW = 32  # steps along the object in which heat spreads at a time
STRIDE = 16  # steps of these that are kept; the others are done again with the next window
ROUNDS = 64  # of averaging in a window
SMALL = 2.0**-256  # windows begin with heat above this, so that it stays within range


class Levels(NamedTuple):
    """The pixels without heat, sorted by their distance within the part from those with heat."""

    order: Ints  # (pixels,) the pixels, level by level
    first: Ints  # (levels + 1,) where the levels begin among them
    level: NDArray[np.int32]  # (size,) level of each pixel of the box: 1… , or 0 for none


@njit(cache=True, nogil=True)
def find_levels(
    size: int, steps: Ints, begins: Ints, ends: Ints, exponent: NDArray[np.int32]
) -> Levels:
    """Sort the pixels without heat by their distance, within the part, from those with heat.

    Parameters
    ----------
    size : pixels of the part's box with its margin.
    steps : (3^n - 1,) steps to the neighbours in the flat box; k and -1 - k are opposite.
    begins, ends : (runs,) first pixel of each run, and the pixel behind its last.
    exponent : (size,) NOTHING where there is no heat yet.
    """
    level = np.zeros(size, np.int32)
    count = 0
    for r in range(begins.size):
        for p in range(begins[r], ends[r]):
            if exponent[p] == NOTHING:
                level[p] = -1
                count += 1
    order = np.empty(count, np.int64)
    first = np.zeros(count + 2, np.int64)
    tail = 0
    for r in range(begins.size):
        for p in range(begins[r], ends[r]):
            if level[p] == 0:
                for step in steps:
                    if level[p + step] == -1:
                        level[p + step] = 1
                        order[tail] = p + step
                        tail += 1
    head, levels = 0, 0
    while head < tail:
        levels += 1
        first[levels] = tail
        while head < first[levels]:
            for step in steps:
                p = order[head] + step
                if level[p] == -1:
                    level[p] = levels + 1
                    order[tail] = p
                    tail += 1
            head += 1
    return Levels(order, first[: levels + 1].copy(), level)


@njit(cache=True, nogil=True)
def spread_beyond(steps: Ints, levels: Levels, heat: Floats, exponent: NDArray[np.int32]) -> int:
    """Carry heat on from the pixels that have it to all others of the part.

    What happens far down a winding object depends on the heat that comes from upstream by a factor
    only. So the pixels are taken up in windows of levels: upstream of a window the heat is held,
    downstream it is 0, within it heat spreads by averaging over 3^n pixels; the first levels of the
    window are kept and held for the next. Each connected piece of a window has its own exponent,
    as branches of different width lose heat at different rates. The number of updates is no more
    than ROUNDS * WINDOW / STRIDE for each pixel, however long the object is.

    Parameters
    ----------
    steps : as `find_levels`.
    levels : from `find_levels`; the levels of the pixels are used up.
    heat, exponent : (size,) the heat is heat * LIMB ** exponent; completed.

    Returns
    -------
    Number of updates of a pixel.
    """
    order, first, level = levels.order, levels.first, levels.level
    last = first.size - 1
    work = np.zeros(heat.size)
    piece, fresh = np.empty(order.size, np.int64), np.empty(order.size)
    share = 1.0 / (steps.size + 1)
    half = steps[: steps.size // 2]
    updates, done = 0, 0
    while done < last:
        top = min(done + WINDOW, last)
        keep = last if top == last else done + STRIDE
        for k in range(first[done], first[done + 1]):  # every piece has pixels of this level
            if level[order[k]] < 0:
                continue
            pixels = _piece(order[k], done, top, steps, level, piece)
            unit = _hold(piece[:pixels], steps, heat, exponent, work)
            for _ in range(ROUNDS):
                for i in range(pixels):
                    p = piece[i]
                    total = work[p]
                    for step in half:
                        total += work[p - step] + work[p + step]
                    fresh[i] = share * total
                for i in range(pixels):
                    work[piece[i]] = fresh[i]
            updates += ROUNDS * pixels
            for i in range(pixels):
                p = piece[i]
                if level[p] < -keep:
                    level[p] = -level[p]
                else:
                    heat[p], exponent[p] = work[p], unit
            for p in piece[:pixels]:
                work[p] = 0.0
                for step in steps:
                    work[p + step] = 0.0
        done = keep
    return updates


@njit(cache=True, nogil=True)
def _piece(
    start: int, done: int, top: int, steps: Ints, level: NDArray[np.int32], piece: Ints
) -> int:
    """Collect the pixels of a window connected with the first; their levels become negative."""
    level[start] = -level[start]
    piece[0] = start
    head, tail = 0, 1
    while head < tail:
        for step in steps:
            p = piece[head] + step
            if level[p] > done and level[p] <= top:
                level[p] = -level[p]
                piece[tail] = p
                tail += 1
        head += 1
    return tail


@njit(cache=True, nogil=True)
def _hold(piece: Ints, steps: Ints, heat: Floats, exponent: NDArray[np.int32], work: Floats) -> int:
    """Set the heat around a piece, in units of LIMB ** the result."""
    unit = NOTHING
    for p in piece:
        for step in steps:
            if heat[p + step] > 0.0:
                unit = max(unit, exponent[p + step])
    largest = 0.0
    for p in piece:
        for step in steps:
            if exponent[p + step] == unit:
                largest = max(largest, heat[p + step])
    if largest < SMALL:
        unit -= 1
    for p in piece:
        for step in steps:
            q = p + step
            if exponent[q] == unit:
                work[q] = heat[q]
            elif exponent[q] == unit + 1:
                work[q] = heat[q] * LIMB
            elif exponent[q] == unit - 1:
                work[q] = heat[q] / LIMB
    return unit
