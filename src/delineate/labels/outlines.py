"""Outlines of objects as polygons along the edges of their pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.labels._check import check_labels
from delineate.labels.relabel import compact


class Polygon(NamedTuple):
    """A region of the plane: inside `exterior`, outside every one of `holes`.

    Each ring is a float64 array (n, 2) of corners (y, x), not closed (the first corner is not
    repeated). Pixel (0, 0) covers [0, 1] × [0, 1]. Seen with y downwards, an exterior runs
    clockwise and a hole counter-clockwise.
    """

    exterior: NDArray[np.float64]
    holes: tuple[NDArray[np.float64], ...]


class Outline(NamedTuple):
    """Object `label` as polygons, one for each of its 4-connected parts."""

    label: int
    parts: tuple[Polygon, ...]


def outlines(labels: ArrayLike) -> list[Outline]:
    """Polygons around the pixels of each object, in the order of ascending ids.

    They follow the edges between pixels and keep only corners, so that filling them gives back
    exactly the pixels. Pixels that meet at a corner only belong to two parts.

    Parameters
    ----------
    labels : (Y, X), integer, 0 background.

    Raises
    ------
    LabelError : the array is not of integers, holds negative ones, or does not have two axes.

    Examples
    --------
    >>> outlines([[0, 8, 8]])[0].parts[0].exterior.tolist()
    [[0.0, 1.0], [0.0, 3.0], [1.0, 3.0], [1.0, 1.0]]
    """
    from delineate.labels._outline_kernels import trace

    numbered, ids = compact(check_labels(labels, (2,)))
    corners, ends, part_of, is_hole, label_of = trace(numbered)
    # The outline of each part precedes its holes, and parts follow each other by their label.
    order = np.lexsort((is_hole, part_of, label_of[part_of]))[1:]
    points = corners.astype(np.float64)
    rings: dict[int, list[NDArray[np.float64]]] = {}
    for walk in order.tolist():
        rings.setdefault(part_of[walk], []).append(points[ends[walk - 1] : ends[walk]])
    polygons: list[list[Polygon]] = [[] for _ in range(ids.size)]
    for part, (exterior, *holes) in rings.items():
        polygons[label_of[part] - 1].append(Polygon(exterior, tuple(holes)))
    return [Outline(int(i), tuple(p)) for i, p in zip(ids.tolist(), polygons, strict=True)]
