"""TIFF: plain, BigTIFF, ImageJ hyperstacks, OME-TIFF and LSM; large files are read by region."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ReadError
from delineate.io.axes import Raw
from delineate.io.lazy import Mapped
from delineate.io.pick_scene import pick_scene
from delineate.io.tiff_directories import check_directories
from delineate.io.tiff_metadata import metadata
from delineate.io.tiff_pixels import TiffPixels, is_regular
from delineate.io.white_is_zero import black

# Without a handler of its own the library would print its complaints to the screen of the user.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_ALPHA = (1, 2)
"""Values of the tag ExtraSamples that mean opacity."""

_ASIDE = frozenset({"label", "macro", "map", "thumbnail"})
"""Names of series in files of slide scanners that show the slide, not the specimen."""


def read_tiff(path: Path, scene: int | str | None = None) -> Raw:
    """Pixels of one series of a TIFF, at full resolution.

    Parameters
    ----------
    path : the file.
    scene : number (from 0) or name of the series; the first where None.

    Raises
    ------
    ReadError : not a TIFF, truncated, or stored in a way that cannot be decoded.
    """
    with _opened(path) as file:
        number = pick_scene(path, _names(file), scene, _own(file))
        series = file.series[number]
        page = series.keyframe
        _check_complete(path, series)
        known = metadata(file, series)
        axes, shape = str(series.axes), tuple(series.shape)
        photometric = int(page.photometric)
        data: Any
        indices = None
        if photometric == 3 and not _is_display(file, page):
            indices = series.asarray()
            data = _looked_up(indices, page)
            axes += "S" if data.ndim > len(axes) else ""
        elif series.dataoffset is not None:
            stored = np.dtype(series.dtype).newbyteorder(file.byteorder)
            data = Mapped(path, int(series.dataoffset), shape, stored)
        else:
            data = TiffPixels(path, number, series) if is_regular(series) else series.asarray()
        extra = tuple(int(kind) for kind in page.extrasamples)
        rgb = photometric in (2, 3, 6) and "S" in axes
        alpha = "S" in axes and len(extra) == 1 and (extra[0] in _ALPHA or rgb)
        inverted = photometric == 0 and ("S" not in axes or alpha)
        bits = int(np.max(page.bitspersample))
    return Raw(
        data,
        axes,
        known.pixel_size,
        known.unit,
        known.channels,
        rgb=rgb,
        alpha=alpha,
        indices=indices,
        frame_interval=known.frame_interval,
        black=black(np.dtype(data.dtype), bits) if inverted else None,
    )


def tiff_scenes(path: Path) -> tuple[list[str], list[int]]:
    """Names of the series of a TIFF, and numbers of those that are images of their own.

    Raises
    ------
    ReadError : the file is not a TIFF or truncated.
    """
    with _opened(path) as file:
        return _names(file), _own(file)


def _names(file: Any) -> list[str]:
    names = [str(series.name or "") for series in file.series]
    return [name or f"series {i}" for i, name in enumerate(names)]


def _own(file: Any) -> list[int]:
    """Numbers of the series that are neither thumbnails nor photographs of the slide."""
    aside = [
        bool(series.keyframe.is_reduced)
        or (not file.is_ome and not file.is_shaped and str(series.name).casefold() in _ASIDE)
        for series in file.series
    ]
    return [i for i, is_aside in enumerate(aside) if not is_aside] or [*range(len(aside))]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open TIFF; whatever the library says about a bad one becomes a `ReadError`."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            if not file.is_ndpi:
                # Hamamatsu's files of more than 4 GB have offsets in a form of their own.
                check_directories(path)
            if not file.series:
                raise ReadError(f"{path}: is a TIFF without any image; save it anew")
            yield file
    except (ReadError, MemoryError):
        raise
    except tifffile.TiffFileError as error:
        raise ReadError(f"{path}: {_reason(path, str(error))}") from error
    except Exception as error:
        if path.stat().st_size < 16:
            raise ReadError(f"{path}: {_reason(path, str(error))}") from error
        raise ReadError(
            f"{path}: cannot be read as TIFF ({type(error).__name__}: {error}); "
            "it is damaged or of a rare kind: open and save it anew, e.g. with ImageJ"
        ) from error


def _reason(path: Path, found: str) -> str:
    with path.open("rb") as handle:
        head = handle.read(64)
    if head[:2] not in (b"II", b"MM"):
        kind = "text" if head and all(32 <= b < 127 or b in b"\t\r\n" for b in head) else "no TIFF"
        return f"is named as a TIFF but its content is {kind}; give it its right suffix"
    return f"is a truncated or damaged TIFF ({found}); copy or save it anew"


def _check_complete(path: Path, series: Any) -> None:
    """Raise where the pixels of the first or last page would lie beyond the end of the file."""
    size = path.stat().st_size
    if series.dataoffset is not None:
        end = series.dataoffset + int(np.prod(series.shape, dtype=np.int64)) * series.dtype.itemsize
    else:
        pages = [page for page in (series.pages[0], series.pages[-1]) if page is not None]
        pages = [p for p in pages if Path(p.parent.filehandle.path).resolve() == path.resolve()]
        end = max(
            (
                offset + count
                for page in pages
                for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
            ),
            default=0,
        )
    if end > size:
        raise ReadError(
            f"{path}: is truncated: its pixels need {end:,} bytes, it has {size:,}; copy it anew"
        )


def _is_display(file: Any, page: Any) -> bool:
    """Whether a palette only says how to show the pixels, which are the intensities themselves.

    So it is in files of ImageJ and of microscopes (the colour of a channel, or a look-up table
    such as "fire"), and where the palette is a ramp from black to one colour.
    """
    if file.is_imagej or file.is_ome or file.is_lsm or file.is_stk:
        return True
    palette = np.asarray(page.colormap, dtype=float)
    ramp = np.linspace(0, 1, palette.shape[1]) * palette[:, -1:]
    return bool(palette.any() and np.abs(palette - ramp).max() <= 2 * 65535 / palette.shape[1])


def _looked_up(indices: NDArray[Any], page: Any) -> NDArray[Any]:
    """Colours of a palette image: (..., 3), or without that axis where all are grey."""
    palette = np.asarray(page.colormap)  # (3, 2**bits) uint16
    if np.all(palette % 257 == 0) or np.all(palette % 256 == 0):
        palette = (palette >> 8).astype(np.uint8)
    if np.array_equal(palette[0], palette[1]) and np.array_equal(palette[0], palette[2]):
        return np.asarray(palette[0][indices])
    return np.moveaxis(palette[:, indices], 0, -1)
