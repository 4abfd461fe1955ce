"""Every recipe of the package builds what it names, with the options that it is shipped with."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from delineate.errors import ModelError, RecipeError
from delineate.networks.discriminators import Discriminator
from delineate.recipe import Recipe, packaged_recipes
from delineate.runs.members import member_setting

ADVERSARIAL = [n for n in packaged_recipes() if hasattr(Recipe.load(n).regime, "discriminator")]


def built(recipe: Recipe) -> nn.Module:
    """The regime's module with its networks; their weights have no memory where none is asked."""
    ndim = recipe.data.ndim or 2
    channels = recipe.data.in_channels or getattr(recipe.method, "channels", 1)
    # A CycleGAN draws a number that it must know.
    with torch.device("cpu" if recipe.regime.name == "cyclegan" else "meta"):
        setting = member_setting(
            recipe, 0, [], channels=channels, ndim=ndim, start=None, allow_imports=False
        )
        return recipe.regime.module(setting)


def judges(module: nn.Module) -> list[Discriminator]:
    return [m for m in module.modules() if isinstance(m, Discriminator)]


@pytest.mark.parametrize("name", list(packaged_recipes()))
def test_shipped_options_build(name: str) -> None:
    recipe = Recipe.load(name)
    module = built(recipe)
    assert sum(w.numel() for w in module.parameters()) > 1e4
    patch = recipe.train.patch_shape(recipe.data.ndim or 2)
    found = judges(module)
    assert len(found) == {"pix2pix": 1, "cyclegan": 2}.get(recipe.regime.name, 0)
    for judge in found:
        judge.check(patch)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_shipped_discriminators_are_used_at_the_shipped_length(name: str) -> None:
    recipe = Recipe.load(name)
    assert getattr(recipe.regime, "warmup_steps", 0) < recipe.train.steps / 2


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("labelfree", "network.options", {"chanels": 32}, "chanels"),
        ("objects-3d", "network.options", {"features": [16, 0]}, "residual-unet"),
        ("unsupervised", "regime.back_network.options", {"norms": "batch"}, "norms"),
        ("labelfree-pix2pix-3d", "regime.discriminator", {"scales": 3}, "scales 3"),
        ("synthesis-3d", "train.patch", [16, 64, 64], "patches of 16"),
        ("stain", "regime.warmup_steps", 3000, "warmup_steps 3000"),
    ],
)
def test_options_that_would_not_do_are_noticed(name: str, key: str, value: Any, said: str) -> None:
    """What the test above is there to see, if a recipe were changed so."""
    with pytest.raises((ModelError, RecipeError), match=said):
        built(Recipe.load(name, {key: value}))


@pytest.mark.parametrize("name", list(packaged_recipes()))
def test_recipes_of_images_say_how_many_axes_they_are_for(name: str) -> None:
    recipe = Recipe.load(name)
    if recipe.method.truth == "image" or recipe.regime.name == "cyclegan":
        assert recipe.data.ndim == (3 if name.endswith("-3d") else 2)
