"""Temperature scaling: one number, fitted on unseen images, that makes confidence honest."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.uncertainty._slabs import slabs
from delineate.uncertainty.calibration import check_pixels

RANGE = (0.05, 20.0)
"""Temperatures that are tried."""

_SMALLEST = 1e-12
"""A probability of 0 is taken for this, as its logarithm does not exist."""


class PixelSample(NamedTuple):
    """Pixels drawn from images: (n, K) probabilities, (n,) classes, (n,) pixels each stands for."""

    probabilities: NDArray[np.float32]
    classes: NDArray[np.int64]
    weights: NDArray[np.float64]


class Temperature(NamedTuple):
    """A fitted temperature `value`, and the mean negative log-likelihood without and with it."""

    value: float
    nll_before: float
    nll_after: float
    n: int


def sample_pixels(
    probabilities: ArrayLike,
    truth: ArrayLike,
    rng: np.random.Generator,
    n: int = 50_000,
    ignore: int | None = None,
) -> PixelSample:
    """Draw pixels of an image, whatever their class, so that many images fit into memory.

    Every pixel has the same chance: drawing by class would shift the frequencies that a
    calibration has to meet. Join the samples of several images with `join_samples`.

    Parameters
    ----------
    probabilities : (K, spatial axes), mean class probabilities.
    truth : (spatial axes), class of each pixel.
    rng : source of the draw.
    n : about how many pixels to draw, without replacement; all where there are fewer.
    ignore : pixels of this class in the truth are not drawn.

    Raises
    ------
    ValueError : shapes do not fit.
    """
    p, classes = np.asarray(probabilities), np.asarray(truth)
    check_pixels(p, classes)
    size = classes.size
    counted = size if ignore is None else int(np.count_nonzero(classes != ignore))
    n = -(-n * size // max(counted, 1))  # so that few labelled pixels among many are met too
    drawn = np.arange(size) if n >= size else np.sort(rng.choice(size, n, False, shuffle=False))
    places: tuple[Any, ...] = np.unravel_index(drawn, classes.shape) if classes.ndim else ()
    picked = np.asarray(classes[places], np.int64).reshape(-1)
    rows = np.asarray(p[(slice(None), *places)], np.float32).reshape(len(p), -1).T
    keep = np.ones(len(picked), bool) if ignore is None else picked != ignore
    weights = np.full(int(keep.sum()), size / max(len(drawn), 1))
    return PixelSample(rows[keep], picked[keep], weights)


def join_samples(*samples: PixelSample) -> PixelSample:
    """One sample of several images.

    Raises
    ------
    ValueError : there are none, or they have different numbers of classes.
    """
    if len({s.probabilities.shape[1] for s in samples}) != 1:
        raise ValueError(f"{len(samples)} samples: expected some, all of as many classes")
    return PixelSample(*(np.concatenate(parts) for parts in zip(*samples, strict=True)))


def fit_temperature(
    probabilities: ArrayLike, classes: ArrayLike, weights: ArrayLike | None = None
) -> Temperature:
    """Temperature that makes the classes of unseen cases most likely.

    Guo, Pleiss, Sun & Weinberger 2017, ICML, section 4.2, on probabilities instead of logits:
    softmax(ln p / T) is the same for one network, and defined for a mean over draws as well.
    T > 1 means that the model was too sure. The likelihood is convex in 1/T, so there is one
    optimum; it is sought in `RANGE`.

    Parameters
    ----------
    probabilities : (n, K), of cases that the model was not trained on (out-of-fold).
    classes : (n,), true classes 0…K−1.
    weights : (n,), what each case counts; equal by default.

    Raises
    ------
    ValueError : no cases, shapes that do not fit, classes or weights out of range.
    """
    from scipy.optimize import minimize_scalar

    p, truth = np.asarray(probabilities), np.asarray(classes)
    w = np.ones(len(truth)) if weights is None else np.asarray(weights, np.float64)
    if p.ndim != 2 or len(p) == 0 or truth.shape != p.shape[:1] or w.shape != truth.shape:
        raise ValueError(
            f"probabilities of the shape {p.shape}, classes {truth.shape} and weights {w.shape}: "
            "expected (n, K), (n,) and (n,) with n >= 1"
        )
    if truth.min() < 0 or truth.max() >= p.shape[1] or not (w.min() >= 0 and w.sum() > 0):
        raise ValueError(
            f"classes from {truth.min()} to {truth.max()} and weights from {w.min()}: "
            f"expected 0…{p.shape[1] - 1}, and weights >= 0 with a sum > 0"
        )
    logs = np.log(np.clip(p.astype(np.float64), _SMALLEST, None))
    # Relative to the true class, so that each evaluation is one sum over the classes.
    logs = np.ascontiguousarray((logs - np.take_along_axis(logs, truth[:, None], axis=1)).T)
    w = w / w.sum()

    def nll(log_temperature: float) -> float:
        return float(w @ np.logaddexp.reduce(logs / math.exp(log_temperature), axis=0))

    bounds = tuple(math.log(t) for t in RANGE)
    found = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    before, after = nll(0.0), float(found.fun)
    value = math.exp(found.x) if after < before else 1.0
    return Temperature(value, before, min(before, after), len(truth))


def apply_temperature(probabilities: ArrayLike, temperature: float) -> NDArray[np.float32]:
    """softmax(ln p / T) over the first axis; the most probable class stays the same.

    Parameters
    ----------
    probabilities : (K, …), mean class probabilities.
    temperature : T > 0; 1 changes nothing.

    Returns
    -------
    float32 array of the same shape.

    Raises
    ------
    ValueError : `temperature` is not a positive number.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature {temperature}: expected a positive number")
    p = np.asarray(probabilities)
    result: NDArray[Any] = np.empty(p.shape, np.float32)
    for slab in slabs(p.shape[1:]):
        piece = np.clip(p[(slice(None), *slab)].astype(np.float64), 0, None)
        powers = (piece / piece.max(axis=0)) ** (1 / temperature)
        result[(slice(None), *slab)] = powers / powers.sum(axis=0)
    return result
