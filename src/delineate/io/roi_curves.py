"""The curved outlines of ImageJ as polygons: ovals, rounded rectangles, splines, Bézier paths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from delineate.io.raster import Ring


def oval(left: float, top: float, width: float, height: float, rows: int) -> Ring:
    """The pixels whose centres lie in an ellipse, as steps along the rows 0 to `rows`.

    Centres on the ellipse belong to it, as ImageJ has it.
    """
    if width <= 0 or height <= 0:
        return np.zeros((0, 2))
    first = int(np.clip(np.ceil(top - 0.5), 0, rows))
    stop = int(np.clip(np.floor(top + height - 0.5) + 1, 0, rows))
    y = np.arange(first, stop, dtype=np.float64)
    away = (y + 0.5 - top - height / 2) / (height / 2)
    half = width / 2 * np.sqrt(np.clip(1 - away**2, 0, None))
    centre = left + width / 2
    steps = np.repeat(y, 2)
    steps[1::2] += 1
    # A hair wider on the right, so that a centre on either side counts.
    right = np.stack([steps, np.repeat(centre + half + 1e-7, 2)], axis=1)
    return np.concatenate([np.stack([steps, np.repeat(centre - half, 2)], axis=1), right[::-1]])


def rectangle(left: float, top: float, width: float, height: float, arc: float = 0) -> Ring:
    """A rectangle, its corners rounded by quarters of a circle of diameter `arc`."""
    bottom, right = top + height, left + width
    if arc <= 0:
        return np.array([[top, left], [top, right], [bottom, right], [bottom, left]])
    ry, rx = min(arc, height) / 2, min(arc, width) / 2
    turn = np.linspace(0, np.pi / 2, 33)
    centres = (
        (bottom - ry, right - rx),
        (bottom - ry, left + rx),
        (top + ry, left + rx),
        (top + ry, right - rx),
    )
    quarters = [
        np.stack(
            [cy + ry * np.sin(turn + k * np.pi / 2), cx + rx * np.cos(turn + k * np.pi / 2)], axis=1
        )
        for k, (cy, cx) in enumerate(centres)
    ]
    return np.concatenate(quarters)


def spline(points: Ring) -> Ring:
    """A closed cubic spline through the corners of a polygon.

    As ImageJ draws "Fit spline": the corners stand at distances that grow by the square root of
    the length of each side.
    """
    from scipy.interpolate import CubicSpline

    closed = np.concatenate([points, points[:1]])
    sides = np.hypot(*np.diff(closed, axis=0).T)
    place = np.concatenate([[0], np.cumsum(np.maximum(np.sqrt(sides), 1e-3))])
    count = int(np.clip(sides.sum() / 2, 100, 100_000))
    found: Ring = CubicSpline(place, closed, bc_type="periodic")(
        np.linspace(0, place[-1], count, endpoint=False)
    )
    return found


_LENGTH = {0: 3, 1: 3, 2: 5, 3: 7, 4: 1}
"""Numbers that a step of a path takes: move, line, quadratic and cubic Bézier curve, close."""


def path_rings(path: NDArray[np.float64]) -> list[Ring]:
    """Closed lines of a path as Java has it: for each step its kind and its points (x, y).

    Raises
    ------
    ValueError : an unknown step, or the path ends within one.
    """
    rings: list[Ring] = []
    points: list[tuple[float, float]] = []
    values: list[float] = path.tolist()
    at = 0
    while at < len(values):
        step = values[at]
        length = _LENGTH.get(int(step), 0) if step == step else 0
        if length == 0 or at + length > len(values):
            raise ValueError(f"its outline has the unknown or unfinished step {step:g}")
        if step == 0:
            rings.append(np.array(points, np.float64).reshape(-1, 2))
            points = [(values[at + 2], values[at + 1])]
        elif step == 1:
            points.append((values[at + 2], values[at + 1]))
        elif step in (2, 3):
            corners = np.array(values[at + 1 : at + length]).reshape(-1, 2)[:, ::-1]
            start = points[-1] if points else (float(corners[0, 0]), float(corners[0, 1]))
            points += _bezier(np.concatenate([[start], corners]))
        at += length
    rings.append(np.array(points, np.float64).reshape(-1, 2))
    return [ring for ring in rings if len(ring) > 2]


def _bezier(control: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Points on a Bézier curve of two or three degrees, its end among them, its start not."""
    length = np.hypot(*np.diff(control, axis=0).T).sum()
    steps = int(np.clip(4 * np.sqrt(length), 8, 500)) if np.isfinite(length) else 8
    t = np.linspace(0, 1, steps + 1)[1:, None]
    while len(control) > 1:
        if control.ndim == 2:
            control = np.repeat(control[:, None], steps, axis=1)
        control = (1 - t) * control[:-1] + t * control[1:]
    return [(float(y), float(x)) for y, x in control[0]]
