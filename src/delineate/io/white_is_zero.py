"""Pictures in which 0 is white: intensities turned round, ids and truth values kept.

The tag PhotometricInterpretation of TIFF (Adobe, TIFF 6.0, page 37) may say so. Viewers show such
pictures turned round: ImageJ by an inverted look-up table, Bio-Formats by other numbers, which are
those given here. Masks are another matter. ImageJ's own with an inverted table are 0 outside
objects as they are stored, and so are truth values, one bit a pixel, which tifffile marks in this
way and which ImageJ reads as 0 and 255.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.image import LazyArray
from delineate.io.axes import Raw

log = logging.getLogger("delineate")


def black(dtype: np.dtype[Any], bits: int) -> int | None:
    """The value at the other end from white where 0 is white; None for fractions, which have none.

    Parameters
    ----------
    bits : of a pixel in the file; `dtype` may have more.
    """
    if dtype.kind == "f":
        return None
    return -1 if dtype.kind == "i" else 2**bits - 1


def upright(raw: Raw, path: Path, *, as_ids: bool) -> Raw:
    """With high intensities bright; with `as_ids`, and truth values, as they are stored."""
    if raw.black is None:
        return raw
    if as_ids or np.dtype(raw.data.dtype) == bool:
        log.info("%s: 0 is white in this file; its numbers are taken as they are", path.name)
        return raw
    log.info(
        "%s: 0 is white in this file; pixels are turned round, as viewers show them", path.name
    )
    return raw._replace(data=Inverted(raw.data, raw.black), black=None)


class Inverted:
    """An array turned round where it is indexed: `black` − pixel.

    Parameters
    ----------
    base : integers.
    black : the value that becomes 0.
    """

    def __init__(self, base: LazyArray, black: int) -> None:
        self.base = base
        self.black = black
        self.shape = base.shape
        self.dtype: np.dtype[Any] = np.dtype(base.dtype).newbyteorder("=")

    def __getitem__(self, key: Any) -> NDArray[Any]:
        pixels = np.asarray(self.base[key], self.dtype)
        return np.asarray(self.dtype.type(self.black) - pixels)
