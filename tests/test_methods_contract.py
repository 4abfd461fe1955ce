"""Methods written against the contract alone: trained, predicted, decoded, reviewed, evaluated."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import delineate
from command_line import call
from conftest import SMALL
from delineate.recipe import Recipe, override
from delineate.runs.train import train


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
