"""Boundary F: how much of each boundary lies near the other one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.metrics._check import check_pair


class BoundaryCounts(NamedTuple):
    """Boundary pixels of truth and prediction, and how many of each lie near the other's."""

    near_truth: int
    n_truth: int
    near_pred: int
    n_pred: int


def boundary_f(
    truth: ArrayLike,
    pred: ArrayLike,
    tolerance: float = 2.0,
    spacing: Sequence[float] | None = None,
) -> float:
    """F measure of boundaries (Martin et al. 2004, IEEE PAMI 26:530; Csurka et al. 2013, BMVC).

    Precision is the share of the prediction's boundary pixels with one of the truth's within
    `tolerance`, recall the reverse; F = 2PR / (P + R). Boundary pixels are object pixels that
    share a face with another object or the background. No boundary at all in both is 1.

    Parameters
    ----------
    truth, pred : integer arrays of one shape, any number of axes; 0 is background.
    tolerance : largest distance between the centres of two pixels, in the unit of `spacing`.
    spacing : size of a pixel along each axis; 1 by default, so that the tolerance is in pixels.

    Raises
    ------
    LabelError : a type is not integer, a number is negative, or the shapes differ.
    ValueError : the tolerance is negative, or `spacing` is not one positive number an axis.
    """
    return boundary_f_of(np.array(boundary_counts(truth, pred, tolerance, spacing), np.float64))


def boundary_counts(
    truth: ArrayLike,
    pred: ArrayLike,
    tolerance: float = 2.0,
    spacing: Sequence[float] | None = None,
) -> BoundaryCounts:
    """The numbers that `boundary_f` is made of; they add up over images."""
    from delineate.metrics._kernels import count_near

    images = check_pair(truth, pred)
    ndim = images[0].ndim
    steps = np.ones(ndim) if spacing is None else np.asarray(spacing, np.float64)
    if tolerance < 0 or steps.shape != (ndim,) or not (steps > 0).all():
        raise ValueError(
            f"tolerance {tolerance} and spacing {spacing} are not usable: expected a tolerance "
            f">= 0 and {ndim} positive numbers"
        )
    reach = np.floor(tolerance / steps).astype(int)
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), -1)
    offsets = offsets.reshape(-1, ndim)
    distance = np.sqrt(((offsets * steps) ** 2).sum(axis=1))
    near = np.argsort(distance, kind="stable")[: int((distance <= tolerance).sum())]
    masks = [np.pad(_boundary(image), [(r, r) for r in reach]) for image in images]
    padded = masks[0].shape
    strides = np.array([math.prod(padded[axis + 1 :]) for axis in range(ndim)], np.int64)
    flat = offsets[near] @ strides
    points = [np.flatnonzero(mask) for mask in masks]
    return BoundaryCounts(
        int(count_near(points[0], masks[1].reshape(-1), flat)),
        points[0].size,
        int(count_near(points[1], masks[0].reshape(-1), flat)),
        points[1].size,
    )


def boundary_f_of(counts: NDArray[np.float64]) -> Any:
    """F from (…, 4) sums of `BoundaryCounts`; 1 where there is no boundary at all."""
    near_truth, n_truth, near_pred, n_pred = np.moveaxis(counts, -1, 0)
    recall = near_truth / np.maximum(n_truth, 1)
    precision = near_pred / np.maximum(n_pred, 1)
    both = precision + recall
    f = 2 * precision * recall / np.where(both > 0, both, 1)
    f = np.where(n_truth + n_pred > 0, f, 1.0)
    return float(f) if f.ndim == 0 else f


def _boundary(labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Object pixels that share a face with a pixel of another number."""
    mask = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        moved, out = np.moveaxis(labels, axis, 0), np.moveaxis(mask, axis, 0)
        differs = moved[1:] != moved[:-1]
        out[1:] |= differs
        out[:-1] |= differs
    return mask & (labels != 0)
