"""What every function on label images asks of its input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import LabelError


def check_labels(
    labels: ArrayLike, ndims: tuple[int, ...] = (), name: str = "the label image"
) -> NDArray[np.integer[Any]]:
    """`labels` as an array of non-negative integers, with one of the numbers of axes `ndims`.

    Raises
    ------
    LabelError : the array is not of integers, holds negative ones, or has other axes.
    """
    array = np.asarray(labels)
    if array.dtype.kind not in "iu":
        hint = "label its objects first" if array.dtype.kind == "b" else "convert it to integers"
        raise LabelError(
            f"{name} has the type {array.dtype}; a label image has integers "
            f"(0 background, one positive number an object): {hint}"
        )
    if ndims and array.ndim not in ndims:
        expected = " or ".join(str(n) for n in ndims)
        raise LabelError(
            f"{name} has {array.ndim} axes (shape {array.shape}); expected {expected} spatial axes"
        )
    if array.dtype.kind == "i" and array.size and int(array.min()) < 0:
        raise LabelError(f"{name} has negative numbers (down to {int(array.min())}); expected >= 0")
    return array
