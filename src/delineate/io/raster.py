"""Polygons back to pixels: a pixel belongs to a polygon where its centre lies inside."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.errors import LabelError

Ring = NDArray[np.float64]
"""Corners (n, 2) of a closed line as (y, x); pixel (0, 0) covers [0, 1] × [0, 1]."""

_MOST_CROSSINGS = 20_000_000
"""Crossings of outlines with rows of pixels that are sorted at once (about a gigabyte)."""


class Spans(NamedTuple):
    """Runs of pixels: ``[row, start:stop]`` belongs to the patch `patch`; in that order, int64."""

    patch: NDArray[np.int64]
    row: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]


def spans(patches: Sequence[Sequence[Ring]], shape: tuple[int, int]) -> Spans:
    """Pixels whose centres lie inside an odd number of the rings of a patch.

    Each edge that crosses the line of centres of a row switches the pixels to its right; the
    crossings of all patches are sorted at once, and every two of them are the ends of a run.
    Exact for polygons along the edges of pixels. Holes stay empty, and where an outline runs over
    itself, the even-odd rule of ImageJ decides.

    Parameters
    ----------
    patches : each of any number of closed lines, exteriors and holes alike.
    shape : rows and columns of the image; whatever lies outside is cut off.

    Raises
    ------
    LabelError : the outlines cross the rows too often to be sorted at once.
    """
    rings = [[ring for ring in patch if len(ring) > 2] for patch in patches]
    sizes = np.array([len(ring) for ring in chain.from_iterable(rings)], np.int64)
    if sizes.size == 0:
        return Spans(*np.zeros((4, 0), np.int64))
    owner = np.repeat(np.arange(len(rings)), [len(patch) for patch in rings])
    start = np.concatenate(list(chain.from_iterable(rings))).astype(np.float64, copy=False)
    ends = np.cumsum(sizes)
    following = np.arange(1, len(start) + 1)
    following[ends - 1] = ends - sizes
    (y0, x0), (y1, x1) = start.T, start[following].T
    first = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), 0, shape[0]).astype(np.int64)
    counts = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), 0, shape[0]).astype(np.int64) - first
    if counts.sum() > _MOST_CROSSINGS:
        raise LabelError(
            f"the outlines cross the {shape[0]} rows of the image {counts.sum():,} times, which no "
            "drawing does; is the file damaged?"
        )
    edge = np.repeat(np.arange(len(start)), counts)
    row = np.arange(edge.size) - np.repeat(np.cumsum(counts) - counts - first, counts)
    x = x0[edge] + (row + 0.5 - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    column = np.clip(np.ceil(x - 0.5), 0, shape[1]).astype(np.int64)
    # One number for patch, row and column, so that one sort puts the crossings in order.
    width = shape[1] + 1
    crossings = (np.repeat(owner, sizes)[edge] * shape[0] + row) * width + column
    crossings.sort()
    line, begin = np.divmod(crossings[0::2], width)
    end = crossings[1::2] - line * width
    inside = end > begin
    patch, row = np.divmod(line[inside], shape[0])
    return Spans(patch, row, begin[inside], end[inside])
