"""An *estimate* of the score of images without truth, from their uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.uncertainty.quality import Reference

MINIMUM_REFERENCES = 10
"""Reference images with a U below which nothing is estimated."""

_BLOCK = 100


class ScoreEstimate(NamedTuple):
    """Estimated score of one image and its prediction interval, in [0, 1]; NaN if unknown.

    `extrapolated`: the image's U is outside the range of the reference.
    """

    value: float
    low: float
    high: float
    extrapolated: bool


class BatchEstimate(NamedTuple):
    """Estimated mean score of a batch and its interval, in [0, 1]; NaN if unknown.

    `n` images with a U carry it; `missing` have none and are not in it; `extrapolated` have a U
    outside the range of the reference, where the line was never tested.
    """

    value: float
    low: float
    high: float
    n: int
    missing: int
    extrapolated: int
    level: float


class _Lines(NamedTuple):
    """Lines score = height + slope · (U − centre), slope ≤ 0, one a row of weights."""

    height: NDArray[np.float64]
    slope: NDArray[np.float64]
    centre: float

    def at(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """(lines, u) scores, held in [0, 1]."""
        line = self.height[:, None] + self.slope[:, None] * (u - self.centre)
        return np.clip(line, 0, 1)


@dataclass(frozen=True)
class ExpectedScore:
    """Regression of the score on U over the reference images.

    A least-squares line that does not rise: with the ten to fifty images that people annotate, a
    more flexible curve would follow the noise. It goes on falling beyond the reference, where a
    step function would promise the worst known score to any image, however strange; and over the
    reference its mean is the mean score. The estimate holds for images like the reference; of
    others the intervals promise nothing, which is why callers ask for none of images that are
    unlike the training images (`delineate.uncertainty.novelty.NOVEL`).

    It is by the measure of the reference: of one made of single draws by the aleatoric part of an
    image, which alone can be compared with these. What members disagree about does not lower the
    estimate, while it does count for the verdict.

    Parameters
    ----------
    reference : images with truth that the model was not trained on. They chose its weights and
        thresholds all the same, so that scores of new images are somewhat lower than estimated.
    level : coverage of the intervals.
    """

    reference: Reference
    level: float = 0.9

    @property
    def reason(self) -> str:
        """Why there are no estimates; empty where there are."""
        n = len(self.reference.known()[0])
        if n >= MINIMUM_REFERENCES:
            return ""
        needed = f"an estimate needs at least {MINIMUM_REFERENCES}"
        known = "1 reference image has" if n == 1 else f"{n} reference images have"
        return f"{known} an uncertainty; {needed}"

    def estimate(self, uncertainty: float | None) -> ScoreEstimate:
        """Estimated score of an image with this U, with a prediction interval.

        The interval is the jackknife+ of Barber, Candès, Ramdas & Tibshirani 2021, Annals of
        Statistics 49:486: whatever the truth of the line, it covers the score of an image like
        the reference with a probability of at least 1 − 2(1 − level), and of about `level` in
        practice. Where the reference is too small for the level it is [0, 1].

        Parameters
        ----------
        uncertainty : U by the same measure as the reference; None or NaN gives NaN.
        """
        if self.reason or uncertainty is None or math.isnan(uncertainty):
            return ScoreEstimate(math.nan, math.nan, math.nan, False)
        u, _ = self.reference.known()
        here = np.array([float(uncertainty)])
        value = float(self._line.at(here)[0, 0])
        without = self._left_out.at(here)[:, 0]
        spread = np.abs(self._residuals)
        n = len(u)
        place = math.ceil(self.level * (n + 1) - 1e-9)
        if place > n:
            return ScoreEstimate(value, 0.0, 1.0, self._outside(here) > 0)
        low = np.sort(without - spread)[n - place]
        high = np.sort(without + spread)[place - 1]
        low, high = np.clip([min(low, value), max(high, value)], 0, 1)
        return ScoreEstimate(value, float(low), float(high), self._outside(here) > 0)

    def batch(
        self, uncertainties: ArrayLike, rng: np.random.Generator, n: int = 2000
    ) -> BatchEstimate:
        """Estimated mean score of a batch without truth.

        The interval is a bootstrap in which reference and batch are both drawn anew, and each
        image departs from the line as some reference image did that the line had not seen. It
        allows for other images of the batch's kind, so for the batch at hand it is wide.

        Parameters
        ----------
        uncertainties : (images,) U of the batch; NaN where nothing was found.
        rng : source of the resamples.
        n : number of resamples.
        """
        batch = np.asarray(uncertainties, np.float64).reshape(-1)
        known = batch[np.isfinite(batch)]
        missing = len(batch) - len(known)
        if self.reason or not len(known):
            nan = math.nan
            return BatchEstimate(nan, nan, nan, len(known), missing, 0, self.level)
        u, score = self.reference.known()
        value = float(self._line.at(known).mean())
        means = []
        for start in range(0, n, _BLOCK):
            size = min(_BLOCK, n - start)
            weights = rng.multinomial(len(u), np.full(len(u), 1 / len(u)), size)
            lines = _fit(u, score, weights)
            drawn = known[rng.integers(0, len(known), (size, len(known)))]
            line = lines.height[:, None] + lines.slope[:, None] * (drawn - lines.centre)
            departures = self._residuals[rng.integers(0, len(u), drawn.shape)]
            means.append((np.clip(line, 0, 1) + departures).mean(axis=1))
        tail = (1 - self.level) / 2
        low, high = np.clip(np.quantile(np.concatenate(means), [tail, 1 - tail]), 0, 1)
        return BatchEstimate(
            value,
            float(min(low, value)),
            float(max(high, value)),
            len(known),
            missing,
            self._outside(known),
            self.level,
        )

    @cached_property
    def _line(self) -> _Lines:
        u, score = self.reference.known()
        return _fit(u, score, np.ones((1, len(u))))

    @cached_property
    def _left_out(self) -> _Lines:
        """Lines of the reference without each of its images."""
        u, score = self.reference.known()
        return _fit(u, score, 1 - np.eye(len(u)))

    @cached_property
    def _residuals(self) -> NDArray[np.float64]:
        """Score of each reference image less what the line without it says."""
        u, score = self.reference.known()
        return np.asarray(score - np.diagonal(self._left_out.at(u)), np.float64)

    def _outside(self, u: NDArray[np.float64]) -> int:
        known, _ = self.reference.known()
        return int(((u < known.min()) | (u > known.max())).sum())


def _fit(u: NDArray[np.float64], score: NDArray[np.float64], weights: NDArray[np.number]) -> _Lines:
    """Weighted least-squares lines that do not rise, one a row of weights (lines, images)."""
    centre = float(u.mean())
    x = u - centre
    total = weights.sum(axis=1)
    mean_x, mean_s = weights @ x / total, weights @ score / total
    variance = weights @ (x * x) / total - mean_x**2
    covariance = weights @ (x * score) / total - mean_x * mean_s
    usable = variance > 1e-12 * max(float((x * x).max()), 1e-300)
    slope = np.divide(covariance, variance, out=np.zeros(len(total)), where=usable)
    slope = np.minimum(slope, 0)
    return _Lines(mean_s - slope * mean_x, slope, centre)
