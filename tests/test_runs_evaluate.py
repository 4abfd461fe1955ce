"""Scoring folders: classes, movies, and what does not fit."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.errors import DataError, LabelError
from delineate.runs.evaluate import evaluate_folder


def write(folder: Path, name: str, pixels: np.ndarray, **metadata: str) -> None:
    folder.mkdir(exist_ok=True)
    tifffile.imwrite(folder / name, pixels, photometric="minisblack", metadata=metadata or None)


def squares(*, shift: int = 0, second: bool = True) -> np.ndarray:
    mask = np.zeros((40, 60), np.uint8)
    mask[5:15, 5 + shift : 15 + shift] = 1
    if second:
        mask[20:30, 30:40] = 1
    return mask


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_masks_are_scored_as_classes_and_by_their_parts(tmp_path):
    write(tmp_path / "truth", "a.tif", 255 * squares())
    write(tmp_path / "truth", "b.tif", 255 * squares())
    write(tmp_path / "found", "a.tif", squares(shift=2))
    write(tmp_path / "found", "b.tif", squares(second=False))
    out = tmp_path / "scores"
    found = evaluate_folder(tmp_path / "found", tmp_path / "truth", out, classes=2)
    table = {r["image"]: r for r in rows(out / "scores.csv")}
    # a: of 2 × 100 pixels 180 agree; the shifted square has IoU 80/120, the other 1.
    assert float(table["a"]["dice"]) == pytest.approx(0.9)
    assert float(table["a"]["iou"]) == pytest.approx(180 / 220)
    assert float(table["a"]["ap50"]) == 1
    # At 0.50 … 0.65 both match; above, one of three.
    assert float(table["a"]["map"]) == pytest.approx((4 * 1 + 6 / 3) / 10)
    assert float(table["b"]["dice"]) == pytest.approx(2 * 100 / 300)
    assert float(table["b"]["ap50"]) == pytest.approx(0.5)
    summary = {r["score"]: r for r in rows(out / "summary.csv")}
    assert float(summary["dice"]["value"]) == pytest.approx((0.9 + 2 / 3) / 2)
    assert float(summary["dice"]["low"]) < float(summary["dice"]["high"])
    assert (out / "scores.png").stat().st_size > 1000
    text = found.lines()
    assert text[0].startswith("2 images; 95%") and any(line.startswith("dice") for line in text)


def test_a_run_of_a_semantic_model_is_scored_by_its_classes(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    inputs = [{"name": "a", "status": "done"}, {"name": "b", "status": "failed"}]
    record = {"recipe": {"method": {"name": "semantic", "classes": 3}}, "inputs": inputs}
    (run / "run.json").write_text(json.dumps(record))
    pixels = squares()
    pixels[20:30] *= 2
    write(run / "classes", "a.tif", pixels)
    for name in ("a", "b"):
        write(run / "labels", f"{name}.tif", np.zeros_like(pixels))  # ids, which are not scored
        write(tmp_path / "truth", f"{name}.tif", squares())
    write(run / "classes", "b.tif", pixels)  # of an earlier run, in which it had not failed
    found = evaluate_folder(run, tmp_path / "truth", tmp_path / "scores")
    assert found.missing == 1
    with pytest.raises(DataError, match=r"2 \(background"):
        evaluate_folder(run, tmp_path / "truth", tmp_path / "scores", classes=1)
    (row,) = rows(tmp_path / "scores" / "scores.csv")
    # Class 1: 100 of 200 true pixels found; class 2: none of its pixels is right.
    assert float(row["dice"]) == pytest.approx((2 * 100 / 300 + 0) / 2)


def test_movies_are_scored_frame_by_frame(tmp_path):
    frames = np.stack([squares(), squares(shift=1), np.zeros_like(squares())])
    frames[:, 20:] *= 2  # two objects
    write(tmp_path / "truth", "m.tif", frames.astype(np.uint16), axes="TYX")
    other = frames.copy()
    other[2, :5, :5] = 1
    write(tmp_path / "found", "m.tif", other.astype(np.uint16), axes="TYX")
    found = evaluate_folder(tmp_path / "found", tmp_path / "truth", tmp_path / "out")
    table = found.tables.images
    assert list(table["image"]) == ["m-t0000", "m-t0001", "m-t0002"]
    assert list(table["mAP"]) == [1, 1, 0]


@pytest.mark.parametrize("classes", [None, 2])
def test_images_without_truth_are_told_and_the_others_scored(tmp_path, classes):
    for name in "abc":
        write(tmp_path / "found", f"{name}.tif", squares())
    write(tmp_path / "truth", "b_mask.tif", squares())
    found = evaluate_folder(
        tmp_path / "found", tmp_path / "truth", tmp_path / "out", classes=classes
    )
    assert [r["image"] for r in rows(tmp_path / "out" / "scores.csv")] == ["b"]
    assert (found.missing, found.without, found.failed) == (0, ("a", "c"), ())
    told = "not scored, without truth: 2 of the predictions (the first is a)"
    assert told in found.lines()
    (tmp_path / "truth" / "b_mask.tif").rename(tmp_path / "truth" / "B_mask.tif")
    with pytest.raises(DataError, match=r"called a, b …, the true files B; give .* the same name"):
        evaluate_folder(tmp_path / "found", tmp_path / "truth", tmp_path / "out", classes=classes)


def test_what_does_not_fit_is_named(tmp_path):
    write(tmp_path / "truth", "a.tif", np.zeros((3, 8, 8), np.uint16), axes="TYX")
    write(tmp_path / "found", "a.tif", np.zeros((8, 8), np.uint16))
    with pytest.raises(LabelError, match="as many time points"):
        evaluate_folder(tmp_path / "found", tmp_path / "truth", tmp_path / "out")
    write(tmp_path / "other", "a.tif", np.full((8, 8), 7, np.uint8))
    with pytest.raises(LabelError, match=r"a\.tif.*holds the values"):
        evaluate_folder(tmp_path / "other", tmp_path / "found", tmp_path / "out", classes=2)
    with pytest.raises(DataError, match=r"2 \(background and one more\) or more"):
        evaluate_folder(tmp_path / "found", tmp_path / "found", tmp_path / "out", classes=1)
    small = tmp_path / "small"
    write(small, "a.tif", np.zeros((4, 4), np.uint8))
    with pytest.raises(LabelError, match="of the same image"):
        evaluate_folder(small, tmp_path / "found", tmp_path / "out", classes=2)
