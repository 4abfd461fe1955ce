"""Numba kernels that walk along a flow: from pixels, from roots, and between sinks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Index = NDArray[np.signedinteger[Any]]
Flow = NDArray[np.float32]
Floats = NDArray[np.float64]

FAR = 2.5  # pixels; the first walk of a pixel ends this far from where it began
FIRST_STEPS = 10  # ... or after so many steps
LAST_STEPS = 200  # steps of the last walk, from where the first walks end
STILL = 1e-3  # pixels; a shorter step is none
PROBE = 0.5  # pixels; how far around a resting place the flow is looked at
ESCAPE = 0.02  # flow that leads away from a resting place
ESCAPES = 4  # how often a walk may leave a resting place that repels


@njit(cache=True, nogil=True)
def _velocity(flow: Flow, grid: Ints, z: float, y: float, x: float) -> tuple[float, float, float]:
    """Flow at a position by linear interpolation, not longer than one; a plane has no z."""
    # unsigned positions spare a test for negative ones
    height, width = np.uint64(grid[1]), np.uint64(grid[2])
    none, one = np.uint64(0), np.uint64(1)
    y0, x0 = np.uint64(y), np.uint64(x)
    down = width if y0 + one < height else none
    right = one if x0 + one < width else none
    fy, fx = y - y0, x - x0
    p = y0 * width + x0
    vz = 0.0
    if flow.shape[0] == 2:
        vy = _mix(flow[0], p, down, right, fy, fx)
        vx = _mix(flow[1], p, down, right, fy, fx)
    else:
        z0 = np.uint64(z)
        fz = z - z0
        p += z0 * height * width
        q = p + height * width if z0 + one < np.uint64(grid[0]) else p
        vz = _mix(flow[0], p, down, right, fy, fx)
        vy = _mix(flow[1], p, down, right, fy, fx)
        vx = _mix(flow[2], p, down, right, fy, fx)
        vz += fz * (_mix(flow[0], q, down, right, fy, fx) - vz)
        vy += fz * (_mix(flow[1], q, down, right, fy, fx) - vy)
        vx += fz * (_mix(flow[2], q, down, right, fy, fx) - vx)
    length = vz * vz + vy * vy + vx * vx
    if length > 1.0:
        length = 1.0 / np.sqrt(length)
        return vz * length, vy * length, vx * length
    return vz, vy, vx


@njit(cache=True, nogil=True)
def _mix(values: Flow, p: int, down: int, right: int, fy: float, fx: float) -> float:
    """Bilinear interpolation from a pixel, the one to the right, and the two below."""
    above = (1.0 - fx) * values[p] + fx * values[p + right]
    below = (1.0 - fx) * values[p + down] + fx * values[p + down + right]
    return (1.0 - fy) * above + fy * below


@njit(cache=True, nogil=True)
def _within(at: float, side: int) -> float:
    """Nearest position within the image; the first for what is not a number."""
    if not at > 0.0:
        return 0.0
    return min(at, side - 1.0)


@njit(cache=True, nogil=True)
def jump(
    flow: Flow,
    inside: NDArray[np.bool_],
    grid: Ints,
    first_row: int,
    last_row: int,
    target: Index,
) -> None:
    """Let the pixels of some rows walk a little; note the pixel inside nearest to where they are.

    A walk that has left the mask at its end counts up to its last position inside.
    """
    height, width = grid[1], grid[2]
    for row in range(first_row, last_row):
        for column in range(width):
            here = row * width + column
            if not inside[here]:
                target[here] = -1
                continue
            z0, y0, x0 = float(row // height), float(row % height), float(column)
            z, y, x = z0, y0, x0
            goal = here
            for _ in range(FIRST_STEPS):
                vz, vy, vx = _velocity(flow, grid, z, y, x)
                z = _within(z + vz, grid[0])
                y = _within(y + vy, height)
                x = _within(x + vx, width)
                p = (int(z + 0.5) * height + int(y + 0.5)) * width + int(x + 0.5)
                if inside[p]:
                    goal = p
                    if (z - z0) ** 2 + (y - y0) ** 2 + (x - x0) ** 2 >= FAR * FAR:
                        break
            target[here] = goal


@njit(cache=True, nogil=True)
def find_roots(flow: Flow, target: Index) -> Ints:
    """Let every pixel point to its root; a ring of pixels has the one of least flow as root.

    Every pixel is walked over a bounded number of times: its path is shortened afterwards.
    """
    count = 0
    for start in range(target.size):
        if target[start] < 0:
            continue
        # Brent's search for a ring, which ends at once where the path meets a root
        slow = np.int64(start)
        fast = np.int64(target[start])
        power, length = 1, 1
        while slow != fast:
            if power == length:
                slow, power, length = fast, power * 2, 0
            fast = np.int64(target[fast])
            length += 1
        root = np.int64(fast)
        if target[root] != root:
            least = np.inf
            p = fast
            while True:
                strength = 0.0
                for a in range(flow.shape[0]):
                    strength += np.float64(flow[a, p]) ** 2
                if strength < least or (strength == least and p < root):
                    least, root = strength, p
                p = np.int64(target[p])
                if p == fast:
                    break
        p = np.int64(start)
        while target[p] != root:  # passes every pixel of the path, and of the ring
            here, p = p, np.int64(target[p])
            target[here] = root
        p = root
        while target[p] != root:
            here, p = p, np.int64(target[p])
            target[here] = root
    for pixel in range(target.size):
        count += target[pixel] == pixel
    roots = np.empty(count, np.int64)
    count = 0
    for pixel in range(target.size):
        if target[pixel] == pixel:
            roots[count] = pixel
            count += 1
    return roots


@njit(cache=True, nogil=True)
def number_roots(target: Index, roots: Ints) -> Ints:
    """Replace each pixel's root by the root's number; return how many pixels each root has."""
    pixels = np.zeros(roots.size, np.int64)
    for k in range(roots.size):
        target[roots[k]] = -2 - k
    for p in range(target.size):
        if target[p] >= 0:
            target[p] = target[target[p]]
    for p in range(target.size):
        if target[p] < -1:
            target[p] = -2 - target[p]
            pixels[target[p]] += 1
    return pixels


@njit(cache=True, nogil=True)
def settle(flow: Flow, grid: Ints, roots: Ints, ends: Floats) -> None:
    """Walk from roots to their resting places."""
    height, width = grid[1], grid[2]
    for k in range(roots.size):
        z = float(roots[k] // (height * width))
        y = float(roots[k] // width % height)
        x = float(roots[k] % width)
        gain = 0.5
        oz, oy, ox = 0.0, 0.0, 0.0
        escapes = 0
        for _ in range(LAST_STEPS):
            vz, vy, vx = _velocity(flow, grid, z, y, x)
            turn = vz * oz + vy * oy + vx * ox
            gain = gain * 0.5 if turn < 0.0 else min(gain * 1.5, 10.0)
            oz, oy, ox = vz, vy, vx
            length = np.sqrt(vz * vz + vy * vy + vx * vx)
            reach = min(gain, 1.0 / max(length, 1e-30))
            if length * reach < STILL:
                if escapes == ESCAPES:
                    break
                escapes += 1
                most, dz, dy, dx = _way_out(flow, grid, z, y, x)
                if most < ESCAPE:
                    break
                vz, vy, vx, reach, gain = dz, dy, dx, 1.0, 0.5
                oz, oy, ox = 0.0, 0.0, 0.0
            z = _within(z + vz * reach, grid[0])
            y = _within(y + vy * reach, height)
            x = _within(x + vx * reach, width)
        ends[k, 0], ends[k, 1], ends[k, 2] = z, y, x


@njit(cache=True, nogil=True)
def _way_out(
    flow: Flow, grid: Ints, z: float, y: float, x: float
) -> tuple[float, float, float, float]:
    """Strongest outward flow around a position, and the way there."""
    most, wz, wy, wx = -np.inf, 0.0, 0.0, 0.0
    for axis in range(3):
        if grid[axis] == 1:
            continue
        for side in (-PROBE, PROBE):
            dz = side if axis == 0 else 0.0
            dy = side if axis == 1 else 0.0
            dx = side if axis == 2 else 0.0
            vz, vy, vx = _velocity(
                flow,
                grid,
                _within(z + dz, grid[0]),
                _within(y + dy, grid[1]),
                _within(x + dx, grid[2]),
            )
            out = (vz * dz + vy * dy + vx * dx) / PROBE
            if out > most:
                most, wz, wy, wx = out, dz, dy, dx
    return most, wz, wy, wx


@njit(cache=True, nogil=True)
def climbs(flow: Flow, grid: Ints, peaks: Floats, one: Ints, two: Ints) -> Floats:
    """How far one must go against the flow on the straight way between two sinks.

    The flow is summed along the way: the result is the height of the highest point over the lower
    end, in pixels of walking against a flow of unit length.
    """
    heights = np.empty(one.size)
    for k in range(one.size):
        z, y, x = peaks[one[k], 0], peaks[one[k], 1], peaks[one[k], 2]
        dz, dy, dx = peaks[two[k], 0] - z, peaks[two[k], 1] - y, peaks[two[k], 2] - x
        points = 2 + int(2 * np.sqrt(dz * dz + dy * dy + dx * dx))
        height, top = 0.0, 0.0
        for i in range(points):
            t = (i + 0.5) / points
            vz, vy, vx = _velocity(flow, grid, z + t * dz, y + t * dy, x + t * dx)
            height -= (vz * dz + vy * dy + vx * dx) / points
            top = max(top, height)
        heights[k] = max(min(top, top - height), 0.0)
    return heights
