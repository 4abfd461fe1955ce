"""Dice and intersection over union of masks and of images of classes."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.metrics.overlap import overlap_table


class ClassCounts(NamedTuple):
    """Pixels of each foreground class that occurs in truth or prediction, ascending.

    `tp` have the class in both, `fp` in the prediction alone and `fn` in the truth alone (int64).
    """

    classes: NDArray[np.uint64]
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]

    @property
    def dice(self) -> NDArray[np.float64]:
        """2 TP / (2 TP + FP + FN) of each class."""
        return cast(NDArray[np.float64], 2 * self.tp / (2 * self.tp + self.fp + self.fn))

    @property
    def iou(self) -> NDArray[np.float64]:
        """TP / (TP + FP + FN) of each class."""
        return cast(NDArray[np.float64], self.tp / (self.tp + self.fp + self.fn))


def class_counts(truth: ArrayLike, pred: ArrayLike) -> ClassCounts:
    """Count the right and wrong pixels of each class.

    Parameters
    ----------
    truth, pred : bool or integer arrays of one shape, any number of axes; 0 (False) is background.

    Raises
    ------
    LabelError : a type is neither bool nor integer, a number is negative, or the shapes differ.
    """
    table = overlap_table(_as_classes(truth), _as_classes(pred))
    classes = np.union1d(table.truth_ids, table.pred_ids)
    in_truth, in_pred, tp = np.zeros((3, classes.size), np.int64)
    in_truth[np.searchsorted(classes, table.truth_ids)] = table.truth_sizes
    in_pred[np.searchsorted(classes, table.pred_ids)] = table.pred_sizes
    ids = table.truth_ids[table.truth_index]
    same = ids == table.pred_ids[table.pred_index]
    tp[np.searchsorted(classes, ids[same])] = table.counts[same]
    return ClassCounts(classes, tp, in_pred - tp, in_truth - tp)


def dice(truth: ArrayLike, pred: ArrayLike) -> float:
    """Dice = 2 TP / (2 TP + FP + FN), in [0, 1].

    With several classes the unweighted mean over the foreground classes that occur in truth or
    prediction. Nothing against nothing is 1. Of two label images of *objects* compare the masks:
    ``dice(truth > 0, pred > 0)``.

    Parameters
    ----------
    truth, pred : masks (bool) or classes (integer, 0 background) of one shape.

    Raises
    ------
    LabelError : a type is neither bool nor integer, a number is negative, or the shapes differ.
    """
    each = class_counts(truth, pred).dice
    return float(each.mean()) if each.size else 1.0


def iou(truth: ArrayLike, pred: ArrayLike) -> float:
    """Intersection over union = TP / (TP + FP + FN), in [0, 1]; classes and empty as in `dice`.

    Raises
    ------
    LabelError : a type is neither bool nor integer, a number is negative, or the shapes differ.
    """
    each = class_counts(truth, pred).iou
    return float(each.mean()) if each.size else 1.0


def _as_classes(image: ArrayLike) -> NDArray[Any]:
    """A mask is an image of one class."""
    array = np.asarray(image)
    return array.view(np.uint8) if array.dtype == bool else array
