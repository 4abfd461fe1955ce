"""Which part of an image its maps and results are of."""

from __future__ import annotations

from collections.abc import Sequence

from delineate.data.channels import Selection, Selects, select_axes
from delineate.errors import AxesError
from delineate.image import Image


def at_times(image: Image, times: Sequence[int] | None) -> Image:
    """The time points of a movie that are asked for, in their order; of one the image alone.

    An image without a time axis stays as it is. Neighbours of a lazy movie are not read.

    Parameters
    ----------
    times : numbers from 0; None: all.

    Raises
    ------
    AxesError : there is no such time point.
    """
    if times is None or "T" not in image.axes:
        return image
    n = image.sizes["T"]
    if lacking := [t for t in times if not 0 <= t < n]:
        raise AxesError(
            f"{image.source or 'the image'} has {n} time points, numbered from 0; asked for "
            f"{', '.join(map(str, lacking))}: choose with --times"
        )
    wanted = sorted(set(times))
    if len(wanted) == 1:
        return image.select(T=wanted[0])
    if wanted == list(range(wanted[0], wanted[-1] + 1)):
        return image.select(T=slice(wanted[0], wanted[-1] + 1))
    return image.select(T=wanted)


def seen_part(image: Image, data: Selects) -> Image:
    """The part of an image that prediction gives results of, with all that can be measured of it.

    All channels stay, since all are measured, unless planes serve as channels: then the image has
    no Z, and the channels that the network sees. Nor has it where a 2D model sees a single plane.

    Parameters
    ----------
    image : as its file has it.
    data : which channels and planes a model uses.

    Raises
    ------
    AxesError : a channel or plane is not there.
    """
    if data.z_channels:
        return select_axes(image, data)
    return select_axes(image, Selection(planes=data.planes, flat=data.flat))
