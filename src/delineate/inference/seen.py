"""Which part of an image its maps and results are of."""

from __future__ import annotations

from delineate.data.channels import Selection, Selects, select_axes
from delineate.image import Image


def seen_part(image: Image, data: Selects) -> Image:
    """The part of an image that prediction gives results of, with all that can be measured of it.

    All channels stay, since all are measured, unless planes serve as channels: then the image has
    no Z, and the channels that the network sees.

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
    return select_axes(image, Selection(planes=data.planes))
