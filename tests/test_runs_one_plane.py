"""A 2D model of one plane of stacks, from training to its scores."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile

from command_line import call
from delineate.io import read, read_label_image
from delineate.model import load
from delineate.runs.evaluate import evaluate_folder
from domes import domes, write_domes

SETTINGS = {
    "train.steps": 4,
    "train.validate_every": 2,
    "train.patch": 32,
    "train.batch": 1,
    "train.device": "cpu",
    "train.precision": "fp32",
    "data.validation": 0.5,
}
QUICK = [text for name, value in SETTINGS.items() for text in (f"--{name}", str(value))]


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    """Three stacks of four planes of other objects, with labels and targets."""
    for name in "abc":
        made = [domes((48, 56), 6, 3, seed=10 * ord(name) + z) for z in range(4)]
        image, labels = (np.stack(each) for each in zip(*made, strict=True))
        for room, pixels in {"images": image, "labels": labels, "targets": 255 - image}.items():
            path = tmp_path / "data" / room / f"{name}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, pixels.astype(np.uint16), imagej=True, metadata={"axes": "ZYX"})
    return tmp_path / "data"


@pytest.mark.usefixtures("no_curves")
def test_objects(stacks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    small = ("--network.options.features", "4,8", "--data.diameter", "12", *QUICK)
    assert call("train", stacks, "-o", run, "--data.planes", "3", *small) == 0
    with (run / "left-out.csv").open() as file:
        left_out = [row["image"] for row in csv.DictReader(file)]
    assert left_out and all(name.endswith("/z3") for name in left_out)
    assert load(run / "model").description.ndim == 2
    capsys.readouterr()
    assert call("info", run / "model") == 0
    said = capsys.readouterr().out
    assert "2D, 1 channel" in said and "3 (from 0)" in said
    predict = ("predict", stacks / "images", "-o", out, "--model", run / "model", "--keep-maps")
    assert call(*predict) == 0
    labels = read_label_image(out / "labels" / "a.tif")
    assert labels.axes == "YX"
    plane = read(stacks / "images" / "a.tif").select(Z=3)
    found = load(run / "model").predict(plane, planes=(0,)).labels
    np.testing.assert_array_equal(labels.numpy(), found)
    assert call("decode", out, "-o", tmp_path / "again") == 0
    again = read_label_image(tmp_path / "again" / "labels" / "a.tif")
    np.testing.assert_array_equal(again.numpy(), labels.numpy())
    assert call("evaluate", out, stacks) == 0
    assert call("review", out, "--truth", stacks / "labels") == 0


def test_scores_are_against_the_plane_that_was_predicted(tmp_path: Path, model: Path) -> None:
    images, truth = tmp_path / "images", tmp_path / "truth"
    true = write_domes(images, ("a",))["a"]
    image = tifffile.imread(images / "a.tif")
    stack = np.stack([image[::-1], image, image.T])
    tifffile.imwrite(images / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    truth.mkdir()
    drawn = np.stack([0 * true, true, 0 * true])
    tifffile.imwrite(truth / "a.tif", drawn, imagej=True, metadata={"axes": "ZYX"})
    run = tmp_path / "out"
    command = ("predict", images, "-o", run, "--model", model, "--allow-imports", "--keep-maps")
    assert call(*command, "--planes", "1") == 0
    (ap50,) = evaluate_folder(run, truth, tmp_path / "scores").tables.images["AP50"]
    assert ap50 == 1
    assert call("review", run, "--truth", truth, "--allow-imports") == 0
    with (run / "review-scores.csv").open() as file:
        assert [float(row["ap50"]) for row in csv.DictReader(file)] == [1]
    several = tmp_path / "several"
    assert call("predict", images, "-o", several, *command[4:], "--planes", "0,1") == 0
    stacked = np.stack([true[::-1], true, true.T])
    tifffile.imwrite(truth / "a.tif", stacked, imagej=True, metadata={"axes": "ZYX"})
    (ap50,) = evaluate_folder(several, truth, tmp_path / "scores").tables.images["AP50"]
    assert np.isfinite(ap50)


@pytest.mark.usefixtures("no_curves")
@pytest.mark.parametrize("planes", ["3", "1,3"])
def test_images(stacks: Path, tmp_path: Path, planes: str) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    network = ("--network.options.features", "4", "--network.options.depth", "2")
    small = (*network, "--data.planes", planes, *QUICK)
    assert call("train", "labelfree", "-o", run, "--data.images", stacks, *small) == 0
    assert call("predict", stacks / "images", "-o", out, "--model", run / "model") == 0
    result = read(out / "results" / "a.tif")
    assert result.axes == ("YX" if planes == "3" else "ZYX")
    assert call("evaluate", out, stacks) == 0
    with (out / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["done"] * 3
    true = read(stacks / "targets" / "a.tif").select(Z=[int(z) for z in planes.split(",")])
    expected = np.corrcoef(true.numpy().ravel(), result.numpy().ravel())[0, 1]
    assert float(rows[0]["pearson"]) == pytest.approx(expected, abs=1e-3)
