"""ImageJ ROIs in review: order, colours, names, places, and what a person makes of them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roifile import ROI_TYPE, ImagejRoi

from delineate.errors import LabelError
from delineate.io import draw, load_rois, read_rois, write_rois
from delineate.io._draw_kernels import paint
from delineate.io.marks import label_in, uncertainty_color
from roi_files import SHAPE, archive


def rewrite(path: Path, change: Any) -> None:
    """What a person does in the ROI manager: `change` gets the list of (name, bytes)."""
    with zipfile.ZipFile(path) as old:
        entries = [(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile(path, "w") as new:
        for name, data in change(entries):
            new.writestr(name, data)


def test_the_most_uncertain_come_first_in_one_colour_range(tmp_path: Path) -> None:
    labels = np.zeros((6, 12), np.uint8)
    labels[1:4, [1, 3, 5, 7, 9]] = [1, 2, 3, 4, 5]
    table = {
        "label": np.array([5, 4, 3, 2, 1]),
        "uncertainty": np.array([0.25, 0.0, np.nan, 0.125, 0.25]),
        "class": np.array([1, 2, 2, 1, 0]),
    }
    path = tmp_path / "a.zip"
    write_rois(path, labels, table)
    rois = ImagejRoi.fromfile(path)
    assert [roi.name for roi in rois] == [
        "0001_id1",
        "0002_id5_class-1",
        "0003_id2_class-1",
        "0004_id4_class-2",
        "0005_id3_class-2",
    ]
    colors = [roi.stroke_color for roi in rois]
    red, yellow, blue = b"\xff\xff\x00\x3c", b"\xff\xff\xe1\x00", b"\xff\x00\xaa\xff"
    assert colors == [red, red, yellow, blue, b"\0\0\0\0"]
    assert {roi.group for roi in rois} == {0}  # a group would take the place of the colour
    assert rois[0].properties["uncertainty"] == pytest.approx(0.25)
    assert uncertainty_color(7.0) == uncertainty_color(0.25)
    write_rois(path, labels, table, color="class")
    rois = ImagejRoi.fromfile(path)
    assert [roi.group for roi in rois] == [0, 1, 1, 2, 2]
    assert len({roi.stroke_color for roi in rois}) == 3
    for color in ("uncertainty", "class"):
        write_rois(path, labels, table, color=color)
        kinds = {area.label: area.kind for area in load_rois(path, 6).areas}
        assert kinds == {1: None, 5: 1, 2: 1, 4: 2, 3: 2}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("0001_id17", 17),
        ("0001_id17_z0003_class-2", 17),
        ("0001_id17-1", 17),
        ("my cell id17", 17),
        ("17", 17),
        ("0017", 17),
        ("0017-z0003", 17),
        ("0017-0123", None),
        ("0003-0017-0123", None),
        ("id0", None),
        ("grid17", None),
        ("id17b", None),
        ("99999999999999999999", None),
        ("nucleus", None),
    ],
)
def test_ids_in_names(name: str, label: int | None) -> None:
    assert label_in(name) == label


def test_what_a_person_does_in_the_roi_manager(tmp_path: Path) -> None:
    """Deleted, renamed, added, merged by a name, and a corrected copy beside the old outline."""
    labels = np.zeros(SHAPE, np.uint8)
    for k in range(6):
        labels[5:15, 1 + 8 * k : 7 + 8 * k] = k + 1
    path = tmp_path / "a.zip"
    write_rois(path, labels)
    new = ImagejRoi.frompoints([[2, 20], [9, 20], [9, 27], [2, 27]])
    smaller = ImagejRoi.frompoints([[41, 5], [47, 5], [47, 13], [41, 13]])

    def change(entries: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        one, _, three, four, five, six = (data for _, data in entries)
        return [
            ("0001_id1.roi", one),
            ("a strange cell.roi", three),  # its id is in its properties
            ("0005_id4.roi", five),  # made one object with the fourth
            ("0004_id4.roi", four),
            ("0020-0005.roi", new.tobytes()),
            ("0006_id6.roi", six),
            ("0006_id6-1.roi", smaller.tobytes()),
        ]

    rewrite(path, change)
    expected = labels.copy()
    expected[labels == 2] = 0
    expected[labels == 5] = 4
    expected[20:27, 2:9] = 7
    expected[13:15, 41:47] = 0
    np.testing.assert_array_equal(read_rois(path, SHAPE), expected)
    drawn = draw(load_rois(path, 40).areas, SHAPE, "a.zip", taken=100)
    assert drawn.ids.tolist() == [0, 1, 3, 4, 6, 101]
    assert drawn.is_new.tolist() == [False] * 5 + [True]
    assert (drawn.joined, drawn.replaced, drawn.contested) == (1, 1, 0)


def test_the_smaller_of_two_objects_has_the_pixels(tmp_path: Path) -> None:
    def box(name: str, x: int, y: int, width: int, height: int) -> ImagejRoi:
        return ImagejRoi(
            roitype=ROI_TYPE.RECT, left=x, top=y, right=x + width, bottom=y + height, name=name
        )

    small, large = box("1", 10, 10, 5, 5), box("2", 5, 5, 20, 20)
    hidden, equal = box("3", 30, 5, 4, 4), box("4", 30, 5, 4, 4)
    expected = np.zeros(SHAPE, int)
    expected[5:25, 5:25] = 2
    expected[10:15, 10:15] = 1
    expected[5:9, 30:34] = 4
    for order in ([small, large, hidden, equal], [hidden, large, equal, small]):
        path = archive(tmp_path / "a.zip", *order)
        drawn = draw(load_rois(path, 40).areas, SHAPE, "a.zip")
        np.testing.assert_array_equal(drawn.labels, expected)
        assert drawn.contested == 25 + 16
        assert drawn.left_out == ("3 has no pixel",)
        assert drawn.ids.tolist() == [0, 1, 2, 4]


def test_many_areas_of_one_id_are_its_parts(tmp_path: Path) -> None:
    rois = [
        ImagejRoi(roitype=ROI_TYPE.RECT, left=k, top=3, right=k + 1, bottom=5, name=f"id1-{k}")
        for k in range(100)
    ]
    areas = load_rois(archive(tmp_path / "a.zip", *rois), 10).areas
    drawn = draw(areas, (10, 100), "a")
    assert (drawn.labels[3:5] == 1).all()
    assert (drawn.joined, drawn.replaced) == (1, 0)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 8), st.integers(0, 8), st.integers(1, 3)),
        max_size=12,
    )
)
def test_painting_equals_plain_slices(runs: list[tuple[int, int, int, int]]) -> None:
    columns = np.array(runs, np.int64).reshape(-1, 4).T
    canvas, contested = np.zeros((5, 8), np.uint32), np.zeros((5, 8), bool)
    counts = np.zeros(4, np.int64)
    paint(canvas, contested, counts, *columns[:3], columns[3].astype(np.uint32))
    expected, fought = np.zeros((5, 8), np.uint32), np.zeros((5, 8), bool)
    for row, start, stop, value in runs:
        old = expected[row, start:stop]
        fought[row, start:stop] |= (old != 0) & (old != value)
        expected[row, start:stop] = value
    np.testing.assert_array_equal(canvas, expected)
    np.testing.assert_array_equal(contested, fought)
    np.testing.assert_array_equal(counts[1:], np.bincount(expected.ravel(), minlength=4)[1:])


def test_places_in_stacks(tmp_path: Path) -> None:
    """One axis is a plain stack in ImageJ, several are a hyperstack."""
    labels = np.zeros((3, 6, 7), np.uint8)
    labels[1:, 2:4, 1:5] = 12
    path = tmp_path / "a.zip"
    places = {}
    for key, options in {
        "z": {},
        "cz": {"channels": 2},
        "tz": {"time": 4},
    }.items():
        write_rois(path, labels, **options)
        roi = ImagejRoi.fromfile(path)[1]
        places[key] = (roi.position, roi.c_position, roi.z_position, roi.t_position)
        np.testing.assert_array_equal(read_rois(path, labels.shape), labels)
    assert places == {"z": (3, 0, 0, 0), "cz": (0, 0, 3, 0), "tz": (0, 0, 3, 5)}
    write_rois(path, labels[1], time=4)
    assert ImagejRoi.fromfile(path)[0].position == 5
    write_rois(path, labels[1], channels=2)
    assert ImagejRoi.fromfile(path)[0].position == 0


def test_places_that_imagej_gives(tmp_path: Path) -> None:
    """A place in a plain stack counts channels first, then planes, then times."""
    cell = ImagejRoi.frompoints([[1, 1], [4, 1], [4, 4], [1, 4]], name="cell")

    def plane(shape: tuple[int, ...], axes: str, channels: int = 1, **places: Any) -> Any:
        roi = ImagejRoi.frombytes(cell.tobytes())
        for key, value in places.items():
            setattr(roi, key, value)
        areas = load_rois(archive(tmp_path / "a.zip", roi), 6).areas
        found = draw(areas, shape, "a.zip", axes=axes, channels=channels)
        if found.left_out:
            return found.left_out[0]
        return tuple(int(i) for i in np.argwhere(found.labels)[0][:-2])

    assert plane((5, 6, 6), "ZYX", position=3) == (2,)
    assert plane((5, 6, 6), "TYX", position=3) == (2,)
    assert plane((5, 6, 6), "ZYX", channels=2, position=6) == (2,)
    assert plane((2, 5, 6, 6), "TZYX", position=8) == (1, 2)
    assert plane((2, 5, 6, 6), "TZYX", z_position=3, t_position=2) == (1, 2)
    assert plane((6, 6), "YX", channels=3, position=2) == ()
    assert plane((6, 6), "YX", c_position=1, z_position=1, t_position=1) == ()
    assert plane((5, 6, 6), "ZYX", name="0004-0003-0002") == (3,)
    assert plane((5, 6, 6), "ZYX") == "cell has no plane"
    assert plane((2, 5, 6, 6), "TZYX", z_position=3) == "cell has no time"
    for shape, axes, place in (((6, 6), "YX", 2), ((5, 6, 6), "ZYX", 6), ((5, 6, 6), "TYX", 6)):
        with pytest.raises(LabelError, match=f"{place}"):
            plane(shape, axes, position=place)
