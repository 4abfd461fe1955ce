"""Bootstrap intervals over images: for means, and for scores pooled from sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCK = 200

Statistic = Callable[[NDArray[np.float64]], Any]


class Interval(NamedTuple):
    """A score over `n` images and the interval [`low`, `high`] that holds it at `level`.

    One image says nothing about the spread: its interval is the value itself, and tables and texts
    leave it empty.
    """

    value: float
    low: float
    high: float
    n: int
    level: float

    @property
    def ends(self) -> tuple[float, float]:
        """`low` and `high` for a table: NaN of one image."""
        return (self.low, self.high) if self.n > 1 else (math.nan, math.nan)

    def bounds(self, form: str = ".3f") -> str:
        """`low` and `high` as text, such as ``"[0.512, 0.634]"``; empty of one image."""
        return bracketed(*self.ends, form)


def bracketed(low: float, high: float, form: str = ".3f") -> str:
    """The ends of an interval as text; empty where they are NaN."""
    return "" if math.isnan(low) or math.isnan(high) else f"[{low:{form}}, {high:{form}}]"


def bootstrap_interval(
    values: ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
    n: int = 2000,
    statistic: Statistic | None = None,
) -> Interval:
    """Percentile interval of a mean or of a pooled score, resampling whole images.

    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13. Objects of an image
    resemble each other, so images and not objects are drawn.

    Parameters
    ----------
    values : (images,) values to average, or (images, k) numbers that add up over images.
    rng : source of the resamples.
    level : probability that the interval is to cover, in (0, 1).
    n : number of resamples.
    statistic : makes a score (…) of sums (…, k) over the images of a sample, such as
        ``lambda s: s[..., 0] / s[..., 1]``; by default the mean of (images,) values.

    Raises
    ------
    ValueError : there are no images, `level` is outside (0, 1), or k numbers lack a statistic.
    """
    table = np.asarray(values, np.float64)
    if table.size == 0 or not 0 < level < 1:
        raise ValueError(f"{len(table)} images and level {level}: expected some, and 0 < level < 1")
    if statistic is None and table.ndim != 1:
        raise ValueError(f"values of the shape {table.shape} need a statistic; expected (images,)")
    images = len(table)
    columns = table.reshape(images, -1)
    score = statistic or (lambda sums: sums[..., 0] / images)
    chances = np.full(images, 1 / images)
    drawn = [
        score(rng.multinomial(images, chances, size=min(_BLOCK, n - start)) @ columns)
        for start in range(0, n, _BLOCK)
    ]
    low, high = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2])
    value = float(table.mean()) if statistic is None else float(score(columns.sum(axis=0)))
    return Interval(value, float(low), float(high), images, level)
