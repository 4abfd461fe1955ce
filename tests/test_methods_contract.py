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
from delineate.data.layouts import find_pairs
from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.image import Image
from delineate.inference.decode import decode_posterior
from delineate.inference.posterior import Posterior
from delineate.inference.predict import predict
from delineate.inference.runner import Runner, RunOptions
from delineate.io import read_labels
from delineate.methods.base import Decoded, Maps
from delineate.recipe import Recipe, override
from delineate.runs.train import train
from toy_methods import Blobs, Ground


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
    for found in (run, tmp_path / "again"):
        check_round_trip(found, "classes" if kind == "Ground" else "labels")


def test_objects_have_the_class_of_most_of_their_pixels() -> None:
    """A method that gives an image of classes need not tell those of its objects."""

    class Two(Ground):
        def decode(self, maps: Maps) -> Decoded:
            kinds = np.array([[0, 1, 1, 0, 2, 2], [0, 2, 1, 0, 0, 2], [3, 0, 0, 0, 0, 0]], np.uint8)
            labels = np.array([[0, 1, 1, 0, 2, 2], [0, 1, 1, 0, 2, 2], [0, 0, 0, 3, 0, 0]])
            return Decoded(labels.astype(np.uint32), {}, kinds)

    maps = Posterior(np.zeros((2, 3, 6), np.float32), None, 1)
    found = decode_posterior(maps, Image(np.zeros((3, 6), np.float32), "YX"), Two())
    assert found.measure()["class"].tolist() == [1, 2, 0]


def check_round_trip(run: Path, room: str) -> None:
    """Outlines of a run come back as what its method learns from; no code of it is needed."""
    data = run.parent / f"from-{run.name}"
    assert call("export", run, "--rois") == 0
    assert call("import", run / "rois", "-o", data) == 0
    known = {p.image.stem: p.labels for p in find_pairs(data / "data.csv") if p.labels is not None}
    assert known and {path.parent for path in known.values()} == {data / room}
    for name, path in known.items():
        before = read_labels(run / room / f"{name}.tif")
        np.testing.assert_array_equal(read_labels(path), before)


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
