"""Overlap of two label images: which objects share how many pixels, by counting pairs."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.metrics._check import check_pair

_CHUNK = 1 << 22


class Overlaps(NamedTuple):
    """Objects of two label images and the pairs of them that share pixels.

    `truth_ids`, `pred_ids` (uint64, ascending) and `truth_sizes`, `pred_sizes` (int64, pixels)
    describe the objects; pair k is object ``truth_index[k]`` of the truth and ``pred_index[k]``
    of the prediction with ``counts[k]`` common pixels. Pairs are sorted, and never empty.
    """

    truth_ids: NDArray[np.uint64]
    pred_ids: NDArray[np.uint64]
    truth_sizes: NDArray[np.int64]
    pred_sizes: NDArray[np.int64]
    truth_index: NDArray[np.int64]
    pred_index: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def ious(self) -> NDArray[np.float64]:
        """Intersection over union of each pair."""
        union = self.truth_sizes[self.truth_index] + self.pred_sizes[self.pred_index] - self.counts
        return cast(NDArray[np.float64], self.counts / union)


def overlap_table(truth: ArrayLike, pred: ArrayLike, min_size: int = 0) -> Overlaps:
    """Count the common pixels of the objects of two label images.

    One pass over the pixels into a hash table of pairs: time grows with the pixels, memory with
    the number of touching pairs, and ids may have gaps and be as large as their type holds.

    Parameters
    ----------
    truth, pred : integer arrays of one shape, any number of axes; 0 is background.
    min_size : objects of fewer pixels are taken for background, in truth and prediction alike.

    Raises
    ------
    LabelError : a type is not integer, a number is negative, or the shapes differ.
    """
    a, b, counts = _pairs(*check_pair(truth, pred))
    truth_ids, truth_index = np.unique(a, return_inverse=True)
    pred_ids, pred_index = np.unique(b, return_inverse=True)
    truth_sizes = _sums(truth_index, counts, truth_ids.size)
    pred_sizes = _sums(pred_index, counts, pred_ids.size)
    keep_truth = (truth_ids != 0) & (truth_sizes >= min_size)
    keep_pred = (pred_ids != 0) & (pred_sizes >= min_size)
    kept = keep_truth[truth_index] & keep_pred[pred_index]
    truth_index = (np.cumsum(keep_truth) - 1)[truth_index[kept]]
    pred_index = (np.cumsum(keep_pred) - 1)[pred_index[kept]]
    order = np.lexsort((pred_index, truth_index))
    return Overlaps(
        truth_ids[keep_truth],
        pred_ids[keep_pred],
        truth_sizes[keep_truth],
        pred_sizes[keep_pred],
        truth_index[order],
        pred_index[order],
        counts[kept][order],
    )


def _pairs(
    truth: NDArray[np.integer[Any]], pred: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
    """Distinct pairs of values and how often each occurs, without (0, 0)."""
    from delineate.metrics._kernels import PairCounts, count_pairs

    flat_truth, flat_pred = truth.reshape(-1), pred.reshape(-1)
    places = 1 << 12
    table: PairCounts = (
        np.zeros(places, np.uint64),
        np.zeros(places, np.uint64),
        np.zeros(places, np.int64),
        0,
    )
    for start in range(0, flat_truth.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        table = count_pairs(
            flat_truth[part].astype(np.uint64), flat_pred[part].astype(np.uint64), *table
        )
    keys_truth, keys_pred, counts, _ = table
    filled = counts > 0
    return keys_truth[filled], keys_pred[filled], counts[filled]


def _sums(index: NDArray[np.int64], counts: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Sum of the counts of each index; exact, since float64 holds integers up to 2**53."""
    return np.bincount(index, weights=counts, minlength=n).astype(np.int64)
