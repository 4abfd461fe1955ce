"""ImageJ ROIs against an independent reader, writer and rasteriser: the same pixels."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from delineate.io import load_rois, read_rois, write_rois
from roi_files import SHAPE, archive, centres, inside

FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BLOBS = hnp.arrays(
    np.uint16,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.sampled_from([0, 0, 0, 1, 1, 2, 7]),
)


@FEW
@given(labels=BLOBS)
def test_another_reader_finds_the_same_pixels(labels: NDArray[np.uint16], tmp_path: Path) -> None:
    """roifile reads the bytes, matplotlib fills them: holes, parts, borders, single pixels."""
    write_rois(tmp_path / "a.zip", labels)
    found = np.zeros_like(labels)
    with zipfile.ZipFile(tmp_path / "a.zip") as content:
        for name in content.namelist():
            roi = ImagejRoi.frombytes(content.read(name))
            mask = np.zeros(labels.shape, bool)
            for ring in roi.coordinates(multi=True):
                mask ^= inside(ring, labels.shape)
            label = int(roi.properties["delineate_id"])
            assert roi.name == name.removesuffix(".roi")
            assert (roi.top, roi.left) == tuple(np.argwhere(mask).min(axis=0))
            assert (roi.bottom, roi.right) == tuple(np.argwhere(mask).max(axis=0) + 1)
            assert not found[mask].any()
            found[mask] = label
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize(
    ("roi", "points"),
    [
        (ImagejRoi.frompoints([[3, 4], [30, 6], [22, 33], [5, 20]]), None),
        (ImagejRoi.frompoints([[3.25, 4.1], [30.7, 6.3], [22.2, 33.9], [5.6, 20.3]]), None),
        (ImagejRoi.frompoints([[-6, -4], [70, 6], [22, 90]]), None),
        (
            ImagejRoi(roitype=ROI_TYPE.RECT, left=4, top=7, right=9, bottom=31),
            [[4, 7], [9, 7], [9, 31], [4, 31]],
        ),
        (
            ImagejRoi(
                roitype=ROI_TYPE.RECT,
                options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION,
                xd=4.2,
                yd=7.7,
                widthd=5.1,
                heightd=20.9,
            ),
            [[4.2, 7.7], [9.3, 7.7], [9.3, 28.6], [4.2, 28.6]],
        ),
    ],
    ids=["whole", "fractions", "beyond the border", "rectangle", "rectangle of fractions"],
)
@pytest.mark.parametrize("kind", [ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED])
def test_polygons_of_another_writer(
    roi: ImagejRoi, points: Any, kind: ROI_TYPE, tmp_path: Path
) -> None:
    if points is None:
        roi.roitype = kind
        points = roi.coordinates()
    roi.name = "cell"
    found = read_rois(archive(tmp_path / "a.zip", roi), SHAPE)
    # Centres on an edge belong to one side by rule; matplotlib's is another, so leave them out.
    on_edge = inside(np.asarray(points) + 1e-6) != inside(np.asarray(points) - 1e-6)
    np.testing.assert_array_equal((found == 1)[~on_edge], inside(points)[~on_edge])
    assert found.any()


@pytest.mark.parametrize(
    "box", [(3, 4, 12, 9), (3, 4, 1, 1), (5.3, 2.6, 20.5, 7.25), (30, 30, 40, 50)]
)
def test_ovals_are_their_equation_at_the_centres(
    box: tuple[float, float, float, float], tmp_path: Path
) -> None:
    x, y, width, height = box
    roi = ImagejRoi(roitype=ROI_TYPE.OVAL, name="1")
    if all(float(v).is_integer() for v in box):
        roi.left, roi.top, roi.right, roi.bottom = (int(v) for v in (x, y, x + width, y + height))
    else:
        roi.options = ROI_OPTIONS.SUB_PIXEL_RESOLUTION
        roi.xd, roi.yd, roi.widthd, roi.heightd = box
    px, py = centres().T
    expected = ((px - x - width / 2) / width) ** 2 + ((py - y - height / 2) / height) ** 2 <= 0.25
    found = read_rois(archive(tmp_path / "a.zip", roi), SHAPE)
    np.testing.assert_array_equal(found.ravel() == 1, expected)


def test_rounded_rectangles_lack_their_corners(tmp_path: Path) -> None:
    roi = ImagejRoi(
        roitype=ROI_TYPE.RECT,
        left=5,
        top=5,
        right=35,
        bottom=25,
        rounded_rect_arc_size=16,
        name="1",
    )
    px, py = centres().T
    away = np.hypot(np.maximum(np.abs(px - 20) - 7, 0), np.maximum(np.abs(py - 15) - 2, 0)).reshape(
        SHAPE
    )
    found = read_rois(archive(tmp_path / "a.zip", roi), SHAPE) == 1
    sure = np.abs(away - 8) > 0.02
    np.testing.assert_array_equal(found[sure], (away < 8)[sure])


def test_splines_and_curved_paths_are_smooth(tmp_path: Path) -> None:
    """Both draw a circle of radius 15 about (20, 20)."""
    turn = np.arange(12) * np.pi / 6
    spline = ImagejRoi.frompoints(
        np.stack([20 + 15 * np.cos(turn), 20 + 15 * np.sin(turn)], axis=1), name="1"
    )
    spline.options |= ROI_OPTIONS.SPLINE_FIT
    k = 15 * 0.5522847498
    path = [0, 35, 20]
    quarters = (((0, 1), (1, 0)), ((-1, 0), (0, 1)), ((0, -1), (-1, 0)), ((1, 0), (0, -1)))
    for (x, y), (u, v) in quarters:
        start, end = (20 + 15 * u, 20 + 15 * v), (20 + 15 * x, 20 + 15 * y)
        path += [3, start[0] + k * x, start[1] + k * y, end[0] + k * u, end[1] + k * v, *end]
    curved = ImagejRoi(roitype=ROI_TYPE.RECT, name="1", left=5, top=5, right=35, bottom=35)
    curved.multi_coordinates = np.array([*path, 4], np.float32)
    curved.shape_roi_size = len(path) + 1
    away = np.hypot(*(centres() - 20).T).reshape(SHAPE)
    for roi, exact in ((spline, 0.05), (curved, 0.02)):
        found = read_rois(archive(tmp_path / "a.zip", roi), SHAPE) == 1
        sure = np.abs(away - 15) > exact
        np.testing.assert_array_equal(found[sure], (away < 15)[sure])


def test_what_has_no_area_is_named(tmp_path: Path) -> None:
    line = ImagejRoi(roitype=ROI_TYPE.LINE, x2=9.0, y2=9.0, name="my line")
    point = ImagejRoi.frompoints([[3, 3]], name="spot")
    point.roitype = ROI_TYPE.POINT
    text = ImagejRoi(roitype=ROI_TYPE.RECT, right=9, bottom=9, name="note")
    text.subtype, text.text, text.text_name = ROI_SUBTYPE.TEXT, "hello", "Serif"
    cell = ImagejRoi.frompoints([[3, 3], [9, 3], [9, 9]], name="cell")
    drawing = load_rois(archive(tmp_path / "a.zip", line, point, text, cell), 40)
    assert [area.name for area in drawing.areas] == ["cell"]
    assert drawing.left_out == [
        "my line is a line without area",
        "spot is a point without area",
        "note is a text without area",
    ]


def test_more_corners_than_a_polygon_may_have_make_a_path(tmp_path: Path) -> None:
    comb = np.zeros((4, 70_001), np.uint8)
    comb[1:3, ::2] = 1
    comb[2] = 1
    write_rois(tmp_path / "a.zip", comb)
    (roi,) = ImagejRoi.fromfile(tmp_path / "a.zip")
    assert roi.composite
    np.testing.assert_array_equal(read_rois(tmp_path / "a.zip", comb.shape), comb)


def test_the_header_is_as_imagej_has_it(tmp_path: Path) -> None:
    """By hand: magic, version, type, box, corners, position, and where the name stands."""
    labels = np.zeros((9, 9), np.uint8)
    labels[2:5, 3:8] = 1
    write_rois(tmp_path / "a.zip", labels[None])
    with zipfile.ZipFile(tmp_path / "a.zip") as content:
        data = content.read(content.namelist()[0])
    assert data[:4] == b"Iout"
    assert struct.unpack_from(">hBxhhhhH", data, 4) == (228, 8, 2, 3, 5, 8, 4)
    assert struct.unpack_from(">ii", data, 56) == (1, 64 + 16)
    offset, length = struct.unpack_from(">ii", data, 80 + 16)
    assert data[offset : offset + 2 * length].decode("utf-16-be") == "0001_id1_z0001"
