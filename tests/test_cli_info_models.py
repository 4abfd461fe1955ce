"""What `delineate info` tells of models, by the kind of what they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from command_line import call
from delineate.model import Description, Model, Target
from delineate.recipe import Recipe


def described(recipe: Recipe, members: int = 1, **facts: Any) -> Model:
    known = {"val_loss": 0.25, "val_si_psnr": 30.0}
    scores = tuple({**known, "val_ssim": 0.5 + n} for n in range(members))
    provenance = {"training_images": 5, "training_objects": 0, "median_diameter": None}
    about = Description(
        schema=1,
        recipe=recipe,
        in_channels=3,
        ndim=2,
        scores=scores,
        provenance=provenance,
        **facts,
    )
    return Model(about, ({},) * members)


def told(model: Model, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    model.save(folder)
    assert call("info", folder) == 0
    lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    return {line[:22].strip(): line[22:] for line in lines}


def test_a_model_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = Recipe.load("labelfree", {"method.channels": 2})
    target = Target(
        offset=(1.0, 2.0), scale=(50.0, 200.0), channels=("DNA", "actin"), dtype="uint16",
        doubt=0.04,
    )  # fmt: skip
    back = described(Recipe.load("labelfree", {"method.channels": 3}))
    model = replace(described(recipe, 2, target=target), back=back)
    found = told(model, tmp_path / "model", capsys)
    assert found["images normalised by"] == found["targets normalised by"] == "mean-std"
    assert found["results"] == "2 channels: DNA, actin"
    assert found["units of results"] == "those of the training targets"
    assert found["type of targets"] == "uint16"
    said = "above ± 0.2 of the normalised intensity (± 10, 40 in the units of results)"
    assert found["doubtful pixels"] == said
    assert found["way back"] == "yes, to the 3 channels of the image"
    said = "loss 0.25, scale-invariant PSNR 30 dB, SSIM 1 (means of 2 members)"
    assert found["validation"] == said
    assert found["training images"] == "5"
    assert "training objects" not in found and "median diameter" not in found


def test_a_model_whose_results_have_the_units_of_the_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(described(Recipe.load("restoration"), target=Target()), tmp_path / "a", capsys)
    assert found["images normalised by"] == "percentile 1 to 99.8"
    assert found["targets normalised by"] == "match (to the scale of their image)"
    assert found["units of results"] == "those of the image"
    assert not {"type of targets", "doubtful pixels", "way back"} & set(found)
    found = told(described(Recipe.load("noise2void"), target=Target()), tmp_path / "b", capsys)
    assert found["targets normalised by"] == "the map of their image"


def test_a_model_of_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(described(Recipe.load("objects")), tmp_path / "model", capsys)
    assert found["training objects"] == "0"
    assert found["validation"] == "loss 0.25, scale-invariant PSNR 30 dB, SSIM 0.5"
    assert not {"results", "units of results", "median diameter"} & set(found)
