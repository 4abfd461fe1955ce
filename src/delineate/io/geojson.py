"""GeoJSON as QuPath has it: detections with measurements, their polygons along pixel edges.

Format: RFC 7946, with QuPath's ``objectType``, ``measurements`` and ``plane``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import ReadError, WriteError
from delineate.io.atomic import atomic_path
from delineate.io.raster import Ring
from delineate.io.shapes import Shape, draw, outlines_of_planes
from delineate.labels import Outline, Polygon

log = logging.getLogger("delineate")


def write_geojson(
    path: str | Path, labels: ArrayLike, properties: Mapping[str, NDArray[Any]] | None = None
) -> None:
    """Write the objects of a label image as QuPath detections.

    Each object is a feature (in 3D one in each plane) with its id as name and as ``label``. Holes
    and parts are kept; `read_geojson` gives back exactly the pixels.

    Parameters
    ----------
    path : file to write, ``.geojson``.
    labels : ([Z,] Y, X) integers, 0 background.
    properties : table with a column ``label``; its numbers become measurements (missing ones are
        left out), a column ``class`` of text the classification.

    Raises
    ------
    LabelError : not a label image.
    WriteError : a table without the column ``label``, or the file cannot be written.
    """
    path = Path(path)
    rows = _rows(path, properties)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for z, outline in outlines_of_planes(labels, str(path)):
            feature = _feature(path.name, z, outline, rows.get(outline.label, {}))
            file.write(separator + json.dumps(feature, ensure_ascii=False, allow_nan=False))
            separator = ",\n"
        file.write("\n]}\n")


def _rows(path: Path, table: Mapping[str, NDArray[Any]] | None) -> dict[int, dict[str, Any]]:
    """Values of each object by its id."""
    if table is None:
        return {}
    if "label" not in table:
        raise WriteError(
            f"{path}: the table of properties has no column 'label'; its columns are "
            f"{', '.join(table) or 'none'}"
        )
    columns = {name: np.asarray(column).tolist() for name, column in table.items()}
    names = [name for name in columns if name != "label"]
    return {
        int(label): {name: columns[name][i] for name in names}
        for i, label in enumerate(columns["label"])
    }


def _feature(file: str, z: int | None, outline: Outline, row: dict[str, Any]) -> dict[str, Any]:
    polygons = [_coordinates(part) for part in outline.parts]
    geometry: dict[str, Any] = (
        {"type": "Polygon", "coordinates": polygons[0]}
        if len(polygons) == 1
        else {"type": "MultiPolygon", "coordinates": polygons}
    )
    if z is not None:
        geometry["plane"] = {"c": -1, "z": z, "t": 0}
    properties: dict[str, Any] = {
        "objectType": "detection",
        "name": str(outline.label),
        "label": outline.label,
    }
    if row.get("class"):
        properties["classification"] = {"name": str(row["class"])}
    measurements = {
        name: value
        for name, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    }
    if measurements:
        properties["measurements"] = measurements
    return {
        "type": "Feature",
        # The same object of the same file gets the same identifier at every writing.
        "id": str(uuid5(NAMESPACE_URL, f"{file}/{outline.label}/{z}")),
        "geometry": geometry,
        "properties": properties,
    }


def _coordinates(polygon: Polygon) -> list[list[list[int]]]:
    """Rings as (x, y), closed."""
    rings = []
    for ring in (polygon.exterior, *polygon.holes):
        corners = ring[:, ::-1].astype(np.int64).tolist()
        rings.append([*corners, corners[0]])
    return rings


def read_geojson(path: str | Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """Label image of the polygons in a GeoJSON file, e.g. exported from QuPath.

    Ids are the features' ``label``, else their names where all are numbers, else their order.
    Where two features overlap, the later one has the pixels.

    Parameters
    ----------
    path : the file.
    shape : ([Z,] Y, X) of the image.

    Raises
    ------
    ReadError : missing, not JSON or without features.
    LabelError : a feature lies in a plane that the image does not have.
    """
    path = Path(path)
    features = [feature for feature in _features(path) if _has_area(feature, path)]
    ids = _ids(features, path)
    try:
        shapes = [
            Shape(label, _plane(feature), list(_rings(feature["geometry"])))
            for label, feature in zip(ids, features, strict=True)
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ReadError(f"{path}: has a feature with unusable coordinates ({error})") from error
    return draw(shapes, shape, str(path))


def _features(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ReadError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ReadError(f"{path}: cannot be read as GeoJSON ({error}); export it anew") from error
    if isinstance(content, dict) and content.get("type") == "Feature":
        content = [content]
    elif isinstance(content, dict):
        content = content.get("features")
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise ReadError(f"{path}: is no GeoJSON: expected a FeatureCollection or a list")
    return content


def _has_area(feature: dict[str, Any], path: Path) -> bool:
    kind = (feature.get("geometry") or {}).get("type")
    if kind in ("Polygon", "MultiPolygon"):
        return True
    log.info("%s: a feature of type %s has no area: left out", path.name, kind)
    return False


def _ids(features: list[dict[str, Any]], path: Path) -> list[int]:
    properties = [feature.get("properties") or {} for feature in features]
    labels = [entry.get("label") for entry in properties]
    if all(isinstance(label, int) and label > 0 for label in labels):
        return [int(label) for label in labels if label is not None]
    names = [str(entry.get("name", "")) for entry in properties]
    if all(name.isdecimal() and int(name) > 0 for name in names):
        return [int(name) for name in names]
    log.info("%s: features have no numbers; they are numbered 1 to %d", path.name, len(features))
    return list(range(1, len(features) + 1))


def _plane(feature: dict[str, Any]) -> int | None:
    plane = feature["geometry"].get("plane") or {}
    return int(plane["z"]) if "z" in plane else None


def _rings(geometry: dict[str, Any]) -> Iterator[Ring]:
    coordinates = geometry["coordinates"]
    for polygon in [coordinates] if geometry["type"] == "Polygon" else coordinates:
        for ring in polygon:
            yield np.asarray(ring, dtype=np.float64)[:, 1::-1]
