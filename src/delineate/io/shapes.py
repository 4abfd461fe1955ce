"""Label images as planes with outlines, and outlines as planes of a label image."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import LabelError
from delineate.io.raster import Ring, fill
from delineate.labels import Outline, outlines, smallest_dtype

log = logging.getLogger("delineate")


class Shape(NamedTuple):
    """One object in one plane, as a file has it: its rings as (y, x), holes among them."""

    label: int
    z: int | None
    rings: list[Ring]


def outlines_of_planes(labels: ArrayLike, name: str) -> Iterator[tuple[int | None, Outline]]:
    """Outlines of the objects in every plane, with the number of the plane (None in 2D).

    Raises
    ------
    LabelError : not an integer array of two or three axes.
    """
    array = np.asarray(labels)
    if array.ndim not in (2, 3) or array.dtype.kind not in "bui":
        raise LabelError(
            f"{name}: expected a label image of integers with the axes YX or ZYX, found "
            f"{array.dtype} with {array.ndim} axes"
        )
    if array.dtype == bool:
        array = array.astype(np.uint8)
    planes = [(None, array)] if array.ndim == 2 else list(enumerate(array))
    for z, plane in planes:
        for outline in outlines(plane):
            yield z, outline


def draw(shapes: Iterable[Shape], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Label image ([Z,] Y, X) of the shapes; where two objects overlap the later one stays.

    Raises
    ------
    LabelError : `shape` is not of two or three axes, or a shape lies in a plane that is not there.
    """
    if len(shape) not in (2, 3):
        raise LabelError(f"{name}: labels have the axes YX or ZYX, not a shape of {shape}")
    listed = list(shapes)
    highest = max((each.label for each in listed), default=0)
    labels = np.zeros(shape, smallest_dtype(highest))
    overlapping = 0
    for each in listed:
        z = each.z or 0
        if len(shape) == 3 and not 0 <= z < shape[0]:
            raise LabelError(f"{name}: has an object in plane {z + 1} of {shape[0]}")
        if len(shape) == 2 and z > 0:
            raise LabelError(f"{name}: has an object in plane {z + 1}, a single plane is expected")
        plane = labels[z] if len(shape) == 3 else labels
        rows, columns, mask = fill(each.rings, (shape[-2], shape[-1]))
        taken = plane[rows, columns][mask]
        overlapping += int(np.count_nonzero((taken != 0) & (taken != each.label)))
        plane[rows, columns][mask] = each.label
    if overlapping:
        log.info("%s: %d pixels in two objects go to the later one", name, overlapping)
    return labels
