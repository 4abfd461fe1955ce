"""Pixels of any type and size as float32, in which networks compute, without loss of contrast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.data.intensity import Intensity
from delineate.data.normalise import Normalise
from delineate.errors import ImageError

_SLAB = 1 << 22
"""Pixels converted at a time: what is wide in between does not fill the memory."""


class Span(NamedTuple):
    """The linear map of one channel that brings its pixels to 0…1: (pixel − low) / span.

    Pixels are first divided by 2^`exponent`, which loses nothing, so that no difference overflows.
    `low` and `span` belong to what is left; `low` is an int where pixels are integers.
    """

    low: int | float
    span: float
    exponent: int = 0

    def of(self, pixels: NDArray[Any]) -> NDArray[np.float64]:
        """Pixels in this span, in double precision; the difference of integers is exact."""
        integers = pixels.dtype.kind in "iu"
        wide = pixels.astype(np.float64)
        with np.errstate(over="ignore"):  # callers look for infinity
            if self.exponent:
                wide = np.ldexp(wide, -self.exponent)
            wide -= self.low
        if integers and isinstance(self.low, int) and pixels.dtype.itemsize == 8:
            # Modulo 2⁶⁴ a difference that 63 bits hold is right whatever the signs are.
            exact = (pixels.astype(np.uint64) - np.uint64(self.low % 2**64)).view(np.int64)
            wide = np.where(abs(wide) < 2.0**62, exact, wide)
        wide /= self.span
        return wide


@dataclass(frozen=True, eq=False)
class Single:
    """An image that float32 holds, and how it was made of that of the file.

    Parameters
    ----------
    pixels : (channels, …), float32 or a narrow type.
    spans : what each channel was mapped by; None: pixels are those of the file.
    """

    pixels: NDArray[Any]
    spans: tuple[Span, ...] | None = None

    def alike(self, other: NDArray[Any]) -> NDArray[Any]:
        """Another image (channels, …) in the units of the same file, mapped as this one was.

        By the span of the first channel where the numbers of channels differ, like `Intensity`.
        """
        if self.spans is None:
            return other
        same = len(self.spans) == len(other)
        return _mapped(other, self.spans if same else self.spans[:1] * len(other))

    def of_file(self, intensity: Intensity) -> Intensity:
        """An intensity map found on `pixels`, in the units of the file; see `check_results`."""
        if self.spans is None:
            return intensity
        n = len(intensity.offset)
        spans = self.spans if len(self.spans) == n else self.spans[:1] * n
        low = np.array([s.low for s in spans], np.float64)
        exponent = [s.exponent for s in spans]
        with np.errstate(over="ignore"):
            scale = np.ldexp(np.array([s.span for s in spans]), exponent)
            offset = np.ldexp(low, exponent) + intensity.offset.astype(np.float64) * scale
            scale = intensity.scale.astype(np.float64) * scale
            return replace(
                intensity, offset=offset.astype(np.float32), scale=scale.astype(np.float32)
            )


def single_precision(pixels: NDArray[Any], normalise: Normalise, name: str) -> Single:
    """Pixels (channels, …) that survive float32.

    Where normalisation undoes any linear map, pixels of wide types (float64, 32-bit integers) or
    of extreme size are first brought to 0…1 in float64, each channel by itself, so that a small
    contrast on a large offset is kept, a weak channel beside a strong one too, and nothing
    overflows. A constant channel becomes 0.

    Parameters
    ----------
    pixels : real numbers, all finite; one channel that is shown as several is mapped once.
    name : of the image, for messages.

    Raises
    ------
    ImageError : pixels of extreme size, but normalisation does not undo a linear map.
    """
    if pixels.dtype.kind == "b":
        return Single(pixels.astype(np.uint8))
    if pixels.dtype.kind not in "iuf":
        raise ImageError(f"{name}: pixels of type {pixels.dtype}; expected real numbers")
    if pixels.dtype.itemsize < 4:
        return Single(pixels.astype(np.float32) if pixels.dtype.kind == "f" else pixels)
    n = len(pixels)
    if n > 1 and pixels.strides[0] == 0:
        single = single_precision(pixels[:1], normalise, name)
        shown = np.broadcast_to(single.pixels, pixels.shape)
        return Single(shown, None if single.spans is None else single.spans * n)
    axes = tuple(range(1, pixels.ndim))
    low, high = pixels.min(axis=axes), pixels.max(axis=axes)
    largest = np.maximum(abs(low.astype(np.float64)), abs(high.astype(np.float64)))
    extreme = (largest > 1e30) | ((largest > 0) & (largest < 1e-30))
    if normalise.absolute:
        if extreme.any():
            raise ImageError(
                f"{name}: pixels up to {largest[extreme][0]:g} cannot be computed with; scale them"
            )
        return Single(pixels)
    if pixels.dtype == np.float32 and (high > low).any() and not extreme.any():
        return Single(pixels)
    spans = tuple(_span(*both) for both in zip(low.tolist(), high.tolist(), strict=True))
    return Single(_mapped(pixels, spans), spans)


def check_results(intensity: Intensity, name: str) -> Intensity:
    """The map of what results are given in the units of, after a check that float32 holds them.

    Raises
    ------
    ImageError : its values are too large or too small.
    """
    offset, scale = intensity.offset, abs(intensity.scale)
    tiny = np.finfo(np.float32).tiny
    if np.isfinite(offset).all() and np.isfinite(scale).all() and (scale >= tiny).all():
        return intensity
    raise ImageError(
        f"{name}: results are written as float32, which does not hold values of this size; scale "
        "the pixels first"
    )


def _span(low: int | float, high: int | float) -> Span:
    """The span of a channel of such extremes; of a constant one any width will do."""
    if isinstance(low, int):
        return Span(low, float(high - low) or 1.0)
    exponent = int(np.frexp(max(abs(low), abs(high)))[1])
    low, high = (float(np.ldexp(value, -exponent)) for value in (low, high))
    return Span(low, high - low or 1.0, exponent)


def _mapped(pixels: NDArray[Any], spans: tuple[Span, ...]) -> NDArray[np.float32]:
    """Each channel by its span, float32."""
    mapped = np.empty(pixels.shape, np.float32)
    with np.errstate(over="ignore"):
        for channel, span, out in zip(pixels, spans, mapped, strict=True):
            for part in _slabs(channel.shape):
                out[part] = span.of(channel[part])
    return mapped


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Parts of the first axis of about `_SLAB` pixels each."""
    step = max(1, _SLAB * shape[0] // max(1, int(np.prod(shape))))
    return (slice(start, start + step) for start in range(0, shape[0], step))
