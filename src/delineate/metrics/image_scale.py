"""The brightness and contrast in which a predicted image fits the true one best."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import ImageError

Pixels = NDArray[np.float64]


class Scale(NamedTuple):
    """Brightness and contrast: ``slope · pixel + offset``."""

    slope: float
    offset: float


def best_scale(prediction: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> Scale:
    """The brightness and contrast in which a prediction p fits the truth t best: a p + b.

    a and b minimise the mean squared error over the valid pixels: a = cov(p, t) / var(p),
    b = mean(t) − a mean(p); of a constant prediction a is 0. A variance of the prediction is a²
    times as large after it. Without a valid pixel a is 1 and b 0.

    Parameters
    ----------
    prediction, truth, valid : see `image_scores`.

    Raises
    ------
    ImageError : see `image_scores`.
    """
    p, t, keep = checked(prediction, truth, valid)
    if not keep.any():
        return Scale(1.0, 0.0)
    slope = slope_of(centred(p[keep]), centred(t[keep]))
    return Scale(slope, float(t[keep].mean() - slope * p[keep].mean()))


def match_scale(
    prediction: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None
) -> NDArray[np.float64]:
    """The prediction in the brightness and contrast that fit the truth best, see `best_scale`.

    Parameters
    ----------
    prediction, truth, valid : see `image_scores`.

    Returns
    -------
    float64 array of the shape of the prediction, in the units of the truth.

    Raises
    ------
    ImageError : see `image_scores`.
    """
    slope, offset = best_scale(prediction, truth, valid)
    return slope * np.asarray(prediction, np.float64) + offset


def checked(
    prediction: ArrayLike, truth: ArrayLike, valid: ArrayLike | None
) -> tuple[Pixels, Pixels, NDArray[np.bool_]]:
    """Both images as float64, and which pixels count.

    Raises
    ------
    ImageError : shapes differ, or a pixel is NaN or infinite.
    """
    p, t = np.asarray(prediction), np.asarray(truth)
    keep = np.ones(t.shape, bool) if valid is None else np.asarray(valid, bool)
    if p.shape != t.shape or keep.shape != t.shape:
        mask = "" if valid is None else f", the mask {keep.shape}"
        raise ImageError(
            f"the prediction has the shape {p.shape}, the truth {t.shape}{mask}: they must be "
            "images of the same pixels"
        )
    for name, pixels in (("prediction", p), ("truth", t)):
        if pixels.dtype.kind not in "biuf":
            raise ImageError(f"the {name} holds {pixels.dtype}, expected real numbers")
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise ImageError(f"the {name} has pixels that are NaN or infinite: mend or crop it")
    return p.astype(np.float64, copy=False), t.astype(np.float64, copy=False), keep


def centred(values: NDArray[Any]) -> Pixels:
    """Their deviations from their mean."""
    return np.asarray(values - values.mean(), np.float64)


def slope_of(prediction: Pixels, truth: Pixels) -> float:
    """Slope of the least-squares line through centred values; 0 for a constant prediction."""
    flat = np.ptp(prediction) == 0
    return 0.0 if flat else float((prediction @ truth) / (prediction @ prediction))
