"""Sizes of the convex hulls of objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROWS = 1 << 24


def hull_sizes(labels: NDArray[np.uint32], box: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of pixels whose centre lies in the convex hull of each object 1..N.

    The hull is that of the midpoints of the pixels' edges, as in scikit-image's
    `convex_hull_image`, and computed in integers (Andrew 1979, Information Processing Letters
    9:216, monotone chain). Only the first and last pixel of each row of an object can lie on its
    hull, so that memory is that of the objects' heights; where they add up to very many rows the
    image is read several times.

    Parameters
    ----------
    labels : (Y, X) with the ids 1..N.
    box : (N, 2, 2) first and one past the last (y, x) of each object.
    """
    from delineate.labels._measure_kernels import hull_areas, row_extents

    heights = box[:, 1, 0] - box[:, 0, 0]
    ends = np.cumsum(heights)
    areas = np.zeros(heights.size, np.int64)
    empty = labels.shape[1]
    done = 0
    while done < heights.size:
        before = ends[done - 1] if done else 0
        stop = max(int(np.searchsorted(ends, before + _ROWS, side="right")), done + 1)
        group = slice(done, stop)
        offsets = ends[group] - heights[group] - before
        row = np.full(heights.size + 1, -labels.shape[0] - 1, np.int64)
        row[1:][group] = offsets - box[group, 0, 0]
        total = int(ends[stop - 1] - before)
        first, last = np.full(total, empty, np.int32), np.full(total, -1, np.int32)
        row_extents(labels, row, first, last)
        hull_areas(offsets, offsets + heights[group], first, last, empty, areas[group])
        done = stop
    return areas
