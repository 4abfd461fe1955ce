"""GeoJSON for QuPath: annotations with measurements, their polygons along the edges of pixels.

Format: RFC 7946, with QuPath's ``objectType``, ``classification``, ``measurements``, ``color`` and
``plane``. `delineate.io.geojson_read` reads it back, and what QuPath makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import WriteError
from delineate.io.atomic import atomic_path
from delineate.io.geojson_read import ID, load_geojson, read_geojson
from delineate.io.marks import ColorBy, Mark, full_name, marks
from delineate.io.shapes import outlines_of_planes
from delineate.labels import Outline, Polygon

__all__ = ["load_geojson", "read_geojson", "write_geojson"]


def write_geojson(
    path: str | Path,
    labels: ArrayLike,
    properties: Mapping[str, NDArray[Any]] | None = None,
    *,
    color: ColorBy = "uncertainty",
    time: int | None = None,
    editable: bool = True,
) -> None:
    """Write the objects of a label image as objects of QuPath, the most uncertain first.

    Each object is a feature (in 3D one in each plane) with an identifier that stays the same at
    every writing. Its name tells rank, id, plane and class (``0001_id17_z0003_class-2``); the id
    stands in ``label`` and in the measurement "delineate id" too, since QuPath drops the one, and
    people change the name. Holes and parts are kept; `read_geojson` gives back exactly the pixels.

    Parameters
    ----------
    path : file to write, ``.geojson``.
    labels : ([Z,] Y, X) integers, 0 background.
    properties : table with a column ``label``; its numbers become measurements (missing ones are
        left out), ``class`` (a number from 1, or a name) the classification, and ``uncertainty``
        (0…0.25) decides the order.
    color : of the objects: by uncertainty in the fixed range [0, 0.25] from blue over yellow to
        red, or by class.
    time : time from 0 that the labels belong to, of a movie.
    editable : annotations, which QuPath lets a person correct; else detections, with which it is
        faster where there are tens of thousands.

    Raises
    ------
    LabelError : not a label image.
    WriteError : a table without the column ``label``, or the file cannot be written.
    """
    path = Path(path)
    rows = _rows(path, properties)
    found = list(outlines_of_planes(labels, str(path)))
    mark_of = marks((outline.label for _, outline in found), properties, color)
    found.sort(key=lambda entry: mark_of[entry[1].label].rank)  # planes stay in their order
    kind = "annotation" if editable else "detection"
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for z, outline in found:
            mark = mark_of[outline.label]
            feature = {
                "type": "Feature",
                # The same object of the same file gets the same identifier at every writing.
                "id": str(uuid5(NAMESPACE_URL, f"{path.name}/{outline.label}/{z}")),
                "geometry": _geometry(outline, z, time),
                "properties": _properties(mark, full_name(mark, z, time), kind, rows),
            }
            file.write(separator + json.dumps(feature, ensure_ascii=False, allow_nan=False))
            separator = ",\n"
        file.write("\n]}\n")


def _rows(path: Path, table: Mapping[str, NDArray[Any]] | None) -> dict[int, dict[str, float]]:
    """Measurements of each object by its id: the finite numbers of the table."""
    if table is None:
        return {}
    if "label" not in table:
        raise WriteError(
            f"{path}: the table of properties has no column 'label'; its columns are "
            f"{', '.join(table) or 'none'}"
        )
    columns = {name: np.asarray(column).tolist() for name, column in table.items()}
    names = [name for name in columns if name not in ("label", "class")]
    return {
        int(label): {
            name: value
            for name in names
            if isinstance(value := columns[name][i], int | float)
            and not isinstance(value, bool)
            and isfinite(value)
        }
        for i, label in enumerate(columns["label"])
    }


def _properties(
    mark: Mark, name: str, kind: str, rows: Mapping[int, Mapping[str, float]]
) -> dict[str, Any]:
    found: dict[str, Any] = {"objectType": kind, "name": name, "label": mark.label}
    if mark.color is not None:
        found["color"] = list(mark.color)
    if mark.kind:
        text = f"Class {mark.kind}" if mark.kind.isdecimal() else mark.kind
        found["classification"] = {"name": text, "color": list(mark.kind_color or (0, 0, 0))}
    found["measurements"] = {**rows.get(mark.label, {}), ID: mark.label}
    return found


def _geometry(outline: Outline, z: int | None, t: int | None) -> dict[str, Any]:
    polygons = [_coordinates(part) for part in outline.parts]
    geometry: dict[str, Any] = (
        {"type": "Polygon", "coordinates": polygons[0]}
        if len(polygons) == 1
        else {"type": "MultiPolygon", "coordinates": polygons}
    )
    if z is not None or t is not None:
        geometry["plane"] = {"c": -1, "z": z or 0, "t": t or 0}
    return geometry


def _coordinates(polygon: Polygon) -> list[list[list[int]]]:
    """Rings as (x, y), closed."""
    rings = []
    for ring in (polygon.exterior, *polygon.holes):
        corners = ring[:, ::-1].astype(np.int64).tolist()
        rings.append([*corners, corners[0]])
    return rings
