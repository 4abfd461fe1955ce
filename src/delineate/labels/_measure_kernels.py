"""Numba kernels that measure all objects of a label image in few passes over its pixels.

Label images are (Z, Y, X) with the ids 1..N; a plane has one Z.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _squares(k: int) -> int:
    """Sum of the squares 0..k, continued to negative k so that differences of it are right."""
    return k * (k + 1) * (2 * k + 1) // 6


@njit(cache=True, nogil=True)
def moments(labels: Any, origin: Any, box: Any, sums: Any, products: Any) -> None:
    """Exact sums over the pixels of each object, run by run along X.

    For object n, coordinates count from ``origin[n]``, its first pixel: `sums` (N + 1, 4) takes
    the number of pixels and the sums of z, y, x; `products` (N + 1, 6) those of zz, zy, zx, yy,
    yx, xx; `box` (N + 1, 6) first and last z, y, x.
    """
    nz, ny, nx = labels.shape
    for z in range(nz):
        for y in range(ny):
            x = 0
            while x < nx:
                n = labels[z, y, x]
                start = x
                x += 1
                while x < nx and labels[z, y, x] == n:
                    x += 1
                if n == 0:
                    continue
                if sums[n, 0] == 0:
                    origin[n, 0], origin[n, 1], origin[n, 2] = z, y, start
                    box[n, 0], box[n, 1], box[n, 2] = z, y, start
                    box[n, 3], box[n, 4], box[n, 5] = z, y, x - 1
                box[n, 1] = min(box[n, 1], y)
                box[n, 2] = min(box[n, 2], start)
                box[n, 3] = z
                box[n, 4] = max(box[n, 4], y)
                box[n, 5] = max(box[n, 5], x - 1)
                length = x - start
                dz = z - origin[n, 0]
                dy = y - origin[n, 1]
                first = start - origin[n, 2]
                last = first + length - 1
                sum_x = length * (first + last) // 2
                sums[n, 0] += length
                sums[n, 1] += length * dz
                sums[n, 2] += length * dy
                sums[n, 3] += sum_x
                products[n, 0] += length * dz * dz
                products[n, 1] += length * dz * dy
                products[n, 2] += sum_x * dz
                products[n, 3] += length * dy * dy
                products[n, 4] += sum_x * dy
                products[n, 5] += _squares(last) - _squares(first - 1)


@njit(cache=True, nogil=True)
def entries(labels: Any, offsets: Any, counts: Any) -> None:
    """How often lines along each offset (z, y, x) enter each object: `counts` (N + 1, offsets)."""
    nz, ny, nx = labels.shape
    for k in range(offsets.shape[0]):
        dz, dy, dx = offsets[k]
        for z in range(nz):
            for y in range(ny):
                outside = not (0 <= z - dz < nz and 0 <= y - dy < ny)
                for x in range(nx):
                    n = labels[z, y, x]
                    if n == 0:
                        continue
                    before = x - dx
                    if outside or before < 0 or before >= nx or labels[z - dz, y - dy, before] != n:
                        counts[n, k] += 1


@njit(cache=True, nogil=True)
def row_extents(labels: Any, row: Any, first: Any, last: Any) -> None:
    """First and last X of the objects in each of their rows.

    Object n in row y writes the place ``row[n] + y``; one with ``row[n]`` under -Y is left out.
    """
    ny, nx = labels.shape
    for y in range(ny):
        x = 0
        while x < nx:
            n = labels[y, x]
            start = x
            x += 1
            while x < nx and labels[y, x] == n:
                x += 1
            if n == 0 or row[n] < -ny:
                continue
            place = row[n] + y
            first[place] = min(first[place], start)
            last[place] = max(last[place], x - 1)


@njit(cache=True, nogil=True)
def _chain(at: Any, value: Any, n: int, kept: Any) -> int:
    """Places in `at` (ascending) of the lower convex chain of the points (at, value)."""
    size = 0
    for i in range(n):
        while size >= 2:
            a, b = kept[size - 2], kept[size - 1]
            turn = (at[b] - at[a]) * (value[i] - value[a]) - (value[b] - value[a]) * (at[i] - at[a])
            if turn > 0:
                break
            size -= 1
        kept[size] = i
        size += 1
    return size


@njit(cache=True, nogil=True)
def _points(bound: Any, sign: int, empty: int, at: Any, value: Any) -> int:
    """Extreme points of one side of an object in half pixels; returns how many.

    Each pixel reaches half a pixel up, down and to the side. `sign` -1 mirrors the right side.
    """
    height = bound.size
    size = 0
    for line in range(2 * height + 1):
        found = False
        best = 0
        row = line // 2
        if line % 2 == 1:
            if bound[row] != empty:
                best = sign * 2 * bound[row] - 1
                found = True
        else:
            for i in (row - 1, row):
                if 0 <= i < height and bound[i] != empty:
                    candidate = sign * 2 * bound[i]
                    best = min(best, candidate) if found else candidate
                    found = True
        if found:
            at[size] = line
            value[size] = best
            size += 1
    return size


@njit(cache=True, nogil=True)
def _first_inside(at: Any, value: Any, kept: Any, size: int, height: int, out: Any) -> None:
    """For each row of pixels the first X at or right of the chain (exact)."""
    edge = 0
    for i in range(height):
        line = 2 * i + 1
        while edge < size - 2 and at[kept[edge + 1]] < line:
            edge += 1
        a, b = kept[edge], kept[edge + 1]
        span = at[b] - at[a]
        numerator = value[a] * span + (value[b] - value[a]) * (line - at[a])
        out[i] = -((-numerator) // (2 * span))


@njit(cache=True, nogil=True)
def hull_areas(start: Any, stop: Any, first: Any, last: Any, empty: int, areas: Any) -> None:
    """Number of pixels whose centre lies in the convex hull of each object.

    Object n has its rows at ``start[n]:stop[n]`` of `first` and `last`; where a row has no pixel
    `first` is `empty` and `last` is -1.
    """
    tallest = 0
    for n in range(start.size):
        tallest = max(tallest, stop[n] - start[n])
    at = np.empty(2 * tallest + 1, np.int64)
    value = np.empty(2 * tallest + 1, np.int64)
    kept = np.empty(2 * tallest + 1, np.int64)
    left = np.empty(tallest, np.int64)
    right = np.empty(tallest, np.int64)
    for n in range(start.size):
        height = stop[n] - start[n]
        if height == 0:
            continue
        size = _points(first[start[n] : stop[n]], 1, empty, at, value)
        _first_inside(at, value, kept, _chain(at, value, size, kept), height, left)
        size = _points(last[start[n] : stop[n]], -1, -1, at, value)
        _first_inside(at, value, kept, _chain(at, value, size, kept), height, right)
        for i in range(height):
            areas[n] += -right[i] - left[i] + 1


@njit(cache=True, nogil=True)
def gather(labels: Any, pixels: Any, cursor: Any, values: Any) -> None:
    """Write the pixels of each object behind each other, from ``cursor[n]`` on."""
    for i in range(labels.size):
        n = labels[i]
        if n != 0:
            values[cursor[n]] = pixels[i]
            cursor[n] += 1


@njit(cache=True, nogil=True)
def statistics(values: Any, starts: Any, out: Any) -> None:
    """Mean, standard deviation, minimum, maximum and median of each part of `values`.

    Part n is ``values[starts[n]:starts[n + 1]]``, not empty; it is sorted in place.
    """
    for n in range(starts.size - 1):
        part = values[starts[n] : starts[n + 1]]
        size = part.size
        total = 0.0
        for v in part:
            total += v
        mean = total / size
        part.sort()
        reach = max(mean - part[0], part[size - 1] - mean)
        unit = reach if reach > 1e150 or 0 < reach < 1e-150 else 1.0  # whose squares are numbers
        spread = 0.0
        for v in part:
            spread += ((v - mean) / unit) ** 2
        out[n, 0] = mean
        out[n, 1] = unit * np.sqrt(spread / size)
        out[n, 2] = part[0]
        out[n, 3] = part[size - 1]
        out[n, 4] = (np.float64(part[(size - 1) // 2]) + np.float64(part[size // 2])) / 2
