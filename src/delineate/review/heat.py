"""A picture of where a model is unsure: the uncertainty in colour over the image in grey."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import LabelError
from delineate.image import Image
from delineate.review._pixels import annotate, block_mean, resize, write_jpeg
from delineate.review.overlay import (
    View,
    _colours,
    _inner_edges,
    _labels_shown,
    _scale_bar,
    look_at,
)
from delineate.uncertainty import LIMIT

OUTLINE = (90, 235, 255)
"""Outlines: a cyan that no uncertainty has."""

_DIM = 0.62  # of the grey picture, so that colours are seen on white objects too
_OPAQUE = 0.08  # uncertainty from which the colour hides the picture
_LINE = 0.55  # of the outlines: uncertainty is often highest right under them


@cache
def colour_table() -> NDArray[np.float32]:
    """(256, 3) colours of 0 … 0.25, float RGB 0 to 255: matplotlib's inferno without its black."""
    from matplotlib import colormaps

    places = np.linspace(0.18, 1.0, 256)
    return np.asarray(255 * colormaps["inferno"](places)[:, :3], np.float32)


def colour_of(uncertainty: NDArray[np.floating], grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colour of uncertainty over grey: the same everywhere and in every run.

    Parameters
    ----------
    uncertainty : variances; 0 is transparent, 0.25 (and above) the last colour.
    grey : 0 to 255, of the same shape.

    Returns
    -------
    float RGB 0 to 255, (…, 3).
    """
    value = np.clip(np.nan_to_num(uncertainty, posinf=LIMIT), 0, LIMIT) / LIMIT
    colours = colour_table()[np.rint(255 * value).astype(np.intp)]
    cover = np.sqrt(np.clip(value * (LIMIT / _OPAQUE), 0, 1))[..., None].astype(np.float32)
    return np.asarray(cover * colours + (1 - cover) * grey[..., None], np.float32)


def heat(
    image: Image, labels: NDArray[Any], predictive: NDArray[np.floating], max_side: int = 1024
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
    picture = _coloured(image, predictive, scene.view)
    edge = _inner_edges(_labels_shown(scene.labels, scene.view))
    picture[edge] = (1 - _LINE) * picture[edge] + _LINE * np.asarray(OUTLINE, np.float32)
    inset = None
    if scene.field is not None:
        inset = _coloured(image, predictive, scene.field).astype(np.uint8)
    bar, text = _scale_bar(image, scene.view)
    shown = annotate(picture.astype(np.uint8), scene.caption, bar, text, inset, scene.frame)
    return _with_colour_bar(shown)


def write_heat(
    path: Path,
    image: Image,
    labels: NDArray[Any],
    predictive: NDArray[np.floating],
    max_side: int = 1024,
    quality: int = 88,
) -> None:
    """Write `heat` as a JPEG file under a temporary name and move it into place.

    Raises
    ------
    AxesError, LabelError : as in `heat`.
    WriteError : the file cannot be written.
    """
    write_jpeg(Path(path), heat(image, labels, predictive, max_side), quality)


def _coloured(image: Image, predictive: NDArray[np.floating], view: View) -> NDArray[np.float32]:
    """A view of the image in dimmed grey with the uncertainty over it, float RGB 0 to 255."""
    grey = _DIM * (_colours(image, view) @ np.asarray((0.3, 0.59, 0.11), np.float32))
    shrunk = block_mean(
        predictive, () if view.plane is None else (view.plane,),
        (view.top, view.bottom), (view.left, view.right), max(1, floor(1 / view.scale)),
    )  # fmt: skip
    return colour_of(resize(shrunk, view.height, view.width), grey.astype(np.float32))


def _with_colour_bar(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colours of 0 to 0.25 with their name in the upper left corner, where there is room."""
    from PIL import Image as Picture
    from PIL import ImageDraw, ImageFont

    canvas = Picture.fromarray(picture)
    size = max(10, min(17, round(min(canvas.size) / 40)))
    face = files("matplotlib") / "mpl-data/fonts/ttf/DejaVuSans.ttf"
    font, pad = ImageFont.truetype(str(face), size), size // 2
    draw = ImageDraw.Draw(canvas, "RGBA")
    long, thick = 8 * size, max(4, round(0.6 * size))
    low, high = "0", f"{LIMIT:g} uncertainty"
    left = pad + round(draw.textlength(low, font)) + pad
    width = left + long + pad + round(draw.textlength(high, font)) + pad
    height = size + 2 * pad
    if width > 0.75 * canvas.width or height > 0.3 * canvas.height:
        return picture
    draw.rectangle((0, 0, width, height), fill=(0, 0, 0, 170))
    draw.text((pad, height / 2), low, (255, 255, 255, 255), font, anchor="lm")
    draw.text((left + long + pad, height / 2), high, (255, 255, 255, 255), font, anchor="lm")
    scale = np.linspace(0, LIMIT, long, dtype=np.float32)
    colours = colour_of(scale, np.zeros(long, np.float32)).astype(np.uint8)
    bar = Picture.fromarray(np.ascontiguousarray(np.broadcast_to(colours, (thick, long, 3))))
    canvas.paste(bar, (left, (height - thick) // 2))
    return np.asarray(canvas)
