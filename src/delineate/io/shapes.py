"""Objects as files of other programs have them, and label images as planes with outlines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from delineate.errors import LabelError
from delineate.io.raster import Ring
from delineate.labels import Outline, outlines


class Area(NamedTuple):
    """One area in one plane.

    Parameters
    ----------
    patches : the pixels of an area are those of any patch; within one, rings count even-odd.
    name : what the file calls it.
    label : id of its object; None where the file gives none, as for what a person has added.
    z, t : plane and time from 0; None where the file does not tell.
    position : place in a stack of planes, channels and times counted together, from 1; 0 where
        the file does not tell, or tells z and t.
    kind : class of its object, a number or a name.
    """

    patches: list[list[Ring]]
    name: str
    label: int | None = None
    z: int | None = None
    t: int | None = None
    position: int = 0
    kind: int | str | None = None


class Drawing(NamedTuple):
    """Areas of a file in its order, and what it holds besides, each in words."""

    areas: list[Area]
    left_out: list[str]


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
