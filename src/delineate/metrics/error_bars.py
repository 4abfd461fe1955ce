"""How well a predicted variance of pixels tells how wrong they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from delineate.errors import ImageError

NORMAL_95 = 1.96
"""Standard deviations to either side that hold 95 % of a normal distribution."""
_RANKED = 1_000_000  # pixels; more do not change a correlation of ranks, but take long to sort


class ErrorBars(NamedTuple):
    """What the predicted standard deviations of an image say of its errors."""

    spearman: float
    """Rank correlation of standard deviation and absolute error; 1: the order is right."""
    within: float
    """Share of the pixels whose error is at most 1.96 standard deviations; 0.95 would be right."""
    pixels: int
    """Pixels that were compared."""


def error_bars(prediction: ArrayLike, truth: ArrayLike, variance: ArrayLike) -> ErrorBars:
    """Compare the errors of an image with the standard deviations that were predicted for them.

    Of more than a million pixels the correlation is that of a million, drawn alike every time.

    Parameters
    ----------
    prediction, truth : real arrays of one shape.
    variance : predicted variance of each pixel, in the square of their units.

    Returns
    -------
    Both numbers are NaN without pixels, and the correlation also where errors or standard
    deviations are all alike.

    Raises
    ------
    ImageError : shapes differ, or a variance is negative, NaN or infinite.
    """
    from scipy.stats import spearmanr

    p, t = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
    squared = np.asarray(variance, np.float64)
    if not p.shape == t.shape == squared.shape:
        raise ImageError(
            f"the prediction has the shape {p.shape}, the truth {t.shape}, the variance "
            f"{squared.shape}: they must be of the same pixels"
        )
    if not (np.isfinite(squared).all() and (squared >= 0).all()):
        raise ImageError("a variance is negative, NaN or infinite: expected 0 or more")
    if not p.size:
        return ErrorBars(np.nan, np.nan, 0)
    errors, deviations = np.abs(p - t).ravel(), np.sqrt(squared).ravel()
    within = float(np.mean(errors <= NORMAL_95 * deviations))
    if p.size > _RANKED:
        drawn = np.random.default_rng(0).choice(p.size, _RANKED, replace=False, shuffle=False)
        errors, deviations = errors[drawn], deviations[drawn]
    if np.ptp(errors) == 0 or np.ptp(deviations) == 0:
        return ErrorBars(np.nan, within, p.size)
    return ErrorBars(float(spearmanr(deviations, errors).statistic), within, p.size)
