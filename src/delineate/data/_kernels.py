"""Numba kernels of the spatial augmentation, and of drawing pixels of a class."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@njit(cache=True, nogil=True)
def warp(
    image: Floats,
    targets: Floats,
    labels: NDArray[np.int32],
    cost: Floats,
    shape: tuple[int, int, int],
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    shift: Floats,
    soft: bool,
    out_image: Floats,
    out_targets: Floats,
    out_inside: Floats,
    out_weight: Floats,
) -> None:
    """Sample image (C, Z, Y, X), targets (K, Z, Y, X) and validity at matrix·voxel + offset.

    Linear for the image, 0 outside. Targets are interpolated among those corners
    only that belong to the object of the nearest voxel, so that nothing mixes across a border;
    outside they are 0 and `out_inside` (Z, Y, X) is 0. Targets that are `soft` are interpolated
    among all corners, but for those whose label is negative where the nearest one is not, and the
    reverse; without `labels` (empty), among all. `out_weight` is `cost` (Z, Y, X) interpolated, 0
    outside; 1 inside where `cost` is empty. Where `shift` (3, Z, Y, X) is not empty it is added to
    the voxel first. `shape` is (Z, Y, X) of the image, the targets, or both.
    """
    nc, nk = image.shape[0], targets.shape[0]
    nz, ny, nx = shape
    known, weighted = labels.size > 0, cost.size > 0
    corner_weight = np.empty(8, np.float32)
    corner_z = np.empty(8, np.int64)
    corner_y = np.empty(8, np.int64)
    corner_x = np.empty(8, np.int64)
    bent = shift.size > 0
    mz, my, mx = out_inside.shape
    for z in range(mz):
        for y in range(my):
            for x in range(mx):
                vz, vy, vx = float(z), float(y), float(x)
                if bent:
                    vz += shift[0, z, y, x]
                    vy += shift[1, z, y, x]
                    vx += shift[2, z, y, x]
                pz = matrix[0, 0] * vz + matrix[0, 1] * vy + matrix[0, 2] * vx + offset[0]
                py = matrix[1, 0] * vz + matrix[1, 1] * vy + matrix[1, 2] * vx + offset[1]
                px = matrix[2, 0] * vz + matrix[2, 1] * vy + matrix[2, 2] * vx + offset[2]
                inside = -0.5 <= pz < nz - 0.5 and -0.5 <= py < ny - 0.5 and -0.5 <= px < nx - 0.5
                pz = min(max(pz, 0.0), nz - 1.0)
                py = min(max(py, 0.0), ny - 1.0)
                px = min(max(px, 0.0), nx - 1.0)
                z0 = min(int(pz), max(nz - 2, 0))
                y0 = min(int(py), max(ny - 2, 0))
                x0 = min(int(px), max(nx - 2, 0))
                fz, fy, fx = pz - z0, py - y0, px - x0
                n = 0
                for dz in range(2):
                    wz = fz if dz else 1.0 - fz
                    if wz == 0.0:
                        continue
                    for dy in range(2):
                        wy = fy if dy else 1.0 - fy
                        if wy == 0.0:
                            continue
                        for dx in range(2):
                            wx = fx if dx else 1.0 - fx
                            if wx == 0.0:
                                continue
                            corner_weight[n] = wz * wy * wx
                            corner_z[n] = z0 + dz
                            corner_y[n] = y0 + dy
                            corner_x[n] = x0 + dx
                            n += 1
                for c in range(nc):
                    value = np.float32(0.0)
                    for i in range(n):
                        value += corner_weight[i] * image[c, corner_z[i], corner_y[i], corner_x[i]]
                    out_image[c, z, y, x] = value
                if not inside:
                    out_inside[z, y, x] = 0.0
                    out_weight[z, y, x] = 0.0
                    for c in range(nc):
                        out_image[c, z, y, x] = 0.0
                    for k in range(nk):
                        out_targets[k, z, y, x] = 0.0
                    continue
                out_inside[z, y, x] = 1.0
                value = np.float32(1.0)
                if weighted:
                    value = np.float32(0.0)
                    for i in range(n):
                        value += corner_weight[i] * cost[corner_z[i], corner_y[i], corner_x[i]]
                out_weight[z, y, x] = value
                total = np.float32(1.0)
                if known:
                    label = labels[int(pz + 0.5), int(py + 0.5), int(px + 0.5)]
                    total = np.float32(0.0)
                    for i in range(n):
                        other = labels[corner_z[i], corner_y[i], corner_x[i]]
                        if (other < 0) != (label < 0) if soft else other != label:
                            corner_weight[i] = 0.0
                        total += corner_weight[i]
                for k in range(nk):
                    value = np.float32(0.0)
                    for i in range(n):
                        if corner_weight[i] > 0.0:
                            value += (
                                corner_weight[i] * targets[k, corner_z[i], corner_y[i], corner_x[i]]
                            )
                    out_targets[k, z, y, x] = value / total


@njit(cache=True, nogil=True)
def count_classes(classes: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
    """Add the number of pixels of each class 0 … len(counts) − 1 to counts; negatives are none."""
    for value in classes:
        if value >= 0:
            counts[value] += 1


@njit(cache=True, nogil=True)
def pick_ranks(
    classes: NDArray[np.int32],
    ranks: NDArray[np.int64],
    starts: NDArray[np.int64],
    found: NDArray[np.int64],
) -> None:
    """Places of the r-th pixels of each class.

    ``ranks[starts[k]:starts[k + 1]]`` are the ranks r asked for of class k, ascending and each
    once; `found` receives the flat places in the same order.
    """
    seen = np.zeros(len(starts) - 1, np.int64)
    wanted = starts[:-1].copy()
    for place in range(classes.size):
        k = classes[place]
        if k < 0:
            continue
        w = wanted[k]
        if w < starts[k + 1] and ranks[w] == seen[k]:
            found[w] = place
            wanted[k] = w + 1
        seen[k] += 1
