"""How well uncertainty ranks quality, on the reference images."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.metrics import Interval
from delineate.uncertainty.auroc import auroc_interval
from delineate.uncertainty.quality import Reference


class RiskCoverage(NamedTuple):
    """What accepting only the most certain images would cost.

    `coverage` (n,) shares 1/n … 1 of the images, the most certain first; `risk` (n,) their mean
    loss; `area` the mean of the risks (AURC); `ideal` that of images sorted by the loss itself;
    `excess` the difference, 0 for a perfect order. An order by chance has the area ``risk[-1]``.
    """

    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]
    area: float
    ideal: float
    excess: float


class Ranking(NamedTuple):
    """How well U ranks the reference images; None where that cannot be said."""

    n: int
    """Images with a U; all numbers are over these."""
    missing: int
    """Images without a U, which are always verified."""
    failures: int
    """Images among the n whose score is below the required one."""
    spearman: Interval | None
    """Rank correlation of U and score; negative is good. None below 3 images or without spread."""
    auroc: Interval | None
    """How well U tells failures; None where all or none failed."""
    curve: RiskCoverage | None
    """With 1 − score as the loss; None without images."""
    found: NDArray[np.float64] | None
    """(n + 1,) share of the failures found after checking 0 … n images; None without failures."""


def ranking(
    reference: Reference,
    required: float,
    rng: np.random.Generator,
    level: float = 0.95,
    n: int = 2000,
) -> Ranking:
    """All that the reference tells about the order of images by U.

    Parameters
    ----------
    reference : images with truth.
    required : score below which an image counts as failed.
    rng : source of the bootstrap's resamples.
    level, n : coverage of the intervals, number of resamples.
    """
    u, score = reference.known()
    failed = score < required
    return Ranking(
        len(u),
        len(reference.images) - len(u),
        int(failed.sum()),
        spearman_interval(u, score, rng, level, n),
        auroc_interval(u, failed, rng, level, n),
        risk_coverage(u, 1 - score) if len(u) else None,
        verification(u, failed) if failed.any() else None,
    )


def spearman_interval(
    first: ArrayLike,
    second: ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
    n: int = 2000,
) -> Interval | None:
    """Spearman's rank correlation with a percentile bootstrap interval.

    Resamples in which a row is constant have no correlation and are left out.

    Parameters
    ----------
    first, second : (images,) values; ties get their mean rank.
    rng : source of the resamples.
    level, n : coverage, and number of resamples.

    Returns
    -------
    None where there are fewer than three images or a row is constant.

    Raises
    ------
    ValueError : the lengths differ.
    """
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"shapes {x.shape} and {y.shape}: expected two rows of one length")
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    drawn = rng.integers(0, len(x), (n, len(x)))
    resamples = _correlation_of_ranks(x[drawn], y[drawn])
    low, high = np.nanquantile(resamples, [(1 - level) / 2, (1 + level) / 2])
    value = float(_correlation_of_ranks(x[None], y[None])[0])
    return Interval(value, float(low), float(high), len(x), level)


def risk_coverage(uncertainty: ArrayLike, loss: ArrayLike) -> RiskCoverage:
    """Mean loss of the most certain images, over how many are accepted.

    Geifman & El-Yaniv 2017, NeurIPS 30; area and excess: Geifman, Uziel & El-Yaniv 2019, ICLR.
    Images of equal uncertainty cannot be told apart: the curve is the mean over their orders.

    Parameters
    ----------
    uncertainty : (n,) without NaN.
    loss : (n,) such as 1 − Dice, or whether the image failed.

    Raises
    ------
    ValueError : no images, or the lengths differ.
    """
    u, cost = np.asarray(uncertainty, np.float64), np.asarray(loss, np.float64)
    if u.ndim != 1 or u.shape != cost.shape or not u.size:
        raise ValueError(f"shapes {u.shape} and {cost.shape}: expected two rows of one length >= 1")
    count = np.arange(1, u.size + 1)
    risk = np.cumsum(_in_order(u, cost)) / count
    ideal = float((np.cumsum(np.sort(cost)) / count).mean())
    area = float(risk.mean())
    return RiskCoverage(count / u.size, risk, area, ideal, max(area - ideal, 0.0))


def verification(uncertainty: ArrayLike, failed: ArrayLike) -> NDArray[np.float64]:
    """Share of the failures that a person has found after checking 0, 1 … n images.

    The most uncertain come first; of equal ones the mean over their orders.

    Parameters
    ----------
    uncertainty : (n,) without NaN.
    failed : (n,) bool, at least one.

    Raises
    ------
    ValueError : nothing failed, or the lengths differ.
    """
    u, bad = np.asarray(uncertainty, np.float64), np.asarray(failed, np.float64)
    if u.ndim != 1 or u.shape != bad.shape or not bad.any():
        raise ValueError(
            f"shapes {u.shape} and {bad.shape} with {int(bad.sum())} failures: expected two rows "
            "of one length with a failure"
        )
    return np.concatenate([[0.0], np.cumsum(_in_order(-u, bad)) / bad.sum()])


def _in_order(key: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values by ascending key; those of equal keys are replaced by their mean."""
    _, group, sizes = np.unique(key, return_inverse=True, return_counts=True)
    return np.repeat(np.bincount(group, weights=values) / sizes, sizes)


def _correlation_of_ranks(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson correlation of the ranks of each row; NaN where a row is constant."""
    from scipy.stats import rankdata

    a, b = (rankdata(values, axis=1) - (values.shape[1] + 1) / 2 for values in (x, y))
    scale: NDArray[Any] = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    product = (a * b).sum(axis=1)
    return np.divide(product, scale, out=np.full(len(x), np.nan), where=scale > 0)
