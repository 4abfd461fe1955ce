"""`Consensus`: hard and soft ground truth of one image, and how well each expert met it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.consensus.votes import Votes

_TIE = 1e-9
"""Probabilities that are nearer to each other are equal."""


@dataclass(frozen=True, eq=False)
class Consensus:
    """Ground truth estimated from several experts.

    Parameters
    ----------
    votes : patterns of votes; everything of a pixel is looked up by its pattern.
    weights : (patterns, classes) float64, probability of each class where experts vote so.
    confusion : (experts, classes, classes) float64, ``confusion[e, t, s]``: probability that
        expert e says s where t is true; NaN where t does not occur.
    iterations : of the EM algorithm, 0 for a vote.
    converged : whether the EM algorithm came to rest.
    undecided_value : what pixels get whose best classes are equally probable.
    """

    votes: Votes
    weights: NDArray[np.float64]
    confusion: NDArray[np.float64]
    iterations: int
    converged: bool
    undecided_value: int

    @property
    def n_classes(self) -> int:
        """Number of classes with the background."""
        return self.votes.n_classes

    @cached_property
    def disjoint(self) -> bool:
        """Whether several experts drew something, and no two of them the same in any pixel."""
        patterns = np.sort(self.votes.patterns, axis=1)
        shared = (patterns[:, 1:] == patterns[:, :-1]) & (patterns[:, 1:] > 0)
        drew = (self.votes.patterns > 0).any(axis=0)
        return int(drew.sum()) > 1 and not bool(shared.any())

    def without_winner(self) -> Consensus:
        """The same with all that anybody drew undecided: classes that were said are equal there.

        Of masks that share no pixel STAPLE mostly takes the largest for the truth, whole, since
        nothing tells who is right. Performances are NaN.
        """
        said = self.votes.shares() > 0
        equal = said / said.sum(axis=1, keepdims=True)
        confusion = np.full_like(self.confusion, np.nan)
        return replace(self, weights=equal, confusion=confusion)

    @cached_property
    def undecided_patterns(self) -> NDArray[np.bool_]:
        """Patterns whose best classes are equally probable."""
        second, first = np.sort(self.weights, axis=1)[:, -2:].T
        return np.asarray(first - second <= _TIE)

    @property
    def undecided(self) -> int:
        """Number of undecided pixels."""
        return int(self.votes.counts[self.undecided_patterns].sum())

    @cached_property
    def undecided_mask(self) -> NDArray[np.bool_]:
        """Undecided pixels, of the shape of the image."""
        return np.asarray(self.undecided_patterns[self.votes.rows])

    @cached_property
    def classes(self) -> NDArray[np.uint8]:
        """Hard ground truth: the most probable class of each pixel, of the shape of the image."""
        best = self.weights.argmax(axis=1).astype(np.uint8)
        best[self.undecided_patterns] = self.undecided_value
        return np.asarray(best[self.votes.rows])

    @cached_property
    def probability(self) -> NDArray[np.float32]:
        """Soft ground truth: probability of each class, (classes, …); sums to 1."""
        rows = self.votes.rows
        return np.stack([column.astype(np.float32)[rows] for column in self.weights.T])

    @cached_property
    def foreground(self) -> NDArray[np.float32]:
        """Probability that a pixel is not background, of the shape of the image."""
        inside = self.weights[:, 1:].sum(axis=1).astype(np.float32)
        return np.asarray(inside[self.votes.rows])

    @property
    def sensitivity(self) -> NDArray[np.float64]:
        """Probability that an expert finds what is there, (experts,); NaN where nothing is.

        Of several foreground classes the mean over those that occur.
        """
        return sensitivity_of(self.confusion)

    @property
    def specificity(self) -> NDArray[np.float64]:
        """Probability that an expert leaves background alone, (experts,); NaN without any."""
        return np.asarray(self.confusion[:, 0, 0])


def sensitivity_of(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """`Consensus.sensitivity` of confusion matrices (experts, classes, classes)."""
    right = np.diagonal(confusion, axis1=1, axis2=2)[:, 1:]
    known = np.isfinite(right)
    total = np.where(known, right, 0).sum(axis=1)
    n = known.sum(axis=1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def confusion_with(
    truth: NDArray[Any], masks: Sequence[NDArray[Any]], n_classes: int
) -> NDArray[np.float64]:
    """Share of the pixels of each true class that each expert gave to each class.

    Parameters
    ----------
    truth : image of classes 0 … n_classes - 1.
    masks : that of each expert, of the same shape.

    Returns
    -------
    confusion : (experts, true, said); NaN where a class does not occur.
    """
    code = truth.reshape(-1).astype(np.int64) * n_classes
    tables = [
        np.bincount(code + mask.reshape(-1), minlength=n_classes**2).reshape(n_classes, n_classes)
        for mask in masks
    ]
    table = np.stack(tables).astype(np.float64)
    total = table.sum(axis=2, keepdims=True)
    return np.where(total > 0, table / np.where(total > 0, total, 1), np.nan)
