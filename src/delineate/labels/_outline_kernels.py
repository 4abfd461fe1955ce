"""Numba kernel that walks around the objects of a plane along the edges of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

# A walk keeps its object on the right. Direction 0 goes along +x, 1 along +y, 2 and 3 back;
# from the corner (y, x) the pixels ahead, on the right and on the left, lie at these offsets.
_STEP = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])
_AHEAD_RIGHT = np.array([[0, 0], [0, -1], [-1, -1], [-1, 0]])
_AHEAD_LEFT = np.array([[-1, 0], [0, 0], [0, -1], [-1, -1]])


@njit(cache=True, nogil=True)
def _is(labels: Any, y: int, x: int, label: int) -> bool:
    """Whether the pixel lies in the image and has the label."""
    return 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1] and labels[y, x] == label


@njit(cache=True, nogil=True)
def _walk(
    labels: Any, y: int, x: int, way: int, label: int, part: int, left: Any, right: Any,
    points: Any, used: int
) -> Any:  # fmt: skip
    """Append the corners of the closed walk that leaves the corner (y, x); mark its edges."""
    start_y, start_x, start_way = y, x, way
    while True:
        if used == points.shape[0]:
            longer = np.empty((2 * used, 2), np.int32)
            longer[:used] = points
            points = longer
        points[used, 0] = y
        points[used, 1] = x
        used += 1
        turn = 0
        while turn == 0:
            if way == 1:
                right[y, x - 1] = True
            elif way == 3:
                left[y - 1, x] = part
            y += _STEP[way, 0]
            x += _STEP[way, 1]
            # Turning right first keeps pixels that meet at a corner only in parts of their own.
            if not _is(labels, y + _AHEAD_RIGHT[way, 0], x + _AHEAD_RIGHT[way, 1], label):
                turn = 1
            elif _is(labels, y + _AHEAD_LEFT[way, 0], x + _AHEAD_LEFT[way, 1], label):
                turn = 3
        way = (way + turn) % 4
        if y == start_y and x == start_x and way == start_way:
            return points, used


@njit(cache=True, nogil=True)
def trace(labels: Any) -> Any:
    """All closed walks around the 4-connected parts of the objects, and around their holes.

    In raster order the first unmarked left edge of a run of pixels begins a new part, and an
    unmarked right edge a hole of the part to which the run's left edge belongs.

    Returns
    -------
    points (n, 2) int32 corners (y, x); ends (walks,) where each walk's points end; part (walks,)
    from 1; hole (walks,); label_of (parts + 1,).
    """
    ny, nx = labels.shape
    left = np.zeros((ny, nx), np.int32)
    right = np.zeros((ny, nx), np.bool_)
    points = np.empty((1024, 2), np.int32)
    used = 0
    ends = [0]
    parts = [0]
    holes = [False]
    label_of = [0]
    for y in range(ny):
        part = 0
        for x in range(nx):
            label = labels[y, x]
            if label == 0:
                continue
            if x == 0 or labels[y, x - 1] != label:
                if left[y, x] == 0:
                    label_of.append(int(label))
                    new = len(label_of) - 1
                    points, used = _walk(labels, y, x, 0, label, new, left, right, points, used)
                    ends.append(used)
                    parts.append(new)
                    holes.append(False)
                part = left[y, x]
            if (x == nx - 1 or labels[y, x + 1] != label) and not right[y, x]:
                points, used = _walk(labels, y, x + 1, 1, label, part, left, right, points, used)
                ends.append(used)
                parts.append(part)
                holes.append(True)
    return points[:used], np.array(ends), np.array(parts), np.array(holes), np.array(label_of)
