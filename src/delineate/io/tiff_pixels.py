"""Compressed pixels of a TIFF: only the strips or tiles that an index touches are decoded."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from math import ceil, prod
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.io.planes import Planes, ReadPlane

log = logging.getLogger("delineate")


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
    pages: list[_Page | None]


def is_regular(series: Any) -> bool:
    """Whether a series is its pages one after the other, so that each can be read by itself."""
    page, shape = series.keyframe, tuple(series.shape)
    return bool(
        shape[len(shape) - len(page.shape) :] == tuple(page.shape)
        and prod(shape) == len(series.pages) * prod(page.shape)
        and "Y" in page.axes
        and "X" in page.axes
        and tuple(page.shaped[2:4]) == (page.imagelength, page.imagewidth)
    )


class TiffPixels(Planes):
    """Pixels of a regular series of a TIFF.

    Parameters
    ----------
    path : the file.
    number : number of the series in the file.
    series : the series, of an open file.
    """

    def __init__(self, path: Path, number: int, series: Any) -> None:
        page = series.keyframe
        n_outer = len(series.shape) - len(page.shape)
        super().__init__(
            path,
            tuple(series.shape),
            np.dtype(series.dtype),
            n_outer=n_outer,
            y=n_outer + str(page.axes).index("Y"),
            x=n_outer + str(page.axes).index("X"),
        )
        self.number = number
        self._layout: _Layout | None = _layout(series)
        missing = sum(page is None for page in self._layout.pages)
        if missing:
            log.warning(
                "%s: %d of %d planes are in files that are missing; they are read as 0",
                path.name,
                missing,
                len(self._layout.pages),
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_layout": None}

    @contextmanager
    def opened(self) -> Iterator[ReadPlane]:
        """Open the file and give what decodes the pieces of a page."""
        if self._layout is None:
            import tifffile

            with tifffile.TiffFile(self.path) as file:
                self._layout = _layout(file.series[self.number])
        layout, outer_shape = self._layout, self.shape[: self.n_outer]

        def read(index: tuple[int, ...], rows: range, columns: range) -> NDArray[Any]:
            shape = (*layout.shape[:2], len(rows), len(columns), layout.shape[4])
            block = np.zeros(shape, self.dtype)
            page = layout.pages[int(np.ravel_multi_index(index, outer_shape)) if index else 0]
            if page is not None:
                _fill(block, layout, page, rows, columns)
            return block

        yield read


def _fill(block: NDArray[Any], layout: _Layout, page: _Page, rows: range, columns: range) -> None:
    """Decode the pieces of `page` that `rows` and `columns` touch into `block`."""
    lock = Lock()

    def place(number: int) -> None:
        if page.counts[number] == 0:
            return
        with lock:
            handle.seek(page.offsets[number])
            data = handle.read(page.counts[number])
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
    with page.path.open("rb") as handle:
        if len(wanted) > 8:
            with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
                list(threads.map(place, wanted))
        else:
            for number in wanted:
                place(number)


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
        offsets, counts = tuple(page.dataoffsets), tuple(page.databytecounts)
        pages.append(_Page(Path(page.parent.filehandle.path), offsets, counts, tables))
    return _Layout(key.decode, (samples, depth, length, width, contiguous), piece, pages)


def _touched(layout: _Layout, rows: range, columns: range) -> Iterator[int]:
    """Numbers of the pieces that hold any of the rows and columns, in the order of the file."""
    samples, depth, length, width, _ = layout.shape
    deep, high, wide = (
        ceil(size / step) for size, step in zip((depth, length, width), layout.piece, strict=True)
    )
    _, piece_length, piece_width = layout.piece
    for s, d, y, x in product(
        range(samples),
        range(deep),
        range(rows.start // piece_length, ceil(rows.stop / piece_length)),
        range(columns.start // piece_width, ceil(columns.stop / piece_width)),
    ):
        yield ((s * deep + d) * high + y) * wide + x
