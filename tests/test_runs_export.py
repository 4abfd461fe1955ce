"""Exports of a run for review: the order, classes and places that its tables and images tell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tifffile
from roifile import ImagejRoi

from delineate.io import Drawing, load_rois, write_labels, write_table
from delineate.runs.export import export_folder, measurements


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
