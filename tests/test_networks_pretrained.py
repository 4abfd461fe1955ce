"""Pretrained encoders: names, channels, files that do not fit, and nothing fetched unasked."""

from __future__ import annotations

import logging
import pickle
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from delineate.errors import ModelError
from delineate.networks import NetworkOptions, build
from delineate.networks.adapter import encoder_of
from delineate.networks.pretrained import (
    load_encoder,
    other_channels,
    read_weights,
    start_encoder,
)

DECODER = {"decoder_channels": [16, 8, 8, 4, 4]}
OPTIONS: dict[str, dict[str, Any]] = {
    "resnet18-unet": DECODER,
    "efficientnet-b0-unet": DECODER,
    "unet": {"channels": [4, 8, 16], "num_res_units": 1},
    "residual-unet": {"features": [4, 8]},
}


def fresh(name: str, channels: int = 3, seed: int = 0, **more: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build(NetworkOptions(name=name, options={**OPTIONS[name], **more}), channels, 2, 2)


def encoder_state(network: nn.Module) -> dict[str, Tensor]:
    (encoder,) = encoder_of(network)
    return {k: v.clone() for k, v in encoder.state_dict().items()}


def torchvision_like(seed: int = 1) -> dict[str, Tensor]:
    """Weights of ResNet-18 under torchvision's names, with the classifier that it has."""
    return {**encoder_state(fresh("resnet18-unet", 3, seed)), "fc.weight": torch.rand(10, 512)}


def test_names_of_resnets_are_those_of_torchvision():
    names = set(encoder_state(fresh("resnet18-unet")))
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight"} <= names
    assert {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.bias"} <= names
    assert "layer2.0.downsample.0.bias" not in names


@pytest.mark.parametrize("prefix", ["", "encoder.", "module.encoder.", "model.backbone."])
def test_weights_are_found_under_any_prefix(tmp_path, prefix):
    weights = torchvision_like()
    file = tmp_path / "resnet18.pth"
    torch.save({"state_dict": {prefix + k: v for k, v in weights.items()}, "epoch": 3}, file)
    network = fresh("resnet18-unet")
    before = {k: v.clone() for k, v in network.state_dict().items()}
    options = NetworkOptions(name="resnet18-unet", options=DECODER, weights=file)
    result = start_encoder(network, options)
    assert result is not None
    assert result.missing == ()
    assert result.spare == (prefix + "fc.weight",)
    assert result.adapted is None
    for name, value in encoder_state(network).items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=0)
    for name, value in network.state_dict().items():
        if not name.startswith("inner.encoder."):
            torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_the_first_convolution_takes_other_channels_and_sees_grey_as_before(channels):
    weights = torchvision_like()
    network, original = fresh("resnet18-unet", channels), fresh("resnet18-unet", 3)
    result = load_encoder(network, weights, "here")
    load_encoder(original, weights, "here")
    assert result.adapted == "inner.encoder.conv1.weight"
    grey = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        got = network.eval().features(grey.expand(1, channels, 64, 64))
        expected = original.eval().features(grey.expand(1, 3, 64, 64))
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


def test_kernels_for_other_channels():
    kernels = torch.rand(4, 3, 5, 5)
    assert other_channels(kernels, 3) is kernels
    torch.testing.assert_close(other_channels(kernels, 1), kernels.sum(dim=1, keepdim=True))
    torch.testing.assert_close(other_channels(kernels, 6).sum(dim=1), kernels.sum(dim=1))


def test_blocks_of_efficientnet_numbered_throughout_are_found():
    """As the published weights name them."""
    source = encoder_state(fresh("efficientnet-b0-unet", 3, 1))
    flat = {re.sub(r"_blocks\.\d+\.(\d+)\.", r"_blocks.\1.", k): v for k, v in source.items()}
    assert set(flat) != set(source)
    network = fresh("efficientnet-b0-unet")
    assert load_encoder(network, flat, "here").missing == ()
    for name, value in encoder_state(network).items():
        torch.testing.assert_close(value, source[name], rtol=0, atol=0)


@pytest.mark.parametrize("name", ["unet", "residual-unet"])
def test_the_encoder_of_a_whole_model_of_our_own(tmp_path, name):
    """From another model's weights only the encoder is taken, whatever its outputs are."""
    source = fresh(name, seed=1)
    save_file(source.state_dict(), tmp_path / "member-0.safetensors")
    network = fresh(name)
    head = {k: v.clone() for k, v in network.state_dict().items()}
    result = load_encoder(network, read_weights(tmp_path / "member-0.safetensors"), "here")
    assert result.missing == ()
    assert result.spare
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(network.eval().features(image), source.eval().features(image))
    untouched = [k for k, v in network.state_dict().items() if torch.equal(v, head[k])]
    assert set(result.spare) <= set(untouched)


def test_what_is_missing_is_told(caplog, tmp_path):
    weights = {k: v for k, v in torchvision_like().items() if not k.startswith("layer4")}
    torch.save(weights, tmp_path / "w.pth")
    options = NetworkOptions(name="resnet18-unet", options=DECODER, weights=tmp_path / "w.pth")
    with caplog.at_level(logging.INFO, "delineate"):
        result = start_encoder(fresh("resnet18-unet"), options)
    assert result is not None
    assert all(".layer4." in name for name in result.missing)
    assert f"{len(result.missing)} missing, 1 of the file not needed" in caplog.text


def test_shapes_must_agree():
    weights = torchvision_like()
    weights["layer1.0.conv1.weight"] = torch.rand(64, 64, 1, 1)
    network = fresh("resnet18-unet")
    before = encoder_state(network)
    with pytest.raises(ModelError, match=r"layer1\.0\.conv1\.weight \(64, 64, 1, 1\) instead of"):
        load_encoder(network, weights, "here")
    for name, value in encoder_state(network).items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    with pytest.raises(ModelError, match=r"here: none of its weights \(a, b\)"):
        load_encoder(network, {"a": torch.rand(2), "b": torch.rand(2)}, "here")


class Harmful:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("hacked"),))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.pth", None, "no such file"),
        ("empty.pth", b"", "cannot be read as weights"),
        ("text.safetensors", b"hello", "cannot be read as weights"),
        ("code.pth", pickle.dumps(Harmful(), protocol=2), "cannot be read as weights"),
    ],
)
def test_files_that_hold_no_weights(tmp_path, monkeypatch, name, content, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_weights(tmp_path / name)
    assert not (tmp_path / "hacked").exists()


def test_files_without_names(tmp_path):
    torch.save([torch.rand(2)], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="holds no weights by name"):
        read_weights(tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "number.pth")
    with pytest.raises(ModelError, match="holds no weights by name"):
        read_weights(tmp_path / "number.pth")


# Fetching


@pytest.fixture
def fetched(monkeypatch) -> list[str]:
    """Addresses asked for; what would come is made here."""
    asked: list[str] = []

    def fetch(url: str, **options: Any) -> dict[str, Tensor]:
        assert options["weights_only"] is True
        assert options["check_hash"] is True
        asked.append(url)
        return torchvision_like()

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    # A stand-in for torchvision, which says where the weights that it publishes are.
    library = ModuleType("torchvision.models")

    def weights_of(name: str) -> Any:
        return SimpleNamespace(DEFAULT=SimpleNamespace(url=f"https://example.org/{name}.pth"))

    library.get_model_weights = weights_of  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", library)
    return asked


def test_nothing_is_fetched_unasked(fetched):
    for name in OPTIONS:
        assert start_encoder(fresh(name), NetworkOptions(name=name)) is None
    assert fetched == []


def test_weights_are_fetched_when_allowed(fetched):
    network = fresh("resnet18-unet", 1)
    result = start_encoder(network, NetworkOptions(name="resnet18-unet", download=True))
    assert result is not None
    assert result.missing == ()
    assert fetched == ["https://example.org/resnet18.pth"]


def test_without_torchvision_a_local_file_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(ModelError, match=r"cannot be fetched.*torchvision.*local file"):
        start_encoder(nn.Identity(), NetworkOptions(name="resnet18-unet", download=True))


@pytest.mark.parametrize(
    ("name", "ndim"), [("unet", 2), ("residual-unet", 2), ("resnet18-unet", 3)]
)
def test_networks_for_which_no_weights_are_known(fetched, name, ndim):
    with pytest.raises(ModelError, match=rf"no weights are known for {name} in {ndim}D"):
        start_encoder(nn.Identity(), NetworkOptions(name=name, download=True), ndim)
    assert fetched == []


def test_weights_that_cannot_be_reached(monkeypatch):
    def fail(url: str, **_: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    with pytest.raises(ModelError, match=r"cannot be fetched \(no route to host\).*local file"):
        start_encoder(nn.Identity(), NetworkOptions(name="efficientnet-b0-unet", download=True))
