"""What an import says of files: untouched, bad, of other images, or in several pieces."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from roifile import ROI_TYPE, ImagejRoi, roiread, roiwrite

from delineate.data.layouts import find_pairs
from delineate.errors import DataError, ReadError, WriteError
from delineate.io import read_labels, write_labels
from delineate.runs.export import export_folder
from delineate.runs.import_ import import_folder
from exported_runs import SHAPE, box, cells, edit, make_run, rows


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
