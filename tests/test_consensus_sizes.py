"""Masks whose sizes differ: the odd one is named, and left out where that is asked for."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.cli import main
from delineate.io import read_labels


def save(path: Path, shape: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(shape, np.uint8)
    mask[4:16, 5:19] = 255
    tifffile.imwrite(path, mask, photometric="minisblack")


def fuse(root: Path, *options: object) -> int:
    with pytest.raises(SystemExit) as status:
        main(["consensus", str(root / "experts"), "-o", str(root / "truth"), *map(str, options)])
    return int(status.value.code or 0)


def experts(root: Path, **sizes: tuple[int, int]) -> None:
    """Masks of the image a, and right ones of the image b."""
    for expert, size in sizes.items():
        save(root / "experts" / expert / "a.tif", size)
        save(root / "experts" / expert / "b.tif", (40, 50))


def row(root: Path) -> dict[str, str]:
    with (root / "truth" / "images.csv").open(newline="", encoding="utf-8") as file:
        return next(r for r in csv.DictReader(file) if r["image"] == "a")


def test_the_odd_mask_is_named_with_what_helps(tmp_path: Path) -> None:
    experts(tmp_path, anna=(40, 50), ben=(30, 50), carla=(40, 50))
    assert fuse(tmp_path) == 1
    assert row(tmp_path)["error"] == (
        "the masks of the experts have different sizes: ben 30 × 50, but 40 × 50 of anna and "
        "carla. Mend the mask of ben, or add --skip-odd-sizes to go on without the mask"
    )
    save(tmp_path / "images" / "a.tif", (40, 50))
    assert fuse(tmp_path, "--images", tmp_path / "images") == 1
    assert "the image has 40 × 50, as the masks of anna and carla" in row(tmp_path)["error"]


def test_the_odd_mask_is_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    experts(tmp_path, anna=(40, 50), ben=(30, 50), carla=(40, 50))
    assert fuse(tmp_path, "--skip-odd-sizes") == 0
    found = row(tmp_path)
    assert (found["status"], found["experts"], found["missing"]) == ("done", "2", "ben")
    assert found["note"] == (
        "the mask of ben is left out for another size: ben 30 × 50, not 40 × 50"
    )
    assert read_labels(tmp_path / "truth" / "labels" / "a.tif").shape == (40, 50)
    record = json.loads((tmp_path / "truth" / "consensus.json").read_text())
    assert list(record["inputs"][0]["experts"]) == ["anna", "carla"]
    assert list(record["inputs"][0]["left_out"]) == ["ben"]
    assert record["inputs"][1]["left_out"] == {}
    assert any("as if the expert had none" in rule for rule in record["rules"])
    text = (tmp_path / "truth" / "report.html").read_text(encoding="utf-8")
    assert "is left out for another size" in text


def test_of_two_sizes_the_image_tells_which_is_right(tmp_path: Path) -> None:
    experts(tmp_path, anna=(40, 50), ben=(30, 50))
    assert fuse(tmp_path, "--skip-odd-sizes") == 1
    assert row(tmp_path)["error"] == (
        "the masks of the experts have different sizes: anna 40 × 50, ben 30 × 50. Masks have the "
        "size of their image: mend those that have another"
    )
    save(tmp_path / "images" / "a.tif", (30, 50))
    assert fuse(tmp_path, "--images", tmp_path / "images", "--skip-odd-sizes") == 0
    assert (row(tmp_path)["experts"], row(tmp_path)["missing"]) == ("1", "anna")


def test_most_masks_are_not_trusted_against_the_image(tmp_path: Path) -> None:
    experts(tmp_path, anna=(40, 50), ben=(30, 50), carla=(40, 50))
    save(tmp_path / "images" / "a.tif", (30, 50))
    assert fuse(tmp_path, "--images", tmp_path / "images", "--skip-odd-sizes") == 1
    error = row(tmp_path)["error"]
    assert (
        "ben 30 × 50, but 40 × 50 of anna and carla; the image has 30 × 50, as the mask of ben"
        in (error)
    )
    assert "--skip-odd-sizes" not in error
    save(tmp_path / "images" / "a.tif", (20, 20))
    assert fuse(tmp_path, "--images", tmp_path / "images", "--skip-odd-sizes") == 1
    assert "the image has 20 × 20, as no mask" in row(tmp_path)["error"]
