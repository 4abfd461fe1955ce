"""Networks of segmentation-models-pytorch, by a stand-in with its constructors' names."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from delineate.errors import ModelError
from delineate.networks import NetworkOptions, build, check_name
from delineate.networks.adapter import encoder_of
from delineate.networks.pretrained import start_encoder


class Encoder(nn.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, 4, 3, 2, 1)
        self.second = nn.Conv2d(4, 8, 3, 16, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        half = self.first(x)
        return [x, half, self.second(half)]


class Unet(nn.Module):
    """Takes the names of the library, and notes which weights it was to fetch."""

    fetched: list[Any] = []  # noqa: RUF012

    def __init__(
        self,
        encoder_name: str = "resnet34",
        encoder_weights: str | None = "imagenet",
        in_channels: int = 3,
        classes: int = 1,
    ) -> None:
        super().__init__()
        self.encoder_name = encoder_name
        self.fetched.append(encoder_weights)
        self.encoder = Encoder(in_channels)
        if encoder_weights:
            nn.init.constant_(self.encoder.second.weight, 0.25)
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[2] % 32 == x.shape[3] % 32 == 0
        return nn.functional.interpolate(self.head(self.encoder(x)[-1]), x.shape[2:])


@pytest.fixture
def library(monkeypatch) -> ModuleType:
    module = ModuleType("segmentation_models_pytorch")
    module.Unet, module.Version = Unet, str  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", module)
    monkeypatch.setattr(Unet, "fetched", [])
    return module


def test_built_by_name_with_our_names_and_nothing_fetched(library):
    options = NetworkOptions(name="smp:Unet", options={"encoder_name": "resnet18"})
    network = build(options, 2, 5, 2).eval()
    assert network(torch.rand(1, 2, 40, 50)).shape == (1, 5, 40, 50)
    assert network.features(torch.rand(3, 2, 40, 50)).shape == (3, 8)
    assert network.inner.encoder_name == "resnet18"
    assert encoder_of(network) == [network.inner.encoder]
    assert Unet.fetched == [None]


def test_weights_of_the_library_are_fetched_when_allowed(library):
    options = NetworkOptions(name="smp:Unet", download=True)
    network = build(options, 1, 2, 2)
    assert Unet.fetched == [None]
    result = start_encoder(network, options)
    assert Unet.fetched == [None, "imagenet"]
    assert result is not None
    assert result.adapted == "inner.encoder.first.weight"
    assert (network.inner.encoder.second.weight == 0.25).all()


@pytest.mark.parametrize(
    ("name", "ndim", "message"),
    [
        ("smp:Unett", 2, r"has no network 'Unett'; it has Unet"),
        ("smp:Version", 2, "has no network 'Version'"),
        ("smp:Unet", 3, "is for images, not for volumes"),
    ],
)
def test_names_that_lead_to_no_network(library, name, ndim, message):
    with pytest.raises(ModelError, match=message):
        build(NetworkOptions(name=name), 1, 2, ndim)


def test_options_that_do_not_fit(library):
    with pytest.raises(ModelError, match=r"no 'depht'; its options are .*encoder_name resnet34"):
        check_name(NetworkOptions(name="smp:Unet", options={"depht": 3}))


def test_a_library_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(ModelError, match="pip install segmentation-models-pytorch"):
        build(NetworkOptions(name="smp:Unet"), 1, 2, 2)
