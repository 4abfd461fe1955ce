"""Options of networks on the command line: their types are those of the text."""

from __future__ import annotations

from typing import Any

import pytest

from delineate.networks import build
from delineate.recipe import Recipe, override


@pytest.mark.parametrize("place", ["network", "regime.back_network"])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4,8", [4, 8]),
        ("4, 8,16", [4, 8, 16]),
        ("0.5,1e-3,-2", [0.5, 0.001, -2]),
        ("1e-3", 0.001),
        ("[4, 8]", [4, 8]),
        ("4", 4),
        ("true", True),
        ("null", None),
        ("batch", "batch"),
        ("relu,tanh", "relu,tanh"),
        ("4,tanh", "4,tanh"),
        ("1.2.3", "1.2.3"),
        ("4,", "4,"),
    ],
)
def test_numbers_with_commas_are_a_list(place: str, text: str, value: Any) -> None:
    found: Any = override({}, {f"{place}.options.features": text})
    for part in (*place.split("."), "options"):
        found = found[part]
    assert found == {"features": value}
    assert type(found["features"]) is type(value)


def test_options_given_as_text_build_the_network() -> None:
    values = {"network.name": "residual-unet", "network.options.features": "4,8"}
    recipe = Recipe.build(override({}, values))
    assert recipe == Recipe.build(override({}, {**values, "network.options.features": [4, 8]}))
    network = build(recipe.network, 1, 3, 2)
    assert sum(w.numel() for w in network.parameters()) > 0


def test_other_settings_keep_their_own_ways() -> None:
    values = {"train.patch": "24,32,32", "data.times": "1,2", "name": "4,8", "description": "1e-3"}
    recipe = Recipe.build(override({}, values))
    assert recipe.train.patch == (24, 32, 32)
    assert recipe.data.times == (1, 2)
    assert (recipe.name, recipe.description) == ("4,8", "1e-3")
