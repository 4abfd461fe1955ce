"""What every metric asks of its input: label images of one shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import LabelError


def check_labels(labels: ArrayLike, name: str) -> NDArray[np.integer[Any]]:
    """`labels` as an array of non-negative integers.

    Raises
    ------
    LabelError : the array is not of integers, or holds negative ones.
    """
    array = np.asarray(labels)
    if array.dtype.kind not in "iu":
        hint = "label its objects first" if array.dtype.kind == "b" else "convert it to integers"
        raise LabelError(
            f"{name} has the type {array.dtype}; a label image has integers "
            f"(0 background, one positive number an object): {hint}"
        )
    if array.dtype.kind == "i" and array.size and int(array.min()) < 0:
        raise LabelError(f"{name} has negative numbers (down to {int(array.min())}); expected >= 0")
    return array


def check_shapes(truth: NDArray[Any], pred: NDArray[Any]) -> None:
    """Raise `LabelError` unless both arrays have one shape."""
    if truth.shape != pred.shape:
        raise LabelError(
            f"truth has the shape {truth.shape}, the prediction {pred.shape}: "
            "they must be label images of the same pixels"
        )


def check_pair(
    truth: ArrayLike, pred: ArrayLike
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """Both arrays, checked to be label images of one shape.

    Raises
    ------
    LabelError : a type is not integer, a number is negative, or the shapes differ.
    """
    checked = check_labels(truth, "truth"), check_labels(pred, "the prediction")
    check_shapes(*checked)
    return checked
