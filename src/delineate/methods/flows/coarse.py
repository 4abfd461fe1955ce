"""Flow of very large objects from a coarser copy of them: heat would need hours."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from delineate.methods.flows.components import Components
from delineate.methods.flows.heat import Floats, Ints


@njit(cache=True, nogil=True)
def coarse_mask(parts: Components, number: int, factor: int, mask: NDArray[np.uint8]) -> None:
    """Set the cells (flat, in the part's box) that hold a pixel of the part.

    Parameters
    ----------
    parts : all parts.
    number : number of the part.
    factor : side of a cell in pixels.
    mask : flat array of the cells of the part's box, zeros.
    """
    axes = parts.shape.size
    last = axes - 1
    for run in range(parts.first[number], parts.first[number + 1]):
        row = _cell_row(parts, number, run, factor)
        begin = (parts.starts[run] - parts.low[number, last]) // factor
        end = (parts.stops[run] - 1 - parts.low[number, last]) // factor
        for cell in range(begin, end + 1):
            mask[row + cell] = 1


@njit(cache=True, nogil=True)
def refined_flow(
    parts: Components,
    number: int,
    factor: int,
    coarse: NDArray[np.float32],
    predicted: NDArray[np.float32],
    out: NDArray[np.float32],
    errors: Floats,
) -> None:
    """Interpolate the flow of a part's cells at its pixels; write it or compare it.

    Parameters
    ----------
    parts, number, factor : as `coarse_mask`.
    coarse : (ndim, cells) flow of the cells.
    predicted, out, errors : as `delineate.methods.flows.heat.part_flows`.
    """
    axes = parts.shape.size
    sides = (parts.high[number] - parts.low[number] + factor - 1) // factor
    flow = np.empty(axes)
    place = np.empty(axes)
    total = 0.0
    for run in range(parts.first[number], parts.first[number + 1]):
        rest = parts.rows[run]
        for a in range(axes - 2, -1, -1):
            place[a] = (rest % parts.shape[a] - parts.low[number, a] + 0.5) / factor - 0.5
            rest //= parts.shape[a]
        row = parts.rows[run] * parts.shape[axes - 1]
        for column in range(parts.starts[run], parts.stops[run]):
            place[axes - 1] = (column - parts.low[number, axes - 1] + 0.5) / factor - 0.5
            length = 0.0
            for a in range(axes):
                flow[a] = 0.0
            for corner in range(2**axes):
                cell, share = np.int64(0), 1.0
                for a in range(axes):
                    below = np.int64(np.floor(place[a]))
                    beyond = corner >> a & 1
                    share *= place[a] - below if beyond else 1.0 - (place[a] - below)
                    cell = cell * sides[a] + min(max(below + beyond, 0), sides[a] - 1)
                for a in range(axes):
                    flow[a] += share * coarse[a, cell]
            for a in range(axes):
                length += flow[a] ** 2
            length = np.sqrt(length) if length > 1e-12 else 1.0
            for a in range(axes):
                if out.size:
                    out[a, row + column] = flow[a] / length
                else:
                    total += (flow[a] / length - np.float64(predicted[a, row + column])) ** 2
    if errors.size:
        errors[number] = total


@njit(cache=True, nogil=True)
def _cell_row(parts: Components, number: int, run: int, factor: int) -> np.int64:
    """First cell of the row of cells in which a run lies."""
    axes = parts.shape.size
    cell, stride = np.int64(0), np.int64(1)
    rest = parts.rows[run]
    for a in range(axes - 1, -1, -1):
        if a < axes - 1:
            cell += (rest % parts.shape[a] - parts.low[number, a]) // factor * stride
            rest //= parts.shape[a]
        stride *= (parts.high[number, a] - parts.low[number, a] + factor - 1) // factor
    return cell


def coarse_shape(parts: Components, number: int, factor: int) -> Ints:
    """Cells of a part's box along each axis."""
    return -(-(parts.high[number] - parts.low[number]) // factor)
