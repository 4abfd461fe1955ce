"""`delineate export` and `delineate import`: the loop of review, and what goes wrong in it."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from roifile import ROI_TYPE, ImagejRoi

from delineate.cli import main
from delineate.io import read_labels, write_labels
from domes import dome_model, write_domes


def call(*arguments: object) -> int:
    """Run a command in this process; its exit status."""
    with pytest.raises(SystemExit) as exit_:
        main([str(a) for a in arguments])
    return int(exit_.value.code or 0)


def box(x: int, y: int, side: int, name: str) -> tuple[str, bytes]:
    roi = ImagejRoi(roitype=ROI_TYPE.RECT, left=x, top=y, right=x + side, bottom=y + side)
    return f"{name}.roi", roi.tobytes()


def rewrite(path: Path, added: list[tuple[str, bytes]], removed: int = 0) -> None:
    """Leave out the first ROIs of an archive and add others."""
    with zipfile.ZipFile(path) as old:
        entries = [(name, old.read(name)) for name in old.namelist()][removed:]
    with zipfile.ZipFile(path, "w") as new:
        for name, data in entries + added:
            new.writestr(name, data)


def test_predict_export_correct_import_train(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = dome_model().save(tmp_path / "domes")
    write_domes(tmp_path / "images", ("a", "b", "c"))
    out, data = tmp_path / "out", tmp_path / "corrected"
    run = ("predict", tmp_path / "images", "-o", out, "--model", model, "--allow-imports")
    assert call(*run) == 0
    assert call("export", out, "--rois", "--colour", "uncertainty") == 0
    before = {name: read_labels(out / "labels" / f"{name}.tif") for name in "ab"}
    y, x = next(
        (y, x) for y in range(72) for x in range(72) if not before["a"][y : y + 8, x : x + 8].any()
    )
    added = [box(x + 1, y + 1, 6, "0063-0005"), box(x, y, 8, "new")]
    rewrite(out / "rois" / "a.zip", added, removed=1)
    (out / "rois" / "c.zip").unlink()
    capsys.readouterr()
    assert call("import", out / "rois", "-o", data) == 0
    told = capsys.readouterr().err.splitlines()
    after = {name: read_labels(data / "labels" / f"{name}.tif") for name in "ab"}
    np.testing.assert_array_equal(after["b"], before["b"])
    gone = set(np.unique(before["a"])) - set(np.unique(after["a"]))
    assert len(gone) == 1
    assert {6, 7} <= set(np.unique(after["a"]))
    assert (after["a"][y + 1 : y + 7, x + 1 : x + 7] == 6).all()
    assert "a: 6 objects, 2 added, 1 removed, 36 contested pixels" in told
    assert "b: 5 objects" in told
    assert told[-4:] == [
        "36 pixels in several objects went to the smaller",
        "1 image without outlines, not imported",
        "1 image exactly as exported, perhaps never looked at: where nobody did, training takes "
        "predictions for truth and scores the new model by them; --changed-only leaves such images "
        "out",
        f"2 images, 11 objects (2 added, 1 removed, 0 changed, 9 unchanged) → {data / 'data.csv'}",
    ]
    with (data / "import.csv").open(newline="", encoding="utf-8") as file:
        assert [row["contested_pixels"] for row in csv.DictReader(file)] == ["36", "0"]
    assert call("import", out / "rois", "-o", tmp_path / "less", "--changed-only") == 0
    told = capsys.readouterr().err.splitlines()
    assert "b: left out, since it is as it was exported" in told
    assert told[-2:] == [
        "1 image exactly as exported, left out",
        "1 image, 6 objects (2 added, 1 removed, 0 changed, 4 unchanged) → "
        f"{tmp_path / 'less' / 'data.csv'}",
    ]
    settings = ("--data.diameter", "18", "--network.options", '{"features": [8, 16]}')
    quick = ("--train.steps", "2", "--train.patch", "32", "--train.batch", "2")
    train = ("train", data / "data.csv", "-o", tmp_path / "better", *settings, *quick)
    assert call(*train, "--train.device", "cpu", "--train.precision", "fp32") == 0
    assert (tmp_path / "better" / "model").is_dir()


def test_bad_files_make_the_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_domes(tmp_path / "images", ("a", "b"))
    source = tmp_path / "drawn"
    source.mkdir()
    for name in ("a", "b"):
        with zipfile.ZipFile(source / f"{name}.zip", "w") as file:
            file.writestr(*box(5, 5, 5, "x"))
    (source / "b.zip").write_bytes(b"no zip")
    arguments = ("import", source, "-o", tmp_path / "data", "--images", tmp_path / "images")
    assert call(*arguments) == 1
    told = capsys.readouterr().err.splitlines()
    assert "a: 1 object" in told
    assert any(line.startswith("b: failed: ") and "b.zip: cannot be read" in line for line in told)
    assert told[-1] == f"delineate: 1 file failed, see {tmp_path / 'data' / 'import.csv'}"
    assert call("import", source, "-o", tmp_path / "data") == 2
    assert "name the images (--images) or the run" in capsys.readouterr().err


def test_an_object_cut_in_two_under_one_name_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """QuPath gives the pieces of a split object its name; a redrawn ROI may keep its old copy."""
    labels = np.zeros((30, 40), np.uint8)
    labels[2:12, 2:22] = 3
    labels[20:28, 2:12] = 4
    write_labels(tmp_path / "labels" / "a.tif", labels)
    assert call("export", tmp_path / "labels", "--geojson", "-o", tmp_path) == 0
    path = tmp_path / "geojson" / "a.geojson"
    content = json.loads(path.read_text(encoding="utf-8"))
    three, four = content["features"]
    halves = []
    for left in (2, 13):
        ring = [[left, 2], [left + 9, 2], [left + 9, 12], [left, 12], [left, 2]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        halves.append({**three, "id": f"{left}", "geometry": geometry})
    command = ("import", tmp_path / "geojson", "-o", tmp_path / "data", "--like",
               tmp_path / "labels")  # fmt: skip
    for features, warned, told in (
        ([three, four], [], "a: 2 objects"),
        ([*halves, four], ["1 object is of several pieces"], "1 changed, 1 of several pieces"),
        ([three, four, four], ["1 outline was replaced"], "a: 2 objects, 1 replaced"),
        (
            [*halves, four, four],
            ["1 object is of several pieces", "1 outline was replaced"],
            "1 changed, 1 of several pieces, 1 replaced",
        ),
    ):
        path.write_text(json.dumps({**content, "features": features}), encoding="utf-8")
        assert call(*command) == 0
        lines = capsys.readouterr().err.splitlines()
        assert any(line.endswith(told) for line in lines)
        said = [line for line in lines if "of one id" in line or "of the same id" in line]
        assert len(said) == len(warned)
        assert all(line.startswith(words) for line, words in zip(said, warned, strict=True))
        assert all(line.endswith(f"see {tmp_path / 'data' / 'import.csv'}") for line in said)
