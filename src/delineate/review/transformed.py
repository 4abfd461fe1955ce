"""Pictures of an image that a model made of another: both side by side, and where to doubt it."""

from __future__ import annotations

from dataclasses import replace
from math import floor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.errors import AxesError, ImageError
from delineate.image import Image
from delineate.review._pixels import annotate, legend, write_jpeg
from delineate.review.heat import DEVIATION, OUTLINE, Scale, as_shown, coloured, with_colour_bar
from delineate.review.overlay import (
    View,
    _colours,
    _inner_edges,
    _scale_bar,
    channel_tints,
    noted,
    whole_view,
)

CYCLE = Scale(
    0.25, ("≥ 0.25  error of there and back, normalised intensity", "≥ 0.25 error"), opaque=0.15
)
"""How far the way back from a result misses the image, up to a quarter of a range of 1."""

_QUALITY = 88
_GAP = (96, 104, 114)  # between the two pictures: a grey that is told from dark and light ones
_WIDE = 1.6  # width over height from which the result stands below the image
_SMALL = 0.5  # display pixels per image pixel from which a detail is shown at full resolution
_HATCH = 9  # display pixels from one line of the hatching to the next
_SHADE = 0.5  # of what is hatched, so that the lines are seen on the brightest colours too


def write_side_by_side(
    path: Path, image: Image, result: Image, max_side: int = 1024, note: str = ""
) -> None:
    """Write a JPEG file of an image and, beside it, what a model made of it.

    Of wide images the result stands below. Channels are coloured as in
    `delineate.review.overlay.overlay`, each stretched for itself, in image and result apart;
    several are named. Of a volume the plane whose result has most contrast is shown, of a stack
    that became a flat result the middle plane. Large images are shrunk, and a detail of high
    contrast is shown at full resolution in the corner. What is shown is written into the picture.

    Parameters
    ----------
    path : file to write; its folder is made where it is missing.
    image, result : without a time axis, of the same Y and X; channels and Z may differ.
    max_side : longest side of each of the two pictures, in pixels.
    note : written into both, such as the time point that is shown.

    Raises
    ------
    AxesError : one has a time axis.
    ImageError : they differ in Y or X.
    WriteError : the file cannot be written.
    """
    write_jpeg(Path(path), side_by_side(image, result, max_side, note), _QUALITY)


def side_by_side(
    image: Image, result: Image, max_side: int = 1024, note: str = ""
) -> NDArray[np.uint8]:
    """The picture of `write_side_by_side`: uint8 array (height, width, 3)."""
    _one_point(image, result)
    shape, own = result.spatial_shape[-2:], image.spatial_shape[-2:]
    if shape != own:
        raise ImageError(
            f"{image.source or 'the image'}: a result of {shape} pixels (Y, X) does not fit an "
            f"image of {own}; give the two of one prediction"
        )
    plane = plane_of_most_contrast(result)
    given = plane
    if image.sizes.get("Z") != result.sizes.get("Z"):
        given = image.sizes["Z"] // 2 if "Z" in image.axes else None
    view = whole_view(plane, shape, max_side)
    made = _colours(result, view)
    detail = _detail(made, view) if view.scale <= _SMALL else None
    before = replace(view, plane=given)
    pictures = (
        _panel(image, before, _colours(image, before), noted("image", note), detail),
        _panel(result, view, made, noted("result", note), detail),
    )
    below = shape[1] > _WIDE * shape[0]
    gap = max(4, view.width // 160)
    size = (gap, view.width, 3) if below else (view.height, gap, 3)
    between = np.broadcast_to(np.asarray(_GAP, np.uint8), size)
    return np.concatenate([pictures[0], between, pictures[1]], axis=0 if below else 1)


def write_doubt(
    path: Path,
    result: Image,
    predictive: NDArray[np.floating],
    doubtful: NDArray[np.bool_] | None,
    max_side: int = 1024,
    scale: Scale = DEVIATION,
    note: str = "",
) -> None:
    """Write a JPEG file of a result in dimmed grey with its uncertainty over it.

    Colours stand for the standard deviation of the normalised intensity, in one fixed range from 0
    to 0.25, see `delineate.review.heat.DEVIATION`; a bar says so. Pixels that are not to be
    measured are hatched and outlined in cyan; where the picture is shrunk, those of which most are.

    Parameters
    ----------
    path : file to write; its folder is made where it is missing.
    result : without a time axis.
    predictive : predictive variance of the normalised intensity, over the spatial axes; with the
        scale `CYCLE` the error of there and back.
    doubtful : pixels that are not to be measured; None where that is not known.
    max_side : longest side of the picture, in pixels.
    scale : what the colours stand for.
    note : written into the picture, such as the time point that is shown.

    Raises
    ------
    AxesError : the result has a time axis.
    ImageError : the shapes differ.
    WriteError : the file cannot be written.
    """
    write_jpeg(Path(path), doubt(result, predictive, doubtful, max_side, scale, note), _QUALITY)


def doubt(
    result: Image,
    predictive: NDArray[np.floating],
    doubtful: NDArray[np.bool_] | None,
    max_side: int = 1024,
    scale: Scale = DEVIATION,
    note: str = "",
) -> NDArray[np.uint8]:
    """The picture of `write_doubt`: uint8 array (height, width, 3)."""
    _one_point(result)
    for values in (predictive, doubtful):
        if values is not None and values.shape != result.spatial_shape:
            raise ImageError(
                f"uncertainty of shape {values.shape} does not fit a result of spatial shape "
                f"{result.spatial_shape}; give those of one prediction"
            )
    plane = plane_of_most_contrast(result)
    view = whole_view(plane, result.spatial_shape[-2:], max_side)
    picture = coloured(result, predictive, view, scale)
    captions = [note, _plane_text(result, plane)]
    if doubtful is not None and doubtful.any():
        shown = as_shown(doubtful, view) > 0.5
        rows, columns = np.indices(shown.shape)
        picture[shown] *= _SHADE
        picture[shown & ((rows + columns) % _HATCH < 2)] = OUTLINE
        picture[_inner_edges(shown)] = OUTLINE
        captions.append(f"hatched: not to be measured, {100 * doubtful.mean():.2g} %")
    bar, text = _scale_bar(result, view)
    drawn = annotate(picture.astype(np.uint8), noted(*captions), bar, text, None)
    return with_colour_bar(drawn, scale)


def plane_of_most_contrast(image: Image) -> int | None:
    """Index of the plane that varies most, of equal ones the nearest to the middle; None in 2D.

    Every channel counts the same. Large planes are looked at in steps.
    """
    if "Z" not in image.axes:
        return None
    step = max(1, max(image.spatial_shape[1:]) // 512)
    n = image.sizes["Z"]
    spread = np.zeros((image.n_channels, n))
    for channel, plane in np.ndindex(spread.shape):
        index = {"C": channel, "Z": plane}
        key = (
            *(index[a] for a in image.axes[:-2]),
            slice(None, None, step),
            slice(None, None, step),
        )
        pixels = np.asarray(image.data[key], np.float64)
        spread[channel, plane] = np.nan_to_num(pixels, posinf=0, neginf=0).std()
    spread /= np.maximum(spread.max(axis=1, keepdims=True), 1e-300)
    total = spread.sum(axis=0).round(6)
    return min(range(n), key=lambda z: (-total[z], abs(z - (n - 1) / 2)))


class _Detail(NamedTuple):
    """A part at full resolution: `view` of it, and its place (left, top, right, bottom)."""

    view: View
    frame: tuple[int, int, int, int]


def _detail(picture: NDArray[np.float32], view: View) -> _Detail:
    """The part with most contrast, as large as a quarter of the picture's longest side."""
    side = max(view.height, view.width) // 4
    height, width = min(side, view.bottom), min(side, view.right)
    rows, columns = (max(1, round(n * view.scale)) for n in (height, width))
    grey = picture.mean(axis=2)
    tops = range(0, view.height - rows + 1, max(1, rows // 2))
    lefts = range(0, view.width - columns + 1, max(1, columns // 2))
    top, left = max(
        ((y, x) for y in tops for x in lefts),
        key=lambda at: float(grey[at[0] : at[0] + rows, at[1] : at[1] + columns].std()),
        default=(0, 0),
    )
    y = min(floor(top / view.scale), view.bottom - height)
    x = min(floor(left / view.scale), view.right - width)
    full = View(view.plane, y, y + height, x, x + width, height, width)
    return _Detail(full, (left, top, left + columns, top + rows))


def _panel(
    image: Image, view: View, colours: NDArray[np.float32], caption: str, detail: _Detail | None
) -> NDArray[np.uint8]:
    """One of the two pictures with all that is written on it."""
    picture, inset = colours.astype(np.uint8), None
    captions = [caption, _plane_text(image, view.plane)]
    if detail is not None:
        own = replace(detail.view, plane=view.plane)
        inset = _colours(image, own).astype(np.uint8)
        left, top, right, bottom = detail.frame
        for grow, value in ((2, 0), (1, 255)):
            area = np.zeros(picture.shape[:2], bool)
            area[max(0, top - grow) : bottom + grow, max(0, left - grow) : right + grow] = True
            area[top:bottom, left:right] = False
            picture[area] = value
        captions.append("corner: detail at full resolution")
    if len(image.channels) == 1:
        captions.insert(1, image.channels[0])
    bar, text = _scale_bar(image, view)
    drawn = annotate(picture, noted(*captions), bar, text, inset)
    if image.n_channels == 1 or image.is_rgb:
        return drawn
    tints = channel_tints(image)
    names = image.channels or tuple(f"channel {c}" for c in range(image.n_channels))
    return legend(drawn, names[: len(tints)], tints)


def _plane_text(image: Image, plane: int | None) -> str:
    """Which plane is shown; nothing where there is no other."""
    planes = image.sizes.get("Z", 1)
    return "" if plane is None or planes == 1 else f"plane {plane + 1} of {planes}"


def _one_point(*images: Image) -> None:
    """Check that there is one time point.

    Raises
    ------
    AxesError : there is a time axis.
    """
    if any("T" in image.axes for image in images):
        raise AxesError("the image has a time axis: select one time point, e.g. select(T=0)")
