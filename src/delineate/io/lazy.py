"""Lazily read arrays: a view with its axes in another order, and arrays mapped from a file."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.image import LazyArray

Index = int | slice | list[int]


def complete_key(key: Any, ndim: int) -> list[Any]:
    """Key with one entry an axis, the ellipsis and missing entries written out.

    Raises
    ------
    IndexError : more entries than axes, or an entry that is no integer, slice or list of integers.
    """
    entries = list(key) if isinstance(key, tuple) else [key]
    gaps = [i for i, entry in enumerate(entries) if entry is Ellipsis]
    if len(gaps) > 1:
        raise IndexError("an index can have one ellipsis only")
    missing = ndim - (len(entries) - len(gaps))
    if missing < 0:
        raise IndexError(f"{len(entries)} indices for an array of {ndim} axes")
    at = gaps[0] if gaps else len(entries)
    entries[at : at + len(gaps)] = [slice(None)] * missing
    return entries


def positive(entry: Any, size: int) -> tuple[int | slice, Any]:
    """Split one index in what to read (an integer or a slice with a positive step) and the rest.

    Returns
    -------
    read : integer or slice with start, stop and step >= 1, inside the axis.
    after : index to apply to that axis of what was read, or None where nothing is left to do.
    """
    if isinstance(entry, slice):
        start, stop, step = entry.indices(size)
        count = len(range(start, stop, step))
        if count == 0:
            return slice(0, 0, 1), None
        if step > 0:
            return slice(start, start + (count - 1) * step + 1, step), None
        last = start + (count - 1) * step
        return slice(last, start + 1, -step), slice(None, None, -1)
    if isinstance(entry, int | np.integer) and not isinstance(entry, bool):
        number = int(entry)
        if not -size <= number < size:
            raise IndexError(f"index {number} is outside an axis of length {size}")
        return number % size, None
    wanted = np.asarray(entry)
    if wanted.dtype == bool and wanted.shape == (size,):
        wanted = np.flatnonzero(wanted)
    if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
        raise IndexError(f"a lazy image takes integers, slices and lists, not {entry!r}")
    wanted = wanted.astype(np.intp)
    if wanted.size == 0:
        return slice(0, 0, 1), None
    if wanted.min() < -size or wanted.max() >= size:
        raise IndexError(f"an index is outside an axis of length {size}")
    wanted = wanted % size
    low, high = int(wanted.min()), int(wanted.max())
    return slice(low, high + 1, 1), wanted - low


class View:
    """An array read where it is indexed, its axes in another order and some of them fixed.

    Integers, slices of any step and lists of integers are understood, each along its own axis.
    Pixels come out in the byte order of the machine.

    Parameters
    ----------
    base : what is read: anything that takes integers and slices with positive steps.
    order : axes of `base` in the order of the view; the others must be in `fixed`.
    fixed : for axes of `base` left out of the view, the index at which they stand.
    keep : for axes of `base` of which the view shows only the beginning, how many of it.
    """

    def __init__(
        self,
        base: LazyArray,
        order: Sequence[int],
        fixed: dict[int, int] | None = None,
        keep: dict[int, int] | None = None,
    ) -> None:
        self.base = base
        self.order = tuple(order)
        self.fixed = dict(fixed or {})
        lengths = list(base.shape)
        for axis, count in (keep or {}).items():
            lengths[axis] = count
        self.shape: tuple[int, ...] = tuple(lengths[axis] for axis in self.order)
        self.dtype: np.dtype[Any] = np.dtype(base.dtype).newbyteorder("=")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels once in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        read: dict[int, Any] = dict(self.fixed)
        after: list[Any] = []
        kept: list[int] = []
        for axis, size, entry in zip(
            self.order, self.shape, complete_key(key, self.ndim), strict=True
        ):
            read[axis], rest = positive(entry, size)
            if isinstance(read[axis], slice):
                kept.append(axis)
                after.append(rest)
        block = np.asarray(self.base[tuple(read[axis] for axis in range(len(read)))])
        remaining = sorted(kept)
        block = block.transpose([remaining.index(axis) for axis in kept])
        for position, rest in enumerate(after):
            if rest is not None:
                block = block[(slice(None),) * position + (rest,)]
        return np.asarray(block, dtype=self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype=dtype)

    def __repr__(self) -> str:
        return f"<lazy {self.dtype} {'×'.join(map(str, self.shape))}>"


class Mapped:
    """Uncompressed pixels that lie in one piece in a file, mapped anew at every reading.

    Nothing stays open between readings, so thousands of images can be held at once and sent to
    other processes.

    Parameters
    ----------
    path : the file.
    offset : byte at which the first pixel stands.
    shape, dtype : of the array, in C order, with the byte order of the file.
    """

    def __init__(self, path: Path, offset: int, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
        self.path = path
        self.offset = offset
        self.shape = tuple(int(size) for size in shape)
        self.dtype = np.dtype(dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        pixels = np.memmap(
            self.path, dtype=self.dtype, mode="r", offset=self.offset, shape=self.shape
        )
        return np.array(pixels[key])
