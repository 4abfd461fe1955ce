"""Methods written against the contract alone: trained, predicted, decoded, reviewed, evaluated."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import delineate
from command_line import call
from conftest import SMALL
from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.image import Image
from delineate.inference.predict import predict
from delineate.inference.runner import Runner, RunOptions
from delineate.recipe import Recipe, override
from delineate.runs.train import train
from toy_methods import Blobs


def toy_recipe(dataset: Path, kind: str, **settings: object) -> Recipe:
    """A recipe of a few small steps, in which two members leave out three images each."""
    values = {
        **SMALL,
        "data.images": str(dataset),
        "data.diameter": None,
        "method.name": f"toy_methods:{kind}",
        "network.options": {"features": [4, 8]},
        "train.steps": 20,
        "train.validate_every": 10,
        "train.patch": 48,
        "ensemble.folds": 2,
        **settings,
    }
    return Recipe.build(override({}, values), allow_imports=True)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["Blobs", "SureBlobs", "Ground"])
def test_a_method_from_outside_goes_all_the_way(
    tmp_path: Path, dataset: Path, no_curves: None, kind: str
) -> None:
    out, run = tmp_path / "t", tmp_path / "run"
    recipe = toy_recipe(dataset, kind)
    train(recipe, out, allow_imports=True)
    loaded = delineate.load(out / "model", allow_imports=True)
    assert type(loaded.recipe.method).__name__ == kind
    assert loaded.recipe.model_dump()["method"]["name"] == f"toy_methods:{kind}"
    sure = kind != "Blobs"
    assert (loaded.description.reference is not None) == sure
    assert (loaded.description.calibration is not None) == sure
    images = dataset / "images"
    given = ["predict", images, "-o", run, "--model", out / "model", "--keep-maps"]
    given += ["--allow-imports", "--uncertainty", "--device", "cpu"]
    assert call(*given) == 0
    for row in rows(run / "images.csv"):
        assert (row["uncertainty"] != "") == sure
    assert (run / "uncertainty" / "cell0.tif").exists() == sure
    assert (run / "report.html").is_file()
    trusted = ["--allow-imports"]
    assert call("decode", run, "-o", tmp_path / "again", *trusted) == 0
    assert call("review", run, "--truth", dataset / "labels", *trusted) == 0
    scores = rows(run / "review-scores.csv")
    assert len(scores) == 6
    if kind == "Ground":  # its own `compare` said so
        assert {float(row["ap50"]) for row in scores} == {0.5}
    told = json.loads((run / "run.json").read_text())["review"]["truth"]
    assert ("pixels" in told.get("calibration", {})) == sure
    assert call("evaluate", run, dataset / "labels", "-o", tmp_path / "e", *trusted) == 0
    assert (tmp_path / "e" / "scores.csv").is_file()
    assert call("info", out / "model", *trusted) == 0


@pytest.mark.parametrize("axes", ["TYX", "ZYX", "TZYX"])
def test_what_is_not_uncertain_may_have_times_and_planes(axes: str) -> None:
    """Three passes over each tile, of a network that gives back the image."""
    shape = tuple({"T": 2, "Z": 3, "Y": 40, "X": 50}[a] for a in axes)
    pixels = np.zeros(shape, np.float32)
    pixels[..., 5:15, 5:15] = pixels[..., 20:30, 20:40] = 1
    runner = Runner([nn.Identity()], Blobs(), 2, RunOptions(device="cpu", turns=3))
    found = predict(
        Image(pixels, axes),
        runner,
        normalise=Normalise(kind="range", low=0, high=1),
        in_channels=1,
        data=DataOptions(diameter=None),
        common=None,
        scale_model=None,
        keep_maps=True,
    )
    assert found.labels is not None and found.labels.shape == shape
    assert found.count == (4 if "T" in axes else 2)
    assert found.predictive is None and np.isnan(found.scores.uncertainty)
    assert found.posterior is not None and found.posterior.spread is None
    assert set(found.measure()) & {"uncertainty", "aleatoric"} == set()
