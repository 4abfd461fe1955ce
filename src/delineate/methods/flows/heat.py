"""Numba kernels of the heat that spreads from an object's centre, whose gradient is the flow.

They stand in one file because numba's cache does not notice changes in other files.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from delineate.methods.flows.components import Components

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MERGE = 32  # runs nearer than this in memory are worked on in one stretch
SMALLEST = 1e-280  # heat below this has lost digits, or all of them, in double precision
FLAT = 1e-10  # a gradient this much smaller than the heat is rounding error
LIMB = 2.0**512  # one unit of the exponents of heat in extended range
AHEAD = 0.38  # a unit vector leads to the next pixel along an axis from the sine of 22.5 degrees on
NOTHING = -(2**30)  # exponent of no heat at all


class Part(NamedTuple):
    """A connected part in a flat copy of its box with a margin of one empty pixel."""

    size: int  # pixels of that box
    strides: Ints  # (ndim,)
    begins: Ints  # (runs,) first pixel of each run
    ends: Ints  # (runs,) pixel behind the last
    sources: Ints  # pixels that are heated
    pixels: np.int64  # number of the part's pixels


@njit(cache=True, nogil=True)
def part_flows(
    chunk: Ints,
    parts: Components,
    predicted: NDArray[np.float32],
    out: NDArray[np.float32],
    errors: Floats,
    far: NDArray[np.bool_],
) -> None:
    """Write the flows of some parts into out; or, where that is empty, compare with a prediction.

    One kernel for both, with most of its pieces inlined: compiling takes half as long. Parts that
    the heat does not fill in time, or not within the range of doubles, are only marked in far.

    Parameters
    ----------
    chunk : numbers of the parts.
    parts : all parts.
    predicted : (ndim, pixels of the image), read if out is empty.
    out : (ndim, pixels of the image), or empty.
    errors : (parts,) sum of squared differences to the prediction, written if out is empty.
    far : (parts,) set where the flow is to come from `delineate.methods.flows.winding`.
    """
    axes = parts.shape.size
    for number in chunk:
        part = _prepare(parts, number)
        flow = np.zeros((part.pixels, axes), np.float32)
        if part.pixels > 1:
            iterations = np.int64(0)
            for a in range(axes):
                iterations += 2 * (parts.high[number, a] - parts.low[number, a])
            heat = np.zeros(part.size)
            _diffuse(part, iterations, heat)
            coldest = 1.0
            for r in range(part.begins.size):
                for p in range(part.begins[r], part.ends[r]):
                    coldest = min(coldest, heat[p])
            if coldest < SMALLEST:
                far[number] = True
                continue
            _direction(part, heat, np.zeros(0, np.int32), flow)
        _write(parts, number, flow, predicted, out, errors)


@njit(cache=True, nogil=True)
def lay_out(parts: Components, number: int) -> Part:
    """Lay out one part; for work on it outside this file."""
    return _prepare(parts, number)


@njit(cache=True, nogil=True)
def spread_heat(part: Part, iterations: int) -> Floats:
    """Heat of one part in its box, as `part_flows` has it."""
    heat = np.zeros(part.size)
    _diffuse(part, iterations, heat)
    return heat


@njit(cache=True, nogil=True)
def flow_of_heat(
    parts: Components,
    number: int,
    part: Part,
    heat: Floats,
    exponent: NDArray[np.int32],
    predicted: NDArray[np.float32],
    out: NDArray[np.float32],
    errors: Floats,
) -> None:
    """Write or compare the flow of one part whose heat is heat * LIMB ** exponent in its box."""
    flow = np.zeros((part.pixels, parts.shape.size), np.float32)
    _direction(part, heat, exponent, flow)
    _write(parts, number, flow, predicted, out, errors)


@njit(cache=True, nogil=True, inline="always")
def _write(
    parts: Components,
    number: int,
    flow: NDArray[np.float32],
    predicted: NDArray[np.float32],
    out: NDArray[np.float32],
    errors: Floats,
) -> None:
    """Write the flow of one part, (pixels in raster order, ndim), or compare it."""
    axes = parts.shape.size
    width = parts.shape[axes - 1]
    i = 0
    total = 0.0
    for run in range(parts.first[number], parts.first[number + 1]):
        row = parts.rows[run] * width
        for p in range(row + parts.starts[run], row + parts.stops[run]):
            for a in range(axes):
                if out.size:
                    out[a, p] = flow[i, a]
                else:
                    total += (np.float64(flow[i, a]) - np.float64(predicted[a, p])) ** 2
            i += 1
    if errors.size:
        errors[number] = total


@njit(cache=True, nogil=True, inline="always")
def _prepare(parts: Components, number: int) -> Part:
    """Lay out the part's box and find its centre."""
    shape, low, high = parts.shape, parts.low[number], parts.high[number]
    axes = shape.size
    strides = np.ones(axes, np.int64)
    for a in range(axes - 2, -1, -1):
        strides[a] = strides[a + 1] * (high[a + 1] - low[a + 1] + 2)
    first, last = parts.first[number], parts.first[number + 1]
    at = np.empty((last - first, axes), np.int64)  # first pixels of the runs, within the box
    lengths = np.empty(last - first, np.int64)
    for r in range(last - first):
        lengths[r] = parts.stops[first + r] - parts.starts[first + r]
        at[r, axes - 1] = parts.starts[first + r] - low[axes - 1]
        rest = parts.rows[first + r]
        for a in range(axes - 2, -1, -1):
            at[r, a] = rest % shape[a] - low[a]
            rest //= shape[a]
    begins = np.zeros(last - first, np.int64)
    ends = np.zeros(last - first, np.int64)
    pixels = np.int64(0)
    for r in range(last - first):
        for a in range(axes):
            begins[r] += (at[r, a] + 1) * strides[a]
        ends[r] = begins[r] + lengths[r]
        pixels += lengths[r]
    sources = _sources(at, lengths, begins, low, high, pixels)
    return Part(strides[0] * (high[0] - low[0] + 2), strides, begins, ends, sources, pixels)


@njit(cache=True, nogil=True, inline="always")
def _sources(at: Ints, lengths: Ints, begins: Ints, low: Ints, high: Ints, pixels: int) -> Ints:
    """Pixels nearest to the median of the coordinates, as positions in the flat box.

    Pixels that share the first place share the heat if they surround the median (so that mirrored
    objects have mirrored flows); of those further apart, the first in raster order is the source.
    """
    axes = low.size
    last = axes - 1
    middle = np.empty(axes, np.int64)  # twice the median
    for a in range(axes):
        counts = np.zeros(high[a] - low[a] + 1, np.int64)
        for r in range(lengths.size):
            if a < last:
                counts[at[r, a]] += lengths[r]
            else:
                counts[at[r, a]] += 1
                counts[at[r, a] + lengths[r]] -= 1
        if a == last:
            for c in range(counts.size - 1):
                counts[c + 1] += counts[c]
        middle[a] = _twice_median(counts, pixels)
    sources = np.empty(2**axes, np.int64)
    found, nearest = 0, np.int64(2**62)
    for r in range(lengths.size):
        apart = np.int64(0)
        for a in range(last):
            apart += (2 * at[r, a] - middle[a]) ** 2
        begin, end = at[r, last], at[r, last] + lengths[r] - 1
        left = min(max(middle[last] // 2, begin), end)
        right = min(max((middle[last] + 1) // 2, begin), end)
        for column in range(left, right + 1):
            here = apart + (2 * column - middle[last]) ** 2
            if here < nearest:
                nearest, found = here, 0
            if here == nearest and (found == 0 or here <= axes):
                sources[found] = begins[r] + column - begin
                found += 1
    return sources[:found].copy()


@njit(cache=True, nogil=True)
def _twice_median(counts: Ints, total: int) -> int:
    """Twice the median of the indices of a histogram."""
    seen, lower = 0, -1
    for i in range(counts.size):
        seen += counts[i]
        if lower < 0 and seen > (total - 1) // 2:
            lower = i
        if seen > total // 2:
            return lower + i
    return 0


@njit(cache=True, nogil=True, inline="always")
def _diffuse(part: Part, iterations: int, heat: Floats) -> None:
    """Heat after so many rounds of adding one at the source and averaging over 3^n pixels.

    The average is taken across rows first and along them second, over stretches of memory that
    hold several runs, so that the inner loops are plain vector code. Terms are added in mirrored
    pairs: a mirrored object gets mirrored heat to the last bit.
    """
    across, weight = np.zeros(part.size), np.zeros(part.size)
    stretches = np.empty((part.begins.size, 2), np.int64)
    count = 0
    for r in range(part.begins.size):
        for p in range(part.begins[r], part.ends[r]):
            weight[p] = 1.0 / 3**part.strides.size
        if count and part.begins[r] - stretches[count - 1, 1] <= MERGE:
            stretches[count - 1, 1] = part.ends[r]
        else:
            stretches[count, 0], stretches[count, 1] = part.begins[r], part.ends[r]
            count += 1
    rows = neighbour_steps(part.strides[:-1])
    one = np.uint64(1)  # unsigned positions spare a test for negative ones and give vector code
    share = 1.0 / part.sources.size
    for _ in range(iterations):
        for k in range(part.sources.size):
            heat[part.sources[k]] += share
        for s in range(count):
            begin, end = np.uint64(stretches[s, 0] - 1), np.uint64(stretches[s, 1] + 1)
            for k in range(rows.size // 2):
                step = np.uint64(-rows[k])
                if k == 0:
                    for i in range(begin, end):
                        across[i] = heat[i] + (heat[i - step] + heat[i + step])
                else:
                    for i in range(begin, end):
                        across[i] += heat[i - step] + heat[i + step]
        for s in range(count):
            for i in range(np.uint64(stretches[s, 0]), np.uint64(stretches[s, 1])):
                heat[i] = weight[i] * (across[i] + (across[i - one] + across[i + one]))


@njit(cache=True, nogil=True)
def neighbour_steps(strides: Ints) -> Ints:
    """Steps to a pixel's 3^n - 1 neighbours in the flat box; k and -1 - k are opposite."""
    offsets = _offsets(strides.size)
    steps = np.zeros(offsets.shape[0], np.int64)
    for k in range(steps.size):
        for a in range(strides.size):
            steps[k] += offsets[k, a] * strides[a]
    return steps


@njit(cache=True, nogil=True)
def _offsets(axes: int) -> Ints:
    """Offsets (3^n - 1, n) of a pixel's neighbours in raster order; k and -1 - k are opposite."""
    count = 3**axes
    offsets = np.empty((count - 1, axes), np.int64)
    for k in range(count - 1):
        rest = k if k < count // 2 else k + 1
        for a in range(axes - 1, -1, -1):
            offsets[k, a] = rest % 3 - 1
            rest //= 3
    return offsets


@njit(cache=True, nogil=True)
def _at(heat: Floats, exponent: NDArray[np.int32], p: int, top: int) -> float:
    """Heat of a pixel in units of LIMB ** top, which is no less than its own exponent."""
    if exponent.size == 0 or exponent[p] == top:
        return heat[p]
    return heat[p] / LIMB if exponent[p] == top - 1 else 0.0


@njit(cache=True, nogil=True, inline="always")
def _direction(
    part: Part, heat: Floats, exponent: NDArray[np.int32], flow: NDArray[np.float32]
) -> None:
    """Write unit vectors along the gradient of heat, (pixels, ndim); 0 where there is none.

    Central differences along the axes; where they vanish (a pixel whose neighbours are all across
    corners), the mean direction of all neighbours weighted by their heat. The same in heat of
    extended range where they lead astray: in a line one pixel wide the way may go on across a
    corner, where central differences do not look.
    """
    axes = part.strides.size
    slope = np.empty(axes)
    around = _offsets(axes)
    steps = neighbour_steps(part.strides)
    i = 0
    for r in range(part.begins.size):
        for p in range(part.begins[r], part.ends[r]):
            steepest, flat, top = 0.0, FLAT * heat[p], 0
            if exponent.size == 0:
                for a in range(axes):
                    slope[a] = heat[p + part.strides[a]] - heat[p - part.strides[a]]
                    steepest = max(steepest, abs(slope[a]))
            else:
                top = exponent[p]
                for step in steps:
                    top = max(top, exponent[p + step])
                flat = FLAT * _at(heat, exponent, p, top)
                for a in range(axes):
                    one = _at(heat, exponent, p + part.strides[a], top)
                    slope[a] = one - _at(heat, exponent, p - part.strides[a], top)
                    steepest = max(steepest, abs(slope[a]))
                if steepest > flat and _astray(heat, exponent, p, top, slope, part.strides):
                    steepest = 0.0
            if steepest <= flat:
                for a in range(axes):
                    slope[a] = 0.0
                for k in range(steps.size // 2):
                    one = _at(heat, exponent, p + steps[k], top)
                    one -= _at(heat, exponent, p - steps[k], top)
                    for a in range(axes):
                        slope[a] += around[k, a] * one
                for a in range(axes):
                    steepest = max(steepest, abs(slope[a]))
            if steepest > flat:
                length = 0.0
                for a in range(axes):  # divide first: squares of tiny slopes would vanish
                    slope[a] /= steepest
                    length += slope[a] ** 2
                for a in range(axes):
                    flow[i, a] = slope[a] / np.sqrt(length)
            i += 1


@njit(cache=True, nogil=True)
def _astray(
    heat: Floats,
    exponent: NDArray[np.int32],
    p: int,
    top: int,
    slope: Floats,
    strides: Ints,
) -> bool:
    """Tell whether the neighbour to which a slope leads is no warmer than the pixel itself."""
    length = 0.0
    steepest = np.abs(slope).max()
    for along in slope:
        length += (along / steepest) ** 2
    ahead = p
    for a in range(slope.size):
        along = slope[a] / steepest / np.sqrt(length)
        if abs(along) > AHEAD:
            ahead += strides[a] if along > 0 else -strides[a]
    return _at(heat, exponent, ahead, top) <= _at(heat, exponent, p, top)
