"""PNG, JPEG and NPY: small formats, decoded at once (NPY where it is indexed)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ReadError
from delineate.io.axes import Raw
from delineate.io.lazy import Mapped


def read_png(path: Path) -> Raw:
    """Pixels of a PNG: 16 bits stay 16, 1 bit is boolean, palettes are looked up.

    Raises
    ------
    ReadError : not a PNG, truncated or damaged.
    """
    import imagecodecs
    from PIL.PngImagePlugin import PngImageFile

    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise _misnamed(path, "PNG", data)
    if len(data) < 33 or data[-8:-4] != b"IEND":
        _require_end(path, data)
    bits, colour = data[24], data[25]
    try:
        pixels: NDArray[Any] = np.asarray(imagecodecs.png_decode(data))
    except Exception as error:
        raise ReadError(f"{path}: is a damaged PNG ({error}); copy or save it anew") from error
    if colour == 0 and bits < 8:
        # The decoder spreads 2 and 4 bits over 0 to 255; in the file they are 0 to 3 and 0 to 15.
        pixels = pixels > 0 if bits == 1 else pixels // (255 // (2**bits - 1))
    has_alpha = pixels.ndim == 3 and pixels.shape[2] in (2, 4)
    indices = None
    if colour == 3:
        with path.open("rb") as handle:
            indices = np.array(PngImageFile(handle))
        if _is_grey(pixels):
            pixels, has_alpha = pixels[..., 0], False
    return _picture(pixels, has_alpha)._replace(indices=indices)


def read_jpeg(path: Path) -> Raw:
    """Pixels of a JPEG: grey, or red, green and blue.

    Raises
    ------
    ReadError : not a JPEG, truncated or damaged.
    """
    from PIL.JpegImagePlugin import JpegImageFile

    with path.open("rb") as handle:
        head = handle.read(64)
    if head[:3] != b"\xff\xd8\xff":
        raise _misnamed(path, "JPEG", head)
    try:
        # Not by Image.open, which refuses more than 179 million pixels as an attack on a server.
        with path.open("rb") as handle:
            picture = JpegImageFile(handle)
            pixels = np.array(picture if picture.mode in ("L", "RGB") else picture.convert("RGB"))
    except Exception as error:
        raise ReadError(f"{path}: is a damaged JPEG ({error}); copy or save it anew") from error
    return _picture(pixels, False)


def read_npy(path: Path) -> Raw:
    """Array of an NPY file; its axes have no names. Files with Python objects are refused.

    Raises
    ------
    ReadError : not an NPY file, truncated, or with objects instead of numbers.
    """
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:
        if path.stat().st_size == 0:
            raise ReadError(f"{path}: is empty (0 bytes); save it anew") from error
        raise ReadError(
            f"{path}: cannot be read as NPY ({error}); save one array of numbers with numpy.save"
        ) from error
    if mapped.ndim < 2:
        raise ReadError(f"{path}: is no picture: its array has {mapped.ndim} axes")
    axes = "Q" * mapped.ndim
    if not mapped.flags.c_contiguous:
        return Raw(np.asarray(mapped), axes)
    return Raw(Mapped(path, int(mapped.offset), mapped.shape, mapped.dtype), axes)


def _picture(pixels: NDArray[Any], has_alpha: bool) -> Raw:
    if pixels.ndim == 2:
        return Raw(pixels, "YX")
    return Raw(pixels, "YXS", rgb=pixels.shape[2] >= 3, alpha=has_alpha)


def _is_grey(pixels: NDArray[Any]) -> bool:
    red = pixels[..., 0]
    return bool(np.array_equal(red, pixels[..., 1]) and np.array_equal(red, pixels[..., 2]))


def _require_end(path: Path, data: bytes) -> None:
    """Raise where the chunks of a PNG run beyond the end of the file before the last of them."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        at += length + 12
        if kind == b"IEND" and at <= len(data):
            return
    raise ReadError(f"{path}: is a truncated PNG ({len(data):,} bytes); copy it anew")


def _misnamed(path: Path, kind: str, head: bytes) -> ReadError:
    if not head:
        return ReadError(f"{path}: is empty (0 bytes); copy or save it anew")
    return ReadError(
        f"{path}: is named as a {kind} but its content is not one; give it its right suffix"
    )
