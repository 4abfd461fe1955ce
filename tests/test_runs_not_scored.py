"""Evaluation of folders in which a file is bad, and of a single image; where the scores go."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.cli import main
from delineate.consensus.tables import Summary, experts_table
from delineate.errors import ImageError, LabelError, ReadError
from delineate.metrics import Interval, bootstrap_interval
from delineate.review.agreement_charts import _cell
from delineate.review.agreement_sections import _interval
from delineate.runs.evaluate import evaluate_folder
from delineate.runs.evaluate_images import evaluate_images
from delineate.uncertainty import comparison_table


def objects() -> np.ndarray:
    labels = np.zeros((40, 60), np.uint16)
    labels[5:15, 5:15], labels[20:30, 30:40] = 1, 2
    return labels


def written(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack")


def folders(root: Path, pixels: np.ndarray, names: str = "abcd") -> tuple[Path, Path]:
    for name in names:
        for room in ("found", "true"):
            written(root / room / f"{name}.tif", pixels)
    return root / "found", root / "true"


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


@pytest.mark.parametrize("kind", ["objects", "classes"])
def test_one_bad_file_is_recorded_and_the_others_are_scored(tmp_path: Path, kind: str) -> None:
    found, true = folders(tmp_path, np.minimum(objects(), 1) if kind == "classes" else objects())
    (found / "b.tif").write_bytes(b"no picture at all, just text")
    written(found / "c.tif", objects()[:20])
    classes = 2 if kind == "classes" else None
    scored = evaluate_folder(found, true, tmp_path / "out", classes=classes)
    table = {r["image"]: r for r in rows(tmp_path / "out" / "scores.csv")}
    assert {name: r["status"] for name, r in table.items()} == {
        "a": "done", "d": "done", "b": "failed", "c": "failed"
    }  # fmt: skip
    assert "content is text" in table["b"]["error"]
    assert "c.tif" in table["c"]["error"]
    score = "dice" if classes else "Dice"
    assert [table[n][score] for n in "adbc"] == ["1.0", "1.0", "", ""]
    assert table["a"]["error"] == ""
    if not classes:
        assert [table[n]["objects"] for n in "adbc"] == ["2", "2", "", ""]
    assert {r["images"] for r in rows(tmp_path / "out" / "summary.csv")} == {"2"}
    assert (tmp_path / "out" / "scores.png").exists()
    assert [f.image for f in scored.failed] == ["b", "c"]
    lines = scored.lines()
    assert lines[0].startswith("2 images")
    assert lines[-3] == "not scored, since they cannot be: 2 of the label files"
    assert lines[-2].startswith("  b: ") and "content is text" in lines[-2]


def test_one_bad_image_is_recorded_and_the_others_are_scored(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((40, 50), np.float32)
    found, true = folders(tmp_path, pixels)
    written(found / "a.tif", pixels[:20])
    (true / "c.tif").write_bytes(b"")
    scored = evaluate_images(found, true, tmp_path / "out")
    table = {r["image"]: r for r in rows(tmp_path / "out" / "scores.csv")}
    assert [table[n]["status"] for n in "abcd"] == ["failed", "done", "failed", "done"]
    assert [table[n]["ssim"] for n in "abcd"] == ["", "1.0", "", "1.0"]
    assert "is empty" in table["c"]["error"]
    assert "not scored, since they cannot be: 2 of the images" in scored.lines()
    assert list(scored.tables.images["image"]) == ["b", "d"]


def test_where_nothing_can_be_scored_the_first_error_is_raised(tmp_path: Path) -> None:
    found, true = folders(tmp_path, objects(), "ab")
    for name in "ab":
        (found / f"{name}.tif").write_bytes(b"")
    with pytest.raises(ReadError, match=r"a\.tif: is empty.*nor can any other of 2 images"):
        evaluate_folder(found, true, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    written(tmp_path / "small.tif", objects()[:9])
    with pytest.raises(LabelError, match=r"small\.tif against .*a\.tif: ") as caught:
        evaluate_folder(tmp_path / "small.tif", true / "a.tif", tmp_path / "out")
    assert "nor can" not in str(caught.value)
    with pytest.raises(ImageError, match=r"small\.tif"):
        evaluate_images(tmp_path / "small.tif", true / "a.tif", tmp_path / "out")


def test_the_command_names_the_bad_file_and_the_status_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, true = folders(tmp_path, objects())
    (found / "b.tif").write_bytes(b"")
    assert call("evaluate", found, true) == 1
    printed = capsys.readouterr()
    assert "3 images, 6 true objects" in printed.out
    assert f"{found / 'b.tif'}: is empty" in printed.out
    assert "b: failed: " in printed.err
    assert "delineate: 1 image could not be scored, see " in printed.err
    assert (tmp_path / "found-scores" / "scores.csv").exists()


@pytest.mark.parametrize("named", [".", "./", "sub/.."])
def test_the_folder_one_stands_in_has_its_scores_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    found = folders(tmp_path, objects(), "ab")[0]
    (found / "sub").mkdir()
    monkeypatch.chdir(found)
    assert call("evaluate", named, "../true") == 0
    assert (tmp_path / "found-scores" / "scores.csv").exists()
    assert sorted(p.name for p in found.iterdir()) == ["a.tif", "b.tif", "sub"]


def test_one_image_has_no_interval(tmp_path: Path) -> None:
    found, true = folders(tmp_path, objects(), "a")
    lines = evaluate_folder(found, true, tmp_path / "one").lines()
    assert lines[0] == "1 image, 2 true objects"
    scores = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    assert scores["AP50"] == ["1.000", "1.000"]
    for row in rows(tmp_path / "one" / "summary.csv"):
        assert (row["images"], row["low"], row["high"]) == ("1", "", "")
        assert row["value"]
    folders(tmp_path, objects(), "b")
    written(found / "b.tif", np.where(objects() == 1, 1, 0))
    lines = evaluate_folder(found, true, tmp_path / "two").lines()
    assert lines[0] == "2 images, 4 true objects; 95% bootstrap intervals over images"
    assert any(line.startswith("AP50            0.750 [0.500, 1.000]") for line in lines)
    assert all(row["low"] and row["high"] for row in rows(tmp_path / "two" / "summary.csv"))


def test_no_true_object_is_told_in_the_plural(tmp_path: Path) -> None:
    found, true = folders(tmp_path, np.zeros((9, 9), np.uint8), "a")
    assert evaluate_folder(found, true, tmp_path / "out").lines()[0] == "1 image, 0 true objects"


def test_images_alone_have_no_interval_either(tmp_path: Path) -> None:
    found, true = folders(tmp_path, np.random.default_rng(0).random((40, 50), np.float32), "a")
    lines = evaluate_images(found, true, tmp_path / "out").lines()
    assert lines[0] == "1 image"
    assert next(line for line in lines if line.startswith("ssim")).split()[1:] == ["1.000"] * 2
    assert not any(r["low"] for r in rows(tmp_path / "out" / "summary.csv"))


def test_intervals_of_one_image_are_left_out_wherever_they_are_shown() -> None:
    rng = np.random.default_rng(0)
    alone, several = bootstrap_interval([0.25], rng), Interval(0.5, 0.4, 0.6, 3, 0.95)
    assert (alone.bounds(), several.bounds(), several.bounds("+.1f")) == (
        "", "[0.400, 0.600]", "[+0.4, +0.6]"
    )  # fmt: skip
    assert np.isnan(alone.ends).all() and several.ends == (0.4, 0.6)
    assert "–" not in _interval(alone, 2) and "0.40–0.60" in _interval(several, 2)
    assert "interval" not in _cell(alone, "A and B", "Dice")
    assert "95% interval 0.400 to 0.600" in _cell(several, "A and B", "Dice")
    means = {"dice": alone, "ap50": several}
    table = experts_table({"ann": Summary(means, 1, 1, 1, 1)}, 3)
    assert np.isnan(table["dice_low"][0]) and table["ap50_low"][0] == 0.4
    beside = comparison_table([0.5], {"ann": [0.4]}, rng)
    assert beside["difference"][0] == pytest.approx(0.1)
    assert np.isnan([beside["low"][0], beside["high"][0]]).all()
