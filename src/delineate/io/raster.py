"""Polygons back to pixels: a pixel belongs to a polygon where its centre lies inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.labels import Outline, smallest_dtype

Ring = NDArray[np.float64]
"""Corners (n, 2) of a closed line as (y, x); pixel (0, 0) covers [0, 1] × [0, 1]."""


def fill(rings: Sequence[Ring], shape: tuple[int, int]) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Pixels whose centres lie inside an odd number of rings (so that holes stay empty).

    Each edge that crosses the line of centres of a row switches the pixels to its right; a
    running sum along the row tells those inside. Exact for polygons along pixel edges.

    Parameters
    ----------
    rings : closed lines; whatever lies outside the image is cut off.
    shape : rows and columns of the image.

    Returns
    -------
    rows, columns : box of the image that holds all pixels found.
    mask : the pixels of that box that are inside.
    """
    rings = [np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring in rings]
    rings = [ring for ring in rings if len(ring) > 2]
    nothing = slice(0, 0), slice(0, 0), np.zeros((0, 0), bool)
    if not rings:
        return nothing
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    low, high = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    first = np.clip(np.ceil(low - 0.5), 0, shape[0]).astype(np.intp)
    stop = np.clip(np.ceil(high - 0.5), 0, shape[0]).astype(np.intp)
    crossing = np.flatnonzero(stop > first)
    if crossing.size == 0:
        return nothing
    counts = (stop - first)[crossing]
    edge = np.repeat(crossing, counts)
    within = np.arange(edge.size) - np.repeat(np.cumsum(counts) - counts, counts)
    row = first[edge] + within
    (y0, x0), (y1, x1) = start[edge].T, end[edge].T
    x = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
    column = np.clip(np.ceil(x - 0.5), 0, shape[1]).astype(np.intp)
    top, left = int(row.min()), int(column.min())
    height, width = int(row.max()) + 1 - top, int(column.max()) - left
    switches = np.bincount(
        (row - top) * (width + 1) + column - left, minlength=height * (width + 1)
    ).reshape(height, width + 1)
    mask = np.cumsum(switches, axis=1)[:, :width] % 2 == 1
    return slice(top, top + height), slice(left, left + width), mask


def polygons_to_labels(
    outlines: Iterable[Outline], shape: tuple[int, int], dtype: Any = None
) -> NDArray[Any]:
    """Label image of outlines; where two overlap the later one has the pixel.

    Parameters
    ----------
    outlines : as `delineate.labels.outlines` gives them.
    shape : rows and columns of the image.
    dtype : integer type of the result; the smallest that holds the ids where None.
    """
    listed = list(outlines)
    highest = max((outline.label for outline in listed), default=0)
    labels = np.zeros(shape, smallest_dtype(highest) if dtype is None else dtype)
    for outline in listed:
        for part in outline.parts:
            rows, columns, mask = fill((part.exterior, *part.holes), shape)
            labels[rows, columns][mask] = outline.label
    return labels
