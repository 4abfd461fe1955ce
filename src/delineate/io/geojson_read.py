"""GeoJSON as QuPath and others write it, read as areas of objects."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ReadError
from delineate.io.draw import draw
from delineate.io.marks import kind_in, kind_of, label_in, positive
from delineate.io.raster import Ring
from delineate.io.shapes import Area, Drawing

log = logging.getLogger("delineate")

ID = "delineate id"
"""Measurement that holds the id of an object."""

_CONTAINERS = ("root", "tile", "tmaCore", "PathRootObject", "PathTileObject", "TMACoreObject")
"""Objects of QuPath that hold others, by their ``objectType`` or, before QuPath 0.3, ``id``."""

_LARGEST = 2 << 30
"""Bytes of a file above which it is refused."""


def read_geojson(path: str | Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """Label image of the polygons in a GeoJSON file, e.g. exported from QuPath.

    Ids come from the names as `write_geojson` makes them, from names that are numbers, from
    ``label``, or from the measurement "delineate id"; features without an id are numbered above
    them, in their order. How areas become objects, and who has contested pixels, is told by
    `delineate.io.draw.draw`.

    Parameters
    ----------
    path : the file.
    shape : ([Z,] Y, X) of the image.

    Raises
    ------
    ReadError : missing, not JSON or without features.
    LabelError : a feature lies in a plane that the image does not have.
    """
    drawing = load_geojson(path)
    drawn = draw(drawing.areas, shape, str(path))
    for reason in (*drawing.left_out, *drawn.left_out):
        log.info("%s: %s: left out", Path(path).name, reason)
    return drawn.labels


def load_geojson(path: str | Path, *, nuclei: bool = False) -> Drawing:
    """Areas of the features in a GeoJSON file, in their order.

    A file holds a FeatureCollection, a list of features, one feature, a geometry or a
    GeometryCollection. Points, lines, tiles and cores are named in
    `Drawing.left_out`.

    Parameters
    ----------
    path : the file; untrusted.
    nuclei : of QuPath's cells take the nucleus, where they have one, instead of the whole cell.

    Raises
    ------
    ReadError : missing, not JSON, without features, or with unusable coordinates.
    """
    path = Path(path)
    areas, left_out = [], []
    for number, feature in enumerate(_features(path), start=1):
        try:
            area = _area(feature, number, nuclei)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ReadError(
                f"{path}: feature {number} has unusable coordinates ({error}); export it anew"
            ) from error
        if isinstance(area, str):
            left_out.append(area)
        else:
            areas.append(area)
    return Drawing(areas, left_out)


def _features(path: Path) -> list[dict[str, Any]]:
    try:
        if path.stat().st_size > _LARGEST:
            raise ReadError(f"{path}: is too large to be read ({path.stat().st_size:,} bytes)")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ReadError(f"{path}: no such file") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ReadError(f"{path}: cannot be read as GeoJSON ({error}); export it anew") from error
    found = list(_flat(content))
    if None in found:
        raise ReadError(f"{path}: is no GeoJSON: expected a FeatureCollection or a list")
    return [feature for feature in found if feature is not None]


def _flat(content: Any) -> Iterator[dict[str, Any] | None]:
    """Features, whatever they are wrapped in; None for what is none."""
    if isinstance(content, list):
        for entry in content:
            yield from _flat(entry)
    elif not isinstance(content, dict):
        yield None
    elif isinstance(content.get("features"), list):
        yield from _flat(content["features"])
    elif content.get("type") == "Feature":
        yield content
    elif "coordinates" in content or "geometries" in content:
        yield {"type": "Feature", "geometry": content}
    else:
        yield None


def _area(feature: dict[str, Any], number: int, nuclei: bool) -> Area | str:
    """The area of a feature, or in words why it has none."""
    geometry = feature.get("geometry")
    nucleus = feature.get("nucleusGeometry")
    if nucleus is not None and (nuclei or geometry is None):
        geometry = nucleus
    properties = feature.get("properties") or {}
    name = str(properties.get("name") or f"feature {number}")
    kind = properties.get("objectType") or feature.get("id")
    if kind in _CONTAINERS:
        return f"{name} is a {kind}, which holds objects"
    members = list(_members(geometry or {}))
    patches = [patch for member in members for patch in _patches(member)]
    if not patches:
        kinds = ", ".join(str(member.get("type")) for member in members)
        return f"{name} is a {kinds} without area" if kinds else f"{name} has no geometry"
    plane: dict[str, Any] = next((m["plane"] for m in members if m.get("plane")), {})
    return Area(
        patches,
        name,
        _label(name, properties),
        # QuPath does not write the first plane.
        z=int(plane.get("z", 0)),
        t=int(plane["t"]) if "t" in plane else None,
        kind=_kind(name, properties),
    )


def _members(geometry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The geometry, or those that it collects, each with its plane."""
    if geometry.get("type") != "GeometryCollection":
        if geometry:
            yield geometry
        return
    for member in geometry["geometries"]:
        yield from _members({"plane": geometry.get("plane"), **member})


def _patches(geometry: dict[str, Any]) -> Iterator[list[Ring]]:
    if geometry.get("type") not in ("Polygon", "MultiPolygon"):
        return
    coordinates = geometry["coordinates"]
    for polygon in [coordinates] if geometry["type"] == "Polygon" else coordinates:
        rings = []
        for ring in polygon:
            points = np.asarray(ring, dtype=np.float64)[:, 1::-1]
            if points.shape[1] != 2 or not np.isfinite(points).all():
                raise ValueError("they are not pairs of finite numbers")
            rings.append(points)
        if rings:
            yield rings


def _label(name: str, properties: dict[str, Any]) -> int | None:
    measured = properties.get("measurements") or {}
    if isinstance(measured, list):  # before QuPath 0.4
        measured = {entry.get("name"): entry.get("value") for entry in measured}
    found = (label_in(name), positive(properties.get("label")), positive(measured.get(ID)))
    return next((label for label in found if label is not None), None)


def _kind(name: str, properties: dict[str, Any]) -> int | str | None:
    classification = properties.get("classification")
    if isinstance(classification, dict):
        names = classification.get("names")
        joined = ": ".join(map(str, names)) if isinstance(names, list) else ""
        classification = classification.get("name") or joined
    text = kind_of(str(classification)) if classification else None
    return kind_in(name) if text is None else text
