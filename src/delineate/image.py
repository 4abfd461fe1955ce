"""`Image`: pixels with named axes, the currency that crosses the borders of rooms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from delineate.errors import AxesError

AXES = "TCZYX"
"""Every axis an image may have, in the order in which they are kept."""


class LazyArray(Protocol):
    """What `Image.data` must offer: a numpy array does, and so does a zarr array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""

    def __getitem__(self, key: Any) -> Any: ...


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels with named axes.

    Parameters
    ----------
    data : array or lazy array with the axes `axes`; lazy data is read where it is indexed.
    axes : subset of ``"TCZYX"`` in that order, with Y and X.
    pixel_size : size of a pixel along Z, Y, X (those that are known), in `unit`.
    unit : unit of `pixel_size`; micrometres are written ``"µm"``.
    channels : names of the channels, one for each, or empty where unknown.
    source : file that the pixels come from.

    Raises
    ------
    AxesError : the axes are not a subset of TCZYX in order, lack Y or X, or do not fit the data.
    """

    data: LazyArray
    axes: str
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    unit: str = "µm"
    channels: tuple[str, ...] = ()
    source: Path | None = None

    def __post_init__(self) -> None:
        in_order = "".join(a for a in AXES if a in self.axes)
        if in_order != self.axes or "Y" not in self.axes or "X" not in self.axes:
            raise AxesError(
                f"axes {self.axes!r} are not usable: expected Y and X and any of T, C, Z, "
                "in the order TCZYX"
            )
        if len(self.axes) != len(self.data.shape):
            raise AxesError(
                f"axes {self.axes!r} name {len(self.axes)} axes, the data have "
                f"{len(self.data.shape)} (shape {tuple(self.data.shape)})"
            )
        if self.channels and "C" in self.axes and len(self.channels) != self.sizes["C"]:
            raise AxesError(
                f"{len(self.channels)} channel names for {self.sizes['C']} channels"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis, in the order of `axes`."""
        return tuple(self.data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return np.dtype(self.data.dtype)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis by its name."""
        return dict(zip(self.axes, self.shape, strict=True))

    @property
    def spatial_axes(self) -> str:
        """``"ZYX"`` or ``"YX"``."""
        return "ZYX" if "Z" in self.axes else "YX"

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Length of the spatial axes."""
        return tuple(self.sizes[a] for a in self.spatial_axes)

    @property
    def n_channels(self) -> int:
        """Number of channels; 1 where there is no channel axis."""
        return self.sizes.get("C", 1)

    @property
    def is_rgb(self) -> bool:
        """Whether the channels are the red, green and blue of one picture."""
        return self.channels == ("red", "green", "blue")

    def select(self, **index: int | slice | Sequence[int]) -> Image:
        """Part of the image along named axes: an integer drops its axis, a slice or list keeps it.

        Raises
        ------
        AxesError : an axis is not in the image, or an index lies outside it.
        """
        key: list[Any] = []
        for axis, size in self.sizes.items():
            wanted = index.get(axis, slice(None))
            numbers = [wanted] if isinstance(wanted, int) else wanted
            if not isinstance(numbers, slice):
                for number in numbers:
                    if not -size <= number < size:
                        raise AxesError(f"index {number} is outside axis {axis} of length {size}")
            key.append(wanted if isinstance(wanted, int | slice) else list(wanted))
        missing = set(index) - set(self.axes)
        if missing:
            raise AxesError(f"no axis {', '.join(sorted(missing))} in an image with axes {self.axes}")
        lists = [i for i, k in enumerate(key) if isinstance(k, list)]
        data: Any = self.data[tuple(slice(None) if i in lists else k for i, k in enumerate(key))]
        kept = [a for a, k in zip(self.axes, key, strict=True) if not isinstance(k, int)]
        for i in lists:
            data = np.take(np.asarray(data), key[i], axis=kept.index(self.axes[i]))
        channels = self.channels
        if channels and "C" in index:
            picked: Any = np.asarray(channels, dtype=object)[
                index["C"] if isinstance(index["C"], int | slice) else list(index["C"])
            ]
            channels = (picked,) if isinstance(picked, str) else tuple(picked)
        axes = "".join(kept)
        sizes = {a: s for a, s in self.pixel_size.items() if a in axes}
        return replace(self, data=data, axes=axes, channels=channels, pixel_size=sizes)

    def numpy(self) -> NDArray[Any]:
        """All pixels, in memory, with the axes `axes`."""
        return cast(NDArray[Any], np.asarray(self.data[...]))

    def channel_first(self) -> NDArray[Any]:
        """All pixels of one time point as (C, [Z,] Y, X), a channel axis added where it lacks.

        Raises
        ------
        AxesError : the image has a time axis; select one point first.
        """
        if "T" in self.axes:
            raise AxesError("the image has a time axis: select one time point, e.g. select(T=0)")
        pixels = self.numpy()
        return pixels if "C" in self.axes else pixels[None]
