"""Exports of a run for review: the order, classes and places that its tables and images tell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from roifile import ImagejRoi
from scipy import ndimage

from delineate.cli import main
from delineate.io import Drawing, load_geojson, load_rois, read_labels, write_labels, write_table
from delineate.io.reading import read_label_image
from delineate.runs.export import export_folder, measurements
from delineate.runs.import_ import import_folder


def make_run(out: Path, axes: str = "YX", channels: str = "YX") -> np.ndarray:
    """A run of one image `a` of six objects; `channels` are the axes of the image."""
    labels = np.zeros((10, 30), np.uint16)
    for k in range(6):
        labels[2:8, 5 * k : 5 * k + 4] = k + 1
    if "Z" in axes:
        labels = np.stack([labels, labels * 0, labels])
    write_labels(out / "labels" / "a.tif", labels, axes=axes)
    size = {"C": 2, "Z": 3, "Y": 10, "X": 30}
    pixels = np.zeros([size[axis] for axis in channels], np.uint8)
    order = "ZCYX" if set(channels) == set("CZYX") else channels
    pixels = np.moveaxis(pixels, 0, 1) if order == "ZCYX" else pixels
    tifffile.imwrite(out / "a.tif", pixels, imagej=True, metadata={"axes": order})
    inputs = [{"name": "a", "path": str(out / "a.tif"), "status": "done"}]
    (out / "run.json").write_text(json.dumps({"inputs": inputs, "settings": {}}))
    return labels


def table(out: Path, **columns: list[object]) -> None:
    write_table(out / "objects.csv", {"image": ["a"] * 6, "label": [1, 2, 3, 4, 5, 6], **columns})


def drawn(out: Path) -> Drawing:
    return load_rois(out / "rois" / "a.zip", 10)


def test_the_table_of_objects_decides_the_order(tmp_path: Path) -> None:
    make_run(tmp_path)
    export_folder(tmp_path, tmp_path, ["rois", "geojson"])
    assert [area.label for area in drawn(tmp_path).areas] == [1, 2, 3, 4, 5, 6]
    table(tmp_path, uncertainty=[0.1, 0.2, None, 0.0, 0.2, 0.05], area=[24.0] * 6)
    export_folder(tmp_path, tmp_path, ["rois", "geojson"])
    order = [2, 5, 1, 6, 4, 3]
    assert [area.label for area in drawn(tmp_path).areas] == order
    features = json.loads((tmp_path / "geojson" / "a.geojson").read_text())["features"]
    assert [f["properties"]["label"] for f in features] == order
    assert features[0]["properties"]["measurements"] == {
        "uncertainty": 0.2, "area": 24, "delineate id": 2
    }  # fmt: skip
    assert "uncertainty" not in features[-1]["properties"]["measurements"]
    assert {f["properties"]["objectType"] for f in features} == {"annotation"}


def test_classes_of_the_table(tmp_path: Path) -> None:
    make_run(tmp_path)
    for texts, kinds in (
        (["1", "2", "2", "1", "1", ""], [1, 2, 2, 1, 1, None]),
        (["T x", "B/x", "T x", "", "", "B/x"], ["T x", "B/x", "T x", None, None, "B/x"]),
    ):
        table(tmp_path, **{"class": texts})
        assert measurements(tmp_path / "objects.csv")["a"]["class"].tolist() == texts
        export_folder(tmp_path, tmp_path, ["rois"])
        assert [area.kind for area in drawn(tmp_path).areas] == kinds
        assert {roi.stroke_color for roi in ImagejRoi.fromfile(tmp_path / "rois" / "a.zip")} == {
            b"\0\0\0\0"
        }
    export_folder(tmp_path, tmp_path, ["rois", "geojson"], color="class", editable=False)
    rois = ImagejRoi.fromfile(tmp_path / "rois" / "a.zip")
    assert [roi.group for roi in rois] == [2, 1, 2, 0, 0, 1]
    features = json.loads((tmp_path / "geojson" / "a.geojson").read_text())["features"]
    assert features[1]["properties"]["classification"]["name"] == "B/x"
    assert {f["properties"]["objectType"] for f in features} == {"detection"}


def test_places_depend_on_the_channels_of_the_image(tmp_path: Path) -> None:
    for channels, place in (("ZYX", (3, 0, 0)), ("CZYX", (0, 3, 0))):
        make_run(tmp_path / channels, "ZYX", channels)
        export_folder(tmp_path / channels, tmp_path / channels, ["rois"])
        roi = ImagejRoi.fromfile(tmp_path / channels / "rois" / "a.zip")[1]
        assert (roi.position, roi.z_position, roi.t_position) == place
    (tmp_path / "CZYX" / "a.tif").unlink()  # the image is gone: a plain stack
    export_folder(tmp_path / "CZYX", tmp_path / "CZYX", ["rois"])
    assert ImagejRoi.fromfile(tmp_path / "CZYX" / "rois" / "a.zip")[1].position == 3


def intricate() -> np.ndarray:
    """A ring, an object of two parts, one whose pixels meet at a corner, and a plain one."""
    labels = np.zeros((30, 30), np.uint16)
    labels[2:10, 2:10] = 3
    labels[4:8, 4:8] = 0
    labels[2:5, 15:20] = labels[8:9, 15:20] = 5
    labels[20, 20] = labels[21, 21] = 6
    labels[25:28, 3:9] = 9
    return labels


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    source, out = tmp_path / "labels", tmp_path / "out"
    write_labels(source / "a.tif", intricate())
    (source / "b.tif").write_bytes(b"no picture")
    write_labels(source / "c.tif", np.stack([intricate()] * 2), axes="ZYX")
    write_labels(source / "d.tif", intricate() * 0)
    told: dict[str, str] = {}

    class Ear:
        def image(self, name: str, number: int, total: int) -> None:
            assert total == 4

        def tiles(self, done: int, total: int) -> None:
            raise AssertionError

        def finished(self, name: str, outcome: str) -> None:
            told[name] = outcome

    found = export_folder(source, out, ["outlines", "rois"], listener=Ear())
    assert (found.done, [name for name, _ in found.failed]) == (2, ["b", "c"])
    reasons = dict(found.failed)
    assert "b.tif" in reasons["b"]
    assert "outlines as text have no planes" in reasons["c"]
    assert told == {
        "a": "outlines, rois", "d": "outlines, rois",
        "b": f"failed: {reasons['b']}", "c": f"failed: {reasons['c']}",
    }  # fmt: skip
    # What a format can hold is written though another cannot.
    assert sorted(p.name for p in out.rglob("*.*")) == ["a.txt", "a.zip", "c.zip", "d.txt", "d.zip"]
    assert (found.simplified, found.simplified_images) == (3, 1)


def test_only_text_simplifies_objects(tmp_path: Path) -> None:
    labels = intricate()
    write_labels(tmp_path / "labels" / "a.tif", labels)
    write_labels(tmp_path / "labels" / "m.tif", np.stack([labels, labels, labels * 0]), axes="TYX")
    found = export_folder(tmp_path / "labels", tmp_path, ["rois", "geojson", "zarr"])
    assert (found.done, found.simplified, found.simplified_images) == (2, 0, 0)
    found = export_folder(tmp_path / "labels", tmp_path, ["outlines"])
    assert (found.done, found.simplified, found.simplified_images) == (2, 6, 2)
    lines = (tmp_path / "outlines" / "a.txt").read_text().splitlines()
    assert len(lines) == 4 + 2  # the parts of two objects are lines of their own


def test_the_command_tells_what_failed_and_what_was_simplified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "labels", tmp_path / "out"
    write_labels(source / "a.tif", intricate())
    for options, status, last in (
        (["--outlines"], 0, f"1 image → {out}"),
        (["--outlines"], 1, "delineate: 1 image failed"),
        (["--rois"], 0, f"2 images → {out}"),
    ):
        with pytest.raises(SystemExit) as exit_:
            main(["export", str(source), "-o", str(out), *options])
        told = capsys.readouterr().err
        assert (exit_.value.code or 0) == status
        assert told.splitlines()[-1] == last
        assert ("3 objects in 1 image simplified" in told) is (options == ["--outlines"])
        assert ("b: failed: " in told) is bool(status)
        write_labels(source / "b.tif", np.stack([intricate()] * 2), axes="ZYX")


def mask(white: int = 1) -> np.ndarray:
    """Three objects, one of pixels that meet at a corner, all of one value."""
    labels = np.zeros((30, 30), np.uint8)
    labels[2:8, 2:8] = labels[12:18, 12:18] = labels[18:22, 18:22] = labels[4:9, 20:28] = white
    return labels


@pytest.mark.parametrize("white", [1, 255])
def test_the_parts_of_a_mask_are_objects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], white: int
) -> None:
    expected, _ = ndimage.label(mask(), np.ones((3, 3)))
    for name, labels in (("a", mask(white)), ("b", mask(7)), ("c", mask(white) * (expected == 1))):
        write_labels(tmp_path / "mine" / f"{name}.tif", labels)
    formats = ("rois", "geojson", "outlines", "zarr")
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path / "mine"), *(f"--{kind}" for kind in formats)])
    told = capsys.readouterr().err
    assert "masks among the label files: 1; their connected parts are the objects" in told
    assert "undecided" not in told
    found = read_labels(tmp_path / "zarr" / "a.ome.zarr")
    np.testing.assert_array_equal(found, expected)
    for areas in (drawn(tmp_path).areas, load_geojson(tmp_path / "geojson" / "a.geojson").areas):
        assert [area.label for area in areas] == [1, 2, 3]
    # Another number, and a single part, are what they were.
    assert {a.label for a in load_geojson(tmp_path / "geojson" / "b.geojson").areas} == {7}
    assert np.unique(read_labels(tmp_path / "zarr" / "c.ome.zarr")).tolist() == [0, 1]
    back = import_folder(tmp_path / "rois", tmp_path / "data", like=tmp_path / "mine")
    assert back.changes is not None
    assert (back.changes.unchanged, back.objects, back.failed) == (5, 5, 0)
    np.testing.assert_array_equal(read_labels(tmp_path / "data" / "labels" / "a.tif"), expected)


def test_labels_of_a_run_are_no_mask(tmp_path: Path) -> None:
    run = tmp_path / "run"
    make_run(run)
    write_labels(run / "labels" / "a.tif", mask())
    for source in (run, run / "labels", run / "labels" / "a.tif"):
        found = export_folder(source, tmp_path, ["rois"])
        assert (found.done, found.masks) == (1, 0)
        assert {area.label for area in drawn(tmp_path).areas} == {1}


def test_no_two_times_of_a_mask_share_an_id(tmp_path: Path) -> None:
    one = np.where(ndimage.label(mask(), np.ones((3, 3)))[0] == 1, 1, 0).astype(np.uint8)
    write_labels(tmp_path / "m" / "many.tif", np.stack([mask(), mask() * 0, mask()]), axes="TYX")
    write_labels(tmp_path / "m" / "single.tif", np.stack([one, one, one]), axes="TYX")
    found = export_folder(tmp_path / "m", tmp_path, ["zarr"])
    assert (found.done, found.masks) == (2, 1)
    many = read_label_image(tmp_path / "zarr" / "many.ome.zarr").numpy()
    assert [np.unique(frame).tolist() for frame in many] == [[0, 1, 2, 3], [0], [0, 4, 5, 6]]
    single = read_label_image(tmp_path / "zarr" / "single.ome.zarr")
    assert np.unique(single.numpy()).tolist() == [0, 1]  # one object that stays itself


def test_undecided_pixels_are_exported_as_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = mask()
    labels[:, :5] = 255
    write_labels(tmp_path / "labels" / "a.tif", labels)
    (found,) = export_folder(tmp_path / "labels", tmp_path, ["rois"]).failed
    assert "holds 0, 1 and 255" in found[1]
    settings = {"classes": None, "undecided": 255, "objects": False}
    (tmp_path / "consensus.json").write_text(json.dumps({"settings": settings}))
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path / "labels"), "--zarr"])
    assert "undecided pixels, in no object: 150" in capsys.readouterr().err
    expected, _ = ndimage.label(labels == 1, np.ones((3, 3)))
    np.testing.assert_array_equal(read_labels(tmp_path / "zarr" / "a.ome.zarr"), expected)
