"""Area under the ROC curve: how well a score tells positives from negatives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.metrics import Interval

_BLOCK = 200


def auroc(scores: ArrayLike, positive: ArrayLike) -> float | None:
    """Probability that a positive has a higher score than a negative; ties count one half.

    From ranks: (sum of the ranks of the positives − P(P + 1)/2) / (P N), the statistic of Mann and
    Whitney (Hanley & McNeil 1982, Radiology 143:29). 0.5 is chance.

    Parameters
    ----------
    scores : (n,) numbers without NaN.
    positive : (n,) bool.

    Returns
    -------
    In [0, 1]; None where one of the two kinds is absent.

    Raises
    ------
    ValueError : the lengths differ, or a score is NaN.

    Examples
    --------
    >>> auroc([0.1, 0.3, 0.2, 0.3], [False, True, False, False])
    0.8333333333333334
    """
    from scipy.stats import rankdata

    values, kind = _checked(scores, positive)
    positives = int(kind.sum())
    negatives = kind.size - positives
    if not positives or not negatives:
        return None
    ranks = rankdata(values)[kind].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def auroc_interval(
    scores: ArrayLike,
    positive: ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
    n: int = 2000,
) -> Interval | None:
    """`auroc` with a bootstrap interval; positives and negatives are drawn each among themselves.

    Where they are separated completely every resample is too: the interval is then a point and
    says nothing about other images. Read it with the number of images.

    Parameters
    ----------
    scores, positive : as for `auroc`.
    rng : source of the resamples.
    level, n : coverage, and number of resamples.

    Returns
    -------
    None where one of the two kinds is absent.
    """
    values, kind = _checked(scores, positive)
    value = auroc(values, kind)
    if value is None:
        return None
    high, low = values[kind], values[~kind]
    wins = (high[:, None] > low) + 0.5 * (high[:, None] == low)
    drawn = []
    for start in range(0, n, _BLOCK):
        size = min(_BLOCK, n - start)
        rows = rng.multinomial(len(high), np.full(len(high), 1 / len(high)), size)
        columns = rng.multinomial(len(low), np.full(len(low), 1 / len(low)), size)
        drawn.append(((rows @ wins) * columns).sum(axis=1) / wins.size)
    bounds = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(bounds[0]), float(bounds[1]), values.size, level)


def _checked(scores: ArrayLike, positive: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    values, kind = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
    if values.ndim != 1 or values.shape != kind.shape or np.isnan(values).any():
        raise ValueError(
            f"scores of the shape {values.shape}, {int(np.isnan(values).sum())} of them NaN, and "
            f"kinds {kind.shape}: expected two rows of one length without NaN"
        )
    return values, kind
