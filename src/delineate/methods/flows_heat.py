"""Numba kernels of the heat that spreads from an object's centre, whose gradient is the flow."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Columns = NDArray[np.int32]
Floats = NDArray[np.float64]

MERGE = 32  # runs nearer than this in memory are worked on in one stretch
SMALLEST = 1e-280  # heat below this has lost digits, or all of them, in double precision
FLAT = 1e-10  # a gradient this much smaller than the heat is rounding error
LIMB = 2.0**512  # one unit of the exponents of heat in extended range
NOTHING = -(2**30)  # exponent of no heat at all


@njit(cache=True, nogil=True)
def write_flows(
    chunk: Ints,
    shape: Ints,
    low: Ints,
    high: Ints,
    rows: Ints,
    starts: Columns,
    stops: Columns,
    first: Ints,
    out: NDArray[np.float32],
) -> None:
    """Write the flows of some parts into (ndim, pixels)."""
    width = shape[shape.size - 1]
    for part in chunk:
        begin, end = first[part], first[part + 1]
        flow = _part_flow(
            shape, low[part], high[part], rows[begin:end], starts[begin:end], stops[begin:end]
        )
        i = 0
        for run in range(begin, end):
            for c in range(starts[run], stops[run]):
                for a in range(shape.size):
                    out[a, rows[run] * width + c] = flow[i, a]
                i += 1


@njit(cache=True, nogil=True)
def compare_flows(
    chunk: Ints,
    shape: Ints,
    low: Ints,
    high: Ints,
    rows: Ints,
    starts: Columns,
    stops: Columns,
    first: Ints,
    predicted: NDArray[np.float32],
    errors: Floats,
    pixels: Floats,
) -> None:
    """Sum the squared differences between the flows of some parts and the predicted flow."""
    width = shape[shape.size - 1]
    for part in chunk:
        begin, end = first[part], first[part + 1]
        flow = _part_flow(
            shape, low[part], high[part], rows[begin:end], starts[begin:end], stops[begin:end]
        )
        i = 0
        total = 0.0
        for run in range(begin, end):
            for c in range(starts[run], stops[run]):
                for a in range(shape.size):
                    apart = np.float64(flow[i, a]) - predicted[a, rows[run] * width + c]
                    total += apart * apart
                i += 1
        errors[part] = total
        pixels[part] = i


@njit(cache=True, nogil=True)
def _part_flow(
    shape: Ints, low: Ints, high: Ints, rows: Ints, starts: Columns, stops: Columns
) -> NDArray[np.float32]:
    """Flow of one connected part, (pixels in raster order, ndim) float32; see `flow_targets`."""
    axes = shape.size
    strides = np.ones(axes, np.int64)
    iterations = 2 * (high[axes - 1] - low[axes - 1])
    for a in range(axes - 2, -1, -1):
        strides[a] = strides[a + 1] * (high[a + 1] - low[a + 1] + 2)
        iterations += 2 * (high[a] - low[a])
    size = strides[0] * (high[0] - low[0] + 2)
    bases = _bases(shape, low, strides, rows, starts)
    pixels = 0
    for r in range(bases.size):
        pixels += stops[r] - starts[r]
    if pixels == 1:
        return np.zeros((1, axes), np.float32)
    sources = _sources(shape, low, high, strides, rows, starts, stops, pixels)
    heat = _diffuse(size, strides, bases, starts, stops, sources, iterations)
    exponent = np.zeros(0, np.int32)
    coldest = 1.0
    for r in range(bases.size):
        for p in range(bases[r], bases[r] + stops[r] - starts[r]):
            coldest = min(coldest, heat[p])
    if coldest < SMALLEST:
        steps = _steps(strides)
        reach = _reach(heat, steps, bases, starts, stops, sources)
        if reach > iterations:
            iterations = 2 * reach
        exponent = np.full(size, NOTHING, np.int32)
        heat[:] = 0.0
        _diffuse_extended(heat, exponent, steps, bases, starts, stops, sources, iterations)
    return _direction(heat, exponent, strides, bases, starts, stops, pixels)


@njit(cache=True, nogil=True)
def _bases(shape: Ints, low: Ints, strides: Ints, rows: Ints, starts: Columns) -> Ints:
    """Where the runs begin in the part's box, which has a margin of one empty pixel."""
    axes = shape.size
    bases = np.empty(rows.size, np.int64)
    for r in range(rows.size):
        base = starts[r] - low[axes - 1] + 1
        rest = rows[r]
        for a in range(axes - 2, -1, -1):
            base += (rest % shape[a] - low[a] + 1) * strides[a]
            rest //= shape[a]
        bases[r] = base
    return bases


@njit(cache=True, nogil=True)
def _steps(strides: Ints) -> Ints:
    """Offsets of the 3^n - 1 neighbours of a pixel in the flat box."""
    count = 3**strides.size
    steps = np.empty(count - 1, np.int64)
    for k in range(count):
        rest, step = k, 0
        for a in range(strides.size):
            step += (rest % 3 - 1) * strides[a]
            rest //= 3
        if k != count // 2:
            steps[k - (k > count // 2)] = step
    return steps


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


@njit(cache=True, nogil=True)
def _sources(
    shape: Ints,
    low: Ints,
    high: Ints,
    strides: Ints,
    rows: Ints,
    starts: Columns,
    stops: Columns,
    pixels: int,
) -> Ints:
    """Pixels nearest to the median of the coordinates, as positions in the flat box.

    Pixels that share the first place share the heat if they surround the median (so that mirrored
    objects have mirrored flows); of those further apart, the first in raster order is the source.
    """
    axes = shape.size
    last = axes - 1
    side = high[last] - low[last]
    median = np.empty(axes, np.int64)
    counts = np.zeros(side + 1, np.int64)
    for r in range(rows.size):
        counts[starts[r] - low[last]] += 1
        counts[stops[r] - low[last]] -= 1
    for c in range(side):
        counts[c + 1] += counts[c]
    median[last] = _twice_median(counts, pixels)
    below = 1
    for a in range(axes - 2, -1, -1):
        counts = np.zeros(high[a] - low[a], np.int64)
        for r in range(rows.size):
            counts[rows[r] // below % shape[a] - low[a]] += stops[r] - starts[r]
        median[a] = _twice_median(counts, pixels)
        below *= shape[a]
    sources = np.empty(2**axes, np.int64)
    found, nearest = 0, np.int64(2**62)
    for r in range(rows.size):
        apart = np.int64(0)
        base = np.int64(0)
        rest = rows[r]
        for a in range(axes - 2, -1, -1):
            at = rest % shape[a] - low[a]
            rest //= shape[a]
            apart += (2 * at - median[a]) ** 2
            base += (at + 1) * strides[a]
        begin, end = starts[r] - low[last], stops[r] - low[last] - 1
        left = min(max(median[last] // 2, begin), end)
        right = min(max((median[last] + 1) // 2, begin), end)
        for at in range(left, right + 1):
            here = apart + (2 * at - median[last]) ** 2
            if here < nearest:
                nearest, found = here, 0
            if here == nearest and (found == 0 or (here <= axes and found < sources.size)):
                sources[found] = base + at + 1
                found += 1
    return sources[:found].copy()


@njit(cache=True, nogil=True)
def _diffuse(
    size: int,
    strides: Ints,
    bases: Ints,
    starts: Columns,
    stops: Columns,
    sources: Ints,
    iterations: int,
) -> Floats:
    """Heat after so many rounds of adding one at the source and averaging over 3^n pixels.

    The average is taken across rows first and along them second, over stretches of memory that
    hold several runs, so that the inner loops are plain vector code. Terms are added in mirrored
    pairs: a mirrored object gets mirrored heat to the last bit.
    """
    heat = np.zeros(size)
    across = np.zeros(size)
    weight = np.zeros(size)
    stretches = np.empty((bases.size, 2), np.int64)
    count = 0
    for r in range(bases.size):
        begin, end = bases[r], bases[r] + stops[r] - starts[r]
        weight[begin:end] = 1.0 / 3**strides.size
        if count and begin - stretches[count - 1, 1] <= MERGE:
            stretches[count - 1, 1] = end
        else:
            stretches[count, 0], stretches[count, 1] = begin, end
            count += 1
    pairs = (3 ** (strides.size - 1) - 1) // 2
    steps = np.empty(pairs, np.int64)
    for k in range(pairs):
        rest, step = k, np.int64(0)
        for a in range(strides.size - 1):
            step += (rest % 3 - 1) * strides[a]
            rest //= 3
        steps[k] = abs(step)
    share = 1.0 / sources.size
    for _ in range(iterations):
        for s in range(sources.size):
            heat[sources[s]] += share
        for s in range(count):
            begin, length = stretches[s, 0] - 1, stretches[s, 1] - stretches[s, 0] + 2
            result = across[begin : begin + length]
            middle = heat[begin : begin + length]
            for k in range(pairs):
                one = heat[begin - steps[k] : begin - steps[k] + length]
                two = heat[begin + steps[k] : begin + steps[k] + length]
                if k == 0:
                    for i in range(length):
                        result[i] = middle[i] + (one[i] + two[i])
                else:
                    for i in range(length):
                        result[i] += one[i] + two[i]
        for s in range(count):
            begin, length = stretches[s, 0], stretches[s, 1] - stretches[s, 0]
            result = heat[begin : begin + length]
            portion = weight[begin : begin + length]
            one = across[begin - 1 : begin - 1 + length]
            middle = across[begin : begin + length]
            two = across[begin + 1 : begin + 1 + length]
            for i in range(length):
                result[i] = portion[i] * (middle[i] + (one[i] + two[i]))
    return heat


@njit(cache=True, nogil=True)
def _reach(
    scratch: Floats, steps: Ints, bases: Ints, starts: Columns, stops: Columns, sources: Ints
) -> int:
    """Steps from the sources to the farthest pixel of the part, within it."""
    scratch[:] = 0.0
    pixels = 0
    for r in range(bases.size):
        scratch[bases[r] : bases[r] + stops[r] - starts[r]] = 1.0
        pixels += stops[r] - starts[r]
    queue = np.empty(pixels, np.int64)
    tail = 0
    for s in range(sources.size):
        scratch[sources[s]] = 0.0
        queue[tail] = sources[s]
        tail += 1
    head, rounds = 0, -1
    while head < tail:
        end = tail
        rounds += 1
        while head < end:
            for k in range(steps.size):
                p = queue[head] + steps[k]
                if scratch[p] == 1.0:
                    scratch[p] = 0.0
                    queue[tail] = p
                    tail += 1
            head += 1
    return rounds


@njit(cache=True, nogil=True)
def _diffuse_extended(
    heat: Floats,
    exponent: NDArray[np.int32],
    steps: Ints,
    bases: Ints,
    starts: Columns,
    stops: Columns,
    sources: Ints,
    iterations: int,
) -> None:
    """As `_diffuse`, for heat out of the range of doubles: the heat is heat * LIMB ** exponent.

    For long and thin parts: in a line one pixel wide heat falls by a factor of eight per pixel.
    """
    portion = 1.0 / (steps.size + 1)
    next_heat = heat.copy()
    next_exponent = exponent.copy()
    for _ in range(iterations):
        for s in range(sources.size):
            p = sources[s]
            heat[p] = (heat[p] if exponent[p] == 0 else 0.0) + 1.0 / sources.size
            exponent[p] = 0
        for r in range(bases.size):
            for p in range(bases[r], bases[r] + stops[r] - starts[r]):
                top = exponent[p]
                for k in range(steps.size):
                    top = max(top, exponent[p + steps[k]])
                if top == NOTHING:
                    continue
                total = _at(heat[p], exponent[p] - top)
                for k in range(steps.size):
                    total += _at(heat[p + steps[k]], exponent[p + steps[k]] - top)
                total *= portion
                if total < 1.0 / np.sqrt(LIMB):
                    total *= LIMB
                    top -= 1
                next_heat[p] = total
                next_exponent[p] = top
        for r in range(bases.size):
            begin, end = bases[r], bases[r] + stops[r] - starts[r]
            heat[begin:end] = next_heat[begin:end]
            exponent[begin:end] = next_exponent[begin:end]


@njit(cache=True, nogil=True)
def _at(mantissa: float, exponent: int) -> float:
    """Value of mantissa * LIMB ** exponent for exponents up to 0; below -1 it does not count."""
    if exponent == 0:
        return mantissa
    return mantissa / LIMB if exponent == -1 else 0.0


@njit(cache=True, nogil=True)
def _direction(
    heat: Floats,
    exponent: NDArray[np.int32],
    strides: Ints,
    bases: Ints,
    starts: Columns,
    stops: Columns,
    pixels: int,
) -> NDArray[np.float32]:
    """Unit vectors along the gradient of heat; 0 where there is none.

    Central differences along the axes; where they vanish (a pixel whose neighbours are all across
    corners), the mean direction of all neighbours weighted by their heat.
    """
    axes = strides.size
    flow = np.zeros((pixels, axes), np.float32)
    slope = np.empty(axes)
    axial = np.zeros((2 * axes, axes), np.int64)
    for a in range(axes):
        axial[2 * a, a] = 1
        axial[2 * a + 1, a] = -1
    around = np.empty((3**axes - 1, axes), np.int64)
    for k in range(around.shape[0]):  # k and its mirror image next to each other
        rest = k // 2 if k % 2 == 0 else 3**axes - 1 - k // 2
        for a in range(axes):
            around[k, a] = rest % 3 - 1
            rest //= 3
    i = 0
    for r in range(bases.size):
        for p in range(bases[r], bases[r] + stops[r] - starts[r]):
            steepest = 0.0
            if exponent.size:
                steepest = _slope(heat, exponent, strides, p, axial, slope)
            else:
                for a in range(axes):
                    slope[a] = heat[p + strides[a]] - heat[p - strides[a]]
                    steepest = max(steepest, abs(slope[a]))
                if steepest <= FLAT * heat[p]:
                    steepest = 0.0
            if steepest == 0.0:
                steepest = _slope(heat, exponent, strides, p, around, slope)
            if steepest > 0.0:
                length = 0.0
                for a in range(axes):  # divide first: squares of tiny slopes would vanish
                    slope[a] /= steepest
                    length += slope[a] ** 2
                length = 1.0 / np.sqrt(length)
                for a in range(axes):
                    flow[i, a] = slope[a] * length
            i += 1
    return flow


@njit(cache=True, nogil=True)
def _slope(
    heat: Floats,
    exponent: NDArray[np.int32],
    strides: Ints,
    p: int,
    offsets: Ints,
    slope: Floats,
) -> float:
    """Sum of offsets times heat; its largest component, or 0 where it is but rounding error."""
    axes = strides.size
    top = 0
    if exponent.size:
        top = exponent[p]
        for k in range(offsets.shape[0]):
            q = p
            for a in range(axes):
                q += offsets[k, a] * strides[a]
            top = max(top, exponent[q])
    slope[:] = 0.0
    for k in range(0, offsets.shape[0], 2):
        step = np.int64(0)
        for a in range(axes):
            step += offsets[k, a] * strides[a]
        if exponent.size:
            one = _at(heat[p + step], exponent[p + step] - top)
            two = _at(heat[p - step], exponent[p - step] - top)
        else:
            one, two = heat[p + step], heat[p - step]
        for a in range(axes):
            slope[a] += offsets[k, a] * (one - two)
    here = _at(heat[p], exponent[p] - top) if exponent.size else heat[p]
    steepest = 0.0
    for a in range(axes):
        steepest = max(steepest, abs(slope[a]))
    return steepest if steepest > FLAT * here else 0.0
