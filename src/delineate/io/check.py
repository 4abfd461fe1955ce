"""Whether the pixels of an image can be used."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ImageError
from delineate.image import Image

_BLOCK = 2**24
"""Pixels examined at once."""


def check_pixels(image: Image | NDArray[Any], name: str | None = None) -> None:
    """Raise where pixels are NaN or infinite, or where there are none; a constant image passes.

    Lazy images are read block by block, and only where their type can hold such values.

    Parameters
    ----------
    image : image or array of any shape.
    name : what to call it in the message; the file it comes from where None.

    Raises
    ------
    ImageError : with the number of bad pixels and the place of the first.
    """
    data: Any = image.data if isinstance(image, Image) else image
    source = image.source if isinstance(image, Image) else None
    called = name or (str(source) if source is not None else "the image")
    shape = tuple(data.shape)
    if prod(shape) == 0:
        raise ImageError(f"{called}: has no pixels (shape {shape})")
    if np.dtype(data.dtype).kind not in "fc":
        return
    bad, first = 0, None
    for key in _blocks(shape):
        block = np.asarray(data[key])
        wrong = ~np.isfinite(block)
        count = int(wrong.sum())
        if count and first is None:
            at = np.unravel_index(int(wrong.argmax()), block.shape)
            offset = [k.start for k in key]
            place = tuple(int(a) + o for a, o in zip(at, offset, strict=True))
            first = (place, block[at])
        bad += count
    if first is not None:
        place, value = first
        axes = f" ({image.axes})" if isinstance(image, Image) else ""
        raise ImageError(
            f"{called}: {bad:,} of {prod(shape):,} pixels are not finite, the first is {value} at "
            f"{place}{axes}; replace them, e.g. by 0 or by the median of their neighbours"
        )


def _blocks(shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """Slices that cut an array into blocks of at most about `_BLOCK` pixels, in C order."""
    axis = 0
    while axis < len(shape) - 1 and prod(shape[axis + 1 :]) > _BLOCK:
        axis += 1
    step = max(1, _BLOCK // max(1, prod(shape[axis + 1 :])))
    outer = [range(size) for size in shape[:axis]]
    keys: list[tuple[slice, ...]] = [()]
    for sizes in outer:
        keys = [(*key, slice(i, i + 1)) for key in keys for i in sizes]
    rest = tuple(slice(0, size) for size in shape[axis + 1 :])
    return [
        (*key, slice(i, min(i + step, shape[axis])), *rest)
        for key in keys
        for i in range(0, shape[axis], step)
    ]
