"""Is an image unlike those that the model learned from? Distance in the network's features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import DataError, ModelError

Floats = NDArray[np.float64]

NOVEL = 3.0
"""Novelty, thrice the usual distance, above which an image is taken for unlike the training images:
what uncertainty meant on images like these says nothing of it. Between laboratories it was more
than 5, and of 85 unseen images of the same ones 83 had at most 2.9 (docs/measurements.md)."""

_ALONE = 100
"""Images up to which each is left out alone; more are left out in blocks."""
_BLOCKS = 10


class _Gaussian(NamedTuple):
    """Mean and shrunk covariance: `variances` along `axes`, and `rest` in all other directions."""

    mean: Floats
    axes: Floats
    variances: Floats
    rest: float

    def distance(self, features: Floats) -> Floats:
        offsets = features - self.mean
        along = offsets @ self.axes.T
        square = (along**2 / self.variances).sum(axis=1)
        if len(self.axes) < len(self.mean):
            beside = (offsets**2).sum(axis=1) - (along**2).sum(axis=1)
            square = square + np.maximum(beside, 0) / self.rest
        return np.asarray(np.sqrt(square), np.float64)


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Where the features of the training images lie, and how far unseen images are from it.

    Parameters
    ----------
    mean : (F,) mean feature.
    axes : (r, F) orthonormal directions in which the training images differ, r < n.
    variances : (r,) shrunk variance along each.
    rest : shrunk variance in every direction at right angles to the axes.
    reference : (m,) distances of images that the statistics they were held against did not use.
    n : images that the statistics are of.
    """

    mean: Floats
    axes: Floats
    variances: Floats
    rest: float
    reference: Floats
    n: int

    @property
    def typical(self) -> float:
        """Median of the reference distances."""
        return float(np.median(self.reference))

    def distance(self, features: ArrayLike) -> Floats:
        """Mahalanobis distance of each image's features (images, F) from the training images.

        Lee, Lee, Lee & Shin 2018, NeurIPS 31, equation 2, with one class.

        Raises
        ------
        ModelError : features of another number, or not finite.
        """
        rows = np.asarray(features, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.mean) or not np.isfinite(rows).all():
            raise ModelError(
                f"features of the shape {rows.shape}: expected (images, {len(self.mean)}) "
                "finite numbers; were they made by another network?"
            )
        return _Gaussian(self.mean, self.axes, self.variances, self.rest).distance(rows)

    def novelty(self, features: ArrayLike) -> Floats:
        """Distance of each image in units of the typical one: about 1 for images like the known."""
        return self.distance(features) / max(self.typical, 1e-12)

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, as safetensors stores them."""
        return {
            "mean": self.mean,
            "axes": self.axes,
            "variances": self.variances,
            "rest": np.array([self.rest]),
            "reference": self.reference,
            "n": np.array([self.n], np.int64),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, ArrayLike]) -> Self:
        """What `to_dict` made.

        Raises
        ------
        ModelError : an array is missing, or the shapes do not fit.
        """
        try:
            mean, axes, variances, rest, reference = (
                np.array(saved[name], np.float64)
                for name in ("mean", "axes", "variances", "rest", "reference")
            )
            n = int(np.asarray(saved["n"]).reshape(-1)[0])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ModelError(f"the saved feature statistics cannot be read: {error!r}") from error
        if axes.shape != (*variances.shape, *mean.shape) or rest.size != 1 or reference.ndim != 1:
            raise ModelError(
                f"the saved feature statistics have a mean of the shape {mean.shape}, axes "
                f"{axes.shape} and variances {variances.shape}; expected (F,), (r, F) and (r,)"
            )
        return cls(mean, axes, variances, float(rest.reshape(-1)[0]), reference, n)


def is_novel(novelty: float | None) -> bool:
    """Whether an image of this novelty is unlike the training images; unknown (None, NaN) is not.

    Examples
    --------
    >>> is_novel(12.0), is_novel(3.0), is_novel(None)
    (True, False, False)
    """
    return novelty is not None and not math.isnan(novelty) and novelty > NOVEL


def fit_features(features: ArrayLike, held_out: ArrayLike | None = None) -> FeatureStatistics:
    """Mean and covariance of the features of the training images, shrunk for small numbers.

    The covariance is that of Ledoit & Wolf 2004, Journal of Multivariate Analysis 88:365: a mean
    of the empirical one and a multiple of the identity, so that it can be inverted with fewer
    images than features. It is kept as its axes, which are fewer than images.

    The distance of an image to statistics that it is part of is far too small. The reference
    distances are therefore of `held_out` images or, without these, of each training image to the
    statistics of the others (in blocks of neighbours where there are more than 100).

    Parameters
    ----------
    features : (n, F), a row a training image, n ≥ 3.
    held_out : (m, F), images that the network was not trained on; best, as its features of
        training images are tuned to them.

    Raises
    ------
    DataError : fewer than three images, rows of another length, or numbers that are not finite.
    """
    rows = np.asarray(features, np.float64)
    if rows.ndim != 2 or len(rows) < 3 or not rows.shape[1] or not np.isfinite(rows).all():
        raise DataError(
            f"features of the shape {rows.shape}: expected finite numbers (images, features) of "
            "at least three images"
        )
    whole = _gaussian(rows)
    if held_out is None:
        blocks = np.array_split(np.arange(len(rows)), len(rows) if len(rows) <= _ALONE else _BLOCKS)
        reference = np.concatenate(
            [_gaussian(np.delete(rows, block, axis=0)).distance(rows[block]) for block in blocks]
        )
    else:
        others = np.asarray(held_out, np.float64)
        if others.shape[1:] != rows.shape[1:] or not len(others) or not np.isfinite(others).all():
            raise DataError(
                f"held-out features of the shape {others.shape}: expected finite numbers "
                f"(images, {rows.shape[1]}) of at least one image"
            )
        reference = whole.distance(others)
    return FeatureStatistics(*whole, reference, len(rows))


def ensemble_novelty(
    statistics: Sequence[FeatureStatistics], features: Sequence[ArrayLike]
) -> Floats:
    """Novelty of each image by an ensemble: mean over the members of `novelty`.

    Every member has features of its own, that mean nothing to another; in units of the typical
    distance they can be averaged.

    Parameters
    ----------
    statistics : of each member.
    features : (images, F) of each member.

    Raises
    ------
    ValueError : there are no members, or not as many features as statistics.
    """
    if not statistics or len(statistics) != len(features):
        raise ValueError(
            f"{len(statistics)} statistics and features of {len(features)} members: "
            "expected as many, and at least one"
        )
    members = [s.novelty(f) for s, f in zip(statistics, features, strict=True)]
    return np.asarray(np.mean(members, axis=0), np.float64)


def _gaussian(rows: Floats) -> _Gaussian:
    mean = rows.mean(axis=0)
    centred = rows - mean
    n, size = rows.shape
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    values = singular**2 / n
    average = float(values.sum()) / size
    shrinkage = _shrinkage(centred, values)
    # Differences that are but rounding of single precision must not become huge distances.
    floor = max(1e-10 * float((mean**2).mean()), 1e-30)
    rest = max(shrinkage * average, floor)
    kept = values > 1e-12 * max(float(values.max(initial=0)), 1e-300)
    variances = np.maximum((1 - shrinkage) * values[kept] + shrinkage * average, floor)
    return _Gaussian(mean, axes[kept], variances, rest)


def _shrinkage(centred: Floats, values: Floats) -> float:
    """Share of the identity (Ledoit & Wolf 2004, section 3.3), from the eigenvalues."""
    n, size = centred.shape
    square = float((values**2).sum())
    from_identity = square - float(values.sum()) ** 2 / size
    if not from_identity > 0:
        return 0.0
    noise = (float(((centred**2).sum(axis=1) ** 2).sum()) / n - square) / n
    return min(max(noise / from_identity, 0.0), 1.0)
