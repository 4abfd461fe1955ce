"""Numba kernel of the spatial augmentation."""

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
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    out_image: Floats,
    out_targets: Floats,
    out_valid: Floats,
) -> None:
    """Sample image (C, Z, Y, X), targets (K, Z, Y, X) and validity at matrix·voxel + offset.

    Linear for the image, 0 outside. Targets are interpolated among those corners
    only that belong to the object of the nearest voxel, so that nothing mixes across a border;
    outside they are 0 and `out_valid` (Z, Y, X) is 0.
    """
    nc, nz, ny, nx = image.shape
    nk = targets.shape[0]
    corner_weight = np.empty(8, np.float32)
    corner_z = np.empty(8, np.int64)
    corner_y = np.empty(8, np.int64)
    corner_x = np.empty(8, np.int64)
    mz, my, mx = out_valid.shape
    for z in range(mz):
        for y in range(my):
            for x in range(mx):
                pz = matrix[0, 0] * z + matrix[0, 1] * y + matrix[0, 2] * x + offset[0]
                py = matrix[1, 0] * z + matrix[1, 1] * y + matrix[1, 2] * x + offset[1]
                px = matrix[2, 0] * z + matrix[2, 1] * y + matrix[2, 2] * x + offset[2]
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
                    out_valid[z, y, x] = 0.0
                    for c in range(nc):
                        out_image[c, z, y, x] = 0.0
                    for k in range(nk):
                        out_targets[k, z, y, x] = 0.0
                    continue
                out_valid[z, y, x] = 1.0
                label = labels[int(pz + 0.5), int(py + 0.5), int(px + 0.5)]
                total = np.float32(0.0)
                for i in range(n):
                    if labels[corner_z[i], corner_y[i], corner_x[i]] != label:
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
