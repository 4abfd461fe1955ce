"""Two sets of scores of the same images side by side: the model beside each expert."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.labels import Table
from delineate.metrics import Interval, bootstrap_interval

_EXACT = 50
"""Differences up to which the p-value is exact."""

_DECIMALS = 12
"""Differences that are equal to so many decimals are ties: the rest is rounding."""


class Comparison(NamedTuple):
    """Paired comparison of two sets of scores, and what became of every pair."""

    difference: Interval
    """Mean of first − second over the pairs, with a bootstrap interval."""
    p_value: float
    """Two-sided, Wilcoxon signed-rank; 1 where all differences are 0."""
    effect: float
    """Matched-pairs rank-biserial correlation in [−1, 1]: 1 if first is always higher."""
    statistic: float
    """The smaller of the rank sums of the positive and of the negative differences."""
    n: int
    """Pairs with both scores."""
    zeros: int
    """Pairs of equal scores, which the test leaves out."""
    ties: int
    """Pairs whose absolute difference another pair has too; they share a mean rank."""
    missing: int
    """Pairs of which one score is missing, left out of everything."""
    exact: bool
    """Whether `p_value` is exact (up to 50 differences) or by the normal approximation."""


def compare(first: ArrayLike, second: ArrayLike, rng: np.random.Generator) -> Comparison | None:
    """Are the scores of two annotators of the same images different?

    Wilcoxon 1945, Biometrics Bulletin 1:80; zeros are left out as he does. Up to 50 differences
    the p-value is exact with ties too: every sign pattern of the ranks at hand is counted. Effect:
    Kerby 2014, Comprehensive Psychology 3:1. A p-value near 1 does not show that two are equal:
    read the interval of the difference.

    Parameters
    ----------
    first, second : (images,) scores of the same images; NaN where one is missing.
    rng : source of the bootstrap's resamples.

    Returns
    -------
    None where no image has both scores.

    Raises
    ------
    ValueError : the lengths differ.
    """
    from scipy.stats import rankdata, wilcoxon

    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape}: expected two rows of one length")
    difference = np.round(a - b, _DECIMALS)
    difference = difference[np.isfinite(difference)]
    if not difference.size:
        return None
    signed = difference[difference != 0]
    ranks = rankdata(np.abs(signed))
    up, down = float(ranks[signed > 0].sum()), float(ranks[signed < 0].sum())
    exact = signed.size <= _EXACT
    if not signed.size:
        p_value = 1.0
    elif exact:
        p_value = _exact_p(ranks, min(up, down))
    else:
        p_value = float(wilcoxon(signed, method="asymptotic").pvalue)
    _, counts = np.unique(np.abs(signed), return_counts=True)
    return Comparison(
        bootstrap_interval(difference, rng),
        p_value,
        (up - down) / (up + down) if signed.size else 0.0,
        min(up, down),
        difference.size,
        difference.size - signed.size,
        int(counts[counts > 1].sum()),
        a.size - difference.size,
        exact,
    )


def comparison_table(
    model: ArrayLike, experts: Mapping[str, ArrayLike], rng: np.random.Generator
) -> Table:
    """The model beside each expert: does it reach human performance?

    Parameters
    ----------
    model : (images,) scores of the model against the ground truth.
    experts : scores of each expert on the same images; NaN where one did not annotate an image.
    rng : source of the bootstrap's resamples.

    Returns
    -------
    Columns ``expert``, ``n``, ``model`` and ``expert_score`` (means over the images of both),
    ``difference`` (model − expert) with ``low`` and ``high``, ``effect``, ``zeros``, ``ties``,
    ``missing``, ``exact``, ``p_value`` and ``p_holm`` (corrected for the number of experts; Holm
    1979). A row an expert; NaN where there is no common image, and no interval of one image.

    Raises
    ------
    ValueError : the lengths differ.
    """
    ours = np.asarray(model, np.float64)
    nothing = Interval(math.nan, math.nan, math.nan, 0, 0.95)
    found, means = [], []
    for scores in experts.values():
        theirs = np.asarray(scores, np.float64)
        one = compare(ours, theirs, rng)
        both = np.isfinite(ours) & np.isfinite(theirs)
        means.append([x[both].mean() if both.any() else math.nan for x in (ours, theirs)])
        found.append(
            one or Comparison(nothing, math.nan, math.nan, math.nan, 0, 0, 0, ours.size, True)
        )
    p_values = np.array([c.p_value for c in found])
    averages = np.array(means).reshape(-1, 2)
    return {
        "expert": np.array(list(experts), dtype=object),
        "n": np.array([c.n for c in found], np.int64),
        "model": averages[:, 0],
        "expert_score": averages[:, 1],
        "difference": np.array([c.difference.value for c in found]),
        "low": np.array([c.difference.ends[0] for c in found]),
        "high": np.array([c.difference.ends[1] for c in found]),
        "effect": np.array([c.effect for c in found]),
        "zeros": np.array([c.zeros for c in found], np.int64),
        "ties": np.array([c.ties for c in found], np.int64),
        "missing": np.array([c.missing for c in found], np.int64),
        "exact": np.array([c.exact for c in found], np.bool_),
        "p_value": p_values,
        "p_holm": _holm(p_values),
    }


def _exact_p(ranks: NDArray[np.float64], smaller: float) -> float:
    """Share of the 2^n sign patterns whose smaller rank sum is at most this one."""
    doubled = np.rint(2 * ranks).astype(np.int64)  # mean ranks of ties are halves
    share = np.zeros(int(doubled.sum()) + 1)
    share[0] = 1
    for rank in doubled:
        moved = np.zeros_like(share)
        moved[rank:] = share[: share.size - rank]
        share = (share + moved) / 2
    below = share[: round(2 * smaller) + 1].sum()
    return min(1.0, 2 * float(below))


def _holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down correction over the values that exist."""
    result = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known])]
    factors = np.arange(order.size, 0, -1)
    result[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    return result
