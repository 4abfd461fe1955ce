"""How the channels, and perhaps the planes, of a file become the channels of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from delineate.errors import AxesError, ImageError
from delineate.image import Image
from delineate.words import plural

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in grey (ITU-R BT.601)."""

_SETTINGS = {
    "C": ("channel", "--channels, in a training data.channels, of targets data.target_channels"),
    "Z": ("plane", "--planes, in a training data.planes"),
}
"""What the parts of an axis are called, and the settings that choose among them."""


class Selects(Protocol):
    """What says which part of an image is used; `DataOptions` does."""

    @property
    def channels(self) -> tuple[int, ...] | None:
        """Channels of the file, in this order; None: all."""

    @property
    def planes(self) -> tuple[int, ...] | None:
        """Planes of Z, in this order; None: all."""

    @property
    def z_channels(self) -> bool:
        """Whether planes of Z become channels."""

    @property
    def flat(self) -> bool:
        """Whether a single plane leaves no Z, as 2D networks have none."""


class Selection(NamedTuple):
    """Which part of an image is used: see `Selects`."""

    channels: tuple[int, ...] | None = None
    planes: tuple[int, ...] | None = None
    z_channels: bool = False
    flat: bool = False

    def of_ids(self) -> Selection:
        """The same part of what belongs to an image and has no channels to choose.

        Where planes become channels of the image, it has all of its own.
        """
        planes = None if self.z_channels else self.planes
        return Selection(planes=planes, flat=self.flat)


def select_axes(image: Image, options: Selects) -> Image:
    """The channels and planes of an image that are used; planes as channels, if asked for.

    Channels of the result are those of the first channel of the file in all planes, then those of
    the second, and so on. After it, `network_channels` must not choose channels again. What is
    chosen of a lazy image is read: of a movie, choose a time point first.

    Raises
    ------
    AxesError : a channel or plane is not there.
    """
    if options.channels is not None:
        image = _chosen(image, "C", options.channels)
    if options.planes is not None:
        image = _chosen(image, "Z", options.planes)
        if options.flat and image.sizes.get("Z") == 1:
            image = image.select(Z=0)
    if not options.z_channels or "Z" not in image.axes:
        return image
    pixels = image.numpy()
    n_planes, depth = image.sizes["Z"], image.axes.index("Z")
    first = depth - 1 if "C" in image.axes else depth
    shape = (*pixels.shape[:first], -1, *pixels.shape[depth + 1 :])
    axes = image.axes.replace("C", "").replace("Z", "C")
    names = [f"{c} z{z}".strip() for c in image.channels or [""] for z in range(n_planes)]
    merged = pixels.reshape(shape)
    known = len(names) == merged.shape[first]
    sizes = {a: size for a, size in image.pixel_size.items() if a != "Z"}
    return replace(
        image,
        data=merged,
        axes=axes,
        channels=tuple(names) if known else (),
        pixel_size=sizes,
    )


def check_planes(image: Image, options: Selects, n: int) -> None:
    """Raise where planes become channels, and are not those of the n channels of a network.

    `network_channels` alone would take a single plane for a grey image, and show it to a network of
    three planes three times over.

    Parameters
    ----------
    image : as its file has it.
    options : what `select_axes` is to choose of it.

    Raises
    ------
    ImageError : there are other planes.
    """
    if not options.z_channels:
        return
    whole = options.planes is None or "Z" not in image.axes
    depth = image.sizes.get("Z", 1) if whole else len(options.planes or ())
    every = options.channels is None or "C" not in image.axes
    found = depth * (image.n_channels if every else len(options.channels or ()))
    if found != n:
        raise ImageError(
            f"{image.source or 'the image'}: its {depth} planes give {found} channels, the network "
            f"takes {n}: as many planes must be in every file; a training chooses with data.planes"
        )


def network_channels(
    image: Image, n: int | None, channels: Sequence[int] | None = None
) -> NDArray[Any]:
    """Pixels of one time point as (n, spatial axes), in memory.

    Parameters
    ----------
    n : channels that the network takes; None takes all.
    channels : which channels of the file to use, in this order.

    A grey image serves a network of three channels three times over; a colour image serves a
    network of one channel as its luma.

    Raises
    ------
    ImageError : the numbers of channels do not fit, saying how to choose.
    AxesError : the image has a time axis.
    """
    if channels is not None:
        image = _chosen(image, "C", channels)
    pixels = image.channel_first()
    if n is None or pixels.shape[0] == n:
        return pixels
    if n == 3 and pixels.shape[0] == 1:
        return np.broadcast_to(pixels, (3, *pixels.shape[1:]))
    if n == 1 and image.is_rgb:
        real = np.result_type(pixels.dtype, np.float32)  # float64 for what float32 does not hold
        return np.tensordot(LUMA.astype(real), pixels.astype(real), axes=1)[None]
    named = f" ({', '.join(image.channels)})" if image.channels else ""
    raise ImageError(
        f"{image.source or 'the image'} has {pixels.shape[0]} channels{named}, the network takes "
        f"{n}: {_how_to_choose(pixels.shape[0], n)}"
    )


def _how_to_choose(found: int, n: int) -> str:
    """What to say where a file has other channels than the n that a network takes."""
    first = ",".join(map(str, range(n)))
    if n == 3:  # of which a single one serves all
        several = f", or three of them, such as --channels {first}" if found >= 3 else ""
        return f"choose with --channels, for instance --channels 0{several}"
    if found >= n:
        return f"choose with --channels, for instance --channels {first}"
    return "choose as many with --channels, of which one may be given twice"


def _chosen(image: Image, axis: str, wanted: Sequence[int]) -> Image:
    """Part of an axis; of one that the image does not have, there is number 0 alone.

    Raises
    ------
    AxesError : there is no such channel or plane.
    """
    n = image.sizes.get(axis, 1)
    lacking = [i for i in wanted if not -n <= i < n]
    if lacking:
        what, settings = _SETTINGS[axis]
        named = f" ({', '.join(image.channels)})" if axis == "C" and image.channels else ""
        raise AxesError(
            f"{image.source or 'the image'} has {plural(n, what)}{named}, "
            f"numbered from 0; asked for {', '.join(map(str, lacking))}: choose with {settings}"
        )
    return image.select(**{axis: list(wanted)}) if axis in image.axes else image
