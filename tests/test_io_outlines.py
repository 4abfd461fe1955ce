"""Outlines in files: ROI archives and GeoJSON give back exactly the pixels."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import points_in_poly

from delineate.errors import LabelError, ReadError, WriteError
from delineate.io import read_geojson, read_rois, write_geojson, write_outlines, write_rois
from delineate.io.raster import spans
from delineate.labels import outlines

LABELS = hnp.arrays(
    np.int64,
    hnp.array_shapes(min_dims=2, max_dims=3, max_side=8),
    elements=st.sampled_from([0, 0, 1, 2, 3, 70000, 2**40]),
)
FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def ring_with_island():
    labels = np.zeros((20, 24), np.uint16)
    labels[2:15, 3:18] = 5
    labels[5:12, 6:14] = 0
    labels[7:9, 8:10] = 9  # nested in the hole of 5
    labels[16:19, 20:23] = 5  # a second part
    return labels


@FEW
@given(labels=LABELS)
def test_rois_give_back_the_pixels(labels, tmp_path):
    write_rois(tmp_path / "a.zip", labels)
    np.testing.assert_array_equal(read_rois(tmp_path / "a.zip", labels.shape), labels)


@FEW
@given(labels=LABELS)
def test_geojson_gives_back_the_pixels(labels, tmp_path):
    write_geojson(tmp_path / "a.geojson", labels)
    np.testing.assert_array_equal(read_geojson(tmp_path / "a.geojson", labels.shape), labels)


@FEW
@given(labels=LABELS.filter(lambda labels: labels.ndim == 2))
def test_polygons_along_pixel_edges_fill_exactly(labels):
    patches = [(o.label, (p.exterior, *p.holes)) for o in outlines(labels) for p in o.parts]
    filled = np.zeros_like(labels)
    for patch, row, start, stop in zip(*spans([p for _, p in patches], labels.shape), strict=True):
        filled[row, start:stop] = patches[patch][0]
    np.testing.assert_array_equal(filled, labels)


@settings(max_examples=150, deadline=None)
@given(
    corners=hnp.arrays(
        float,
        st.tuples(st.integers(3, 9), st.just(2)),
        elements=st.integers(-40, 160).map(lambda tenths: tenths / 10),
    )
)
def test_any_polygon_is_filled_at_pixel_centres(corners):
    # Shifted so that no edge goes through a centre, where rounding would decide.
    corners = np.add(corners, [0.01234567891, 0.03456789123])
    filled = np.zeros((14, 12), bool)
    for _, row, start, stop in zip(*spans([[corners]], (14, 12)), strict=True):
        filled[row, start:stop] = True
    centres = np.stack(np.mgrid[:14, :12], axis=-1).reshape(-1, 2) + 0.5
    np.testing.assert_array_equal(filled.ravel(), points_in_poly(centres, corners))


def test_an_object_with_hole_and_two_parts_is_one_composite_roi(tmp_path):
    labels = ring_with_island()
    write_rois(tmp_path / "a.zip", labels)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["0001_id5.roi", "0002_id9.roi"]
    np.testing.assert_array_equal(read_rois(tmp_path / "a.zip", labels.shape), labels)


def test_rois_of_a_volume_stand_at_their_plane(tmp_path):
    from roifile import ImagejRoi

    labels = np.zeros((3, 6, 7), np.uint8)
    labels[1:, 2:4, 1:5] = 12
    write_rois(tmp_path / "a.zip", labels)
    rois = ImagejRoi.fromfile(tmp_path / "a.zip")
    assert [(roi.name, roi.position) for roi in rois] == [
        ("0001_id12_z0002", 2),
        ("0001_id12_z0003", 3),
    ]
    assert rois[0].coordinates().tolist() == [[1, 2], [5, 2], [5, 4], [1, 4]]
    assert (rois[0].left, rois[0].top, rois[0].right, rois[0].bottom) == (1, 2, 5, 4)


def test_rois_beyond_the_whole_number_range_are_exact(tmp_path):
    labels = np.zeros((3, 70000), np.uint8)
    labels[1, 69990:69999] = 1
    labels[0, 40000:40002] = 2
    write_rois(tmp_path / "a.zip", labels)
    np.testing.assert_array_equal(read_rois(tmp_path / "a.zip", labels.shape), labels)


def test_rois_drawn_in_imagej_are_numbered_in_their_order(tmp_path):
    from roifile import ROI_TYPE, ImagejRoi, roiwrite

    box = ImagejRoi(roitype=ROI_TYPE.RECT, left=1, top=2, right=4, bottom=5, name="0003-0002")
    polygon = ImagejRoi.frompoints([[5, 5], [9, 5], [9, 8], [5, 8]], name="cell")
    line = ImagejRoi(roitype=ROI_TYPE.LINE, x1=0, y1=0, x2=3, y2=3, name="a line")
    roiwrite(tmp_path / "a.zip", [box, line, polygon])
    expected = np.zeros((10, 10), int)
    expected[2:5, 1:4] = 1
    expected[5:8, 5:9] = 2
    np.testing.assert_array_equal(read_rois(tmp_path / "a.zip", (10, 10)), expected)
    polygon.tofile(tmp_path / "b.roi")
    np.testing.assert_array_equal(read_rois(tmp_path / "b.roi", (10, 10)), expected == 2)


def test_the_same_labels_give_the_same_files(tmp_path):
    for write, name in ((write_rois, "a.zip"), (write_geojson, "a.geojson")):
        write(tmp_path / name, ring_with_island())
        first = (tmp_path / name).read_bytes()
        write(tmp_path / name, ring_with_island())
        assert (tmp_path / name).read_bytes() == first


def test_geojson_is_what_qupath_reads(tmp_path):
    labels = ring_with_island()
    table = {
        "label": np.array([5, 9]),
        "area": np.array([139.0, 4.0]),
        "count": np.array([3, 1]),
        "mean": np.array([np.nan, 1.5]),
        "class": np.array(["tumour", ""]),
    }
    write_geojson(tmp_path / "a.geojson", labels, table)
    content = json.loads((tmp_path / "a.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    first, second = content["features"]
    assert first["geometry"]["type"] == "MultiPolygon"
    assert second["geometry"]["coordinates"] == [[[8, 7], [10, 7], [10, 9], [8, 9], [8, 7]]]
    assert first["properties"] == {
        "objectType": "annotation",
        "name": "0001_id5_class-tumour",
        "label": 5,
        "classification": {"name": "tumour", "color": [230, 159, 0]},
        "measurements": {"area": 139.0, "count": 3, "delineate id": 5},
    }
    assert second["properties"]["measurements"] == {
        "area": 4.0,
        "count": 1,
        "mean": 1.5,
        "delineate id": 9,
    }
    assert first["id"] != second["id"]


def test_geojson_from_qupath_is_read(tmp_path):
    square = [[[1, 1], [4, 1], [4, 3], [1, 3], [1, 1]]]
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}}
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": square}}
    expected = np.zeros((5, 6), int)
    expected[1:3, 1:4] = 1
    for content in (
        feature,
        [point, feature],
        {"type": "FeatureCollection", "features": [feature]},
    ):
        (tmp_path / "a.geojson").write_text(json.dumps(content))
        np.testing.assert_array_equal(read_geojson(tmp_path / "a.geojson", (5, 6)), expected)
    feature["properties"] = {"name": "17"}
    (tmp_path / "a.geojson").write_text(json.dumps([feature]))
    np.testing.assert_array_equal(read_geojson(tmp_path / "a.geojson", (5, 6)), expected * 17)


def test_geojson_of_a_volume_has_planes(tmp_path):
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[1, 1:3, 1:3] = 7
    write_geojson(tmp_path / "a.geojson", labels)
    (feature,) = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert feature["geometry"]["plane"] == {"c": -1, "z": 1, "t": 0}
    with pytest.raises(LabelError, match="plane 2"):
        read_geojson(tmp_path / "a.geojson", (4, 5))
    with pytest.raises(LabelError, match="plane 2 of 1"):
        read_geojson(tmp_path / "a.geojson", (1, 4, 5))


def test_outlines_as_text(tmp_path):
    assert write_outlines(tmp_path / "a.txt", ring_with_island()) == [5]  # not whole in text
    assert write_outlines(tmp_path / "b.txt", ring_with_island() == 9) == []
    lines = [
        list(map(int, line.split(","))) for line in (tmp_path / "a.txt").read_text().splitlines()
    ]
    assert len(lines) == 3
    assert sorted(zip(lines[2][::2], lines[2][1::2], strict=True)) == [
        (8, 7),
        (8, 9),
        (10, 7),
        (10, 9),
    ]
    with pytest.raises(LabelError, match="no planes"):
        write_outlines(tmp_path / "a.txt", np.zeros((2, 3, 4), int))


def test_no_objects_make_valid_files(tmp_path):
    nothing = np.zeros((4, 5), np.uint8)
    write_rois(tmp_path / "a.zip", nothing)
    write_geojson(tmp_path / "a.geojson", nothing)
    write_outlines(tmp_path / "a.txt", nothing)
    assert not read_rois(tmp_path / "a.zip", (4, 5)).any()
    assert not read_geojson(tmp_path / "a.geojson", (4, 5)).any()
    assert (tmp_path / "a.txt").read_text() == ""


@pytest.mark.parametrize("read", [read_rois, read_geojson])
def test_bad_files_name_themselves(tmp_path, read):
    with pytest.raises(ReadError, match=r"none\.zip: no such file"):
        read(tmp_path / "none.zip", (3, 3))
    (tmp_path / "bad.zip").write_bytes(b"\xff\x00nonsense")
    with pytest.raises(ReadError, match=r"bad\.zip: cannot be read"):
        read(tmp_path / "bad.zip", (3, 3))
    (tmp_path / "bad.zip").write_text('{"type": "x"}')
    with pytest.raises(ReadError, match=r"bad\.zip"):
        read(tmp_path / "bad.zip", (3, 3))


def test_geojson_with_broken_coordinates_is_refused(tmp_path):
    broken = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [["x"]]}}
    (tmp_path / "a.geojson").write_text(json.dumps(broken))
    with pytest.raises(ReadError, match="unusable coordinates"):
        read_geojson(tmp_path / "a.geojson", (3, 3))


def test_what_is_no_label_image_is_refused(tmp_path):
    for write in (write_rois, write_geojson):
        with pytest.raises(LabelError):
            write(tmp_path / "a", np.zeros((3, 3), float))
        with pytest.raises(LabelError):
            write(tmp_path / "a", np.zeros(3, int))
    with pytest.raises(WriteError, match="label"):
        write_geojson(tmp_path / "a", np.zeros((3, 3), int), {"area": np.zeros(0)})
    assert list(tmp_path.iterdir()) == []
