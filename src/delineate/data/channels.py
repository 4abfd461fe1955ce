"""How the channels of a file become the channels of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import AxesError, ImageError
from delineate.image import Image

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


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
        image = image.select(C=list(channels)) if "C" in image.axes else _only(image, channels)
    pixels = image.channel_first()
    if n is None or pixels.shape[0] == n:
        return pixels
    if n == 3 and pixels.shape[0] == 1:
        return np.broadcast_to(pixels, (3, *pixels.shape[1:]))
    if n == 1 and image.is_rgb:
        return np.tensordot(LUMA, pixels.astype(np.float32), axes=1)[None]
    named = f" ({', '.join(image.channels)})" if image.channels else ""
    raise ImageError(
        f"{image.source or 'the image'} has {pixels.shape[0]} channels{named}, the network takes "
        f"{n}: choose with --channels, for instance --channels {','.join('0' * n)}"
    )


def _only(image: Image, channels: Sequence[int]) -> Image:
    if any(c not in (0, -1) for c in channels):
        raise AxesError(
            f"{image.source or 'the image'} has one channel, number 0; asked for {list(channels)}"
        )
    return image
