"""Pixels that come plane by plane, of which only the rows and columns asked for are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ReadError
from delineate.io.lazy import complete_key

ReadPlane = Callable[[tuple[int, ...], range, range], NDArray[Any]]
"""Reads one plane: its index along the outer axes, the rows and the columns wanted.

What it returns has memory of its own, which outlives the file.
"""


class Planes(ABC):
    """Array read where it is indexed, its last axes those of a plane.

    Takes integers and slices with positive steps. Nothing stays open between readings.

    Parameters
    ----------
    path : the file.
    shape, dtype : of the whole array.
    y, x : axes of rows and columns; the first axis of a plane is the one after `n_outer`.
    n_outer : number of axes that number the planes.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        *,
        n_outer: int,
        y: int,
        x: int,
    ) -> None:
        self.path = path
        self.shape = tuple(int(size) for size in shape)
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.n_outer, self.y, self.x = n_outer, y, x

    @abstractmethod
    def opened(self) -> AbstractContextManager[ReadPlane]:
        """Open the file and give what reads a plane."""

    def __getitem__(self, key: Any) -> NDArray[Any]:
        entries = complete_key(key, len(self.shape))
        rows = _bounds(entries[self.y], self.shape[self.y])
        columns = _bounds(entries[self.x], self.shape[self.x])
        cut = list(self.shape)
        cut[self.y], cut[self.x] = len(rows), len(columns)
        entries[self.y] = _relative(entries[self.y], rows.start)
        entries[self.x] = _relative(entries[self.x], columns.start)
        outer, inner = tuple(entries[: self.n_outer]), tuple(entries[self.n_outer :])
        outer_shape, plane_shape = self.shape[: self.n_outer], tuple(cut[self.n_outer :])
        chosen = np.arange(int(np.prod(outer_shape))).reshape(outer_shape)[outer]
        # What an index does to a plane, tried on one that takes no memory.
        sample = np.broadcast_to(np.zeros((), self.dtype), plane_shape)[inner]
        out = np.zeros((chosen.size, *sample.shape), self.dtype)
        if out.size:
            try:
                with self.opened() as read:
                    for i, number in enumerate(chosen.flat):
                        index = tuple(int(n) for n in np.unravel_index(number, outer_shape))
                        plane = read(index, rows, columns).reshape(plane_shape)[inner]
                        if chosen.size == 1:
                            # One plane, perhaps a huge one, is handed on without a copy.
                            out = np.asarray(plane, self.dtype)
                        else:
                            out[i] = plane
            except (MemoryError, ReadError):
                raise
            except Exception as error:
                raise ReadError(
                    f"{self.path}: its pixels cannot be decoded ({type(error).__name__}: {error}); "
                    "the file is truncated or damaged: copy or save it anew"
                ) from error
        return out.reshape((*chosen.shape, *sample.shape))


def _bounds(entry: int | slice, size: int) -> range:
    """Smallest range of an axis that holds all that `entry` asks for."""
    if isinstance(entry, slice):
        start, stop, _ = entry.indices(size)
        return range(start, max(start, stop))
    return range(entry, entry + 1)


def _relative(entry: int | slice, start: int) -> int | slice:
    return slice(None, None, entry.step) if isinstance(entry, slice) else entry - start
