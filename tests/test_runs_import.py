"""The review round trip: labels go out as outlines, are corrected, and come back as labels."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from roifile import ROI_TYPE, ImagejRoi, roiread, roiwrite

from delineate.data.layouts import find_pairs
from delineate.errors import DataError, ReadError, WriteError
from delineate.image import Image
from delineate.io import read_label_image, read_labels, write_labels, write_table
from delineate.runs.export import export_folder
from delineate.runs.import_ import import_folder

SHAPE = (30, 44)


def cells() -> NDArray[np.uint16]:
    """Five objects: touching, with a hole, of two parts, of one pixel, at the border."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[2:10, 2:10] = 3
    labels[2:10, 10:18] = 4
    labels[5:7, 12:15] = 0
    labels[15:20, 2:8] = 7
    labels[22:26, 4:9] = 7
    labels[15, 20] = 9
    labels[20:30, 36:44] = 12
    return labels


def make_run(out: Path, images: dict[str, NDArray[Any]], **columns: list[Any]) -> Path:
    """A run folder as far as review needs it; `columns` of the objects of every image."""
    for name, labels in images.items():
        axes = {2: "YX", 3: "ZYX"}[labels.ndim]
        write_labels(out / "labels" / f"{name}.tif", labels, axes=axes)
        image = out.parent / "images" / f"{name}.tif"
        image.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros(labels.shape, np.uint8)
        tifffile.imwrite(image, pixels, imagej=True, metadata={"axes": axes})
    entries = [
        {"name": name, "path": str(out.parent / "images" / f"{name}.tif"), "status": "done"}
        for name in images
    ]
    (out / "run.json").write_text(json.dumps({"inputs": entries, "settings": {}}))
    table: dict[str, list[Any]] = {"image": [], "label": [], **{name: [] for name in columns}}
    for name, labels in images.items():
        ids = [int(i) for i in np.unique(labels) if i]
        table["image"] += [name] * len(ids)
        table["label"] += ids
        for column, values in columns.items():
            table[column] += values[: len(ids)]
    write_table(out / "objects.csv", table)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def edit(path: Path, change: Any) -> None:
    """Change the entries (name without ending → bytes) of an archive of ROIs."""
    with zipfile.ZipFile(path) as old:
        entries = {name[:-4]: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in change(entries).items():
            new.writestr(f"{name}.roi", data)


def box(x: int, y: int, width: int, height: int, name: str = "") -> ImagejRoi:
    sides = {"left": x, "top": y, "right": x + width, "bottom": y + height}
    return ImagejRoi(roitype=ROI_TYPE.RECT, name=name, **sides)


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


def test_images_as_they_were_exported_are_told_and_can_be_left_out(tmp_path: Path) -> None:
    """The same objects of another class are a change, and so is one object less."""
    every = {name: cells() for name in ("less", "other", "same")}
    out = make_run(tmp_path / "run", every, **{"class": [1, 1, 2, 2, 2]})
    export_folder(out, out, ["rois"], color="class")
    edit(out / "rois" / "less.zip", lambda e: {k: e[k] for k in list(e)[1:]})
    other = roiread(out / "rois" / "other.zip")
    other[0].group = 2
    (out / "rois" / "other.zip").unlink()
    roiwrite(out / "rois" / "other.zip", other)
    data = tmp_path / "data"
    summary = import_folder(out / "rois", data)
    assert [(r["image"], r["untouched"]) for r in rows(data / "import.csv")] == [
        ("less", "0"), ("other", "0"), ("same", "1"),
    ]  # fmt: skip
    assert (summary.done, summary.untouched, summary.skipped) == (3, 1, 0)
    assert len(find_pairs(data / "data.csv")) == 3
    summary = import_folder(out / "rois", data, changed_only=True)
    assert (summary.done, summary.untouched, summary.skipped, summary.failed) == (2, 0, 1, 0)
    assert [pair.name.rpartition("/")[2] for pair in find_pairs(data / "data.csv")] == [
        "less", "other",
    ]  # fmt: skip
    (left_out,) = [r for r in rows(data / "import.csv") if r["status"] == "left out"]
    assert (left_out["image"], left_out["objects"], left_out["untouched"]) == ("same", "5", "1")
    for room in ("labels", "classes"):
        assert sorted(path.stem for path in (data / room).iterdir()) == ["less", "other"]


def test_what_was_drawn_from_nothing_is_neither_changed_nor_untouched(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(SHAPE, np.uint8))
    roiwrite(tmp_path / "a.zip", [box(1, 1, 4, 4, "a")])
    summary = import_folder(tmp_path / "a.zip", tmp_path / "data", tmp_path / "a.tif")
    assert (summary.done, summary.untouched) == (1, 0)
    assert rows(tmp_path / "data" / "import.csv")[0]["untouched"] == ""
    with pytest.raises(DataError, match=r"nothing tells which images were changed.*--like"):
        import_folder(tmp_path / "a.zip", tmp_path / "data", tmp_path / "a.tif", changed_only=True)


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


def test_a_single_point_says_that_there_is_nothing(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", {"a": cells(), "b": cells()})
    (out / "rois").mkdir()
    point = ImagejRoi.frompoints([[3, 3]])
    point.roitype = ROI_TYPE.POINT
    point.tofile(out / "rois" / "a.roi")
    summary = import_folder(out / "rois", tmp_path / "data")
    assert summary.changes is not None
    assert (summary.objects, summary.changes.removed, summary.left_out) == (0, 5, 1)
    assert not read_labels(tmp_path / "data" / "labels" / "a.tif").any()


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


def test_bad_files_are_told_and_the_others_imported(tmp_path: Path) -> None:
    names = ("good", "cut", "wrong", "twice", "far", "stray")
    out = make_run(tmp_path / "run", {name: cells() for name in names[:-1]})
    export_folder(out, out, ["rois"])
    rois = out / "rois"
    (rois / "cut.zip").write_bytes((rois / "cut.zip").read_bytes()[:300])
    with zipfile.ZipFile(rois / "wrong.zip", "w") as file:
        file.writestr("picture.png", b"png")
    (rois / "twice.geojson").write_text("[]")
    far = box(1, 1, 2, 2, "deep")
    far.position = 7
    roiwrite(rois / "far.zip", [far], mode="a")
    (rois / "stray.zip").write_bytes((rois / "good.zip").read_bytes())
    (rois / "notes.txt").write_text("my notes")
    (tmp_path / "data" / "labels").mkdir(parents=True)
    summary = import_folder(rois, tmp_path / "data")
    assert (summary.done, summary.failed) == (1, 5)
    errors = {row["image"]: row["error"] for row in rows(tmp_path / "data" / "import.csv")}
    assert errors["good"] == ""
    assert "cut.zip: cannot be read as ImageJ ROIs" in errors["cut"]
    assert "wrong.zip: holds no ROIs, but picture.png" in errors["wrong"]
    assert "are outlines of the same image: keep one" in errors["twice"]
    assert "plane 7, a single plane is expected" in errors["far"]
    assert "bears the name of no image" in errors["stray"]
    assert [path.name for path in (tmp_path / "data" / "labels").iterdir()] == ["good.tif"]
    np.testing.assert_array_equal(read_labels(tmp_path / "data" / "labels" / "good.tif"), cells())


def test_pieces_of_one_id_are_counted_over_the_images(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = make_run(tmp_path / "run", {name: cells() for name in ("a", "b", "bad", "same")})
    export_folder(out, out, ["rois"])

    def pieces(*of: int, copies: int = 0) -> Any:
        """Add a piece to each of some objects, and later copies of the first object."""
        more = {f"9{i}_id{i}": box(24 + i % 10, 2, 1, 6).tobytes() for i in of}

        def change(entries: dict[str, bytes]) -> dict[str, bytes]:
            again = {f"8{k}_id3": entries["0001_id3"] for k in range(copies)}
            return {**entries, **more, **again}

        return change

    edit(out / "rois" / "a.zip", pieces(9, 12, copies=2))
    edit(out / "rois" / "b.zip", pieces(7))
    edit(out / "rois" / "bad.zip", pieces(4))
    (out / "rois" / "bad.geojson").write_text("[]")  # two files of one image
    summary = import_folder(out / "rois", tmp_path / "data")
    assert (summary.done, summary.failed) == (3, 1)
    assert (summary.joined, summary.replaced, summary.objects) == (3, 2, 15)
    found = {
        row["image"]: (row["joined"], row["replaced"])
        for row in rows(tmp_path / "data" / "import.csv")
    }
    assert found == {"a": ("2", "2"), "b": ("1", "0"), "bad": ("", ""), "same": ("0", "0")}
    assert not caplog.messages  # the summary tells it


def test_labels_of_another_shape(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", {"a": cells()})
    export_folder(out, out, ["rois"])
    tifffile.imwrite(tmp_path / "images" / "a.tif", np.zeros((9, 9), np.uint8))
    summary = import_folder(out / "rois", tmp_path / "data")
    assert summary.failed == 1
    assert "the image" in rows(tmp_path / "data" / "import.csv")[0]["error"]
    (tmp_path / "images" / "a.tif").unlink()
    summary = import_folder(out / "rois", tmp_path / "data")
    assert (summary.done, summary.table) == (1, None)


def test_what_cannot_be_imported_at_all(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", {"a": cells(), "b": cells()})
    export_folder(out, tmp_path / "x", ["rois"])
    rois = tmp_path / "x" / "rois"
    with pytest.raises(ReadError, match="do not tell the sizes of their images"):
        import_folder(rois, tmp_path / "data")
    with pytest.raises(ReadError, match="no such file or folder"):
        import_folder(tmp_path / "nowhere", tmp_path / "data", like=out)
    with pytest.raises(ReadError, match="no files of outlines"):
        import_folder(tmp_path / "images", tmp_path / "data", like=out)
    with pytest.raises(ReadError, match="is no file of outlines"):
        import_folder(tmp_path / "images" / "a.tif", tmp_path / "data", like=out)
    with pytest.raises(WriteError, match="is the run itself"):
        import_folder(rois, out, like=out)
    (rois / "a.zip").rename(rois / "c.zip")
    (rois / "b.zip").rename(rois / "d.zip")
    with pytest.raises(DataError, match=r"the first is c\.zip, an image is called a"):
        import_folder(rois, tmp_path / "data", like=out)
    (rois / "c.zip").rename(rois / "a.zip")
    write_labels(tmp_path / "data" / "labels" / "mine.tif", cells())
    with pytest.raises(WriteError, match="not written by an import"):
        import_folder(rois, tmp_path / "data", like=out)
    (tmp_path / "data" / "labels" / "mine.tif").unlink()
    for _ in range(2):  # what an import wrote, the next one may replace
        assert import_folder(rois, tmp_path / "data", like=out).done == 1
