"""Random smooth displacements of the voxels of a patch: elastic and grid distortion."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray


def elastic_shift(
    patch: tuple[int, ...], strength: float, distance: float, rng: Generator
) -> NDArray[np.float32]:
    """A free-form deformation: cubic B-splines of random shifts of control points.

    Rueckert et al. 1999 (IEEE TMI 18:712). Shifts are even in ± strength·distance along each axis;
    up to a strength of 0.4 nothing folds, in 2D and 3D (Choi & Lee 2000, whose bounds are 1/2.05
    and 1/2.48).

    Parameters
    ----------
    patch : spatial shape.
    strength : largest shift of a control point along an axis, as a share of `distance`.
    distance : of the control points, in pixels.

    Returns
    -------
    float32 (ndim, patch) : displacement of each voxel, in pixels of the patch.
    """
    bases = [_splines(n, distance) for n in patch]
    control = rng.uniform(-1, 1, (len(patch), *(b.shape[1] for b in bases)))
    shift = control * (strength * distance)
    for axis, basis in enumerate(bases):
        shift = np.moveaxis(np.tensordot(basis, shift, axes=(1, axis + 1)), 0, axis + 1)
    return shift.astype(np.float32)


def _splines(n: int, distance: float) -> NDArray[np.float64]:
    """Weight of each control point for each of n pixels: (n, points)."""
    place = np.arange(n) / distance
    points = np.arange(-1, math.floor(place[-1]) + 3)
    far = np.abs(place[:, None] - points)
    near = 2 / 3 - far**2 + far**3 / 2
    return np.where(far < 1, near, np.where(far < 2, (2 - far) ** 3 / 6, 0.0))


def grid_shift(
    patch: tuple[int, ...], strength: float, cells: int, rng: Generator
) -> NDArray[np.float32]:
    """Grid distortion: the patch is divided into cells, whose rows and columns are stretched.

    Each row (column, plane) of cells is given a size of 1 ± strength of the others, and the whole
    is brought to the old size, so that the edges of the patch stay where they are.

    Returns
    -------
    float32 (ndim, patch) : displacement of each voxel, in pixels of the patch.
    """
    shift = np.empty((len(patch), *patch), np.float32)
    for axis, n in enumerate(patch):
        sizes = 1 + rng.uniform(-strength, strength, cells)
        edges = np.concatenate([[0], np.cumsum(sizes)]) / sizes.sum() * (n - 1)
        even = np.linspace(0, n - 1, cells + 1)
        moved = np.interp(np.arange(n), even, edges) - np.arange(n)
        shift[axis] = moved.reshape([-1 if a == axis else 1 for a in range(len(patch))])
    return shift
