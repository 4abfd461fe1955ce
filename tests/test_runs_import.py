"""The review round trip: labels go out as outlines, are corrected, and come back as labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from roifile import ROI_TYPE, ImagejRoi, roiwrite

from delineate.data.layouts import find_pairs
from delineate.image import Image
from delineate.io import read_label_image, read_labels, write_labels
from delineate.runs.export import export_folder
from delineate.runs.import_ import import_folder
from exported_runs import SHAPE, box, cells, edit, make_run, rows


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    labels=hnp.arrays(
        np.uint16, st.sampled_from([(9, 11), (2, 6, 7)]), elements=st.sampled_from([0, 0, 1, 5, 6])
    ),
    kind=st.sampled_from(["rois", "geojson"]),
)
def test_what_is_not_touched_comes_back_as_it_was(
    labels: NDArray[np.uint16], kind: str, tmp_path: Path
) -> None:
    out = make_run(tmp_path / "run", {"a": labels})
    export_folder(out, out, [kind])
    summary = import_folder(out / kind, tmp_path / "data")
    found = read_labels(tmp_path / "data" / "labels" / "a.tif")
    np.testing.assert_array_equal(found.reshape(labels.shape), labels)
    changes = summary.changes
    assert changes is not None
    assert changes.unchanged == len(set(labels.ravel().tolist()) - {0})
    assert changes.added == changes.removed == changes.changed == 0


def test_corrections_in_fiji_are_counted(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", {"a": cells(), "sub/b": cells(), "unseen": cells()})
    export_folder(out, out, ["rois"])
    (out / "rois" / "unseen.zip").unlink()

    def change(entries: dict[str, bytes]) -> dict[str, bytes]:
        assert list(entries) == [f"000{k + 1}_id{i}" for k, i in enumerate((3, 4, 7, 9, 12))]
        del entries["0004_id9"]
        entries["big one"] = entries.pop("0005_id12")
        entries["0001_id3"] = box(2, 2, 8, 6).tobytes()
        entries["0015-0030"] = box(28, 12, 5, 5).tobytes()
        entries["spot"] = ImagejRoi(roitype=ROI_TYPE.POINT).tobytes()
        return entries

    edit(out / "rois" / "a.zip", change)
    summary = import_folder(out / "rois", tmp_path / "data")
    expected = cells()
    expected[expected == 9] = 0
    expected[8:10, 2:10] = 0
    expected[12:17, 28:33] = 13
    np.testing.assert_array_equal(read_labels(tmp_path / "data" / "labels" / "a.tif"), expected)
    np.testing.assert_array_equal(
        read_labels(tmp_path / "data" / "labels" / "sub" / "b.tif"), cells()
    )
    first, second = rows(tmp_path / "data" / "import.csv")
    counts = {k: first[k] for k in ("objects", "added", "removed", "changed", "unchanged")}
    assert counts == {
        "objects": "5", "added": "1", "removed": "1", "changed": "1", "unchanged": "3"
    }  # fmt: skip
    assert float(first["changed_iou"]) == 0.75
    assert (first["left_out"], first["notes"]) == ("1", "spot is a point without area")
    assert (second["image"], second["unchanged"]) == ("sub/b", "5")
    assert (summary.done, summary.failed, summary.unreviewed) == (2, 0, 1)
    assert (summary.left_out, summary.contested, summary.objects) == (1, 0, 10)
    assert summary.table == tmp_path / "data" / "data.csv"
    pairs = find_pairs(tmp_path / "data" / "data.csv")
    assert [pair.image for pair in pairs] == [
        tmp_path / "images" / "a.tif",
        tmp_path / "images" / "sub" / "b.tif",
    ]
    assert [pair.labels for pair in pairs] == [
        tmp_path / "data" / "labels" / "a.tif",
        tmp_path / "data" / "labels" / "sub" / "b.tif",
    ]
    assert not (tmp_path / "data" / "classes").exists()


def test_corrections_in_qupath(tmp_path: Path) -> None:
    """Its file has other names, no `label`, and objects merged, split and renamed."""
    out = make_run(
        tmp_path / "run", {"a": cells()}, **{"class": [1, 2, 2, 1, 1], "area": [1.0] * 5}
    )
    export_folder(out, tmp_path / "qupath", ["geojson"])
    path = tmp_path / "qupath" / "geojson" / "a.geojson"
    content = json.loads(path.read_text(encoding="utf-8"))["features"]
    for feature in content:
        del feature["properties"]["label"]
        feature["properties"].pop("name")
    three, four, seven, nine, twelve = content
    for feature in (three, four):  # merged: a new object of both outlines
        feature["properties"].pop("measurements")
    merged = {
        "type": "MultiPolygon",
        "coordinates": [f["geometry"]["coordinates"] for f in (three, four)],
    }
    three["geometry"] = merged
    one, other = seven["geometry"]["coordinates"]
    seven["geometry"] = {"type": "Polygon", "coordinates": one}
    piece = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": other},
        "properties": {"classification": {"name": "Class 1"}},
    }
    twelve["properties"]["classification"] = {"name": "Class 2"}
    twelve["properties"]["name"] = "the last"
    other_place = tmp_path / "back"
    other_place.mkdir()
    (other_place / "a.tif.geojson").write_text(json.dumps([three, seven, nine, twelve, piece]))
    summary = import_folder(other_place, tmp_path / "data", like=out)
    expected = cells()
    expected[expected == 3] = 4  # the larger half of the merged object
    expected[expected == 4] = 13
    expected[22:26, 4:9] = 14
    found = read_labels(tmp_path / "data" / "labels" / "a.tif")
    by_size = {int(found[3, 3]), int(found[3, 11])}
    assert len(by_size) == 1  # one object now, whatever its id
    found[found == by_size.pop()] = 13
    np.testing.assert_array_equal(found, expected)
    classes = read_labels(tmp_path / "data" / "classes" / "a.tif")
    kinds = {13: 1, 7: 2, 9: 1, 12: 2, 14: 1}
    np.testing.assert_array_equal(classes, np.vectorize(lambda i: kinds.get(i, 0))(expected))
    assert summary.unclassified == 0
    assert find_pairs(tmp_path / "data" / "data.csv")[0].classes is not None


def test_outlines_as_text_find_their_ids_again(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", {"a": cells()}, **{"class": ["x", "y", "y", "x", ""]})
    export_folder(out, out, ["outlines"])
    path = out / "outlines" / "a.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[::-1][:-1]))  # another order, and the first object deleted
    summary = import_folder(out / "outlines", tmp_path / "data")
    found = read_labels(tmp_path / "data" / "labels" / "a.tif")
    expected = cells()
    expected[5:7, 12:15] = 4  # text knows no holes
    expected[expected == 3] = 0
    expected[22:26, 4:9] = found[22, 4]  # nor parts
    assert found[22, 4] not in (0, 3, 4, 9, 12)
    np.testing.assert_array_equal(found, expected)
    assert summary.changes is not None
    assert (summary.changes.added, summary.changes.removed) == (1, 1)
    names = rows(tmp_path / "data" / "classes.csv")
    assert names == [{"class": "1", "name": "x"}, {"class": "2", "name": "y"}]
    classes = read_labels(tmp_path / "data" / "classes" / "a.tif")
    assert [classes[3, 11], classes[15, 20], classes[25, 40], classes[3, 3]] == [2, 1, 0, 0]
    assert summary.unclassified == 2


def test_drawings_from_nothing(tmp_path: Path) -> None:
    """Only images tell the shapes; single ROIs in folders, names as Fiji and people make them."""
    images = tmp_path / "images"
    pixel = {"Y": 0.5, "X": 0.5}
    for name in ("one", "two", "three"):
        images.mkdir(exist_ok=True)
        tifffile.imwrite(
            images / f"{name}.tif",
            np.zeros((3, *SHAPE), np.uint8),
            imagej=True,
            resolution=(2, 2),
            metadata={"axes": "CYX", "unit": "um"},
        )
    source = tmp_path / "drawn"
    (source / "one").mkdir(parents=True)
    for k in range(3):
        box(10 * k, 3, 4, 4).tofile(source / "one" / f"000{k}-0007.roi")
    two = box(5, 5, 6, 6, "0008-0008")
    two.position = 2  # drawn on the second channel
    roiwrite(source / "two_RoiSet.zip", [two])
    box(1, 1, 2, 2).tofile(source / "three.roi")
    summary = import_folder(source, tmp_path / "data", images)
    assert (summary.done, summary.failed, summary.objects, summary.changes) == (3, 0, 5, None)
    assert [int(read_labels(tmp_path / "data" / "labels" / f"{n}.tif").max())
            for n in ("one", "two", "three")] == [3, 1, 1]  # fmt: skip
    back = read_label_image(tmp_path / "data" / "labels" / "two.tif")
    assert back.pixel_size == pytest.approx(pixel)
    assert back.axes == "YX"
    assert rows(tmp_path / "data" / "import.csv")[0]["added"] == ""
    assert rows(tmp_path / "data" / "import.csv")[0]["file"] == "0000-0007.roi and 2 more"


def test_groups_of_imagej_are_classes_and_one_class_is_everyones(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(SHAPE, np.uint8))
    first, second, third = box(1, 1, 4, 4, "a"), box(11, 1, 4, 4, "b"), box(21, 1, 4, 4, "c")
    first.group = second.group = 2
    source = tmp_path / "a.zip"
    for groups, classes, unclassified in (((2, 2), {2}, 0), ((2, 1), {1, 2}, 1)):
        first.group, second.group = groups
        source.unlink(missing_ok=True)
        roiwrite(source, [first, second, third])
        summary = import_folder(source, tmp_path / "data", tmp_path / "a.tif")
        found = read_labels(tmp_path / "data" / "classes" / "a.tif")
        assert set(np.unique(found)) == {0} | classes
        assert summary.unclassified == unclassified
        assert rows(tmp_path / "data" / "import.csv")[0]["unclassified"] == str(unclassified)


def test_a_semantic_run_trains_on_classes(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", {"a": cells()}, **{"class": [1, 1, 1, 1, 1]})
    record = json.loads((out / "run.json").read_text())
    record["recipe"] = {"method": {"name": "semantic", "classes": 2}}
    (out / "run.json").write_text(json.dumps(record))
    export_folder(out, out, ["rois"], color="class")
    edit(out / "rois" / "a.zip", lambda e: {**e, "new": box(28, 12, 5, 5).tobytes()})
    import_folder(out / "rois", tmp_path / "data")
    (pair,) = find_pairs(tmp_path / "data" / "data.csv")
    expected = cells() > 0
    expected[12:17, 28:33] = True
    assert pair.labels == tmp_path / "data" / "classes" / "a.tif"
    np.testing.assert_array_equal(read_labels(pair.labels), expected)


def test_movies_and_volumes(tmp_path: Path) -> None:
    movie = np.stack([cells(), np.roll(cells(), 2, axis=0), np.zeros_like(cells())])
    volumes = np.stack([movie, movie[::-1]])
    for axes, labels in (("TYX", movie), ("TZYX", volumes)):
        folder = tmp_path / axes
        write_labels(folder / "labels" / "m.tif", labels, Image(labels, axes), axes)
        export_folder(folder / "labels", folder, ["rois", "geojson"])
        for kind in ("rois", "geojson"):
            data = folder / f"from {kind}"
            summary = import_folder(folder / kind, data, like=folder / "labels")
            back = read_label_image(data / "labels" / "m.tif")
            assert back.axes == axes
            np.testing.assert_array_equal(back.numpy(), labels)
            assert summary.table is None  # no image is known
    added = box(30, 2, 3, 3, "0002-0003-0031")
    added.position = 2
    path = tmp_path / "TYX" / "rois" / "m-t0002.zip"
    roiwrite(path, [added])  # drawn while the second time was shown
    import_folder(tmp_path / "TYX" / "rois", tmp_path / "d", like=tmp_path / "TYX" / "labels")
    expected = movie.copy()
    expected[1, 2:5, 30:33] = 13
    np.testing.assert_array_equal(
        read_label_image(tmp_path / "d" / "labels" / "m.tif").numpy(), expected
    )
