"""What the flow channels of a network are trained to, and how well a prediction agrees with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import LabelError
from delineate.methods.flows.components import (
    Components,
    find_components,
    spread,
    thread_count,
)
from delineate.methods.flows.far import large_flow, winding_flow
from delineate.methods.flows.heat import MERGE, Floats, part_flows

LARGEST = 2e9  # pixels times iterations; larger parts do not get heat from the centre alone


def flow_targets(labels: NDArray[Any], *, threads: int | None = None) -> NDArray[np.float32]:
    """Unit vectors from every pixel of an object toward the object's centre.

    Heat is added at the centre (one per iteration) and spreads by averaging over the 3^n
    neighbourhood within the object, 0 outside, for 2 · (sum of the sides of its box) iterations;
    the flow is the direction of the gradient of the heat, in double precision or beyond.

    - The centre is the pixel nearest to the median of the coordinates. Pixels equally near and
      surrounding the median share the heat, so the flow of a symmetric object is symmetric.
    - Each connected part (faces, edges and corners connect) of an object is treated as an object
      of its own: it gets its own centre. Heat cannot leave a part, so one centre would leave the
      others without flow.
    - In a part so winding that the heat does not reach its end in time, or so thin that it leaves
      the range of doubles, the heat is carried on along the part from where it is, a few steps at a
      time, instead of in iterations as many as the part is long.
    - Of parts that would need more than two thousand million updates of a pixel (a square of 800
      pixels, a cube of 130) the flow is computed on a grid of cells of 2, 4, … pixels and
      interpolated; unless that lets the turns of a winding part grow together, whose heat is then
      carried along it from its centre.
    - The flow is 0 outside objects, in objects of one pixel, and at a centre without gradient.

    The cost of a part is its pixels times its iterations, and at most two thousand million updates
    (seconds); twice that, and 128 updates for each pixel (one to four microseconds), where heat is
    carried on. So the time of very large parts is linear in their pixels, whatever their shape.
    Memory is some thirty bytes for each pixel of the part's box.

    Parameters
    ----------
    labels
        Integer array (y, x) or (z, y, x), 0 background, any positive ids (gaps, up to 2**64 - 1).
    threads
        Number of threads; by default numba's setting (``NUMBA_NUM_THREADS``).

    Returns
    -------
    float32 array (ndim, *shape): components in the order of the axes, length 1 or 0.

    Raises
    ------
    LabelError
        The array is not two- or three-dimensional, not of integers, or has negative ids.

    References
    ----------
    Stringer, Wang, Michaelos, Pachitariu: Cellpose. Nature Methods 18, 100-106 (2021), Methods,
    "Creating auxiliary vector flow representation".

    Examples
    --------
    >>> import numpy as np
    >>> flow_targets(np.ones((3, 3), int))[0]
    array([[ 0.70710677,  1.        ,  0.70710677],
           [ 0.        ,  0.        ,  0.        ],
           [-0.70710677, -1.        , -0.70710677]], dtype=float32)
    """
    parts = find_components(labels)
    flow = np.zeros((parts.shape.size, *parts.shape), np.float32)
    flat = flow.reshape(parts.shape.size, -1)

    _visit(parts, flat, flat, np.zeros(0), thread_count(threads))
    return flow


def flow_error(
    labels: NDArray[Any], flow: NDArray[np.floating[Any]], *, threads: int | None = None
) -> NDArray[np.float64]:
    """Mean squared error between the flow of each object and a predicted flow.

    Parameters
    ----------
    labels
        Integer array (y, x) or (z, y, x), 0 background, objects 1…N (gaps allowed).
    flow
        Predicted flow (ndim, *shape), in units of the unit vector.
    threads
        Number of threads; by default numba's setting (``NUMBA_NUM_THREADS``).

    Returns
    -------
    float64 array (N,), for the objects 1…N: the squared length of the difference between
    prediction and `flow_targets` of the labels, averaged over the object's pixels; nan for ids
    that do not occur.

    Raises
    ------
    LabelError
        The labels are not a label image (see `flow_targets`), or the flow does not fit them.
    """
    labels = np.asarray(labels)
    flow = np.ascontiguousarray(flow, dtype=np.float32)
    if flow.shape != (labels.ndim, *labels.shape):
        raise LabelError(
            f"a flow of shape {flow.shape} does not fit a label image of shape {labels.shape}; "
            f"expected shape {(labels.ndim, *labels.shape)}, one component for each axis"
        )
    parts = find_components(labels)
    objects = int(parts.labels.view(np.uint64).max(initial=0))
    if objects > max(labels.size, 2**20):
        raise LabelError(
            f"a label image of {labels.size} pixels has ids up to {objects}; expected 1…N: "
            "relabel it first"
        )
    flat = flow.reshape(labels.ndim, -1)
    errors = np.zeros(parts.labels.size, np.float64)

    _visit(parts, flat, np.zeros((0, 0), np.float32), errors, thread_count(threads))
    total = np.bincount(parts.labels, weights=errors, minlength=objects + 1)[1:]
    count = np.bincount(parts.labels, weights=_pixels(parts), minlength=objects + 1)[1:]
    return np.divide(total, count, out=np.full(objects, np.nan), where=count > 0)


def _pixels(parts: Components) -> Floats:
    """Number of pixels of each part."""
    lengths = (parts.stops - parts.starts).astype(np.float64)
    return np.add.reduceat(lengths, parts.first[:-1]) if lengths.size else lengths


def _cost(parts: Components) -> Floats:
    """Expected work of each part: pixels of its stretches of memory times iterations."""
    sides = (parts.high - parts.low).astype(np.float64)
    runs = np.diff(parts.first)
    stretches = np.minimum(np.prod(sides + 2, axis=1), _pixels(parts) + MERGE * runs)
    return stretches * 2 * sides.sum(axis=1)


def _visit(
    parts: Components,
    predicted: NDArray[np.float32],
    out: NDArray[np.float32],
    errors: Floats,
    threads: int,
) -> None:
    """Compute the flow of all parts; see `part_flows` for the arrays."""
    cost = _cost(parts)
    usual = np.flatnonzero(cost <= LARGEST)
    far = np.zeros(cost.size, np.bool_)

    def work(chunk: NDArray[np.int64]) -> None:
        part_flows(usual[chunk], parts, predicted, out, errors, far)

    spread(work, cost[usual], threads)
    winding = np.flatnonzero(far)

    def carry(chunk: NDArray[np.int64]) -> None:
        for number in winding[chunk].tolist():
            near = 2 * int((parts.high[number] - parts.low[number]).sum())
            winding_flow(parts, number, near, predicted, out, errors)

    spread(carry, cost[winding], threads)
    axes = parts.shape.size
    for number in np.flatnonzero(cost > LARGEST).tolist():
        factor = 2 ** int(np.ceil(np.log2(cost[number] / LARGEST) / (axes + 1)))
        large_flow(parts, number, factor, predicted, out, errors)
