"""`read` and `read_labels`: one door for every format."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import DelineateError, LabelError, ReadError
from delineate.image import Image
from delineate.io.axes import Raw, to_image
from delineate.io.formats import kind_of
from delineate.io.white_is_zero import upright

log = logging.getLogger("delineate")


def read(path: str | Path, *, axes: str | None = None, scene: int | str | None = None) -> Image:
    """Image in a file, whatever its format; large files are read where `Image.data` is indexed.

    Axes come from the file or, where it does not say, from `axes`, in the file's order; they are
    never guessed from sizes (`delineate.io.axes` states the rules). Axes T, C, Z of length 1 are
    dropped. A colour picture has the channels red, green and blue. Where a TIFF says that 0 is
    white, intensities are turned round, as viewers show them.

    Parameters
    ----------
    path : TIFF (ImageJ, OME), PNG, JPEG, NPY, OME-Zarr 0.4 or 0.5; CZI, ND2, LIF with the extra
        ``formats`` of the package.
    axes : letters of TCZYX, one for each axis in the file's order (S for colour samples), where
        the file does not say, e.g. ``"ZYX"``; where it is wrong, with a ``!``: ``"TYX!"``.
    scene : number (from 0) or name of the image to read in a file that holds several.

    Raises
    ------
    ReadError : missing, unreadable, truncated, of an unknown format, or not of real numbers.
    AxesError : the axes are unknown or those named do not fit.
    """
    return _read(Path(path), axes, scene, as_ids=False)


def _read(path: Path, axes: str | None, scene: int | str | None, *, as_ids: bool) -> Image:
    """Image of a file; with `as_ids` the numbers of a palette instead of its colours."""
    kind = kind_of(path)
    if not path.exists():
        raise ReadError(f"{path}: no such file")
    if path.is_dir() and kind != "zarr":
        raise ReadError(f"{path}: is a folder; name an image in it")
    if path.is_file() and path.stat().st_size == 0:
        raise ReadError(f"{path}: is empty (0 bytes); copy or save it anew")
    try:
        if path.is_file():
            path.open("rb").close()  # so that a file that may not be read is told as such
        raw = _raw(kind, path, scene)
        if as_ids and kind == "jpeg":
            raise LabelError(
                f"{path}: is a JPEG, which changes pixels, so that ids are lost; use PNG or TIFF"
            )
        if as_ids and raw.indices is not None:
            log.info("%s: the numbers of its palette are taken for ids", path.name)
            raw = Raw(
                raw.indices,
                raw.axes.replace("S", ""),
                raw.pixel_size,
                raw.unit,
                frame_interval=raw.frame_interval,
            )
        if as_ids and raw.rgb:
            raw = _grey(raw, path)
        return to_image(upright(raw, path, as_ids=as_ids), path, axes)
    except DelineateError:
        raise
    except PermissionError as error:
        raise ReadError(f"{path}: may not be read; ask for the right to read it") from error
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error})") from error


def _grey(raw: Raw, path: Path) -> Raw:
    """One channel of a picture whose colours are all shades of grey, as paint programs save masks.

    Raises
    ------
    LabelError : there are colours, or pixels that are not opaque: neither tells an id.
    """
    samples = np.moveaxis(np.asarray(raw.data[...]), raw.axes.index("S"), 0)
    grey = all(np.array_equal(samples[0], other) for other in samples[1:3])
    if not grey or len(samples) != 3 + raw.alpha:
        raise _coloured(path)
    opaque = 1 if samples.dtype.kind == "f" else np.iinfo(samples.dtype).max
    if raw.alpha and (samples[-1] != opaque).any():
        raise LabelError(
            f"{path}: is a picture with transparent pixels, which are no ids; save it without "
            "transparency (alpha), one integer a pixel"
        )
    log.info("%s: a picture in shades of grey, which are taken for ids", path.name)
    return raw._replace(
        data=samples[0], axes=raw.axes.replace("S", ""), rgb=False, alpha=False, channels=()
    )


def _coloured(path: Path) -> LabelError:
    return LabelError(
        f"{path}: is a colour picture, not a label image; save one integer a pixel (0 background, "
        "1, 2, 3 … the objects)"
    )


def _raw(kind: str, path: Path, scene: int | str | None) -> Raw:
    if kind == "tiff":
        from delineate.io.tiff import read_tiff

        return read_tiff(path, scene)
    if kind == "zarr":
        from delineate.io.ome_zarr import read_zarr

        return read_zarr(path, scene)
    if kind in ("czi", "nd2", "lif"):
        from delineate.io import microscopes

        return microscopes.read_microscope(kind, path, scene)
    from delineate.io import pictures

    readers = {"png": pictures.read_png, "jpeg": pictures.read_jpeg, "npy": pictures.read_npy}
    if scene not in (None, 0, "0"):
        raise ReadError(f"{path}: has one image only, not a scene {scene!r}")
    return readers[kind](path)


def read_labels(path: str | Path, axes: str | None = None) -> NDArray[Any]:
    """Label image in a file: integers over the spatial axes, the ids exactly as they are.

    Parameters
    ----------
    path : a file that `read` reads; of a palette picture the numbers are the ids, of a colour
        picture in shades of grey (red, green and blue are equal) those.
    axes : as for `read`.

    Returns
    -------
    labels : ([Z,] Y, X) in the integer type of the file; whole floating-point numbers become
        integers, truth values uint8.

    Raises
    ------
    ReadError, AxesError : as for `read`.
    LabelError : a picture with colours or transparent pixels, several channels or times, negative
        ids or fractions.
    """
    image = read_label_image(path, axes)
    if "T" in image.axes:
        raise LabelError(
            f"{path}: is a movie (axes {image.axes}, shape {image.shape}), one label image is "
            "expected; save each time in a file of its own"
        )
    return image.numpy()


def read_label_image(path: str | Path, axes: str | None = None) -> Image:
    """Label image in a file with its axes ([T,] [Z,] Y, X), pixel size and frame interval.

    Else as `read_labels`.

    Raises
    ------
    ReadError, AxesError : as for `read`.
    LabelError : as `read_labels`, but for times.
    """
    path = Path(path)
    image = _read(path, axes, None, as_ids=True)
    if image.is_rgb:
        raise _coloured(path)
    if "C" in image.axes:
        raise LabelError(
            f"{path}: has {image.n_channels} channels (axes {image.axes}, shape {image.shape}), "
            "a label image has none; save each in a file of its own"
        )
    return replace(image, data=as_labels(image.numpy(), str(path)), channels=())


def as_labels(pixels: NDArray[Any], name: str) -> NDArray[Any]:
    """`pixels` as integers, after checking that they are ids.

    Raises
    ------
    LabelError : negative ids, fractions, NaN or infinite values, or floating-point numbers so
        large that several ids have become one.
    """
    if pixels.dtype == bool:
        return pixels.astype(np.uint8)
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all() or not np.array_equal(pixels, np.floor(pixels)):
            raise LabelError(
                f"{name}: holds numbers that are not whole, a label image has integers; "
                "is it a probability map or the image itself?"
            )
        exact = 2.0 ** (np.finfo(pixels.dtype).nmant + 1)
        if pixels.size and pixels.max() > exact:
            raise LabelError(
                f"{name}: holds the id {pixels.max():.10g} as {pixels.dtype}, which knows not "
                f"every number above {exact:,.0f}, so that several objects may have become one; "
                "save ids as integers, or relabel to 1…N before"
            )
        if pixels.size and pixels.min() < 0:
            raise LabelError(f"{name}: has negative ids ({pixels.min():g}); ids are 0, 1, 2 …")
        return pixels.astype(np.int64)
    if pixels.dtype.kind == "i" and pixels.size and pixels.min() < 0:
        raise LabelError(
            f"{name}: has negative ids (down to {pixels.min()}); ids are 0 (background), 1, 2 …"
        )
    return pixels


def scenes(path: str | Path) -> list[str]:
    """Names of the images that a file holds, in the order of their numbers; one for most files.

    Raises
    ------
    ReadError : the file cannot be read.
    """
    return scenes_of(path)[0]


def scenes_of(path: str | Path) -> tuple[list[str], list[int]]:
    """Names of all scenes of a file, and numbers of those that are images of their own.

    Of the others, a slide scanner's thumbnail or a picture of the slide's label, nothing is to be
    measured. Only files of formats that can hold several images are opened, and no pixels are read.

    Raises
    ------
    ReadError : the file cannot be read.
    """
    path = Path(path)
    kind = kind_of(path)
    if not path.exists():
        raise ReadError(f"{path}: no such file")
    if kind == "tiff":
        from delineate.io.tiff import tiff_scenes

        return tiff_scenes(path)
    names = [path.stem]
    if kind == "zarr":
        from delineate.io.ome_zarr import zarr_scenes

        names = zarr_scenes(path)
    elif kind in ("czi", "nd2", "lif"):
        from delineate.io.microscopes import microscope_scenes

        names = microscope_scenes(kind, path)
    return names, [*range(len(names))]
