"""The EM algorithm of STAPLE on patterns of votes: binary, of many images at once; multi-class."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.consensus.votes import Votes

Floats = NDArray[np.float64]

TOLERANCE = 1e-7
"""Largest change of a performance in the last iteration, as in ITK's STAPLEImageFilter.

Its MultiLabelSTAPLEImageFilter stops at 1e-5, with performances good to four or five digits."""


class BinaryFit(NamedTuple):
    """Probability of the foreground for each row, and performance (problems, experts)."""

    weights: Floats
    sensitivity: Floats
    specificity: Floats
    iterations: NDArray[np.int64]
    converged: NDArray[np.bool_]


class ClassesFit(NamedTuple):
    """Probability of each class for each pattern, and confusion (experts, true, said)."""

    weights: Floats
    confusion: Floats
    iterations: int
    converged: bool


def fit_binary(
    votes: NDArray[np.bool_],
    counts: NDArray[np.integer],
    starts: NDArray[np.int64],
    voters: NDArray[np.bool_],
    tolerance: float = TOLERANCE,
    max_iterations: int = 10_000,
) -> BinaryFit:
    """Binary STAPLE (Warfield, Zou & Wells 2004, IEEE TMI 23:903, eq. 10–19) of many problems.

    Starts from the share of votes; the prior of the foreground is the mean of these shares.

    Parameters
    ----------
    votes : (rows, experts), what the experts say in each pattern; the rows of a problem follow
        each other.
    counts : (rows,) number of pixels of each row, positive.
    starts : (problems,) first row of each problem, ascending from 0.
    voters : (problems, experts), who votes at all; each problem has a voter.
    tolerance : a problem is solved when no sensitivity and specificity changes by more.
    max_iterations : when to give up.

    Returns
    -------
    fit : NaN where a problem has no foreground (sensitivity) or background (specificity), and
        for experts who do not vote.
    """
    rows, groups = len(counts), len(starts)
    ends = np.append(starts[1:], rows)
    group = np.repeat(np.arange(groups), ends - starts)
    n = counts.astype(np.float64)
    said = (votes & voters[group]).astype(np.float64)
    weights = said.sum(axis=1) / voters.sum(axis=1)[group]
    pixels = np.add.reduceat(n, starts)
    prior = np.add.reduceat(weights * n, starts) / pixels
    sensitivity = np.full(voters.shape, np.nan)
    specificity = np.full(voters.shape, np.nan)
    iterations, converged = np.zeros(groups, np.int64), np.zeros(groups, bool)
    open_groups = np.arange(groups)
    for number in range(1, max_iterations + 1):
        # Problems that are solved leave, so that one slow problem does not hold up the others.
        mine = np.isin(group, open_groups) if open_groups.size < groups else slice(None)
        step = _binary_step(
            said[mine], n[mine], weights[mine], group[mine], voters[open_groups], prior[open_groups]
        )
        new_weights, new_sensitivity, new_specificity = step
        weights[mine] = new_weights
        change = np.maximum(
            _change(new_sensitivity, sensitivity[open_groups]),
            _change(new_specificity, specificity[open_groups]),
        )
        sensitivity[open_groups], specificity[open_groups] = new_sensitivity, new_specificity
        iterations[open_groups] = number
        if number > 1:
            solved = change <= tolerance
            converged[open_groups[solved]] = True
            open_groups = open_groups[~solved]
            if open_groups.size == 0:
                break
    return BinaryFit(weights, sensitivity, specificity, iterations, converged)


def _binary_step(
    said: Floats,
    n: Floats,
    weights: Floats,
    group: NDArray[np.int64],
    voters: NDArray[np.bool_],
    prior: Floats,
) -> tuple[Floats, Floats, Floats]:
    """One M step and one E step: weights of the rows, sensitivity and specificity."""
    first = np.flatnonzero(np.diff(group, prepend=-1))
    place = np.cumsum(np.diff(group, prepend=group[0]) != 0)
    inside, outside = weights * n, (1 - weights) * n
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        total = np.add.reduceat(inside, first)[:, None], np.add.reduceat(outside, first)[:, None]
        hit = np.add.reduceat(inside[:, None] * said, first) / total[0]
        miss = np.add.reduceat(inside[:, None] * (1 - said), first) / total[0]
        wrong = np.add.reduceat(outside[:, None] * said, first) / total[1]
        right = np.add.reduceat(outside[:, None] * (1 - said), first) / total[1]
        yes = said > 0
        # NaN is where a problem lacks a class; its prior of 0 decides there.
        logs = [np.where(voters & ~np.isnan(p), np.log(p), 0.0) for p in (hit, miss, wrong, right)]
        alpha = np.where(yes, logs[0][place], logs[1][place]).sum(axis=1) + np.log(prior)[place]
        beta = np.where(yes, logs[2][place], logs[3][place]).sum(axis=1) + np.log1p(-prior)[place]
        new = 1 / (1 + np.exp(beta - alpha))
    new = np.where(np.isnan(new), weights, new)
    return new, np.where(voters, hit, np.nan), np.where(voters, right, np.nan)


def _change(new: Floats, old: Floats) -> Floats:
    """Largest change of each row, where there is a number."""
    return np.nan_to_num(np.abs(new - old), nan=0.0).max(axis=1)


def fit_classes(
    votes: Votes, tolerance: float = TOLERANCE, max_iterations: int = 10_000
) -> ClassesFit:
    """STAPLE of several classes (Warfield et al. 2004, section II-D; Rohlfing et al. 2004).

    Starts, as ITK's filter does, from the confusion of each expert with the majority vote,
    normalised over what was voted; a tied vote counts for each of its classes with an equal
    share. Priors are the shares of the classes in all votes.

    T. Rohlfing, D. B. Russakoff & C. R. Maurer, IEEE TMI 23:983, 2004.
    """
    n = votes.counts.astype(np.float64)
    classes = np.arange(votes.n_classes)
    said = (votes.patterns.T[:, None, :] == classes[:, None]).astype(np.float64)  # (E, said, P)
    shares = votes.shares()
    prior = n @ shares / n.sum()
    best = shares == shares.max(axis=1, keepdims=True)
    share = best / best.sum(axis=1, keepdims=True)
    table = (said * n) @ share  # (E, said, true)
    confusion = _normalised(table, axis=2)
    weights, converged, iterations = share, False, 0
    experts = np.arange(votes.patterns.shape[1])
    with np.errstate(divide="ignore"):
        log_prior = np.log(prior)
        while not converged and iterations < max_iterations:
            iterations += 1
            weights = _class_weights(log_prior, np.log(confusion), votes, experts)
            updated = _normalised((said * n) @ weights, axis=1)
            change = float(np.abs(updated - confusion).max())
            confusion = updated
            converged = change < tolerance
        weights = _class_weights(log_prior, np.log(confusion), votes, experts)
    total = weights.sum(axis=1, keepdims=True)
    weights = np.where(total > 0, weights, shares)  # votes that no class explains
    confusion = np.swapaxes(confusion, 1, 2)
    confusion[confusion.sum(axis=2) == 0] = np.nan
    return ClassesFit(weights, confusion, iterations, converged)


def _class_weights(
    log_prior: Floats, log_confusion: Floats, votes: Votes, experts: NDArray[np.int64]
) -> Floats:
    """E step: probability of each class for each pattern; all 0 where no class explains it."""
    logs = log_prior + log_confusion[experts, votes.patterns].sum(axis=1)
    top = logs.max(axis=1, keepdims=True)
    raw = np.exp(logs - np.where(np.isfinite(top), top, 0))
    total = raw.sum(axis=1, keepdims=True)
    return np.asarray(raw / np.where(total > 0, total, 1))


def _normalised(table: Floats, axis: int) -> Floats:
    """The table with sums of 1 along an axis; rows without anything stay 0."""
    total = table.sum(axis=axis, keepdims=True)
    return np.asarray(table / np.where(total > 0, total, 1))
