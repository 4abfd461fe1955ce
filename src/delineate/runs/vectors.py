"""Outlines of the objects of an image, as files of ImageJ, QuPath and text."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from delineate.io import write_geojson, write_outlines, write_rois

if TYPE_CHECKING:
    from delineate.io.marks import ColorBy
    from delineate.labels import Table

log = logging.getLogger("delineate")

VECTORS = {"rois": ".zip", "geojson": ".geojson", "outlines": ".txt"}
"""Formats, which are also the names of their folders, with the endings of their files."""

_SHOWN = 20
"""Objects that a line names at most."""


def write_vectors(
    folder: Path,
    name: str,
    labels: NDArray[Any],
    axes: str,
    formats: Sequence[str],
    objects: Table | None = None,
    *,
    color: ColorBy = "uncertainty",
    editable: bool = True,
    channels: int = 1,
) -> int:
    """Write ``FORMAT/NAME`` with the outlines of an image; of a movie one file a time, NAME-t0000….

    Parameters
    ----------
    labels : label image with the axes `axes`, its ids unique over all times.
    formats : of `VECTORS`.
    objects : table of the objects: its column ``uncertainty`` decides their order in ROIs and
        GeoJSON, ``class`` is their class, and its numbers go into GeoJSON.
    color : of ROIs and GeoJSON: by uncertainty, or by class.
    editable : GeoJSON of annotations, which QuPath lets a person correct, or of detections.
    channels : of the image, which decide how ImageJ counts the places in a stack.

    Returns
    -------
    simplified : number of objects whose holes or parts outlines as text have lost; the other
        formats keep everything.

    Raises
    ------
    LabelError, WriteError : a format cannot hold these labels, or the file cannot be written.
    """
    parts: dict[str, tuple[NDArray[Any], int | None]] = {name: (labels, None)}
    if "T" in axes:
        parts = {f"{name}-t{t:04d}": (frame, t) for t, frame in enumerate(labels)}
    simplified: set[int] = set()
    for kind in formats:
        for own, (part, time) in parts.items():
            path = folder / kind / f"{own}{VECTORS[kind]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "rois":
                write_rois(path, part, objects, color=color, time=time, channels=channels)
            elif kind == "geojson":
                write_geojson(path, part, objects, color=color, time=time, editable=editable)
            else:
                simplified.update(write_outlines(path, part))
    if simplified:
        first = ", ".join(map(str, sorted(simplified)[:_SHOWN]))
        more = f" and {len(simplified) - _SHOWN} more" if len(simplified) > _SHOWN else ""
        log.info("%s: outlines as text simplify the objects %s%s", name, first, more)
    return len(simplified)
