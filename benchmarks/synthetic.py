"""Synthetic label images and network maps for the benchmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def nuclei(shape: tuple[int, int], n: int, seed: int) -> NDArray[np.int32]:
    """Label image of n nucleus-like ellipses that touch but do not overlap.

    Semi-axes are 8 to 17 pixels, directions and places are random. An ellipse that others cover by
    more than a tenth is drawn anew elsewhere; of the others the covered part is left out.

    Parameters
    ----------
    shape : height and width in pixels.
    n : number of objects.
    seed : seed of the random numbers.

    Raises
    ------
    ValueError : n objects find no room.
    """
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    count = 0
    for _ in range(200 * n):
        if count == n:
            return labels
        a, b = rng.uniform(8, 17, 2)
        angle = rng.uniform(0, np.pi)
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        reach = int(np.ceil(max(a, b)))
        top, left = max(0, int(y) - reach), max(0, int(x) - reach)
        window = labels[top : int(y) + reach + 2, left : int(x) + reach + 2]
        dy, dx = np.indices(window.shape)
        dy, dx = dy + top - y, dx + left - x
        u = (dx * np.cos(angle) + dy * np.sin(angle)) / a
        v = (dy * np.cos(angle) - dx * np.sin(angle)) / b
        mask = u * u + v * v <= 1
        free = mask & (window == 0)
        if free.sum() > 0.9 * mask.sum() and free.sum() > 100:
            _, parts = ndimage.label(free, np.ones((3, 3)))
            if parts == 1:
                count += 1
                window[free] = count
    raise ValueError(f"{n} objects do not fit into an image of {shape[0]} x {shape[1]} pixels")


def noisy_maps(
    targets: NDArray[np.float32], inside: NDArray[np.bool_], noise: float, blur: float, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Flow and probability as a network might predict them: blurred, with correlated noise.

    Parameters
    ----------
    targets : (ndim, *shape) unit vectors.
    inside : (shape).
    noise : standard deviation of the noise of each flow component, per pixel, in units of the
        unit vector; half as much is added to the probability. The noise is correlated over
        about two pixels.
    blur : standard deviation of the blur of flow and probability, in pixels.
    seed : seed of the random numbers.
    """
    rng = np.random.default_rng(seed)

    def disturb(image: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
        grain = ndimage.gaussian_filter(rng.standard_normal(image.shape, np.float32), 1.0)
        grain *= strength / grain.std()
        return np.asarray(ndimage.gaussian_filter(image, blur) + grain, np.float32)

    flow = np.stack([disturb(component, noise) for component in targets])
    return flow, disturb(inside.astype(np.float32), 0.5 * noise)
