"""A picture of an image with the outlines of its objects over it, for the report and the eye."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import AxesError, LabelError
from delineate.image import Image
from delineate.review._pixels import annotate, block_mean, resize, within_single, write_jpeg

OUTLINE = (255, 208, 0)
"""Outlines: a yellow that every kind of colour vision tells from grey, purple and pink."""
CHANNEL_COLOURS = ((1.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.0, 0.7, 1.0), (1.0, 0.6, 0.0))
"""Magenta, green, cyan, orange for channels that are added; the only channel is grey."""
TRANSMITTED_GREY = (0.6, 0.6, 0.6)
"""Transmitted light beside other channels: grey, dim enough for these to be seen on it."""

_TRANSMITTED = ("bright", "phase", "dic", "transmi", "tl ", "bf", "pgc")
_READABLE = 10.0  # pixels on the picture below which an outline fills its object
_COMFORTABLE = 22.0  # pixels on the picture that a median object gets in a detail
_LIGHT = 140.0  # median of a picture (of 255) above which outlines get a dark rim outside
_SMALLEST_PICTURE = 640  # pictures of small images are enlarged to about this side


@dataclass(frozen=True)
class View:
    """Part of an image that a picture shows: pixels ``top:bottom, left:right`` of one plane.

    `height` and `width` are those of the picture, in display pixels.
    """

    plane: int | None
    top: int
    bottom: int
    left: int
    right: int
    height: int
    width: int

    @property
    def scale(self) -> float:
        """Display pixels per image pixel."""
        return self.width / (self.right - self.left)


@dataclass(frozen=True, eq=False)
class Scene:
    """What a picture of an image shows: the same of its outlines as of its uncertainty.

    `labels` are those of the plane shown. Where `view` is a detail, `field` is the whole plane as
    it is shown in the corner, and `frame` (left, top, right, bottom) the detail within it.
    """

    labels: NDArray[Any]
    view: View
    field: View | None
    frame: tuple[int, ...]
    caption: str


def look_at(image: Image, labels: NDArray[Any], max_side: int) -> Scene:
    """What to show of an image, see `overlay`.

    Raises
    ------
    AxesError : the image has a time axis.
    LabelError : the labels do not have the spatial shape of the image.
    """
    if "T" in image.axes:
        raise AxesError("the image has a time axis: select one time point, e.g. select(T=0)")
    if tuple(labels.shape) != image.spatial_shape:
        raise LabelError(
            f"{image.source or 'the image'}: labels of shape {tuple(labels.shape)} do not fit an "
            f"image of spatial shape {image.spatial_shape}; give the labels of this image"
        )
    plane = _busiest_plane(labels) if "Z" in image.axes else None
    flat = labels if plane is None else labels[plane]
    whole = whole_view(plane, flat.shape, max_side)
    view = _readable(whole, flat, max_side)
    captions = []
    if plane is not None and len(labels) > 1:
        captions.append(f"plane {plane + 1} of {len(labels)}")
    if view == whole:
        return Scene(flat, view, None, (), noted(*captions))
    captions.append(f"detail of {flat.shape[1]:,} × {flat.shape[0]:,} px")
    small = whole_view(plane, flat.shape, max_side // 4)
    edges = (view.left, view.top, view.right, view.bottom)
    frame = tuple(round(edge * small.scale) for edge in edges)
    return Scene(flat, view, small, frame, noted(*captions))


def overlay(
    image: Image, labels: NDArray[Any], max_side: int = 1024, note: str = ""
) -> NDArray[np.uint8]:
    """Picture of an image with the outlines of its objects.

    Each channel is stretched between its 1st and 99th percentile; 8-bit RGB is shown as it is.
    One channel is grey, several are added in magenta, green, cyan and orange (the first four;
    transmitted light in grey). Of a volume, the plane with most object pixels is shown. A small
    image is enlarged by a whole number. Where an image is so large that outlines would fill
    their objects, the picture is a detail at a readable scale from where most objects are, with
    the whole field beside it in a corner. What is shown is written into the picture. Lazy data
    are read in bands of rows.

    Parameters
    ----------
    image : image without a time axis.
    labels : integer array of the spatial axes of the image, 0 is background.
    max_side : longest side of the picture, in pixels.
    note : written into the picture, such as the time point that is shown.

    Returns
    -------
    uint8 array (height, width, 3).

    Raises
    ------
    AxesError : the image has a time axis.
    LabelError : the labels do not have the spatial shape of the image.
    """
    scene = look_at(image, labels, max_side)
    inset = None if scene.field is None else _field(image, scene.labels, scene.field)
    bar, text = _scale_bar(image, scene.view)
    picture = _picture(image, scene.labels, scene.view)
    return annotate(picture, noted(note, scene.caption), bar, text, inset, scene.frame)


def noted(*captions: str) -> str:
    """Captions as one; empty ones are left out."""
    return " · ".join(filter(None, captions))


def write_overlay(
    path: Path,
    image: Image,
    labels: NDArray[Any],
    max_side: int = 1024,
    quality: int = 88,
    note: str = "",
) -> None:
    """Write `overlay` as a JPEG file under a temporary name and move it into place.

    Parameters
    ----------
    path : file to write; its folder is made where it is missing.
    image, labels, max_side, note : as in `overlay`.
    quality : JPEG quality, 1 to 95.

    Raises
    ------
    AxesError, LabelError : as in `overlay`.
    WriteError : the file cannot be written.
    """
    write_jpeg(Path(path), overlay(image, labels, max_side, note), quality)


def _busiest_plane(labels: NDArray[Any]) -> int:
    """Index of the plane with most object pixels; of equal ones the nearest to the middle."""
    step = max(1, max(labels.shape[1:]) // 512)
    filled = [int(np.count_nonzero(plane[::step, ::step])) for plane in labels]
    middle = (len(filled) - 1) / 2
    return max(range(len(filled)), key=lambda z: (filled[z], -abs(z - middle)))


def whole_view(plane: int | None, shape: tuple[int, ...], max_side: int) -> View:
    """View of a whole plane (Y, X): shrunk to `max_side`, or enlarged by a whole number."""
    height, width = shape
    long = max(height, width)
    if long > max_side:
        shown = [max(1, round(n * max_side / long)) for n in (height, width)]
    else:
        factor = max(1, min(8, max_side // long, ceil(_SMALLEST_PICTURE / long)))
        shown = [height * factor, width * factor]
    return View(plane, 0, height, 0, width, shown[0], shown[1])


def _readable(whole: View, labels: NDArray[Any], max_side: int) -> View:
    """The whole view, or a detail of it where its objects would be too small to be outlined."""
    step = max(1, floor(1 / whole.scale))
    sample = labels[::step, ::step]
    ids, counts = np.unique(sample[sample > 0], return_counts=True)
    if ids.size == 0 or whole.scale >= 1:
        return whole
    diameter = 2 * step * sqrt(float(np.median(counts)) / pi)
    if diameter * whole.scale >= _READABLE:
        return whole
    scale = float(np.clip(_COMFORTABLE / diameter, whole.scale, 1.0))
    if scale < 1.5 * whole.scale:  # hardly more to see
        return whole
    rows = min(whole.bottom, floor(max_side / scale))
    columns = min(whole.right, floor(max_side / scale))
    filled = np.pad(np.cumsum(np.cumsum(sample > 0, axis=0, dtype=np.int64), axis=1), ((1, 0),) * 2)
    r, c = max(1, min(rows // step, sample.shape[0])), max(1, min(columns // step, sample.shape[1]))
    inside = filled[r:, c:] - filled[:-r, c:] - filled[r:, :-c] + filled[:-r, :-c]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    top = min(int(y) * step, whole.bottom - rows)
    left = min(int(x) * step, whole.right - columns)
    return View(
        whole.plane, top, top + rows, left, left + columns,
        max(1, round(rows * scale)), max(1, round(columns * scale)),
    )  # fmt: skip


def _picture(image: Image, labels: NDArray[Any], view: View) -> NDArray[np.uint8]:
    """The view in colours with outlines over it."""
    colours = _colours(image, view)
    shown = _labels_shown(labels, view)
    edge = _inner_edges(shown)
    objects = shown[shown > 0]
    if objects.size:
        sizes = np.unique(objects, return_counts=True)[1]
        if 2 * sqrt(float(np.median(sizes)) / pi) >= _COMFORTABLE:
            inside = shown > 0  # a second ring, but not between touching objects
            edge |= _inner_edges(inside & ~_inner_edges(inside))
    if float(np.median(colours @ (0.3, 0.59, 0.11))) > _LIGHT:
        colours[_inner_edges(shown == 0)] *= 0.4
    colours[edge] = OUTLINE
    return colours.astype(np.uint8)


def _field(image: Image, labels: NDArray[Any], view: View) -> NDArray[np.uint8]:
    """The view in colours, objects tinted instead of outlined."""
    colours = _colours(image, view)
    inside = _labels_shown(labels, view) > 0
    colours[inside] = 0.55 * colours[inside] + 0.45 * np.asarray(OUTLINE)
    return colours.astype(np.uint8)


def _colours(image: Image, view: View) -> NDArray[np.float32]:
    """Pixels of a view as float RGB, 0 to 255."""
    shrunk = []
    for channel in range(min(image.n_channels, 4)):
        index = {"C": channel, "Z": view.plane}
        key = tuple(index[a] for a in image.axes[:-2])
        plane = block_mean(
            image.data, key, (view.top, view.bottom), (view.left, view.right),
            max(1, floor(1 / view.scale)),
        )  # fmt: skip
        shrunk.append(plane if image.is_rgb else within_single(plane))
    if image.is_rgb:  # the three are stretched together
        shrunk = list(within_single(np.stack(shrunk)))
    planes = [resize(plane, view.height, view.width) for plane in shrunk]
    if image.is_rgb:
        rgb = np.stack(planes, axis=-1)
        if image.dtype == np.uint8:
            return np.clip(rgb, 0, 255)
        return 255 * _stretch(rgb)
    total = np.zeros((view.height, view.width, 3), np.float32)
    for plane, tint in zip(planes, channel_tints(image), strict=True):
        total += 255 * _stretch(plane)[..., None] * np.asarray(tint, np.float32)
    return np.clip(total, 0, 255)


def channel_tints(image: Image) -> list[tuple[float, float, float]]:
    """Colours, 0 to 1, of the channels that a picture shows: the first four, or one in white."""
    if image.n_channels == 1:
        return [(1.0, 1.0, 1.0)]
    free = iter(CHANNEL_COLOURS)
    shown = range(min(image.n_channels, 4))
    return [TRANSMITTED_GREY if _is_transmitted(image, c) else next(free) for c in shown]


def _is_transmitted(image: Image, channel: int) -> bool:
    name = f"{image.channels[channel]} ".lower() if image.channels else ""
    return any(part in name for part in _TRANSMITTED)


def _stretch(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pixels between their 1st and 99th percentile as 0 to 1; a constant image is dark grey."""
    pixels = np.nan_to_num(pixels, posinf=0, neginf=0)
    low, high = np.percentile(pixels, (1, 99))
    if high <= low:
        low, high = float(pixels.min()), float(pixels.max())
    if high <= low:
        return np.full_like(pixels, 0.25)
    return np.clip((pixels - low) / (high - low), 0, 1).astype(np.float32)


def _labels_shown(labels: NDArray[Any], view: View) -> NDArray[Any]:
    """Label under the centre of each display pixel."""
    rows = np.linspace(view.top, view.bottom, view.height, endpoint=False)
    columns = np.linspace(view.left, view.right, view.width, endpoint=False)
    half = 0.5 / view.scale
    y = np.minimum((rows + half).astype(np.intp), labels.shape[0] - 1)
    x = np.minimum((columns + half).astype(np.intp), labels.shape[1] - 1)
    return np.asarray(labels[np.ix_(y, x)])


def _inner_edges(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Object pixels with another label above, below, left or right; image borders are no edge."""
    edge = np.zeros(labels.shape, bool)
    vertical, horizontal = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= vertical
    edge[:-1] |= vertical
    edge[:, 1:] |= horizontal
    edge[:, :-1] |= horizontal
    return np.asarray(edge & (labels > 0))


def _scale_bar(image: Image, view: View) -> tuple[int, str]:
    """Length in display pixels and text of a round scale bar; (0, "") without a pixel size."""
    size = image.pixel_size.get("X", 0.0)
    if not (size > 0 and np.isfinite(size)):
        return 0, ""
    wanted = (view.right - view.left) * size / 5
    power = 10.0 ** floor(log10(wanted))
    length = max(step * power for step in (1, 2, 5) if step * power <= wanted)
    return max(1, round(length / size * view.scale)), f"{length:g} {image.unit}"
