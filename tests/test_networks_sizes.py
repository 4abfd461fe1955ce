"""Networks from outside the package that do not take images of every size."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from conftest import SMALL
from delineate.errors import ModelError
from delineate.networks.sizes import check_sizes
from delineate.recipe import Recipe, override
from delineate.runs.train import train

OUTSIDE = '''
import torch
from torch import nn

class UNet(nn.Module):
    """Halves twice; skips of other sizes cannot be joined."""

    def __init__(self, in_channels, out_channels, ndim=2, divisor=None, width=4):
        super().__init__()
        conv = nn.Conv2d if ndim == 2 else nn.Conv3d
        self.first = conv(in_channels, width, 3, padding=1)
        self.second = conv(width, width, 3, padding=1)
        self.last = conv(2 * width, out_channels, 1)
        self.drop = nn.Dropout(0.5)
        self.sizes = []
        if divisor is not None:
            self.divisor = divisor

    def forward(self, x):
        self.sizes.append(tuple(x.shape[2:]))
        fine = self.first(x)
        pool = nn.functional.max_pool2d if x.ndim == 4 else nn.functional.max_pool3d
        deep = self.second(pool(pool(fine, 2), 2))
        deep = nn.functional.interpolate(deep, scale_factor=4)
        return self.last(self.drop(torch.cat([fine, deep], dim=1)))

class Cropped(UNet):
    """Puts out what is left of the image, without a word."""

    def forward(self, x):
        return super().forward(x[(..., *(slice(n // 4 * 4) for n in x.shape[2:]))])

class Shrinking(nn.Conv2d):
    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels, 3)
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module that is not the package's; its name is new each time."""
    name = f"sized_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OUTSIDE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__(name)
    sys.modules.pop(name, None)


@pytest.mark.parametrize("patch", [(48, 48), (16, 32, 32)])
@pytest.mark.parametrize("kind", ["UNet", "Cropped"])
def test_a_network_that_needs_multiples_is_told_what_to_declare(outside, patch, kind) -> None:
    """Patches suit it; images of other sizes would have failed later."""
    ndim = len(patch)
    network = getattr(outside, kind)(2, 3, ndim)
    failing = r"53 × 53" if ndim == 2 else r"17 × 37 × 37"
    told = rf"network 'my:Net' takes no images of {failing} pixels: .*divisor = 4 .* are padded$"
    with pytest.raises(ModelError, match=told) as caught:
        check_sizes(network, "my:Net", 2, 3, patch)
    assert "train.patch" not in str(caught.value)
    check_sizes(getattr(outside, kind)(2, 3, ndim, divisor=4), "my:Net", 2, 3, patch)
    check_sizes(getattr(outside, kind)(2, 3, ndim, divisor=8), "my:Net", 2, 3, patch)


@pytest.mark.parametrize(
    ("divisor", "patch", "told"),
    [
        (None, (50, 48), r"50 × 48 pixels: .*divisor = 4.* set train.patch to .*such as 52,48"),
        (2, (48, 48), r"58 × 58 pixels: .*divisor = 4"),
        (4, (50, 48), r"50 × 48 pixels: RuntimeError: .*; set train.patch to multiples of 4, such"),
    ],
)
def test_what_to_change_depends_on_what_is_declared(outside, divisor, patch, told) -> None:
    with pytest.raises(ModelError, match=told):
        check_sizes(outside.UNet(1, 1, divisor=divisor), "my:Net", 1, 1, patch)


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def test_networks_that_no_divisor_helps(outside) -> None:
    said = r"gives back \(1, 2, 30, 30\), expected \(1, 2, 32, 32\); it has to take any size"
    with pytest.raises(ModelError, match=said):
        check_sizes(outside.Shrinking(1, 2), "my:Net", 1, 2, (32, 32))
    with pytest.raises(ModelError, match="gives back tuple, expected one tensor"):
        check_sizes(Pair(), "my:Net", 1, 1, (32, 32))


def test_a_network_is_left_as_it_was(outside) -> None:
    network = nn.Sequential(outside.UNet(1, 2, divisor=4), nn.BatchNorm2d(2))
    network.divisor = 4
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    check_sizes(network, "my:Net", 1, 2, (32, 32))
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training and network[0].drop.training and not network[1].training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_the_training_does_not_begin(outside, dataset: Path, tmp_path: Path) -> None:
    values = {
        **SMALL,
        "data.images": str(dataset),
        "data.diameter": None,
        "network.name": f"{outside.__name__}:UNet",
        "network.options": {},
        "train.patch": 48,
        "train.steps": 2,
    }
    recipe = Recipe.build(override({}, values))
    with pytest.raises(ModelError, match=rf"{outside.__name__}:UNet.* 53 × 53 .*divisor = 4"):
        train(recipe, tmp_path / "run", allow_imports=True)
    assert not list((tmp_path / "run").rglob("*.ckpt"))
    fit = recipe.network.model_copy(update={"options": {"divisor": 4}})
    model = train(recipe.model_copy(update={"network": fit}), tmp_path / "fit", allow_imports=True)
    (network,) = model.networks()
    model.predict(dataset / "images" / "cell0.tif")
    assert network.sizes and all(n % 4 == 0 for size in network.sizes for n in size)
