"""Pictures in which experts agree or not: the outline of each in a colour of its own."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from math import floor, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.image import Image
from delineate.review._pixels import annotate, write_jpeg
from delineate.review.overlay import (
    View,
    _colours,
    _inner_edges,
    _labels_shown,
    _scale_bar,
    whole_view,
)

ESTIMATE = (255, 255, 255)
"""Colour of the estimate: no expert has it."""
_EXPERTS = ((86, 180, 233), (230, 159, 0), (240, 128, 190), (0, 200, 140), (232, 84, 30),
            (240, 228, 66), (96, 132, 255))  # fmt: skip
_DISPUTED = (255, 140, 0)
_READABLE, _COMFORTABLE, _LARGEST = 40.0, 60.0, 8.0  # display pixels of an object; scale
_ESTIMATE_RINGS = 4
_DASH = 5  # display pixels that each expert gets in turn where outlines coincide
_QUALITY = 86


def expert_colour(place: int) -> tuple[int, int, int]:
    """Colour of an expert by their place: after Okabe & Ito, then hues far from each other."""
    if place < len(_EXPERTS):
        return _EXPERTS[place]
    rgb = colorsys.hsv_to_rgb(place * 0.618034 % 1, 0.6, 1.0)
    return (round(255 * rgb[0]), round(255 * rgb[1]), round(255 * rgb[2]))


def agreement_picture(
    experts: Mapping[int, NDArray[Any]],
    estimate: NDArray[Any],
    image: Image,
    is_picture: bool = True,
    max_side: int = 1024,
) -> NDArray[np.uint8]:
    """Outlines of the experts and the estimate over an image.

    The estimate is a white line with a bright inside; where outlines of several experts coincide,
    they take turns along the line. Of a volume, the plane with most annotated pixels is shown.
    Where objects are small, the picture is an enlarged detail from where experts disagree most,
    with the whole field in a corner, pixels about which they disagree in orange.

    Parameters
    ----------
    experts : objects of each expert by their place, (Y, X) or (Z, Y, X), integer, 0 background.
    estimate : objects of the ground truth, of the same shape.
    image : what was annotated, without a time axis; or anything with its axes and pixel size.
    is_picture : whether the pixels of `image` are shown; otherwise the share of votes in grey.
    max_side : longest side of the picture, in pixels.

    Returns
    -------
    uint8 array (height, width, 3).
    """
    plane = None
    if estimate.ndim == 3:
        drawn = sum(np.count_nonzero(e, axis=(1, 2)) for e in (*experts.values(), estimate))
        plane = int(np.argmax(drawn))
        experts = {place: own[plane] for place, own in experts.items()}
        estimate = estimate[plane]
    votes = np.sum([own > 0 for own in experts.values()], axis=0) / len(experts)
    disputed = (votes > 0) & (votes < 1)
    whole = whole_view(plane, estimate.shape, max_side)
    view = _detail(whole, list(experts.values()), disputed, max_side)

    def ground(at: View) -> NDArray[np.float32]:
        if is_picture:
            return _colours(image, at) * np.float32(0.75)
        grey = 18 + 80 * _labels_shown(votes, at)
        return np.repeat(grey[..., None], 3, axis=2).astype(np.float32)

    picture = ground(view)
    _draw_estimate(picture, _labels_shown(estimate, view))
    _draw_experts(picture, {k: _labels_shown(own, view) for k, own in experts.items()}, view.scale)
    captions = [] if plane is None else [f"plane {plane + 1}"]
    inset: NDArray[np.uint8] | None = None
    frame: tuple[int, ...] = ()
    if view != whole:
        captions.append(f"detail of {estimate.shape[1]:,} × {estimate.shape[0]:,} px")
        small = whole_view(plane, estimate.shape, max_side // 4)
        field = ground(small)
        tint = _labels_shown(disputed, small)
        field[tint] = 0.35 * field[tint] + 0.65 * np.asarray(_DISPUTED, np.float32)
        inset = field.astype(np.uint8)
        edges = (view.left, view.top, view.right, view.bottom)
        frame = tuple(round(edge * small.scale) for edge in edges)
    bar, text = _scale_bar(image, view)
    return annotate(picture.astype(np.uint8), " · ".join(captions), bar, text, inset, frame)


def write_agreement_picture(
    path: Path,
    experts: Mapping[int, NDArray[Any]],
    estimate: NDArray[Any],
    image: Image,
    is_picture: bool = True,
) -> None:
    """Write `agreement_picture` as a JPEG file under a temporary name and move it into place.

    Raises
    ------
    WriteError : the file cannot be written.
    """
    write_jpeg(path, agreement_picture(experts, estimate, image, is_picture), _QUALITY)


def _detail(
    whole: View, experts: list[NDArray[Any]], disputed: NDArray[np.bool_], max_side: int
) -> View:
    """The whole, or where objects are small the part of it with most disputed pixels."""
    sizes = [np.unique(own[own > 0], return_counts=True)[1] for own in experts]
    each = np.concatenate(sizes)
    if each.size == 0:
        return whole
    diameter = 2 * sqrt(float(np.median(each)) / pi)
    if diameter * whole.scale >= _READABLE:
        return whole
    scale = float(np.clip(_COMFORTABLE / diameter, whole.scale, _LARGEST))
    rows, columns = (min(n, floor(max_side / scale)) for n in (whole.bottom, whole.right))
    if rows == whole.bottom and columns == whole.right:
        return whole
    filled = np.pad(np.cumsum(np.cumsum(disputed, axis=0, dtype=np.int64), axis=1), ((1, 0),) * 2)
    inside = (
        filled[rows:, columns:] - filled[:-rows, columns:] - filled[rows:, :-columns]
        + filled[:-rows, :-columns]
    )  # fmt: skip
    top, left = (int(k) for k in np.unravel_index(int(inside.argmax()), inside.shape))
    return View(
        whole.plane, top, top + rows, left, left + columns,
        max(1, round(rows * scale)), max(1, round(columns * scale)),
    )  # fmt: skip


def _draw_estimate(picture: NDArray[np.float32], shown: NDArray[Any]) -> None:
    """A brightened inside, and a white line so wide that an expert's on its edge leaves some."""
    inside = shown > 0
    picture[inside] = 0.8 * picture[inside] + 0.2 * np.asarray(ESTIMATE, np.float32)
    rest = shown
    for _ in range(_ESTIMATE_RINGS):
        edge = _inner_edges(rest)
        picture[edge] = ESTIMATE
        rest = np.where(edge, 0, rest)


def _draw_experts(
    picture: NDArray[np.float32], shown: Mapping[int, NDArray[Any]], scale: float
) -> None:
    """Outlines of all experts; where they coincide, each is drawn in turn for a few pixels."""
    places = list(shown)
    lines = []
    for own in shown.values():
        edge = _inner_edges(own)
        if scale >= 2:
            edge |= _inner_edges(np.where(edge, 0, own))
        lines.append(edge)
    edges = np.stack(lines)
    count = edges.sum(axis=0)
    y, x = np.indices(count.shape)
    turn = (x + y) // _DASH % np.maximum(count, 1)
    rank = np.cumsum(edges, axis=0) - 1
    for place, edge, own_rank in zip(places, edges, rank, strict=True):
        picture[edge & (own_rank == turn)] = expert_colour(place)
