"""Do stated probabilities come true? Reliability of pixels and of objects, and ECE."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import ModelError
from delineate.uncertainty._slabs import slabs


@dataclass(frozen=True, eq=False)
class Reliability:
    """Cases by stated confidence, in bins of equal width over [0, 1]; images add up with ``+``.

    Parameters
    ----------
    count : (bins,) int64, cases whose confidence is in the bin (lower edge excluded, upper
        included; 0 is in the first).
    confidence_sum : (bins,) float64, sum of their confidences.
    correct : (bins,) int64, those that were right.
    """

    count: NDArray[np.int64]
    confidence_sum: NDArray[np.float64]
    correct: NDArray[np.int64]

    def __add__(self, other: Reliability) -> Reliability:
        if len(self.count) != len(other.count):
            raise ValueError(f"{len(self.count)} and {len(other.count)} bins cannot be added")
        return Reliability(
            self.count + other.count,
            self.confidence_sum + other.confidence_sum,
            self.correct + other.correct,
        )

    @property
    def n(self) -> int:
        """Number of cases."""
        return int(self.count.sum())

    @property
    def edges(self) -> NDArray[np.float64]:
        """Edges of the bins, one more than bins."""
        return np.linspace(0, 1, len(self.count) + 1)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Mean confidence of each bin; NaN where it is empty."""
        return _divide(self.confidence_sum, self.count)

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Share of each bin that was right; NaN where it is empty."""
        return _divide(self.correct, self.count)

    @property
    def ece(self) -> float:
        """Expected calibration error: mean gap of confidence and accuracy; NaN without cases.

        Naeini, Cooper & Hauskrecht 2015; Guo, Pleiss, Sun & Weinberger 2017, equation 3.
        """
        gaps = np.abs(self.confidence_sum - self.correct)
        return float(gaps.sum() / self.n) if self.n else math.nan

    def to_dict(self) -> dict[str, list[float]]:
        """Plain lists for YAML and JSON."""
        return {
            "count": self.count.tolist(),
            "confidence_sum": self.confidence_sum.tolist(),
            "correct": self.correct.tolist(),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `to_dict` made.

        Raises
        ------
        ModelError : an entry is missing, or they have different lengths.
        """
        try:
            count = np.array(saved["count"], np.int64)
            sums = np.array(saved["confidence_sum"], np.float64)
            correct = np.array(saved["correct"], np.int64)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the saved reliability cannot be read: {error!r}") from error
        if count.ndim != 1 or not count.shape == sums.shape == correct.shape:
            raise ModelError(
                f"the saved reliability has columns of the shapes {count.shape}, {sums.shape} and "
                f"{correct.shape}; expected three lists of one length"
            )
        return cls(count, sums, correct)


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> Reliability:
    """Count how often cases that were stated with some confidence were right.

    Objects: their probability, and whether each was matched to a true one. The foreground of
    pixels: its probability, and whether the pixel is foreground in the truth.

    Parameters
    ----------
    confidence : in [0, 1], any shape.
    correct : bool or 0 and 1, of the same shape.
    bins : number of bins of equal width (Guo et al. 2017 use 15).

    Raises
    ------
    ValueError : shapes differ, a confidence is outside [0, 1] or NaN, or there are no bins.
    """
    stated, right = np.asarray(confidence), np.asarray(correct)
    if stated.shape != right.shape or bins < 1:
        raise ValueError(
            f"confidences of the shape {stated.shape}, truth {right.shape} and {bins} bins: "
            "expected equal shapes and at least one bin"
        )
    total = _nothing(bins)
    for slab in slabs(stated.shape):
        total += _binned(stated[slab].astype(np.float64), right[slab] != 0, bins)
    return total


def pixel_reliability(
    probabilities: ArrayLike, truth: ArrayLike, ignore: int | None = None, bins: int = 15
) -> Reliability:
    """Reliability of the most probable class of each pixel (Guo et al. 2017, section 2).

    Where background fills most of an image it decides this number; look at the foreground too
    (see `reliability`).

    Parameters
    ----------
    probabilities : (K, spatial axes), mean class probabilities.
    truth : (spatial axes), class of each pixel, 0 background.
    ignore : pixels of this class in the truth do not count.
    bins : number of bins.

    Raises
    ------
    ValueError : shapes do not fit, or a probability is outside [0, 1].
    """
    p, classes = np.asarray(probabilities), np.asarray(truth)
    check_pixels(p, classes)
    total = _nothing(bins)
    for slab in slabs(classes.shape):
        piece, here = p[(slice(None), *slab)], classes[slab]
        confidence = piece.max(axis=0).astype(np.float64)
        correct = piece.argmax(axis=0) == here
        if ignore is not None:
            confidence, correct = confidence[here != ignore], correct[here != ignore]
        total += _binned(confidence, correct, bins)
    return total


def check_pixels(probabilities: NDArray[Any], classes: NDArray[Any]) -> None:
    """Raise `ValueError` unless these are (K, spatial axes) and (spatial axes)."""
    if probabilities.ndim < 1 or probabilities.shape[1:] != classes.shape:
        raise ValueError(
            f"probabilities of the shape {probabilities.shape} and classes of {classes.shape}: "
            "expected (K, spatial axes) and the same spatial axes"
        )


def _nothing(bins: int) -> Reliability:
    return Reliability(np.zeros(bins, np.int64), np.zeros(bins), np.zeros(bins, np.int64))


def _binned(confidence: NDArray[Any], correct: NDArray[Any], bins: int) -> Reliability:
    stated, right = confidence.reshape(-1), correct.reshape(-1)
    # Averages in single precision may be a rounding above 1.
    if stated.size and not (stated.min() >= -1e-5 and stated.max() <= 1 + 1e-5):
        raise ValueError(
            f"confidences from {stated.min()} to {stated.max()}: expected them in [0, 1]"
        )
    index = np.clip(np.ceil(stated * bins).astype(np.intp) - 1, 0, bins - 1)
    return Reliability(
        np.bincount(index, minlength=bins).astype(np.int64),
        np.bincount(index, weights=stated, minlength=bins).astype(np.float64),
        np.bincount(index[right], minlength=bins).astype(np.int64),
    )


def _divide(sums: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
