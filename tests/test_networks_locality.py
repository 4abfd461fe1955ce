"""Results of images do not depend on how they are cut into tiles."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from delineate.inference.runner import Runner, RunOptions
from delineate.methods.regression import Regression
from delineate.methods.semantic import Semantic
from delineate.networks import BUILT_IN, NetworkOptions, build
from delineate.networks.locality import whole_tile_layers
from delineate.recipe import Recipe, packaged_recipes

SMALL: dict[str, dict[str, Any]] = {
    "residual-unet": {"features": [4, 8]},
    "unet": {"channels": [4, 8], "num_res_units": 1},
    "attention-unet": {"channels": [4, 8]},
    "fnet": {"features": 4, "depth": 2},
    "resnet-generator": {"features": 4, "blocks": 1},
}
"""What is made small of each network; all else is as a recipe has it."""


def networks_of(recipe: Recipe) -> list[NetworkOptions]:
    """Those that make images or that see them beside others that do."""
    back = getattr(recipe.regime, "back_network", None)
    return [recipe.network] if back is None else [recipe.network, back]


IMAGES = [
    (name, options)
    for name in packaged_recipes()
    for recipe in [Recipe.load(name)]
    if recipe.method.truth == "image" or recipe.regime.name == "cyclegan"
    for options in networks_of(recipe)
]


def small(name: str, options: dict[str, Any]) -> str:
    """A network of these options but the widths, as JSON."""
    return NetworkOptions(name=name, options={**options, **SMALL[name]}).model_dump_json()


def settled(options: NetworkOptions, ndim: int) -> nn.Module:
    """A network with random weights and statistics, as if it had been trained."""
    torch.manual_seed(1)
    network = build(options, 1, 1, ndim).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2)
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight)  # no layer hands on rounding errors alone
            if isinstance(module, nn.Linear):
                module.weight.mul_(10)
    return network


@cache
def difference(text: str, ndim: int) -> float:
    """Of a network, made small; its options are given as JSON, as several recipes have the same.

    Of one tile and several, where the first of these alone counts, over the spread there.
    The image is dark there and bright elsewhere. What counts lies 40 pixels from the tile's edge,
    which is further than these networks see.
    """
    network = settled(NetworkOptions.model_validate_json(text), ndim)
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, *(8,) * (ndim - 1), 200)).astype(np.float32)
    image[..., :80] *= 0.1
    image[..., 80:] = image[..., 80:] * 3 + 5
    found = []
    for tile in (96, 240):
        options = RunOptions(tile=tile, overlap=24, device="cpu", precision="fp32")
        runner = Runner([network], Regression(channels=1), ndim, options)
        found.append(runner.maps(image)[..., :40])
    return float(np.abs(found[0] - found[1]).max() / found[1].std())


@pytest.mark.parametrize(("name", "options"), IMAGES)
def test_tiles_of_every_shipped_recipe_give_what_one_tile_gives(name, options):
    ndim = 3 if name.endswith("-3d") else 2
    assert difference(small(options.name, options.options), ndim) < 1e-3


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet-generator", {}),
        ("resnet-generator", {"norm": "group"}),
        ("residual-unet", {}),
        ("attention-unet", {}),
    ],
)
def test_networks_that_look_at_whole_tiles_do_not(name, options):
    assert difference(small(name, options), 2) > 0.01


@pytest.mark.parametrize(("name", "options"), IMAGES)
def test_no_shipped_network_of_images_looks_at_whole_tiles(name, options):
    """With the widths that it is shipped with, which take no memory here."""
    with torch.device("meta"):
        assert whole_tile_layers(build(options, 1, 1, 3 if name.endswith("-3d") else 2)) == ()


@pytest.mark.parametrize(
    ("name", "options", "layers"),
    [
        ("residual-unet", {}, ("a style vector",)),
        ("residual-unet", {"style": False}, ()),
        ("fnet", {}, ()),
        ("fnet", {"norm": "none"}, ()),
        ("fnet", {"norm": "instance"}, ("instance norm",)),
        ("resnet-generator", {"norm": "group"}, ("group norm",)),
        ("attention-unet", {}, ("instance norm",)),
        ("attention-unet", {"norm_up": "batch"}, ()),
        ("attention-unet", {"norm_up": "none"}, ()),
        ("segresnet", {}, ("group norm",)),
        ("unet", {}, ()),
        ("resnet18-unet", {}, ()),
        ("efficientnet-b0-unet", {}, ("averages over the whole tile",)),
    ],
)
def test_layers_that_look_at_whole_tiles_are_known(name, options, layers):
    assert name in BUILT_IN
    with torch.device("meta"):
        network = build(NetworkOptions(name=name, options=options), 1, 1, 2)
    assert whole_tile_layers(network) == layers


def test_a_norm_that_keeps_statistics_looks_at_no_tile():
    assert whole_tile_layers(nn.InstanceNorm2d(3, track_running_stats=True)) == ()


def test_attention_unet_loads_weights_from_before_its_norm_could_be_chosen():
    """The default has no weights in these norms, as MONAI's has none."""
    network = build(NetworkOptions(name="attention-unet", options={"channels": [4, 8]}), 1, 1, 2)
    norms = [m for m in network.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert norms
    assert not any(list(m.parameters()) + list(m.buffers()) for m in norms)


@pytest.mark.parametrize(
    ("name", "options", "method", "side", "told"),
    [
        ("resnet-generator", {}, Regression(channels=1), 120, "instance norm"),
        ("resnet-generator", {}, Regression(channels=1), 40, None),
        ("resnet-generator", {"norm": "batch"}, Regression(channels=1), 120, None),
        ("residual-unet", {}, Regression(channels=1), 120, "a style vector"),
        ("residual-unet", {}, Semantic(classes=2), 120, None),
        ("resnet-generator", {}, Semantic(classes=2), 120, "instance norm"),
    ],
)
def test_results_that_depend_on_tiles_are_warned_of_once(name, options, method, side, told, caplog):
    """Style is meant for objects and classes, which it has always served."""
    torch.manual_seed(0)
    chosen = NetworkOptions(name=name, options={**options, **SMALL[name]})
    network = build(chosen, 1, method.out_channels(2), 2).eval()
    runner = Runner([network], method, 2, RunOptions(tile=80, device="cpu", augment=side == 40))
    image = np.random.default_rng(0).normal(size=(1, side, side)).astype(np.float32)
    for _ in range(2):
        runner.maps(image)
    said = [r.getMessage() for r in caplog.records if "depend on the tile" in r.getMessage()]
    assert len(said) == (told is not None)
    if told:
        assert f"has {told}" in said[0]
        assert f"--tile {side + 32}" in said[0]
        one = Runner([network], method, 2, RunOptions(tile=side + 32, device="cpu"))
        caplog.clear()
        one.maps(image)
        assert not caplog.records
