"""Compressed pixels of a TIFF: only the strips or tiles that an index touches are decoded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from math import ceil, prod
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ReadError
from delineate.io.lazy import complete_key


class _Page(NamedTuple):
    """Where the pieces of a page are; `path` differs between pages of a multi-file OME-TIFF."""

    path: Path
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    tables: dict[str, Any]


class _Layout(NamedTuple):
    """How a page is cut: its shape as (samples, depth, rows, columns, samples) and its pieces'."""

    decode: Any
    shape: tuple[int, int, int, int, int]
    piece: tuple[int, int, int]
    y: int
    x: int
    page_shape: tuple[int, ...]
    pages: list[_Page | None]


class TiffPixels:
    """Pixels of a series of a TIFF, read where they are indexed.

    Takes integers and slices with positive steps. The file is open during a reading only, and the
    object can be sent to other processes.

    Parameters
    ----------
    path : the file.
    number : number of the series in the file.
    series : the series, of an open file.
    """

    def __init__(self, path: Path, number: int, series: Any) -> None:
        self.path = path
        self.number = number
        self.shape = tuple(int(size) for size in series.shape)
        self.dtype: np.dtype[Any] = np.dtype(series.dtype).newbyteorder("=")
        page = series.keyframe
        self.regular = (
            self.shape[len(self.shape) - len(page.shape) :] == tuple(page.shape)
            and prod(self.shape) == len(series.pages) * prod(page.shape)
            and "Y" in page.axes
            and "X" in page.axes
            and page.shaped[2:4] == (page.imagelength, page.imagewidth)
        )
        self._layout: _Layout | None = _layout(series) if self.regular else None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_layout": None}

    def __getitem__(self, key: Any) -> NDArray[Any]:
        layout = self._opened()
        entries = complete_key(key, len(self.shape))
        n_outer = len(self.shape) - len(layout.page_shape)
        outer_shape, outer, inner = self.shape[:n_outer], entries[:n_outer], entries[n_outer:]
        rows = _bounds(inner[layout.y], layout.page_shape[layout.y])
        columns = _bounds(inner[layout.x], layout.page_shape[layout.x])
        numbers = np.arange(prod(outer_shape), dtype=np.intp).reshape(outer_shape)[tuple(outer)]
        block_shape = list(layout.page_shape)
        block_shape[layout.y], block_shape[layout.x] = len(rows), len(columns)
        inner[layout.y] = _relative(inner[layout.y], rows.start)
        inner[layout.x] = _relative(inner[layout.x], columns.start)
        blocks: list[NDArray[Any]] = []
        for number in np.ravel(numbers):
            block = np.zeros(
                (*layout.shape[:2], len(rows), len(columns), layout.shape[4]), self.dtype
            )
            page = layout.pages[int(number)]
            if page is not None and block.size:
                self._fill(block, layout, page, rows, columns)
            blocks.append(block.reshape(block_shape)[tuple(inner)])
        if not blocks:
            return np.zeros((0,), self.dtype).reshape(
                *np.shape(numbers), *np.zeros(block_shape, bool)[tuple(inner)].shape
            )
        stack = blocks[0][None] if len(blocks) == 1 else np.stack(blocks)
        return stack.reshape(*np.shape(numbers), *stack.shape[1:])

    def _opened(self) -> _Layout:
        if self._layout is None:
            import tifffile

            with tifffile.TiffFile(self.path) as file:
                self._layout = _layout(file.series[self.number])
        return self._layout

    def _fill(
        self, block: NDArray[Any], layout: _Layout, page: _Page, rows: range, columns: range
    ) -> None:
        """Decode the pieces of `page` that `rows` and `columns` touch into `block`."""
        lock = Lock()

        def place(number: int) -> None:
            offset, count = page.offsets[number], page.counts[number]
            if count == 0:
                return
            with lock:
                handle.seek(offset)
                data = handle.read(count)
            pixels, where, shape = layout.decode(data, number, **page.tables)
            if pixels is None:
                return
            s, d, y, x, _ = where
            top, left = max(y, rows.start), max(x, columns.start)
            bottom, right = min(y + shape[1], rows.stop), min(x + shape[2], columns.stop)
            block[
                s,
                d : d + shape[0],
                top - rows.start : bottom - rows.start,
                left - columns.start : right - columns.start,
            ] = pixels[: shape[0], top - y : bottom - y, left - x : right - x]

        wanted = list(_touched(layout, rows, columns))
        try:
            with page.path.open("rb") as handle:
                if len(wanted) > 8:
                    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
                        list(threads.map(place, wanted))
                else:
                    for number in wanted:
                        place(number)
        except (MemoryError, ReadError):
            raise
        except Exception as error:
            raise ReadError(
                f"{page.path}: its pixels cannot be decoded ({type(error).__name__}: {error}); "
                "the file is truncated or damaged: copy or save it anew"
            ) from error


def _layout(series: Any) -> _Layout:
    key = series.keyframe
    samples, depth, length, width, contiguous = (int(size) for size in key.shaped)
    if key.is_tiled:
        piece = (int(key.tiledepth), int(key.tilelength), int(key.tilewidth))
    else:
        piece = (1, min(int(key.rowsperstrip), length), width)
    pages: list[_Page | None] = []
    for page in series.pages:
        if page is None:
            pages.append(None)
            continue
        tables: dict[str, Any] = {}
        if int(key.compression) in (6, 7, 34892, 33007):
            tables = {"jpegtables": page.jpegtables, "jpegheader": key.jpegheader}
        pages.append(
            _Page(
                Path(page.parent.filehandle.path),
                tuple(page.dataoffsets),
                tuple(page.databytecounts),
                tables,
            )
        )
    return _Layout(
        key.decode,
        (samples, depth, length, width, contiguous),
        piece,
        str(key.axes).index("Y"),
        str(key.axes).index("X"),
        tuple(int(size) for size in key.shape),
        pages,
    )


def _touched(layout: _Layout, rows: range, columns: range) -> Iterator[int]:
    """Numbers of the pieces that hold any of the rows and columns, in the order of the file."""
    samples, depth, length, width, _ = layout.shape
    piece_depth, piece_length, piece_width = layout.piece
    deep, high, wide = (
        ceil(depth / piece_depth),
        ceil(length / piece_length),
        ceil(width / piece_width),
    )
    for s, d, y, x in product(
        range(samples),
        range(deep),
        range(rows.start // piece_length, ceil(rows.stop / piece_length)),
        range(columns.start // piece_width, ceil(columns.stop / piece_width)),
    ):
        yield ((s * deep + d) * high + y) * wide + x


def _bounds(entry: int | slice, size: int) -> range:
    """Smallest range of an axis that holds all that `entry` asks for."""
    if isinstance(entry, slice):
        start, stop, _ = entry.indices(size)
        return range(start, max(start, stop))
    return range(entry, entry + 1)


def _relative(entry: int | slice, start: int) -> int | slice:
    return slice(None, None, entry.step) if isinstance(entry, slice) else entry - start
