"""What `delineate consensus` says of training on its result can be typed, and learns it."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from conftest import disks, picture
from delineate.cli import main
from delineate.model import load
from delineate.runs import train as runs

SMALL = [
    *("--network.name", "residual-unet", "--network.options", "{features: [8, 16]}"),
    *("--train.steps=2", "--train.batch=2", "--train.patch=32", "--train.device=cpu"),
]


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_draw_curves", lambda metrics: None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Images, and masks of two experts who agree but for some pixels."""
    rng = np.random.default_rng(0)
    for number in range(3):
        mask = disks((96, 96), 7, 8, rng) > 0
        for place, pixels in (
            ("my images", picture(mask.astype(int), rng)),
            ("experts/anna", 255 * mask.astype(np.uint8)),
            ("experts/ben", 255 * np.roll(mask, number % 2, 1).astype(np.uint8)),
        ):
            file = tmp_path / place / f"{number}.tif"
            file.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(file, pixels, photometric="minisblack")
    return tmp_path


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(a) for a in arguments])
    return int(exit_.value.code or 0)


def told(capfd: pytest.CaptureFixture[str], data: Path, *options: object) -> dict[str, list[str]]:
    """The commands that a consensus ends with, by what is said of them."""
    out = data / "truth"
    assert call("consensus", data / "experts", "-o", out, "--overwrite",
                "--images", data / "my images", *options) == 0  # fmt: skip
    lines = [line.split(": ", 1) for line in capfd.readouterr().err.splitlines()]
    return {line[0]: shlex.split(line[1]) for line in lines if "delineate train" in line[-1]}


def test_the_recipe_that_fits_is_named(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    images, labels = str(data / "my images"), str(data / "truth" / "labels")
    where = ["--data.images", images, "--data.labels", labels]
    pixels = ["delineate", "train", "semantic", *where, "--data.soft", str(data / "truth" / "soft")]
    plain = ["delineate", "train", images, "--data.labels", labels]
    assert told(capfd, data) == {
        "to train on the pixels": pixels,
        "where the connected parts are objects": plain,
    }
    assert told(capfd, data, "--objects") == {"to train on the objects": plain}
    undecided = told(capfd, data, "--undecided", 255)
    assert undecided == {"to train on the pixels": [*pixels, "--method.ignore", "255"]}


def test_training_without_a_recipe_learns_the_parts(
    data: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    command = told(capfd, data)["where the connected parts are objects"]
    assert call(*command[1:], "-o", data / "run", *SMALL) == 0
    assert "3 of 3 label files are masks: their connected parts" in caplog.text
    files = sorted((data / "truth" / "labels").iterdir())
    parts = [ndimage.label(tifffile.imread(f), np.ones((3, 3)))[1] for f in files]
    known = load(data / "run" / "model").description.provenance
    assert parts == [8, 8, 8]
    assert known["training_objects"] == 16  # one image validates
    assert 11 < known["median_diameter"] < 17


def test_the_pixels_train_by_the_recipe_that_is_named(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = told(capfd, data, "--undecided", 255, "--method", "majority")[
        "to train on the pixels"
    ]
    assert call(*command[1:], "-o", data / "run", *SMALL) == 0
    assert load(data / "run" / "model").recipe.method.name == "semantic"
    capfd.readouterr()
    plain = ["train", data / "my images", "--data.labels", data / "truth" / "labels"]
    assert call(*plain, "-o", data / "objects", *SMALL) == 2
    assert "pixels are undecided (255, says consensus.json)" in capfd.readouterr().err
