"""`delineate consensus`: what its table, last lines and report say of how far to trust them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from command_line import call
from conftest import disks
from delineate.io import read_labels

EXPERTS = ("anna", "ben", "carla")


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack")


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Masks of three experts (0 and 255) of three images."""
    rng = np.random.default_rng(0)
    for number in range(3):
        labels = disks((48, 52), 7, 4, rng)
        for expert in EXPERTS:
            moved = np.roll(labels, rng.integers(-1, 2, 2), (0, 1)) > 0
            path = tmp_path / "experts" / expert / f"cell{number}.tif"
            save(path, np.where(moved, 255, 0).astype(np.uint8))
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("options", "soft"), [([], True), (["--method", "majority"], False), (["--objects"], False)]
)
def test_sensitivities_of_staple_are_called_soft(
    masks: Path, options: list[str], soft: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    out = masks / "truth"
    assert call("consensus", masks / "experts", "-o", out, *options) == 0
    assert ("soft sensitivity" in capfd.readouterr().out.splitlines()[0]) == soft
    text = (out / "report.html").read_text(encoding="utf-8")
    assert (">Soft sensitivity<" in text) == (">Soft specificity<" in text) == soft
    rules = json.loads((out / "consensus.json").read_text())["rules"]
    assert any("specificity are soft" in rule for rule in rules) == soft
    # What it means: of the thresholded estimate it is another number.
    estimate = read_labels(out / "labels" / "cell0.tif") > 0
    anna = read_labels(masks / "experts" / "anna" / "cell0.tif") > 0
    hard = (anna & estimate).sum() / estimate.sum()
    assert (float(rows(out / "agreement.csv")[0]["sensitivity"]) == pytest.approx(hard)) != soft


@pytest.mark.parametrize("n", [1, 3])
def test_where_all_images_fail_the_last_line_says_so(
    masks: Path, n: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        for expert in EXPERTS:
            path = masks / "experts" / expert / f"cell{number}.tif"
            path.unlink()
            if number < n:
                save(path, np.zeros((32 + EXPERTS.index(expert), 72), np.uint8))
    out = masks / "truth"
    assert call("consensus", masks / "experts", "-o", out) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    told = {1: "the only image", 3: "all 3 images"}[n]
    last = f"delineate: {told} failed, there is no consensus: see {out / 'images.csv'}"
    assert printed.err.splitlines()[-1] == last
    assert "report.html" not in printed.err
    assert [row["status"] for row in rows(out / "images.csv")] == ["failed"] * n
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "No image was fused" in report
    assert f"{n} image{'s' * (n > 1)} of {n} failed" in report


def test_a_pattern_that_gives_images_a_word_too_much_is_told(
    masks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, expert in enumerate(EXPERTS, 1):
        for path in (masks / "experts" / expert).iterdir():
            save(masks / "flat" / f"{path.stem}_expert_{number}.tif", read_labels(path))
            save(masks / "named" / f"{path.stem}_expert.tif", read_labels(path))
    command = ["consensus", masks / "flat", "-o", masks / "truth"]
    assert call(*command, "--pattern", "{image}_{expert}.tif") == 0
    told = 'every image name ends in "_expert" (cell0_expert …)'
    assert told in capfd.readouterr().err
    assert told.split(" (")[0].split(' "')[0] in (masks / "truth" / "report.html").read_text()
    # Images of these names are what was meant.
    named = ["--pattern", "{image}_{expert}.tif", "--images", masks / "named"]
    assert call(*command, *named) == 0
    assert told not in capfd.readouterr().err
