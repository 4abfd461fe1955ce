"""Plain NumPy and SciPy references of the flow kernels: slow, short, and what the tests trust."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def flow_targets(labels: NDArray[Any]) -> NDArray[np.float32]:
    """As `delineate.methods.flows.targets.flow_targets`, for objects that are not very thin.

    Every iteration is an ndimage convolution of the whole part; heat stays in double precision, so
    parts whose heat falls below 1e-280 before their end are not reproduced.
    """
    flow = np.zeros((labels.ndim, *labels.shape), np.float32)
    full = np.ones((3,) * labels.ndim)
    for label in np.unique(labels[labels != 0]):
        parts, count = ndimage.label(labels == label, structure=full)
        for part, box in enumerate(ndimage.find_objects(parts, count), start=1):
            mask = np.pad(parts[box] == part, 1)
            heat = np.zeros(mask.shape)
            sources = centres(mask)
            for _ in range(2 * (sum(mask.shape) - 2 * mask.ndim)):
                heat[tuple(sources.T)] += 1 / len(sources)
                heat = ndimage.convolve(heat, full, mode="constant") / full.size * mask
            slope = np.stack([_difference(heat, axis) for axis in range(mask.ndim)])
            flat = np.abs(slope).max(axis=0) <= 1e-10 * heat
            slope[:, flat] = _slope_of_all_neighbours(heat)[:, flat]
            slope[:, np.abs(slope).max(axis=0) <= 1e-10 * heat] = 0
            length = np.sqrt((slope**2).sum(axis=0))
            unit = slope / np.where(length > 0, length, 1)
            inner = (slice(None), *[slice(1, -1)] * mask.ndim)
            flow[(slice(None), *box)] += (unit * mask)[inner].astype(np.float32)
    return flow


def centres(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Pixels (n, ndim) nearest to the median of the coordinates; several if they surround it."""
    where = np.argwhere(mask)
    apart = ((where - np.median(where, axis=0)) ** 2).sum(axis=1)
    nearest = apart.min()
    chosen = np.flatnonzero(apart == nearest)
    return where[chosen] if nearest <= mask.ndim / 4 else where[chosen[:1]]


def flow_error(labels: NDArray[Any], flow: NDArray[np.float32]) -> NDArray[np.float64]:
    """As `delineate.methods.flows.targets.flow_error`."""
    square = ((flow_targets(labels).astype(np.float64) - flow) ** 2).sum(axis=0)
    ids = np.arange(1, int(labels.max(initial=0)) + 1)
    return np.array([square[labels == i].mean() if (labels == i).any() else np.nan for i in ids])


def _difference(heat: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Pixel after minus pixel before; the margin of the heat is empty."""
    return np.asarray(np.roll(heat, -1, axis) - np.roll(heat, 1, axis))


def _slope_of_all_neighbours(heat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the offsets of the 3^n neighbours times their heat."""
    offsets = np.indices((3,) * heat.ndim) - 1
    return np.stack([ndimage.correlate(heat, o.astype(float), mode="constant") for o in offsets])


def follow_flows(
    flow: NDArray[np.float32], inside: NDArray[np.bool_], steps: int
) -> NDArray[np.float64]:
    """Where the pixels inside end, (pixels, ndim): so many half steps of each pixel alone."""
    at = np.argwhere(inside).T.astype(np.float64)
    sides = np.array(inside.shape)[:, None]
    for _ in range(2 * steps):
        velocity = np.stack(
            [ndimage.map_coordinates(c.astype(np.float64), at, order=1) for c in flow]
        )
        velocity /= np.maximum(1, np.sqrt((velocity**2).sum(axis=0)))
        at = np.clip(at + 0.5 * velocity, 0, sides - 1)
    return at.T


def decode_flows(
    flow: NDArray[np.float32], inside: NDArray[np.bool_], steps: int
) -> NDArray[np.int64]:
    """Pixels whose ends are no more than two pixels apart, or linked by such ends: one object.

    For flows without noise; it knows neither density nor barriers nor strays.
    """
    ends = np.floor(follow_flows(flow, inside, steps) + 0.5).astype(np.int64)
    places = np.zeros(inside.shape, bool)
    places[tuple(ends.T)] = True
    near = ndimage.maximum_filter(places, size=3, mode="constant")
    groups, _ = ndimage.label(near, structure=np.ones((3,) * inside.ndim))
    labels = np.zeros(inside.shape, np.int64)
    labels[inside] = groups[tuple(ends.T)]
    return labels
