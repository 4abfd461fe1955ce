"""From a flow to objects: pixels follow the flow, and those that end together are one object."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from delineate.errors import LabelError
from delineate.methods.flows.components import Components, find_components, spread, thread_count
from delineate.methods.flows.sinks import find_sinks, unite_sinks
from delineate.methods.flows.walk import Index, Ints, find_roots, jump, number_roots, settle


class Settled(NamedTuple):
    """Where pixels end. Many pixels share a root, whose end is known to a fraction of a pixel."""

    root: Index  # (shape) number of the pixel's root, -1 outside
    ends: NDArray[np.float64]  # (roots, ndim) positions in pixels, in the order of the axes
    pixels: Ints  # (roots,) number of pixels that end there


def decode_flows(
    flow: NDArray[np.floating[Any]], inside: NDArray[np.bool_], *, threads: int | None = None
) -> NDArray[np.uint32]:
    """Group the pixels that end together when they follow the flow.

    1. `follow_flows` finds where pixels end.
    2. `delineate.methods.flows.sinks.find_sinks` finds the peaks in the density of the ends.
    3. `delineate.methods.flows.sinks.unite_sinks` unites neighbours with no barrier between them.
    4. Of the pixels that share a sink, the largest connected part (faces, edges and corners
       connect) is the object; the others are strays and get no label.

    Time and memory grow linearly with the number of pixels: beyond flow and mask, some eight bytes
    per pixel of the image and a hundred per root.

    Parameters
    ----------
    flow
        Predicted flow (ndim, *shape) in units of the unit vector, components in the order of the
        axes; ndim is 2 or 3.
    inside
        Boolean array (shape): pixels that belong to objects.
    threads
        Number of threads; by default numba's setting (``NUMBA_NUM_THREADS``).

    Returns
    -------
    uint32 label image (shape), objects 1…N in the order of their first pixels.

    Raises
    ------
    LabelError
        Flow and mask do not fit each other, or have not two or three axes.

    References
    ----------
    Stringer, Wang, Michaelos, Pachitariu: Cellpose. Nature Methods 18, 100-106 (2021), Methods,
    "Mask recovery from vector flows"; the steps differ as said above.
    """
    count = thread_count(threads)
    flow = np.ascontiguousarray(flow, dtype=np.float32)
    settled = follow_flows(flow, inside, threads=count)
    sinks = find_sinks(settled.ends, settled.pixels, inside.shape)
    _replace(settled.root.reshape(-1), sinks.number)
    united = unite_sinks(sinks, settled.root, flow, threads=count)
    _replace(settled.root.reshape(-1), united + 1)
    settled.root[settled.root < 0] = 0
    return _largest_parts(settled.root)


def follow_flows(
    flow: NDArray[np.floating[Any]], inside: NDArray[np.bool_], *, threads: int | None = None
) -> Settled:
    """Find where every pixel ends that follows the flow.

    Positions are true pixel coordinates, the flow between pixels is interpolated linearly, a step
    is at most one pixel long. Every pixel walks a few pixels only; its walk goes on with that of
    the pixel nearest to where it stopped, and so forth to a pixel that leads to itself or a ring
    of pixels that lead to each other: the root. So the cost does not depend on the size of objects.
    From each root a last walk, with steps that shorten where the direction turns back, goes on to
    the resting place; places of rest that repel on some side (saddles) are left on that side.

    Parameters and errors are those of `decode_flows`.
    """
    inside = np.ascontiguousarray(inside, dtype=np.bool_)
    flow = np.ascontiguousarray(flow, dtype=np.float32)
    if inside.ndim not in (2, 3) or flow.shape != (inside.ndim, *inside.shape):
        raise LabelError(
            f"a flow of shape {flow.shape} does not fit a mask of shape {inside.shape}; expected "
            "a mask of two or three axes and a flow with one component for each of them"
        )
    grid = np.array((1,) * (3 - inside.ndim) + inside.shape, dtype=np.int64)
    vectors, mask = flow.reshape(inside.ndim, -1), inside.reshape(-1)
    count = thread_count(threads)
    index = np.int32 if mask.size < 2**30 else np.int64
    target: Index = np.empty(mask.size, dtype=index)
    rows = int(grid[0] * grid[1]) if mask.size else 0
    blocks = 8 * count

    def first(chunk: Ints) -> None:
        for block in chunk:
            begin, end = block * rows // blocks, (block + 1) * rows // blocks
            jump(vectors, mask, grid, begin, end, target)

    spread(first, np.ones(blocks), count)
    roots = find_roots(vectors, target)
    pixels = number_roots(target, roots)
    ends = np.empty((roots.size, 3))

    def last(chunk: Ints) -> None:
        for block in chunk:
            part = slice(block * roots.size // blocks, (block + 1) * roots.size // blocks)
            settle(vectors, grid, roots[part], ends[part])

    spread(last, np.ones(blocks), count)
    return Settled(target.reshape(inside.shape), ends[:, 3 - inside.ndim :], pixels)


def _largest_parts(sink: Index) -> NDArray[np.uint32]:
    """Label the largest connected part of each sink (0: none), in the order of first pixels."""
    labels = np.zeros(sink.shape, np.uint32)
    if not sink.size:
        return labels
    parts = find_components(sink)
    if parts.labels.size:
        size = np.add.reduceat((parts.stops - parts.starts).astype(np.int64), parts.first[:-1])
        largest = np.full(int(parts.labels.max()) + 1, -1, np.int64)
        rising = np.argsort(-size, kind="stable")[::-1]
        largest[parts.labels[rising]] = rising  # the largest is written last, of equals the first
        _write_parts(parts, np.sort(largest[largest >= 0]), labels.reshape(-1, sink.shape[-1]))
    return labels


@njit(cache=True, nogil=True)
def _write_parts(parts: Components, chosen: Ints, rows: NDArray[np.uint32]) -> None:
    """Write the numbers 1, 2, … on the chosen parts."""
    for k in range(chosen.size):
        for run in range(parts.first[chosen[k]], parts.first[chosen[k] + 1]):
            for column in range(parts.starts[run], parts.stops[run]):
                rows[parts.rows[run], column] = k + 1


@njit(cache=True, nogil=True)
def _replace(numbers: Index, by: Ints) -> None:
    """Replace numbers that are not negative by others, in place."""
    for p in range(numbers.size):
        if numbers[p] >= 0:
            numbers[p] = by[numbers[p]]
