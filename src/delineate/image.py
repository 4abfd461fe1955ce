"""`Image`: pixels with named axes, the currency that crosses the borders of rooms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, SupportsIndex

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
    frame_interval : seconds between time points; None where they are unknown or there is no T.

    Raises
    ------
    AxesError : the axes are not a subset of TCZYX in order, lack Y or X, or do not fit the data;
        or `pixel_size` has others than Z, Y, X.
    """

    data: LazyArray
    axes: str
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    unit: str = "µm"
    channels: tuple[str, ...] = ()
    source: Path | None = None
    frame_interval: float | None = None

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
        if self.channels and len(self.channels) != self.n_channels:
            raise AxesError(f"{len(self.channels)} channel names for {self.n_channels} channels")
        if others := sorted(set(self.pixel_size) - set("ZYX")):
            raise AxesError(
                f"a pixel has no size along {', '.join(others)}: expected Z, Y and X; the time "
                "between two points is the frame_interval"
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

    def select(self, **index: SupportsIndex | slice | Sequence[int]) -> Image:
        """Part of the image along named axes: an integer drops its axis, a slice or list keeps it.

        Of a lazy image only that part is read. Channel names, pixel size and frame interval follow.

        Raises
        ------
        AxesError : an axis is not in the image, or an index lies outside it.
        """
        unknown = sorted(set(index) - set(self.axes))
        if unknown:
            raise AxesError(f"no axis {', '.join(unknown)} in an image with axes {self.axes}")
        key: list[int | slice] = []
        then: list[tuple[str, NDArray[np.intp]]] = []
        sizes = dict(self.pixel_size)
        if self.frame_interval is not None:
            sizes["T"] = self.frame_interval
        channels = self.channels
        for axis, size in self.sizes.items():
            wanted = index.get(axis, slice(None))
            positions = _positions(wanted, axis, size)
            if isinstance(wanted, slice):
                key.append(wanted)
            elif isinstance(wanted, Sequence | np.ndarray):
                first = int(positions.min(initial=size))
                key.append(slice(first, int(positions.max(initial=-1)) + 1))
                then.append((axis, positions - first))
            else:
                key.append(int(positions[0]))
                sizes.pop(axis, None)
            steps = np.unique(np.abs(np.diff(positions)))
            if axis in sizes and steps.size:
                # Every second plane is twice as far away; unequal distances are none to be told.
                sizes[axis] *= int(steps[0])
                if steps.size > 1 or steps[0] == 0:
                    del sizes[axis]
            if axis == "C" and channels:
                channels = tuple(channels[i] for i in positions.tolist())
        data: Any = self.data[tuple(key)]
        axes = "".join(a for a, k in zip(self.axes, key, strict=True) if isinstance(k, slice))
        for axis, places in then:
            data = np.take(np.asarray(data), places, axis=axes.index(axis))
        interval = sizes.pop("T", None)
        return replace(
            self,
            data=data,
            axes=axes,
            channels=channels,
            pixel_size=sizes,
            frame_interval=interval,
        )

    def numpy(self) -> NDArray[Any]:
        """All pixels, in memory, with the axes `axes`."""
        return np.asarray(self.data[...])

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


def _positions(
    wanted: SupportsIndex | slice | Sequence[int], axis: str, size: int
) -> NDArray[np.intp]:
    """Positions along an axis that an index means, from 0.

    Raises
    ------
    AxesError : one lies outside the axis.
    """
    if isinstance(wanted, slice):
        return np.arange(size, dtype=np.intp)[wanted]
    listed = np.atleast_1d(np.asarray(wanted, dtype=np.intp))
    outside = listed[(listed < -size) | (listed >= size)]
    if outside.size:
        raise AxesError(f"index {outside[0]} is outside axis {axis} of length {size}")
    return np.where(listed < 0, listed + size, listed)
