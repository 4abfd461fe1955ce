"""Majority voting: every expert has one vote for each pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from delineate.consensus.estimate import Consensus
from delineate.consensus.votes import count_votes


def majority(
    masks: Sequence[ArrayLike], n_classes: int | None = None, undecided: int = 0
) -> Consensus:
    """The class that most experts gave to each pixel; the soft truth is the share of votes.

    The performance of the experts is their confusion with the decided pixels.

    Parameters
    ----------
    masks : one an expert, of one shape and any number of axes: bool, or integer with the classes
        0 (background) … n_classes - 1.
    n_classes : number of classes with the background; by default as many as occur.
    undecided : value of pixels for which several classes have the most votes.

    Raises
    ------
    LabelError : no mask, shapes that differ, or values that are no classes.

    Examples
    --------
    >>> majority([[0, 1, 2], [0, 1, 1]], undecided=255).classes
    array([  0,   1, 255], dtype=uint8)
    """
    votes = count_votes(masks, n_classes)
    shares = votes.shares()
    best = shares.argmax(axis=1)
    decided = (shares == shares.max(axis=1, keepdims=True)).sum(axis=1) == 1
    experts, n = votes.patterns.shape[1], votes.n_classes
    confusion = np.zeros((experts, n, n))
    for expert in range(experts):
        said = votes.patterns[decided, expert]
        np.add.at(confusion[expert], (best[decided], said), votes.counts[decided])
    total = confusion.sum(axis=2, keepdims=True)
    confusion = np.where(total > 0, confusion / np.where(total > 0, total, 1), np.nan)
    return Consensus(votes, shares, confusion, 0, True, undecided)
