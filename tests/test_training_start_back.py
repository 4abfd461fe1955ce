"""A CycleGAN that begins with the weights of a model takes those of its way back too."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

from delineate.errors import ModelError
from delineate.model import Description, Model
from delineate.networks import NetworkOptions, build
from delineate.recipe import Recipe
from delineate.runs.members import member_setting

SETTINGS: dict[str, Any] = {
    "network": {"name": "resnet-generator", "options": {"features": 4, "blocks": 1}},
    "regime.discriminator": {"features": 4, "layers": 1, "scales": 1},
}
RECIPE = Recipe.load("labelfree-cyclegan", SETTINGS)


def drawn(seed: int, features: int = 4) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    options = NetworkOptions(name="resnet-generator", options={"features": features, "blocks": 1})
    return build(options, 1, 1, 2).state_dict()


def model(*members: dict[str, torch.Tensor], back: Model | None = None) -> Model:
    return Model(Description(schema=1, recipe=RECIPE, in_channels=1, ndim=2), members, back=back)


def trained_from(start: Model | None, number: int = 0, recipe: Recipe = RECIPE) -> Any:
    setting = member_setting(
        recipe, number, [], channels=1, ndim=2, start=start, allow_imports=False
    )
    return recipe.regime.module(setting)


def same(module: Any, weights: dict[str, torch.Tensor]) -> bool:
    found = module.state_dict()
    return all(torch.equal(found[name], value) for name, value in weights.items())


def test_both_ways_begin_with_the_weights_of_a_model() -> None:
    there, back = [drawn(1), drawn(2)], [drawn(3), drawn(4)]
    start = model(*there, back=model(*back))
    for number in range(3):
        module = trained_from(start, number)
        assert same(module.network, there[number % 2])
        assert same(module.back, back[number % 2])


def test_a_way_back_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="do not fit the network"):
        trained_from(model(drawn(1), back=model(drawn(2, features=8))))


def test_the_log_says_that_a_way_back_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "delineate"):
        module = trained_from(model(drawn(1)))
    assert same(module.network, drawn(1))
    assert "has no way back" in caplog.text
    caplog.clear()
    trained_from(None)
    trained_from(model(drawn(1)), recipe=Recipe.load("labelfree-pix2pix", SETTINGS))
    assert not caplog.text
