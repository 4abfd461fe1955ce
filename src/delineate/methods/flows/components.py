"""Connected components of a label image as runs along its last axis, for the flow kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit
from numpy.typing import NDArray

from delineate.errors import LabelError


class Components(NamedTuple):
    """Connected parts of the objects of a label image, each a list of runs in raster order.

    A run is a stretch of equal labels within one row (a line of pixels along the last axis). Rows
    are numbered in raster order. Parts touch by faces, edges or corners (full connectivity) and
    are numbered in the order of their first pixels.
    """

    shape: NDArray[np.int64]  # (ndim,) of the label image
    labels: NDArray[np.int64]  # (parts,) the object's id; uint64 ids above 2**63 wrap around
    first: NDArray[np.int64]  # (parts + 1,) where the runs of each part begin
    rows: NDArray[np.int64]  # (runs,) row of each run
    starts: NDArray[np.int32]  # (runs,) first column
    stops: NDArray[np.int32]  # (runs,) column after the last
    low: NDArray[np.int64]  # (parts, ndim) first corner of the box of each part
    high: NDArray[np.int64]  # (parts, ndim) corner behind the last pixel


def check_labels(labels: NDArray[Any]) -> NDArray[Any]:
    """Give the label image as contiguous int32 or int64, the types the kernels are compiled for.

    Unsigned ids keep their bits, so large ones become negative.

    Raises
    ------
    LabelError
        The array is not two- or three-dimensional, not of integers, or has negative ids.
    """
    labels = np.asarray(labels)
    if labels.ndim not in (2, 3):
        raise LabelError(
            f"a label image of shape {labels.shape} has {labels.ndim} axes; flows need two axes "
            "(y, x) or three (z, y, x): pass one plane or one volume"
        )
    if labels.dtype.kind not in "bui":
        raise LabelError(
            f"a label image of type {labels.dtype} cannot be used; expected integers: convert it, "
            "for example with labels.astype('int32')"
        )
    if labels.dtype.kind == "i" and labels.size and int(labels.min()) < 0:
        raise LabelError(
            f"a label image has negative ids (the smallest is {int(labels.min())}); expected 0 for "
            "background and positive ids: set the negative pixels to 0"
        )
    wide = labels.dtype.itemsize > 4
    if labels.dtype.kind == "u" and labels.dtype.itemsize >= 4:  # the same bits: no copy
        kept = np.ascontiguousarray(labels, dtype=np.uint64 if wide else np.uint32)
        return kept.view(np.int64 if wide else np.int32)
    return np.ascontiguousarray(labels, dtype=np.int64 if wide else np.int32)


def find_components(labels: NDArray[Any]) -> Components:
    """Find the connected parts of all objects of a label image in one linear pass.

    Parameters
    ----------
    labels
        Integer array (y, x) or (z, y, x), 0 background, any positive ids.

    Raises
    ------
    LabelError
        As `check_labels`.
    """
    checked = check_labels(labels)
    shape = np.asarray(checked.shape, dtype=np.int64)
    rows = checked.reshape(int(np.prod(shape[:-1])), int(shape[-1]))
    count = int(_count_runs(rows)) if rows.size else 0
    values = np.empty(count, np.int64)
    starts = np.empty(count, np.int32)
    stops = np.empty(count, np.int32)
    row_first = np.zeros(rows.shape[0] + 1, np.int64)
    if count:
        _fill_runs(rows, values, starts, stops, row_first)
    if checked.dtype == np.int32:
        values &= 0xFFFFFFFF  # ids of uint32 that became negative
    parent = np.arange(count, dtype=np.int64)
    if count:
        _join_runs(
            values, starts, stops, row_first, shape[:-1], _steps_back(shape.size - 1), parent
        )
    parts = int(_number_parts(parent))
    first = np.zeros(parts + 1, np.int64)
    order = np.empty(count, np.int64)
    row_of_run = np.repeat(np.arange(rows.shape[0], dtype=np.int64), np.diff(row_first))
    _group_runs(parent, first, order)
    low = np.empty((parts, shape.size), np.int64)
    high = np.empty((parts, shape.size), np.int64)
    grouped_rows, grouped_starts, grouped_stops = row_of_run[order], starts[order], stops[order]
    _boxes(first, grouped_rows, grouped_starts, grouped_stops, shape, low, high)
    return Components(
        shape, values[order[first[:-1]]], first, grouped_rows, grouped_starts, grouped_stops, low,
        high,
    )  # fmt: skip


def spread(work: Callable[[NDArray[np.int64]], None], cost: NDArray[Any], threads: int) -> None:
    """Call ``work`` on groups of item numbers of equal total cost, on several threads.

    Plain threads on kernels without the interpreter's lock: unlike numba's own threading layers
    they survive a fork (data loaders) and calls from several threads at once.

    Parameters
    ----------
    work
        Called with an int64 array of item numbers.
    cost
        Expected cost of each item, any unit.
    threads
        Number of threads, at least 1.
    """
    order = np.argsort(-np.asarray(cost), kind="stable").astype(np.int64)
    groups = max(1, min(order.size, 1 if threads == 1 else 8 * threads))
    chunks: Sequence[NDArray[np.int64]] = [order[k::groups] for k in range(groups)]
    if threads == 1 or groups == 1:
        for chunk in chunks:
            work(chunk)
        return
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work, chunk) for chunk in chunks]:
            future.result()


def thread_count(threads: int | None) -> int:
    """Number of threads to use: the given one, or numba's setting (``NUMBA_NUM_THREADS``)."""
    return max(1, int(numba.config.NUMBA_NUM_THREADS if threads is None else threads))


def _steps_back(axes: int) -> NDArray[np.int64]:
    """Steps from a row to those of its neighbours that come before it in raster order."""
    steps = np.indices((3,) * axes).reshape(axes, -1).T - 1
    return np.ascontiguousarray(steps[: steps.shape[0] // 2], dtype=np.int64)


@njit(cache=True, nogil=True)
def _count_runs(rows):  # type: ignore[no-untyped-def]
    count = 0
    for r in range(rows.shape[0]):
        last = rows[r, 0] * 0
        for c in range(rows.shape[1]):
            value = rows[r, c]
            count += (value != last) & (value != 0)
            last = value
    return count


@njit(cache=True, nogil=True)
def _fill_runs(rows, values, starts, stops, row_first):  # type: ignore[no-untyped-def]
    run = 0
    for r in range(rows.shape[0]):
        row_first[r] = run
        last = rows[r, 0] * 0
        for c in range(rows.shape[1]):
            value = rows[r, c]
            if value != last:
                if last != 0:
                    stops[run] = c
                    run += 1
                if value != 0:
                    values[run] = value
                    starts[run] = c
                last = value
        if last != 0:
            stops[run] = rows.shape[1]
            run += 1
    row_first[rows.shape[0]] = run


@njit(cache=True, nogil=True)
def _root(parent, run):  # type: ignore[no-untyped-def]
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


@njit(cache=True, nogil=True)
def _union(parent, one, two):  # type: ignore[no-untyped-def]
    one, two = _root(parent, one), _root(parent, two)
    if one < two:
        parent[two] = one
    else:
        parent[one] = two


@njit(cache=True, nogil=True)
def _join_runs(values, starts, stops, row_first, grid, steps, parent):  # type: ignore[no-untyped-def]
    """Union runs of equal value that touch runs of earlier neighbouring rows; smaller root wins."""
    axes = grid.size
    where = np.zeros(axes, np.int64)
    for r in range(row_first.size - 1):
        for s in range(steps.shape[0]):
            other = 0
            valid = True
            for a in range(axes):
                at = where[a] + steps[s, a]
                valid = valid and at >= 0 and at < grid[a]
                other = other * grid[a] + at
            if not valid:
                continue
            i, j = row_first[r], row_first[other]
            while i < row_first[r + 1] and j < row_first[other + 1]:
                if values[i] == values[j] and starts[i] <= stops[j] and starts[j] <= stops[i]:
                    _union(parent, i, j)
                if stops[i] < stops[j]:
                    i += 1
                    continue
                follows = stops[i] == stops[j] and i + 1 < row_first[r + 1]
                if follows and values[i + 1] == values[j] and starts[i + 1] == stops[j]:
                    _union(parent, i + 1, j)  # they meet at a corner
                j += 1
        for a in range(axes - 1, -1, -1):
            where[a] += 1
            if where[a] < grid[a]:
                break
            where[a] = 0


@njit(cache=True, nogil=True)
def _number_parts(parent):  # type: ignore[no-untyped-def]
    """Replace each run's parent by the number of its part, in order of first runs."""
    parts = 0
    for run in range(parent.size):
        if parent[run] == run:
            parent[run] = parts
            parts += 1
        else:  # the parent comes earlier and holds its number already
            parent[run] = parent[parent[run]]
    return parts


@njit(cache=True, nogil=True)
def _group_runs(part, first, order):  # type: ignore[no-untyped-def]
    """Sort runs by part (counting sort, stable)."""
    for run in range(part.size):
        first[part[run] + 1] += 1
    for p in range(first.size - 1):
        first[p + 1] += first[p]
    place = first.copy()
    for run in range(part.size):
        order[place[part[run]]] = run
        place[part[run]] += 1


@njit(cache=True, nogil=True)
def _boxes(first, rows, starts, stops, shape, low, high):  # type: ignore[no-untyped-def]
    axes = shape.size
    for p in range(first.size - 1):
        for a in range(axes):
            low[p, a] = shape[a]
            high[p, a] = 0
        for run in range(first[p], first[p + 1]):
            low[p, axes - 1] = min(low[p, axes - 1], starts[run])
            high[p, axes - 1] = max(high[p, axes - 1], stops[run])
            rest = rows[run]
            for a in range(axes - 2, -1, -1):
                at = rest % shape[a]
                rest //= shape[a]
                low[p, a] = min(low[p, a], at)
                high[p, a] = max(high[p, a], at + 1)
