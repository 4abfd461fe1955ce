"""Outlines as text: one line for each part of an object, ``x,y,x,y,…``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from delineate.errors import LabelError, ReadError
from delineate.io.atomic import atomic_path
from delineate.io.shapes import Area, Drawing, outlines_of_planes

_LARGEST = 2 << 30
"""Bytes of a file above which it is refused."""


def write_outlines(path: str | Path, labels: ArrayLike) -> list[int]:
    """Write the outlines of a 2D label image as text, as the ImageJ macros for cellpose read them.

    One line for each part of each object, in the order of ids, with the corners of its outer edge;
    holes cannot be told in this format (`write_rois` and `write_geojson` keep them).

    Parameters
    ----------
    path : file to write, ``.txt``.
    labels : (Y, X) integers, 0 background.

    Returns
    -------
    simplified : ids of the objects that the text does not tell as they are: those with holes, and
        those of several parts (pixels that meet at a corner only are in two), ascending.

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
    simplified = []
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii") as file:
        for _, outline in outlines_of_planes(labels, str(path)):
            if len(outline.parts) > 1 or outline.parts[0].holes:
                simplified.append(outline.label)
            for part in outline.parts:
                corners = part.exterior[:, ::-1].astype(np.int64).ravel().tolist()
                file.write(",".join(map(str, corners)) + "\n")
    return simplified


def load_outlines(path: str | Path) -> Drawing:
    """Areas of outlines as text, in their order: each line is one without an id.

    Parameters
    ----------
    path : lines ``x,y,x,y,…`` of corners, where pixel (0, 0) covers [0, 1] × [0, 1]; untrusted.

    Raises
    ------
    ReadError : missing, or a line is not of pairs of finite numbers.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise ReadError(f"{path}: is too large to be read ({path.stat().st_size:,} bytes)")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise ReadError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path}: cannot be read as text ({error})") from error
    areas, left_out = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            corners = np.array(line.split(","), np.float64).reshape(-1, 2)[:, ::-1]
        except ValueError as error:
            raise ReadError(f"{path}: line {number} is not of pairs x,y,x,y,… ({error})") from error
        if not np.isfinite(corners).all():
            raise ReadError(f"{path}: line {number} has coordinates that are not finite")
        if len(corners) > 2:
            areas.append(Area([[corners]], f"line {number}"))
        else:
            left_out.append(f"line {number} has {len(corners)} corners, and no area")
    return Drawing(areas, left_out)
