"""Recipes whose regime and other settings do not suit each other say what to change."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import yaml

from delineate.errors import RecipeError
from delineate.recipe import Recipe


@pytest.mark.parametrize("name", ["labelfree-pix2pix", "labelfree-pix2pix-3d", "stain"])
@pytest.mark.parametrize("steps", [1, 100, 200])
def test_a_warm_up_as_long_as_the_training_is_refused(name: str, steps: int) -> None:
    """Nothing would tell that the discriminators, which were asked for, took no part."""
    said = (
        rf"regime\.warmup_steps 200 .*train\.steps {steps}\).*never use its discriminators.*"
        r"set regime\.warmup_steps to 0, .*more than 200$"
    )
    with pytest.raises(RecipeError, match=said):
        Recipe.load(name, {"train.steps": steps})
    short = Recipe.load(name, {"train.steps": steps, "regime.warmup_steps": 0})
    assert short.train.steps == steps
    assert Recipe.load(name, {"train.steps": 201}).train.steps == 201


def test_a_record_of_a_training_is_no_training_to_come() -> None:
    short = Recipe.load("stain", {"train.steps": 201}).model_dump(mode="json", by_alias=True)
    short["train"]["steps"] = 1
    short["regime"]["discriminator"]["scales"] = 9
    assert Recipe.build(short, trained=True).train.steps == 1
    with pytest.raises(RecipeError, match="warmup_steps"):
        Recipe.build(short)


def test_a_warm_up_counts_the_frozen_steps_too() -> None:
    values: dict[str, Any] = {
        "method": {"name": "semantic"},
        "regime": {"name": "pix2pix", "warmup_steps": 100},
        "train": {"steps": 50, "frozen_steps": 51},
    }
    assert Recipe.build(values).train.total > 100
    values["train"]["frozen_steps"] = 50
    with pytest.raises(RecipeError, match=r"warmup_steps 100 "):
        Recipe.build(values)


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        (
            "labelfree-cyclegan",
            {"train.patch": "32", "regime.discriminator.scales": "4"},
            r"patches of 32 pixels .*scales 4, .*need 185 .*train\.patch.*scales to 1$",
        ),
        ("labelfree-pix2pix", {"train.patch": "46"}, r"scales 2, .*need 47 "),
        ("stain", {"train.patch": "16"}, r"patches of 16 .*needs 24 .*discriminator\.layers$"),
        ("labelfree-pix2pix-3d", {"train.patch": "32,64,64"}, r"patches of 32 .*scales to 1$"),
        (
            "synthesis-3d",
            {"train.patch": "null", "regime.discriminator.scales": "3"},
            r"patches of 64 .*scales 3, .*need 93 .*scales to 2$",
        ),
    ],
)
def test_patches_too_small_for_a_scale_are_refused(
    name: str, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(RecipeError, match=said):
        Recipe.load(name, changes)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("labelfree-pix2pix", {"train.patch": 47}),
        ("synthesis-3d", {"train.patch": "24,24,24"}),
        ("labelfree-cyclegan", {"train.patch": 32, "regime.discriminator.scales": 1}),
        ("stain", {"train.patch": None, "data.ndim": 2, "regime.discriminator.scales": 4}),
        # 192 pixels in 2D, 64 in 3D: the images will tell which.
        ("stain", {"train.patch": None, "regime.discriminator.scales": 4}),
    ],
)
def test_patches_that_every_scale_judges_are_taken(name: str, changes: dict[str, Any]) -> None:
    Recipe.load(name, changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": {"name": "flows"}}, r"not the maps that objects .*: set method\.name"),
        ({"data": {"diameter": 30}}, r"set data\.diameter to null"),
        ({"method": {"name": "regression", "noise": True}}, r"set method\.noise to false"),
        ({"train": {"precision": "fp16"}}, r"trains in fp32 or bf16, not in fp16"),
    ],
)
def test_what_a_cyclegan_cannot_do_is_refused(changes: dict[str, Any], said: str) -> None:
    values = {"regime": {"name": "cyclegan"}, "method": {"name": "regression"}, **changes}
    with pytest.raises(RecipeError, match=said):
        Recipe.build(values)


def test_checking_imports_no_torch() -> None:
    code = (
        "import sys; from delineate.recipe import Recipe; Recipe.load('stain'); print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = found.stdout.split()
    assert "delineate.training.gan_checks" in modules
    assert not {"torch", "lightning"} & set(modules)


def test_the_way_back_is_the_chosen_network_where_only_its_options_are_given():
    given = {"regime.back_network.options": {"features": 8}}
    back = Recipe.load("labelfree-cyclegan", given).regime.back_network
    assert (back.name, back.options) == ("resnet-generator", {"features": 8})
    given |= {"network.name": "fnet", "network.options": {}}
    assert Recipe.load("labelfree-cyclegan", given).regime.back_network.name == "fnet"
    given |= {"regime.back_network.name": "unet"}
    chosen = Recipe.load("labelfree-cyclegan", given)
    assert chosen.regime.back_network.name == "unet"
    assert Recipe.build(yaml.safe_load(chosen.dump())) == chosen
    assert Recipe.load("labelfree-cyclegan").regime.back_network is None
