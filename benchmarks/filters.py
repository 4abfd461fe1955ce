"""Classical denoising filters, tuned on training pairs for scale-invariant PSNR.

Images are fractions 0 … 1. The noise σ that filters take is estimated on each image (Immerkær 1996,
Computer Vision and Image Understanding 64:300) times a factor that is tuned. `root` filters the
square root of the image and squares the result: it makes the noise of counted photons even.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import convolve, gaussian_filter, median_filter
from skimage import morphology, restoration

from delineate.metrics import si_psnr

FLOOR = 0.02
"""Added before the square root, so that the darkest pixels are not spread."""
LEVELS = 4
"""Levels of wavelets, as scikit-image takes for images of 512 pixels."""


def noise_of(image: np.ndarray) -> float:
    """Standard deviation of white noise, by what is left of an image without its structure."""
    mask = np.outer([1, -2, 1], [1, -2, 1])
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(convolve(image, mask)[1:-1, 1:-1]).mean())


def gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(image, sigma)


def median(image: np.ndarray, radius: int) -> np.ndarray:
    return median_filter(image, footprint=morphology.disk(radius))


def bilateral(image: np.ndarray, colour: float, spatial: float) -> np.ndarray:
    sigma = colour * noise_of(image)
    return restoration.denoise_bilateral(
        image, sigma_color=sigma, sigma_spatial=spatial, mode="reflect"
    )


def non_local(image: np.ndarray, h: float, patch: int, distance: int) -> np.ndarray:
    sigma = noise_of(image)
    return restoration.denoise_nl_means(image, patch, distance, h * sigma, sigma=sigma)


def variation(image: np.ndarray, weight: float) -> np.ndarray:
    return restoration.denoise_tv_chambolle(image, weight * noise_of(image))


def wavelet(image: np.ndarray, method: str, factor: float) -> np.ndarray:
    """Averaged over 16 shifts, since the grid of a single wavelet transform shows."""
    sigma, total = factor * noise_of(image), np.zeros(image.shape)
    for shift in itertools.product(range(4), repeat=2):
        moved = restoration.denoise_wavelet(
            np.roll(image, shift, (0, 1)), sigma, "db2", wavelet_levels=LEVELS, method=method
        )
        total += np.roll(moved, tuple(-s for s in shift), (0, 1))
    return total / 16


def bm3d(image: np.ndarray, factor: float) -> np.ndarray:
    from bm3d import bm3d as run

    return np.asarray(run(image, factor * noise_of(image)))


class Filter(NamedTuple):
    """A filter, the values of its parameters that are tried, and on how many crops."""

    run: Callable[..., np.ndarray]
    grid: dict[str, tuple[Any, ...]]
    crops: int = 12
    needs: str = ""


ROOT = (False, True)
FILTERS = {
    "gaussian": Filter(gaussian, {"sigma": (0.7, 1.0, 1.25, 1.5, 1.75, 2, 2.5, 3), "root": ROOT}),
    "median": Filter(median, {"radius": (2, 3, 4, 5, 6)}),
    "bilateral": Filter(
        bilateral, {"colour": (2, 3, 4, 6, 10), "spatial": (1.5, 2, 2.5), "root": ROOT}, crops=8
    ),
    "non-local means": Filter(
        non_local,
        {"h": (0.4, 0.6, 0.8, 1, 1.3), "patch": (5, 7, 9), "distance": (7,), "root": ROOT},
        crops=8,
    ),
    "total variation": Filter(variation, {"weight": (1, 1.5, 2, 2.5, 3, 4), "root": ROOT}),
    "wavelet": Filter(
        wavelet,
        {
            "method": ("BayesShrink", "VisuShrink"),
            "factor": (0.2, 0.5, 0.75, 1, 1.25, 1.5),
            "root": ROOT,
        },
        crops=8,
        needs="pywt",
    ),
    "BM3D": Filter(bm3d, {"factor": (1, 1.5, 2), "root": ROOT}, crops=4, needs="bm3d"),
}


class Tuned(NamedTuple):
    """What was found best on the training crops."""

    parameters: dict[str, Any]
    score: float
    seconds: float


def apply(name: str, image: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
    """Run a filter on an image (Y, X) of 0 … 1."""
    own = dict(parameters)
    if not own.pop("root", False):
        return FILTERS[name].run(image, **own)
    rooted = FILTERS[name].run(np.sqrt(image + FLOOR), **own)
    return np.clip(rooted, 0, None) ** 2 - FLOOR


def usable() -> Iterator[str]:
    """Filters whose library is installed."""
    for name, one in FILTERS.items():
        if not one.needs or find_spec(one.needs):
            yield name
        else:
            print(f"{name}: left out, {one.needs} is not installed")


def tune(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Tuned]:
    """Best parameters of each filter by the mean SI-PSNR of pairs (noisy, clean) of 0 … 1.

    Slow filters are tuned on fewer of them; the score is that of all.
    """
    found = {}
    for name in usable():
        start, grid = time.perf_counter(), FILTERS[name].grid
        tried = [
            dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
        ]
        some = pairs[:: max(1, len(pairs) // FILTERS[name].crops)]
        best = max(tried, key=lambda parameters, n=name: score(n, parameters, some))
        found[name] = Tuned(best, score(name, best, pairs), time.perf_counter() - start)
    return found


def score(
    name: str, parameters: dict[str, Any], pairs: list[tuple[np.ndarray, np.ndarray]]
) -> float:
    return float(np.mean([si_psnr(apply(name, noisy, parameters), c, 1) for noisy, c in pairs]))
