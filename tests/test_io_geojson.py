"""GeoJSON: what goes to QuPath and what comes back in all its flavours; outlines as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from delineate.errors import LabelError, ReadError
from delineate.io import (
    draw,
    load_geojson,
    load_outlines,
    read_geojson,
    write_geojson,
    write_outlines,
)
from roi_files import inside

FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SQUARE = [[[1, 1], [4, 1], [4, 3], [1, 3], [1, 1]]]
EXPECTED = np.zeros((8, 9), int)
EXPECTED[1:3, 1:4] = 1


def save(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def features(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["features"]
    return found


@FEW
@given(
    labels=hnp.arrays(
        np.uint16,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
        elements=st.sampled_from([0, 0, 0, 1, 1, 2, 7]),
    )
)
def test_polygons_filled_by_another_program(labels: NDArray[np.uint16], tmp_path: Path) -> None:
    """Each polygon with its holes cut out, by matplotlib; rings are closed, as RFC 7946 asks."""
    path = tmp_path / "a.geojson"
    write_geojson(path, labels)
    found = np.zeros_like(labels)
    for feature in features(path):
        geometry = feature["geometry"]
        polygons = geometry["coordinates"]
        for rings in [polygons] if geometry["type"] == "Polygon" else polygons:
            assert all(ring[0] == ring[-1] and len(ring) >= 5 for ring in rings)
            mask = inside(rings[0], labels.shape)
            for hole in rings[1:]:
                mask &= ~inside(hole, labels.shape)
            assert not found[mask].any()
            found[mask] = feature["properties"]["label"]
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(read_geojson(path, labels.shape), labels)


def test_the_most_uncertain_come_first(tmp_path: Path) -> None:
    labels = np.zeros((2, 6, 12), np.uint8)
    labels[:, 1:4, [1, 3, 5]] = [1, 2, 3]
    table = {
        "label": np.array([3, 1, 2]),
        "uncertainty": np.array([np.nan, 0.05, 0.25]),
        "class": np.array([2, 2, 1]),
    }
    path = tmp_path / "a.geojson"
    write_geojson(path, labels, table)
    found = features(path)
    assert [f["properties"]["name"] for f in found] == [
        f"{rank}_z000{z}_class-{kind}"
        for rank, kind in (("0001_id2", 1), ("0002_id1", 2), ("0003_id3", 2))
        for z in (1, 2)
    ]
    assert [f["properties"].get("color") for f in found[::2]] == [
        [255, 0, 60],
        [102, 192, 153],
        None,
    ]
    assert found[0]["properties"]["classification"]["name"] == "Class 1"
    assert found[0]["properties"]["measurements"] == {"uncertainty": 0.25, "delineate id": 2}
    assert len({UUID(f["id"]) for f in found}) == 6
    write_geojson(path, labels, table, color="class", editable=False)
    again = features(path)
    assert [f["id"] for f in again] == [f["id"] for f in found]
    assert all(
        f["properties"]["color"] == f["properties"]["classification"]["color"] for f in again
    )
    assert {f["properties"]["objectType"] for f in again} == {"detection"}
    assert [area.kind for area in load_geojson(path).areas] == [1, 1, 2, 2, 2, 2]
    write_geojson(path, labels[0], table, time=4)
    assert features(path)[0]["geometry"]["plane"] == {"c": -1, "z": 0, "t": 4}
    assert load_geojson(path).areas[0].t == 4


@pytest.mark.parametrize(
    "content",
    [
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": "HERE"}]},
        [{"type": "Feature", "geometry": "HERE"}],
        {"type": "Feature", "geometry": "HERE"},
        "HERE",
        ["HERE"],
        {"type": "GeometryCollection", "geometries": ["HERE"]},
        {"type": "Feature", "geometry": {"type": "GeometryCollection", "geometries": ["HERE"]}},
        [{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": "HERE"}]}],
        {"type": "Feature", "geometry": None, "nucleusGeometry": "HERE"},
    ],
)
def test_every_wrapping_is_read(content: Any, tmp_path: Path) -> None:
    text = json.dumps(content)
    for polygon in (
        {"type": "Polygon", "coordinates": SQUARE},
        {"type": "Polygon", "coordinates": SQUARE, "isEllipse": False},
        {"type": "MultiPolygon", "coordinates": [SQUARE]},
        {"type": "Polygon", "coordinates": [[[x, y, 0.0] for x, y in SQUARE[0]]]},
    ):
        path = tmp_path / "a.geojson"
        path.write_text("\ufeff" + text.replace('"HERE"', json.dumps(polygon)), encoding="utf-8")
        np.testing.assert_array_equal(read_geojson(path, (8, 9)), EXPECTED)


def test_cells_and_their_nuclei(tmp_path: Path) -> None:
    cell = {
        "type": "Feature",
        "id": "PathCellObject",
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [8, 0], [8, 7], [0, 7], [0, 0]]]},
        "nucleusGeometry": {"type": "Polygon", "coordinates": SQUARE},
        "properties": {"objectType": "cell", "isLocked": False, "measurements": []},
    }
    path = save(tmp_path / "a.geojson", [cell])
    assert np.count_nonzero(read_geojson(path, (8, 9))) == 56
    nuclei = draw(load_geojson(path, nuclei=True).areas, (8, 9), "a").labels
    np.testing.assert_array_equal(nuclei, EXPECTED)


@pytest.mark.parametrize(
    ("properties", "label", "kind"),
    [
        ({"name": "0001_id17_class-2"}, 17, 2),
        ({"name": "17"}, 17, None),
        ({"name": "Tumour", "label": 17}, 17, None),
        ({"name": "Tumour", "label": "x", "measurements": {"delineate id": 17.0}}, 17, None),
        ({"measurements": [{"name": "delineate id", "value": 17}]}, 17, None),
        ({"name": "18", "measurements": {"delineate id": 17}}, 18, None),
        ({"measurements": {"delineate id": 17.5}}, None, None),
        ({"measurements": {"delineate id": float("nan")}}, None, None),
        ({"classification": {"name": "Tumour", "colorRGB": -3670016}}, None, "Tumour"),
        ({"classification": {"name": "Class 3", "color": [1, 2, 3]}}, None, 3),
        ({"classification": {"names": ["Tumour", "Positive"]}}, None, "Tumour: Positive"),
        ({"classification": "Stroma"}, None, "Stroma"),
        ({"name": "0001_id17_class-2", "classification": {"name": "Stroma"}}, 17, "Stroma"),
        (None, None, None),
    ],
)
def test_ids_and_classes(properties: Any, label: Any, kind: Any, tmp_path: Path) -> None:
    feature = {"geometry": {"type": "Polygon", "coordinates": SQUARE}, "properties": properties}
    path = save(tmp_path / "a.geojson", [{"type": "Feature", **feature}])
    (area,) = load_geojson(path).areas
    assert (area.label, area.kind) == (label, kind)


def test_parts_that_overlap_are_one_object(tmp_path: Path) -> None:
    """A MultiPolygon is the union of its polygons, an outline over itself counts even-odd."""
    two = [[[[1, 1], [5, 1], [5, 5], [1, 5], [1, 1]]], [[[3, 3], [7, 3], [7, 7], [3, 7], [3, 3]]]]
    path = save(tmp_path / "a.geojson", {"type": "MultiPolygon", "coordinates": two})
    found = read_geojson(path, (8, 9))
    expected = np.zeros((8, 9), int)
    expected[1:5, 1:5] = expected[3:7, 3:7] = 1
    np.testing.assert_array_equal(found, expected)


def test_what_has_no_area_is_named(tmp_path: Path) -> None:
    def feature(kind: str, coordinates: Any, **properties: str) -> dict[str, Any]:
        geometry = {"type": kind, "coordinates": coordinates}
        return {"type": "Feature", "geometry": geometry, "properties": properties}

    content = [
        feature("Point", [1, 1], name="spot"),
        feature("LineString", [[1, 1], [2, 2]]),
        {"type": "Feature", "geometry": None, "properties": {"name": "nothing"}},
        feature("Polygon", [], name="empty"),
        feature("Polygon", SQUARE, name="A-1", objectType="tmaCore"),
        {**feature("Polygon", SQUARE), "id": "PathTileObject"},
        feature("Polygon", SQUARE, name="cell"),
    ]
    drawing = load_geojson(save(tmp_path / "a.geojson", content))
    assert [area.name for area in drawing.areas] == ["cell"]
    assert drawing.left_out == [
        "spot is a Point without area",
        "feature 2 is a LineString without area",
        "nothing has no geometry",
        "empty is a Polygon without area",
        "A-1 is a tmaCore, which holds objects",
        "feature 6 is a PathTileObject, which holds objects",
    ]


def test_planes(tmp_path: Path) -> None:
    """QuPath leaves the first plane out."""
    polygon = {"type": "Polygon", "coordinates": SQUARE}
    deeper = {**polygon, "plane": {"c": -1, "z": 1, "t": 0}}
    wrapped = {"type": "GeometryCollection", "geometries": [polygon], "plane": {"z": 2}}
    content = [{"type": "Feature", "geometry": g} for g in (polygon, deeper, wrapped)]
    path = save(tmp_path / "a.geojson", content)
    found = read_geojson(path, (3, 8, 9))
    for z in range(3):
        np.testing.assert_array_equal(found[z], EXPECTED * (z + 1))
    with pytest.raises(LabelError, match="plane 3 of 2"):
        read_geojson(path, (2, 8, 9))


@pytest.mark.parametrize(
    "coordinates",
    [
        [[["x", 1], [2, 2], [3, 1]]],
        [[[1], [2], [3]]],
        [[1, 2, 3]],
        [[[1, 2], [3, float("nan")], [4, 4]]],
        [[[1, 2], [3, float("inf")], [4, 4]]],
        7,
        None,
        [[{}, {}, {}]],
    ],
)
def test_broken_coordinates_are_refused(coordinates: Any, tmp_path: Path) -> None:
    good = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": SQUARE}}
    bad = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": coordinates}}
    path = save(tmp_path / "a.geojson", [good, bad])
    with pytest.raises(ReadError, match=r"a\.geojson: feature 2 has unusable coordinates"):
        read_geojson(path, (8, 9))


def test_files_that_are_no_geojson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.geojson"
    for text in ("", "{", '{"type": "x"}', "[1, 2]", "[" * 100_000, '"\\ud800"', "3"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ReadError, match=r"a\.geojson: "):
            read_geojson(path, (8, 9))
    monkeypatch.setattr("delineate.io.geojson_read._LARGEST", 1)
    save(path, [])
    with pytest.raises(ReadError, match="too large"):
        read_geojson(path, (8, 9))


@FEW
@given(
    labels=hnp.arrays(np.uint8, (9, 10), elements=st.sampled_from([0, 0, 1, 2, 3])),
)
def test_outlines_as_text_give_back_parts(labels: NDArray[np.uint8], tmp_path: Path) -> None:
    """All but holes and ids: each 4-connected part without holes is an object of its own."""
    from scipy import ndimage

    parts = [
        ndimage.binary_fill_holes(ndimage.label(labels == label)[0] == k, np.ones((3, 3)))
        for label in (1, 2, 3)
        for k in range(1, ndimage.label(labels == label)[1] + 1)
    ]
    write_outlines(tmp_path / "a.txt", labels)
    areas = load_outlines(tmp_path / "a.txt").areas
    assert len(areas) == len(parts)
    for area, part in zip(areas, parts, strict=True):
        np.testing.assert_array_equal(draw([area], labels.shape, "a").labels == 1, part)


def test_text_that_is_no_outlines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1,1,4,1,4,3\n\n1,1\n")
    drawing = load_outlines(path)
    assert [area.name for area in drawing.areas] == ["line 1"]
    assert drawing.left_out == ["line 3 has 1 corners, and no area"]
    for text in ("1,2,3\n", "hello\n", "1,2,nan,3,4,5\n"):
        path.write_text(text)
        with pytest.raises(ReadError, match=r"a\.txt: line 1"):
            load_outlines(path)
    with pytest.raises(ReadError, match=r"b\.txt: no such file"):
        load_outlines(tmp_path / "b.txt")


@pytest.mark.parametrize("label", [2**53 + 1, 2**63 + 3, 2**64 - 1, str(2**53 + 1)])
def test_ids_that_floats_do_not_hold_come_back_exactly(tmp_path: Path, label: Any) -> None:
    """From a number of JSON, or from a text, where no name tells them."""
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": SQUARE},
        "properties": {"name": "mine", "label": label},
    }
    path = save(tmp_path / "a.geojson", {"type": "FeatureCollection", "features": [feature]})
    assert [area.label for area in load_geojson(path).areas] == [int(label)]


def test_large_ids_survive_writing(tmp_path: Path) -> None:
    labels = np.zeros((8, 9), np.uint64)
    labels[1:3, 1:4], labels[5:7, 2:8] = 2**53 + 1, 2**64 - 1
    write_geojson(tmp_path / "a.geojson", labels)
    content = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    for feature in content["features"]:
        feature["properties"]["name"] = "renamed"
    found = draw(load_geojson(save(tmp_path / "b.geojson", content)).areas, labels.shape, "b")
    np.testing.assert_array_equal(found.labels, labels)
