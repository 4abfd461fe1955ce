"""Outlines as text: one line for each part of an object, ``x,y,x,y,…``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from delineate.errors import LabelError
from delineate.io.atomic import atomic_path
from delineate.io.shapes import outlines_of_planes


def write_outlines(path: str | Path, labels: ArrayLike) -> None:
    """Write the outlines of a 2D label image as text, as the ImageJ macros for cellpose read them.

    One line for each part of each object, in the order of ids, with the corners of its outer edge;
    holes cannot be told in this format (`write_rois` and `write_geojson` keep them).

    Parameters
    ----------
    path : file to write, ``.txt``.
    labels : (Y, X) integers, 0 background.

    Raises
    ------
    LabelError : not a label image of two axes.
    WriteError : the file cannot be written.
    """
    path = Path(path)
    if np.ndim(labels) != 2:
        raise LabelError(
            f"{path}: outlines as text have no planes, the labels have {np.ndim(labels)} axes; "
            "write ROIs or GeoJSON"
        )
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii") as file:
        for _, outline in outlines_of_planes(labels, str(path)):
            for part in outline.parts:
                corners = part.exterior[:, ::-1].astype(np.int64).ravel().tolist()
                file.write(",".join(map(str, corners)) + "\n")
