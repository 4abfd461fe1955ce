"""Votes of experts: pixels with the same votes are one pattern with a count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import LabelError

_FOLD = 1 << 16
"""Codes that are folded together before those that do not occur are left out."""
_COUNTED = 1 << 22
"""Codes that are counted in a table; more are sorted."""
_MOST_CLASSES = 64


class Votes(NamedTuple):
    """What the experts say of every pixel, without repetition.

    `patterns` (patterns, experts) holds the classes that the experts gave, ascending row by row,
    `counts` (patterns,) the number of pixels with these votes, and `rows`, an unsigned array of
    the shape of the image, the row of each pixel.
    """

    patterns: NDArray[np.int64]
    counts: NDArray[np.int64]
    rows: NDArray[np.unsignedinteger[Any]]
    n_classes: int

    def shares(self) -> NDArray[np.float64]:
        """Share of the experts that gave each class, (patterns, classes)."""
        classes = np.arange(self.n_classes)
        return (self.patterns[:, :, None] == classes).mean(axis=1)


def count_votes(masks: Sequence[ArrayLike], n_classes: int | None = None) -> Votes:
    """Count the patterns of votes.

    What follows costs patterns × experts, not pixels: five binary masks have 32 patterns at most.

    Parameters
    ----------
    masks : one mask or image of classes an expert, of one shape and any number of axes; bool, or
        integer with the classes 0 (background) … n_classes - 1.
    n_classes : number of classes with the background; by default as many as occur, at least 2.

    Raises
    ------
    LabelError : no mask, shapes that differ, a type that is neither bool nor integer, or values
        that are no classes.
    """
    arrays, n = check_masks(masks, n_classes)
    shape = arrays[0].shape
    patterns = np.zeros((1, 0), np.int64)
    counts = np.array([arrays[0].size], np.int64)
    code: NDArray[np.unsignedinteger[Any]] = np.zeros(shape, np.uint8)
    width, new = 1, 0
    for array in arrays:
        if new and width * n > _FOLD:
            code, patterns, counts = _condense(code, width, patterns, new, n)
            width, new = len(patterns), 0
        width, new = width * n, new + 1
        code = code.astype(np.min_scalar_type(width - 1))
        code *= code.dtype.type(n)
        code += array.astype(code.dtype, copy=False)
    code, patterns, counts = _condense(code, width, patterns, new, n)
    return Votes(patterns, counts, code, n)


def check_masks(
    masks: Sequence[ArrayLike], n_classes: int | None = None
) -> tuple[list[NDArray[Any]], int]:
    """Masks as arrays of classes, and the number of classes; see `count_votes`."""
    arrays = [np.asarray(mask) for mask in masks]
    if not arrays:
        raise LabelError("no masks: expected one for each expert")
    highest = 1
    for number, array in enumerate(arrays, 1):
        if array.dtype.kind not in "bui":
            raise LabelError(
                f"the mask of expert {number} has the type {array.dtype}; a mask is bool, or has "
                "integers (0 background, 1, 2 … the classes)"
            )
        if array.shape != arrays[0].shape:
            raise LabelError(
                f"the mask of expert {number} has the shape {array.shape}, that of expert 1 "
                f"{arrays[0].shape}: they must show the same pixels"
            )
        if array.size == 0:
            continue
        low, high = int(array.min()), int(array.max())
        limit = (n_classes or _MOST_CLASSES) - 1
        if low < 0 or high > limit:
            found = low if low < 0 else high
            hint = "; of a mask of 0 and 255 give mask > 0" if high == 255 else ""
            raise LabelError(
                f"the mask of expert {number} has the value {found}, classes are 0 to {limit}"
                f"{hint}; label images of objects go to fuse_objects"
            )
        highest = max(highest, high)
    return arrays, n_classes if n_classes is not None else highest + 1


def _condense(
    code: NDArray[np.unsignedinteger[Any]],
    width: int,
    patterns: NDArray[np.int64],
    new: int,
    n: int,
) -> tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.int64], NDArray[np.int64]]:
    """Number the codes that occur, and write their votes out: `new` digits of base `n`."""
    if width <= _COUNTED:
        counts = np.bincount(code.reshape(-1), minlength=width)
        present = np.flatnonzero(counts)
        counts = counts[present]
        numbers = np.zeros(width, np.min_scalar_type(max(present.size - 1, 0)))
        numbers[present] = np.arange(present.size)
        index = numbers[code]
    else:
        found, where, counts = np.unique(code, return_inverse=True, return_counts=True)
        present = found.astype(np.int64)
        index = where.reshape(code.shape).astype(np.min_scalar_type(present.size - 1))
    before, rest = np.divmod(present, n**new)
    digits = rest[:, None] // n ** np.arange(new - 1, -1, -1, dtype=np.int64) % n
    return index, np.hstack([patterns[before], digits]), counts.astype(np.int64)
