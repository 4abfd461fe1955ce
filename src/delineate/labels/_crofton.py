"""Perimeter and surface by Crofton's formula: from counting how often lines enter an object."""

from __future__ import annotations

import itertools
import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray


def directions(ndim: int) -> NDArray[np.int64]:
    """One of each pair of opposite neighbours: 4 offsets (y, x) in 2D, 13 (z, y, x) in 3D."""
    every = itertools.product((-1, 0, 1), repeat=ndim)
    return np.array([d for d in every if d > (0,) * ndim], np.int64)


def count_entries(labels: NDArray[np.uint32], n: int) -> NDArray[np.int64]:
    """How often the lattice lines along each of `directions` enter the objects 1..n."""
    from delineate.labels._measure_kernels import entries

    offsets = directions(labels.ndim)
    padded = np.pad(offsets, [(0, 0), (3 - labels.ndim, 0)])
    counts = np.zeros((n + 1, len(offsets)), np.int64)
    entries(labels.reshape((1,) * (3 - labels.ndim) + labels.shape), padded, counts)
    return counts[1:]


def measure_of_entries(
    counts: NDArray[np.int64], spacing: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Perimeter (2D) or surface (3D) of objects from `count_entries`.

    A body is π times as long around as its mean width, and its surface is four times its mean
    projected area; each direction's projection is the number of its lines that enter the body
    times the distance (area) between lines, weighted by the share of all directions that are
    nearest to it (Lehmann & Legland 2012, Insight Journal, "Efficient N-Dimensional surface
    estimation using Crofton formula and run-length encoding").
    """
    steps = directions(spacing.size) * spacing
    lengths = np.linalg.norm(steps, axis=1)
    shares = _shares(steps / lengths[:, None])
    factor = math.pi if spacing.size == 2 else 4.0
    each = factor * shares * spacing.prod() / lengths
    # Not a matrix product: its rounding depends on how many objects there are.
    return cast(NDArray[np.float64], (counts * each).sum(axis=1))


def _shares(units: NDArray[np.float64]) -> NDArray[Any]:
    """Share of all directions that lie nearest to each unit vector or to its opposite."""
    both = np.concatenate([units, -units])
    if units.shape[1] == 2:
        angles = np.arctan2(both[:, 0], both[:, 1])
        order = np.argsort(angles)
        gaps = np.diff(angles[order], append=angles[order[0]] + 2 * math.pi)
        areas = np.empty(len(both))
        areas[order] = (gaps + np.roll(gaps, 1)) / 2
    else:
        from scipy.spatial import SphericalVoronoi

        areas = SphericalVoronoi(both).calculate_areas()
    return areas[: len(units)] * 2 / areas.sum()
