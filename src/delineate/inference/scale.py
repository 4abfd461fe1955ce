"""Knowing the size of objects: a ridge regression from style to log diameter, then one refinement.

As Stringer et al. 2021 ("Test time resizing"): the style vector predicts the diameter, the median
diameter of a first segmentation at that scale replaces it. Both look at the busiest crops of an
image only, so that large images cost no more than small ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.data.normalise import Intensity
from delineate.data.resize import resize_linear, scaled_shape
from delineate.image import LazyArray
from delineate.inference.runner import Runner

FACTORS = (0.35, 0.6, 1.0, 1.7, 2.8)
"""Changes of scale at which each training image is shown to the regression."""

CROP = {2: 384, 3: 96}
CROPS = 2

PLANES = 3
"""At most so many planes of a stack tell a 2D model the size of objects."""

WHOLE = 1024
"""Training images of at most this side are shown whole to the regression, larger ones by crops."""


@dataclass(frozen=True, eq=False)
class ScaleModel:
    """Ridge regression: log diameter = weight·style + bias.

    Parameters
    ----------
    weight : float32 (features,).
    bias : float.
    correlation : between predicted and true log diameter, on images not used to fit.
    """

    weight: NDArray[np.float32]
    bias: float
    correlation: float

    def diameter(self, style: NDArray[np.float32]) -> float:
        """Diameter in pixels of a style vector."""
        return float(np.exp(np.clip(self.weight @ style + self.bias, np.log(2), np.log(2000))))

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, as safetensors stores them."""
        return {
            "weight": self.weight,
            "bias": np.array([self.bias]),
            "correlation": np.array([self.correlation]),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, NDArray[Any]]) -> ScaleModel:
        """What `to_dict` made.

        Raises
        ------
        KeyError : an array is missing.
        """
        return cls(saved["weight"], float(saved["bias"][0]), float(saved["correlation"][0]))


def ridge(
    styles: NDArray[np.float32], target: NDArray[np.float64], penalty: float
) -> tuple[NDArray[np.float32], float]:
    """Ridge regression with an unpenalised intercept: weight (features,), bias."""
    mean, middle = styles.mean(axis=0, dtype=np.float64), target.mean()
    x = styles - mean
    gram = x.T @ x + penalty * np.eye(x.shape[1])
    weight = np.linalg.solve(gram, x.T @ (target - middle))
    return weight.astype(np.float32), float(middle - weight @ mean)


def fit_scale(
    runner: Runner,
    images: Sequence[NDArray[np.float32]],
    diameters: Sequence[float],
    folds: int = 5,
) -> ScaleModel | None:
    """Fit the regression on normalised images (channels, spatial axes) and their diameters.

    Images of at most `WHOLE` pixels are shown whole at those of the `FACTORS` that leave them so
    small; of larger ones the busiest crops are shown at every factor, as `estimate_diameter` sees
    them. The penalty and the correlation come from cross-validation over images. None where the
    network has no style vector, or fewer than `folds` images can be shown and hold objects.
    """
    if not hasattr(runner.networks[0], "style_vector"):
        return None
    usable = [(i, d) for i, d in zip(images, diameters, strict=True) if np.isfinite(d)]
    if len(usable) < folds:
        return None
    styles, target, group = [], [], []
    for number, (image, diameter) in enumerate(usable):
        for factor in FACTORS:
            if parts := _shown(np.asarray(image), factor):
                styles.append(np.mean([runner.style(part) for part in parts], axis=0))
                target.append(np.log(diameter * factor))
                group.append(number)
    shown, g = np.unique(np.array(group, int), return_inverse=True)
    if len(shown) < folds:
        return None
    x, y = np.stack(styles), np.array(target)
    fold = np.random.default_rng(0).permutation(len(shown))[g] % folds
    best: tuple[float, float, float] | None = None
    for penalty in 10.0 ** np.arange(-4, 3):
        guess = np.empty_like(y)
        for k in range(folds):
            weight, bias = ridge(x[fold != k], y[fold != k], penalty)
            guess[fold == k] = x[fold == k] @ weight + bias
        error = float(((guess - y) ** 2).mean())
        if best is None or error < best[0]:
            best = (error, penalty, float(np.corrcoef(guess, y)[0, 1]))
    assert best is not None
    weight, bias = ridge(x, y, best[1])
    return ScaleModel(weight, bias, best[2])


def _shown(image: NDArray[np.float32], factor: float) -> list[NDArray[np.float32]]:
    """What the regression sees of an image at another scale; nothing where no size would do."""
    if max(image.shape[1:]) <= WHOLE:
        crops = [image]
    else:
        side = round(CROP[image.ndim - 1] / factor)
        crops = [image[(slice(None), *crop)] for crop in busiest_crops(image, side, CROPS)]
    shapes = [scaled_shape(crop.shape[1:], factor) for crop in crops]
    return [
        resize_linear(crop, shape)
        for crop, shape in zip(crops, shapes, strict=True)
        if min(shape[-2:]) >= 8 and max(shape) <= WHOLE
    ]


def busiest_crops(data: LazyArray, side: int, count: int) -> list[tuple[slice, ...]]:
    """Up to `count` crops of an image (channels, spatial axes) with the largest contrast."""
    spatial = data.shape[1:]
    if max(spatial) <= side:
        return [tuple(slice(0, n) for n in spatial)]
    grids = [
        np.unique(np.linspace(0, n - min(n, side), max(1, -(-n // side))).astype(int))
        for n in spatial
    ]
    starts = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, len(spatial))
    if len(starts) > 64:
        starts = starts[np.random.default_rng(0).permutation(len(starts))[:64]]
    scored = []
    for start in starts:
        crop = tuple(slice(int(s), int(s) + side) for s in start)
        thin = tuple(slice(c.start, c.stop, 4) for c in crop)
        scored.append((float(np.std(np.asarray(data[(slice(None), *thin)]))), crop))
    scored.sort(key=lambda item: -item[0])
    return [crop for _, crop in scored[:count]]


def busiest_planes(stack: NDArray[Any], count: int = PLANES) -> list[int]:
    """Up to `count` planes of a stack (channels, Z, Y, X) with the largest contrast, descending.

    Contrast is the standard deviation of every fourth pixel along Y and X, clipped to what 99.8 %
    of these pixels lie between so that single hot ones do not count, relative to the largest of its
    channel, and averaged over channels. Planes of less than half the largest are left out: in empty
    ones nothing but noise is to be seen.
    """
    thin = np.asarray(stack[:, :, ::4, ::4], np.float32)
    low, high = np.percentile(thin, [0.1, 99.9], axis=(1, 2, 3), keepdims=True)
    spread = np.clip(thin, low, high).std(axis=(2, 3), dtype=np.float64)
    most = spread.max(axis=1, keepdims=True)
    contrast = (spread / np.where(most > 0, most, 1)).mean(axis=0)
    order = np.argsort(-contrast, kind="stable")[:count]
    return [int(z) for z in order if contrast[z] >= contrast[order[0]] / 2]


def estimate_diameter(
    runner: Runner,
    model: ScaleModel,
    images: Sequence[LazyArray],
    intensity: Intensity,
    common: float,
    rounds: int = 1,
) -> float:
    """Median diameter of the objects of an image, or of some planes of a stack, in pixels.

    The first guess is the median of those of all crops; the objects of all crops refine it.

    Parameters
    ----------
    images : each (channels, spatial axes); one image, or the `busiest_planes` of a stack.
    common : diameter at which the network was trained.
    rounds : segmentations by which the first guess is refined.
    """
    from delineate.labels import diameters

    crops = [
        intensity.apply(np.asarray(data[(slice(None), *crop)]))
        for data in images
        for crop in busiest_crops(data, CROP[runner.ndim], CROPS)
    ]
    guess = float(np.exp(np.median([np.log(model.diameter(runner.style(crop))) for crop in crops])))
    for _ in range(rounds):
        scale = common / guess
        found: list[NDArray[Any]] = []
        for crop in crops:
            shape = scaled_shape(crop.shape[1:], scale)
            maps = runner.maps(resize_linear(crop, shape))
            labels = runner.method.decode(maps).labels
            assert labels is not None  # objects have sizes; images keep their scale
            found.append(diameters(labels))
        every = np.concatenate(found)
        if len(every) < 3:
            break
        guess = float(np.median(every)) / scale
    return guess
