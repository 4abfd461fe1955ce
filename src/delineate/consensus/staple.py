"""STAPLE: ground truth and the experts' performance, estimated together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from delineate.consensus.em import TOLERANCE, fit_binary, fit_classes
from delineate.consensus.estimate import Consensus
from delineate.consensus.votes import count_votes


def staple(
    masks: Sequence[ArrayLike],
    n_classes: int | None = None,
    undecided: int = 0,
    tolerance: float = TOLERANCE,
    max_iterations: int = 10_000,
) -> Consensus:
    """Simultaneous truth and performance level estimation (Warfield et al. 2004, IEEE TMI 23:903).

    Two classes are estimated as by ITK's STAPLEImageFilter, more as by its
    MultiLabelSTAPLEImageFilter, with their initial values and priors; the iterations cost
    patterns of votes × experts, whatever the size of the image.

    Parameters
    ----------
    masks : one an expert, of one shape and any number of axes: bool, or integer with the classes
        0 (background) … n_classes - 1.
    n_classes : number of classes with the background; by default as many as occur.
    undecided : value of pixels whose best classes are equally probable.
    tolerance : largest change of a performance in the last iteration.
    max_iterations : after which `Consensus.converged` is false.

    Raises
    ------
    LabelError : no mask, shapes that differ, or values that are no classes.

    Examples
    --------
    >>> staple([[0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]]).classes
    array([0, 1, 1, 0], dtype=uint8)
    """
    votes = count_votes(masks, n_classes)
    if votes.n_classes > 2:
        fit = fit_classes(votes, tolerance, max_iterations)
        return Consensus(
            votes, fit.weights, fit.confusion, fit.iterations, fit.converged, undecided
        )
    said = votes.patterns > 0
    binary = fit_binary(
        said,
        votes.counts,
        np.zeros(1, np.int64),
        np.ones((1, said.shape[1]), bool),
        tolerance,
        max_iterations,
    )
    p, q = binary.sensitivity[0], binary.specificity[0]
    confusion = np.stack([np.stack([q, 1 - q], axis=1), np.stack([1 - p, p], axis=1)], axis=1)
    weights = np.stack([1 - binary.weights, binary.weights], axis=1)
    return Consensus(
        votes, weights, confusion, int(binary.iterations[0]), bool(binary.converged[0]), undecided
    )
