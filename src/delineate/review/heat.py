"""A picture of where a model is unsure: the uncertainty in colour over the image in grey."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import LabelError
from delineate.image import Image
from delineate.review._pixels import annotate, block_mean, resize, text_font, write_jpeg
from delineate.review.overlay import (
    View,
    _colours,
    _inner_edges,
    _labels_shown,
    _scale_bar,
    look_at,
    noted,
)
from delineate.uncertainty import LIMIT

OUTLINE = (90, 235, 255)
"""Outlines: a cyan that no uncertainty has."""


@dataclass(frozen=True)
class Scale:
    """What colours stand for: one fixed range, so that pictures can be compared.

    Parameters
    ----------
    limit : value of the last colour; more has that too.
    labels : what is written at the end of the colour bar; the first for which there is room.
    opaque : value from which the colour hides the picture.
    deviation : colours stand for the square root of the variances that are given.
    """

    limit: float
    labels: tuple[str, ...]
    opaque: float
    deviation: bool = False

    def of(self, variance: NDArray[np.floating]) -> NDArray[np.float32]:
        """Values of the range, 0 to `limit`, of variances."""
        value = np.clip(np.nan_to_num(variance, posinf=np.inf), 0, None)
        return np.minimum(np.sqrt(value) if self.deviation else value, self.limit)


VARIANCE = Scale(LIMIT, (f"{LIMIT:g} uncertainty",), opaque=0.08)
"""Variance of the class probabilities."""
DEVIATION = Scale(
    0.25,
    ("≥ 0.25  standard deviation of normalised intensity", "≥ 0.25 SD"),
    opaque=0.15,
    deviation=True,
)
"""Standard deviation of the normalised intensity, up to a quarter of its range."""

_DIM = 0.62  # of the grey picture, so that colours are seen on white objects too
_LINE = 0.55  # of the outlines: uncertainty is often highest right under them


@cache
def colour_table() -> NDArray[np.float32]:
    """(256, 3) colours of 0 … 0.25, float RGB 0 to 255: matplotlib's inferno without its black."""
    from matplotlib import colormaps

    places = np.linspace(0.18, 1.0, 256)
    return np.asarray(255 * colormaps["inferno"](places)[:, :3], np.float32)


def colour_of(
    uncertainty: NDArray[np.floating], grey: NDArray[np.float32], scale: Scale = VARIANCE
) -> NDArray[np.float32]:
    """Colour of uncertainty over grey: the same everywhere and in every run.

    Parameters
    ----------
    uncertainty : variances; 0 is transparent, the limit of the scale (and above) the last colour.
    grey : 0 to 255, of the same shape.

    Returns
    -------
    float RGB 0 to 255, (…, 3).
    """
    value = scale.of(uncertainty)
    colours = colour_table()[np.rint(255 / scale.limit * value).astype(np.intp)]
    cover = np.sqrt(np.clip(value / scale.opaque, 0, 1))[..., None].astype(np.float32)
    return np.asarray(cover * colours + (1 - cover) * grey[..., None], np.float32)


def heat(
    image: Image,
    labels: NDArray[Any],
    predictive: NDArray[np.floating],
    max_side: int = 1024,
    note: str = "",
) -> NDArray[np.uint8]:
    """Picture of an image in grey with its uncertainty over it in one fixed range, 0 to 0.25.

    It shows the same part of the image as `delineate.review.overlay.overlay`. A bar with the
    colours stands in the upper left corner; objects have thin outlines.

    Parameters
    ----------
    image : image without a time axis.
    labels : integer array of the spatial axes of the image, 0 is background.
    predictive : predictive uncertainty of each pixel, of the shape of the labels.
    max_side : longest side of the picture, in pixels.
    note : written into the picture, such as the time point that is shown.

    Returns
    -------
    uint8 array (height, width, 3).

    Raises
    ------
    AxesError : the image has a time axis.
    LabelError : labels or uncertainty do not have the spatial shape of the image.
    """
    if predictive.shape != labels.shape:
        raise LabelError(
            f"{image.source or 'the image'}: uncertainty of shape {tuple(predictive.shape)} does "
            f"not fit labels of shape {tuple(labels.shape)}; give those of one prediction"
        )
    scene = look_at(image, labels, max_side)
    picture = coloured(image, predictive, scene.view)
    edge = _inner_edges(_labels_shown(scene.labels, scene.view))
    picture[edge] = (1 - _LINE) * picture[edge] + _LINE * np.asarray(OUTLINE, np.float32)
    inset = None
    if scene.field is not None:
        inset = coloured(image, predictive, scene.field).astype(np.uint8)
    bar, text = _scale_bar(image, scene.view)
    caption = noted(note, scene.caption)
    shown = annotate(picture.astype(np.uint8), caption, bar, text, inset, scene.frame)
    return with_colour_bar(shown)


def write_heat(
    path: Path,
    image: Image,
    labels: NDArray[Any],
    predictive: NDArray[np.floating],
    max_side: int = 1024,
    quality: int = 88,
    note: str = "",
) -> None:
    """Write `heat` as a JPEG file under a temporary name and move it into place.

    Raises
    ------
    AxesError, LabelError : as in `heat`.
    WriteError : the file cannot be written.
    """
    write_jpeg(Path(path), heat(image, labels, predictive, max_side, note), quality)


def coloured(
    image: Image, predictive: NDArray[np.floating], view: View, scale: Scale = VARIANCE
) -> NDArray[np.float32]:
    """A view of the image in dimmed grey with the uncertainty over it, float RGB 0 to 255."""
    grey = _DIM * (_colours(image, view) @ np.asarray((0.3, 0.59, 0.11), np.float32))
    return colour_of(as_shown(predictive, view), grey.astype(np.float32), scale)


def as_shown(values: NDArray[Any], view: View) -> NDArray[np.float32]:
    """Values (spatial axes) as a view shows them, float32 (height, width): means of blocks."""
    shrunk = block_mean(
        values, () if view.plane is None else (view.plane,),
        (view.top, view.bottom), (view.left, view.right), max(1, floor(1 / view.scale)),
    )  # fmt: skip
    return resize(shrunk.astype(np.float32), view.height, view.width)


def with_colour_bar(picture: NDArray[np.uint8], scale: Scale = VARIANCE) -> NDArray[np.uint8]:
    """The colours of a range with its name in the upper left corner, where there is room."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    canvas = Picture.fromarray(picture)
    font, size = text_font(canvas.size)
    pad = size // 2
    draw = ImageDraw.Draw(canvas, "RGBA")
    long, thick = 8 * size, max(4, round(0.6 * size))
    left, height = pad + round(draw.textlength("0", font)) + pad, size + 2 * pad
    ends = {
        label: left + long + pad + round(draw.textlength(label, font)) + pad
        for label in scale.labels
    }
    high = next((label for label, end in ends.items() if end <= 0.75 * canvas.width), None)
    if high is None or height > 0.3 * canvas.height:
        return picture
    draw.rectangle((0, 0, ends[high], height), fill=(0, 0, 0, 170))
    draw.text((pad, height / 2), "0", (255, 255, 255, 255), font, anchor="lm")
    draw.text((left + long + pad, height / 2), high, (255, 255, 255, 255), font, anchor="lm")
    steps = np.linspace(0, scale.limit, long, dtype=np.float32)
    variances = steps**2 if scale.deviation else steps
    colours = colour_of(variances, np.zeros(long, np.float32), scale).astype(np.uint8)
    bar = Picture.fromarray(np.ascontiguousarray(np.broadcast_to(colours, (thick, long, 3))))
    canvas.paste(bar, (left, (height - thick) // 2))
    return np.asarray(canvas)
