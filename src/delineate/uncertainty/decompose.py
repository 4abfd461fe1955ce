"""Split the spread of draws into what data and what the model leave open, from running sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import ModelError
from delineate.uncertainty._slabs import slabs

LIMIT = 0.25
"""No variance of a class probability is larger: the fixed range of all maps is [0, 0.25]."""

_TOLERANCE = 1e-3
"""Sums below zero by more than this are no rounding: the draws are no probabilities."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Uncertainty of every pixel of an image: float32 images over the spatial axes.

    Parameters
    ----------
    aleatoric : variance that each draw expects of the truth: better images help. Of class
        probabilities it is in [0, 0.25].
    epistemic : variance of the draws about their mean: more labels help.
    entropy : predictive entropy −Σ p̄ ln p̄, nats, in [0, ln K]; None where there are no classes.
    mutual_information : entropy less the mean entropy of the draws, nats (BALD; Houlsby et al.
        2011, arXiv:1112.5745); None where there are no classes.
    limit : no sum of the two variances is larger.
    """

    aleatoric: NDArray[np.float32]
    epistemic: NDArray[np.float32]
    entropy: NDArray[np.float32] | None = None
    mutual_information: NDArray[np.float32] | None = None
    limit: float = LIMIT

    @property
    def predictive(self) -> NDArray[np.float32]:
        """Aleatoric plus epistemic; of class probabilities the mean over classes of p̄(1 − p̄)."""
        return np.minimum(self.aleatoric + self.epistemic, np.float32(self.limit))

    def fields(self) -> dict[str, NDArray[np.float32]]:
        """The images that there are, by name."""
        names = ("aleatoric", "epistemic", "entropy", "mutual_information")
        return {n: v for n in names if (v := getattr(self, n)) is not None}

    def scaled(self, factor: float) -> Spread:
        """Both variances times a factor, for other units; there are no entropies of images."""
        limit = self.limit * factor
        return Spread(
            self.aleatoric * np.float32(factor), self.epistemic * np.float32(factor), limit=limit
        )

    def first(self) -> Spread:
        """That of the first image of a batch."""
        return self._with({n: v[0] for n, v in self.fields().items()})

    def _with(self, fields: Mapping[str, NDArray[np.float32]]) -> Spread:
        return Spread(
            fields["aleatoric"],
            fields["epistemic"],
            fields.get("entropy"),
            fields.get("mutual_information"),
            self.limit,
        )

    def enlarged(self, shape: tuple[int, ...]) -> Spread:
        """Room for an image of another shape; what is 0 everywhere takes no memory."""
        zero = np.broadcast_to(np.float32(0), shape)
        return self._with(
            {
                n: zero if v.size and not any(v.strides) else np.empty(shape, np.float32)
                for n, v in self.fields().items()
            }
        )

    def put(self, where: slice, part: Spread) -> None:
        """Set a piece along the first axis."""
        own = part.fields()
        for name, values in self.fields().items():
            if values.flags.writeable:
                values[where] = own[name]

    @staticmethod
    def stacked(parts: Sequence[Spread]) -> Spread:
        """Several images as one, along a new first axis."""
        fields = [part.fields() for part in parts]
        return parts[0]._with({n: np.stack([f[n] for f in fields]) for n in fields[0]})


def decompose(mean: ArrayLike, squares: ArrayLike, entropies: ArrayLike) -> Spread:
    """Aleatoric and epistemic uncertainty, entropy and mutual information of each pixel.

    Kwon, Won, Kim & Paik 2020, Computational Statistics & Data Analysis 142:106816, averaged over
    the K classes; Griebel et al. (deepflash2), equations 3 and 4, whose two terms are misprinted.
    With S the mean over the draws of Σ_k p², and probabilities that add up to one,

    - aleatoric = mean over draws and classes of p(1 − p) = (1 − S) / K,
    - epistemic = mean over draws and classes of (p − p̄)² = (S − Σ_k p̄²) / K,

    so that their sum is the mean over the classes of p̄(1 − p̄). What rounding makes negative
    is zero. Pieces of the image are computed one after another.

    Parameters
    ----------
    mean : (K, spatial axes), mean class probabilities p̄, K ≥ 2.
    squares : (spatial axes), mean over the draws of Σ_k p².
    entropies : (spatial axes), mean over the draws of the entropy in nats.

    Raises
    ------
    ValueError : fewer than two classes, or shapes that do not fit.
    ModelError : the sums are not of probabilities that add up to one, or are not finite.
    """
    from scipy.special import entr

    p_mean, s, h = np.asarray(mean), np.asarray(squares), np.asarray(entropies)
    if p_mean.ndim < 1 or p_mean.shape[0] < 2 or not p_mean.shape[1:] == s.shape == h.shape:
        raise ValueError(
            f"mean probabilities of the shape {p_mean.shape}, squares {s.shape} and entropies "
            f"{h.shape}: expected (K, spatial axes) with K >= 2, and twice the spatial axes"
        )
    classes = p_mean.shape[0]
    largest = 1 - 1 / classes
    aleatoric, epistemic, entropy, information = (np.empty(s.shape, np.float32) for _ in range(4))
    for slab in slabs(s.shape):
        p = p_mean[(slice(None), *slab)].astype(np.float64)
        inner = s[slab].astype(np.float64)
        square = (p * p).sum(axis=0)
        between, total = inner - square, 1 - square
        entropy_of_mean = entr(np.clip(p, 0, 1)).sum(axis=0)
        gain = entropy_of_mean - h[slab]
        _check_sums(p.sum(axis=0), 1 - inner, between, gain)
        total = np.clip(total, 0, largest)
        between = np.clip(between, 0, total)
        epistemic[slab] = between / classes
        aleatoric[slab] = (total - between) / classes
        entropy[slab] = entropy_of_mean
        information[slab] = np.clip(gain, 0, entropy_of_mean)
    return Spread(aleatoric, epistemic, entropy, information)


def _check_sums(totals: NDArray[Any], *parts: NDArray[Any]) -> None:
    """Raise unless probabilities add up to one and no part is negative beyond rounding."""
    if totals.size == 0:
        return
    off = float(np.abs(totals - 1).max())
    low = min(float(part.min()) for part in parts)
    # Written so that NaN fails as well.
    if not (off <= _TOLERANCE and low >= -_TOLERANCE):
        raise ModelError(
            "the network's outputs are not class probabilities: they add up to 1 only within "
            f"{off:.3g}, and a variance or mutual information is {low:.3g}; expected at most "
            f"{_TOLERANCE} and at least 0. If the network gives NaN, try --precision fp32"
        )


def energy(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float32]:
    """Energy −T ln Σ_k exp(z_k / T) of each pixel: high where the network knows no class.

    Liu, Wang, Owens & Li 2020, NeurIPS 33, equation 4. It needs logits: probabilities have lost
    the constant that it measures.

    Parameters
    ----------
    logits : (K, spatial axes), before the softmax.
    temperature : T > 0.

    Returns
    -------
    float32 array over the spatial axes.

    Raises
    ------
    ValueError : `temperature` is not positive, or there are no classes.
    """
    from scipy.special import logsumexp

    z = np.asarray(logits)
    if not temperature > 0 or z.ndim < 1 or z.shape[0] < 1:
        raise ValueError(
            f"temperature {temperature} and logits of the shape {z.shape}: "
            "expected a positive temperature and (K, spatial axes)"
        )
    result = np.empty(z.shape[1:], np.float32)
    for slab in slabs(result.shape):
        piece = z[(slice(None), *slab)].astype(np.float64)
        result[slab] = -temperature * logsumexp(piece / temperature, axis=0)
    return result
