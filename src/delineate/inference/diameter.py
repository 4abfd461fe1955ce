"""The diameter that a user gives: pixels, or a length where the image knows its pixel size."""

from __future__ import annotations

import math
import re

from delineate.errors import ImageError
from delineate.image import Image

ENLARGE = 20.0
"""Images are enlarged by at most this factor; a smaller diameter is taken for a mistake."""

_MICROMETRES = {"um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3, "mm": 1e3}


def parse_diameter(diameter: float | str) -> tuple[float, str]:
    """Value and unit of a diameter, such as 30 or ``"8 um"``; the unit is "px" where none is said.

    Raises
    ------
    ImageError : not a diameter.
    """
    match = re.fullmatch(r"\s*([\d.]+(?:e[+-]?\d+)?)\s*(px|um|µm|μm|nm|mm)?\s*", str(diameter))
    try:
        value = float(match.group(1)) if match else -1.0
    except ValueError:
        value = -1.0
    if match is None or not 0 < value < float("inf"):
        raise ImageError(
            f"diameter {str(diameter)!r}: expected pixels such as 30, or a length such as 8um"
        )
    return value, match.group(2) or "px"


def diameter_in_pixels(diameter: float | str | None, image: Image, ndim: int) -> float | None:
    """Diameter in pixels of the image; a length needs an image that knows its pixel size.

    Networks know objects by the disk (ball) of as many pixels (`delineate.labels.diameters`). A
    disk of diameter d in pixels of y by x has as many as one of diameter d / √(y x) in pixels of
    1 by 1, a ball in voxels of z by y by x as many as one of d / ∛(z y x).

    Parameters
    ----------
    ndim : spatial axes of the network, 2 or 3; of a stack that it sees plane by plane, 2.

    Raises
    ------
    ImageError : not a diameter, or the image does not know its pixel size
        (along Y it is that along X where it is not known, along Z it must be).
    """
    if diameter is None:
        return None
    value, unit = parse_diameter(diameter)
    if unit == "px":
        return value
    across, known = image.pixel_size.get("X"), _MICROMETRES.get(image.unit)
    deep = image.pixel_size.get("Z") if ndim == 3 else across
    if not across or not deep or known is None:
        along = " along Z" if across and known is not None else ""
        raise ImageError(
            f"{image.source or 'the image'} does not say how large its pixels are{along}: give the "
            "diameter in pixels"
        )
    sizes = (deep, image.pixel_size.get("Y") or across, across)[-ndim:]
    # Where all are equal, the root of their product may differ from them in its last digit.
    size = across if len(set(sizes)) == 1 else math.prod(sizes) ** (1 / ndim)
    return value * _MICROMETRES[unit] / (size * known)


def check_diameter(diameter: float, common: float, image: Image) -> None:
    """Whether an image can be brought from one diameter of its objects to another, in pixels.

    Parameters
    ----------
    diameter : of the objects of the image.
    common : of those that the network knows.

    Raises
    ------
    ImageError : it would be enlarged more than `ENLARGE` times, or be shrunk though its objects
        were larger than itself.
    """
    sides = [image.sizes[axis] for axis in "ZYX" if axis in image.axes]
    if common / diameter > ENLARGE:
        wrong = f"too small, the image would be enlarged {common / diameter:.0f} times"
    elif diameter > max(common, *sides):
        wrong = f"larger than the whole image ({' by '.join(map(str, sides))} pixels)"
    else:
        return
    raise ImageError(
        f"{image.source or 'the image'}: objects of {diameter:g} pixels are {wrong}; give the "
        "diameter in pixels, or with its unit, such as 8um"
    )
