"""Pretrained weights of encoders: from a local file, or fetched where the user allows it."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from delineate.errors import ModelError
from delineate.networks import NetworkOptions
from delineate.networks.adapter import encoder_of

log = logging.getLogger("delineate")

PREFIXES = re.compile(r"^(module|model|network|net|inner|encoder|backbone|_orig_mod)\.")
"""What other programs put before the names of weights, once or several times."""

RESNETS = ("resnet18-unet", "resnet34-unet", "resnet50-unet")
"""Networks whose encoder has ImageNet weights in torchvision; those of EfficientNet MONAI knows."""


class Loaded(NamedTuple):
    """What became of the weights of a file.

    Parameters
    ----------
    loaded : names in the network's state that were set.
    missing : names of the encoder that the file has nothing for; they keep their first values.
    spare : names of the file that the encoder has no place for, such as a classifier's.
    adapted : name of the first convolution, where it was made to take other channels.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    spare: tuple[str, ...]
    adapted: str | None


def start_encoder(network: nn.Module, options: NetworkOptions, ndim: int = 2) -> Loaded | None:
    """Set the encoder of a fresh network to the weights that the options name, if they name any.

    Raises
    ------
    ModelError : the file cannot be read or does not fit; nothing can be fetched.
    """
    if options.weights is not None:
        source, weights = str(options.weights), read_weights(options.weights)
    elif options.download:
        source, weights = f"weights for {options.name}", fetch_weights(options, ndim)
    else:
        return None
    result = load_encoder(network, weights, source)
    log.info(
        "%s: %d weights of the encoder set, %d missing, %d of the file not needed%s",
        source,
        len(result.loaded),
        len(result.missing),
        len(result.spare),
        f", {result.adapted} made to take other channels" if result.adapted else "",
    )
    return result


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Weights by name of a .safetensors, .pth, .pt or .ckpt file; no code in it is run.

    Raises
    ------
    ModelError : there is no such file, or it holds no weights.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; network.weights is a local file of weights")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Both libraries raise whatever comes to their mind at damaged files.
        raise ModelError(
            f"{path}: cannot be read as weights ({error}); expected .safetensors, or a state dict "
            "that torch.save wrote"
        ) from error
    return _state(content, path)


def _state(content: Any, path: Path) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        if content and all(isinstance(v, Tensor) for v in content.values()):
            return dict(content)
        inner = [k for k in ("state_dict", "model", "network", "encoder") if k in content]
        content = content[inner[0]] if inner else None
    raise ModelError(f"{path}: holds no weights by name; expected a state dict")


def fetch_weights(options: NetworkOptions, ndim: int) -> dict[str, Tensor]:
    """Download ImageNet weights of an encoder, once; torch keeps them in its cache.

    Raises
    ------
    ModelError : none are known for the network, or they cannot be reached.
    """
    name = options.name
    try:
        if name.startswith("smp:"):
            from delineate.networks.smp import smp_class

            known = {"encoder_weights": "imagenet", **options.options}
            whole: Any = smp_class(name.removeprefix("smp:"))(**known)
            return dict(whole.encoder.state_dict())
        address = _address(name) if ndim == 2 else None
        if address is None:
            known_names = ", ".join([*RESNETS, "efficientnet-b0-unet … b4-unet", "smp:…"])
            raise ModelError(
                f"no weights are known for {name} in {ndim}D; there are some for images (2D) and "
                f"{known_names}: leave out network.download, or give network.weights"
            )
        found: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            address, map_location="cpu", check_hash=True, weights_only=True
        )
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"weights for {name} cannot be fetched ({error}): give a local file as "
            "network.weights, or leave out network.download"
        ) from error
    return found


def _address(name: str) -> str | None:
    """Where the library that publishes the weights of an encoder says that they are."""
    if name in RESNETS:
        models = importlib.import_module("torchvision.models")
        return str(models.get_model_weights(name.removesuffix("-unet")).DEFAULT.url)
    if name.startswith("efficientnet-"):
        from monai.networks.nets.efficientnet import url_map

        return str(url_map[name.removesuffix("-unet")])
    return None


def load_encoder(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> Loaded:
    """Set the weights of a network's encoder.

    Names are compared within the encoder, and within the whole network, prefixes such as
    "module.encoder." aside. Shapes must agree but for the input channels of the first convolution:
    its kernels are averaged over their channels, repeated and scaled by old/new channels, so that
    a grey image gives what it gave in all channels before.

    Raises
    ------
    ModelError : no name fits, or a shape differs.
    """
    state = network.state_dict()
    places = {id(v): k for k, v in network.state_dict(keep_vars=True).items()}
    parts = encoder_of(network)
    wanted = [
        (places[id(value)], local)
        for part in parts
        for local, value in part.state_dict(keep_vars=True).items()
    ]
    first = places[id(_first_convolution(parts))]
    given = {_bare(name): name for name in weights}
    found: dict[str, str] = {}
    for place, local in wanted:
        # Within the whole network first: parts of an encoder may repeat their inner names.
        options = [place, *([local, _flat(local)] if len(parts) == 1 else [])]
        match = next((given[_bare(o)] for o in options if _bare(o) in given), None)
        if match is not None:
            found[place] = match
    real = [p for p, _ in wanted if not p.endswith("num_batches_tracked")]
    if not any(p in found for p in real):
        raise ModelError(
            f"{source}: none of its weights ({_some(list(weights))}) is named as one of the "
            f"encoder ({_some([local for _, local in wanted])})"
        )
    adapted: str | None = None
    values: dict[str, Tensor] = {}
    differ = []
    for place, name in found.items():
        value, own = weights[name], state[place]
        if place == first and value.ndim == own.ndim and _fits_but_channels(value, own):
            adapted = place if value.shape[1] != own.shape[1] else None
            value = other_channels(value, own.shape[1])
        if value.shape != own.shape:
            differ.append(f"{name} {tuple(value.shape)} instead of {tuple(own.shape)}")
        values[place] = value.to(own.dtype)
    if differ:
        raise ModelError(f"{source}: the weights do not fit the encoder: {_some(differ)}")
    network.load_state_dict({**state, **values}, strict=True)
    missing = tuple(p for p in real if p not in found)
    spare = tuple(n for n in weights if n not in set(found.values()))
    return Loaded(tuple(found), missing, spare, adapted)


def other_channels(kernels: Tensor, channels: int) -> Tensor:
    """Kernels (out, in, …) for another number of input channels, with the same sum over them."""
    if kernels.shape[1] == channels:
        return kernels
    repeated = kernels.mean(dim=1, keepdim=True).expand(-1, channels, *kernels.shape[2:])
    return repeated * (kernels.shape[1] / channels)


def _fits_but_channels(a: Tensor, b: Tensor) -> bool:
    return a.shape[0] == b.shape[0] and a.shape[2:] == b.shape[2:]


def _first_convolution(parts: Sequence[nn.Module]) -> Tensor:
    def kernels() -> Iterator[Tensor]:
        for part in parts:
            for module in part.modules():
                if isinstance(module, nn.Conv2d | nn.Conv3d):
                    yield module.weight

    found = next(kernels(), None)
    if found is None:
        raise ModelError("the network's encoder has no convolution to load weights into")
    return found


def _bare(name: str) -> str:
    """A name without the prefixes of wrappers."""
    while (shorter := PREFIXES.sub("", name)) != name:
        name = shorter
    return name


def _flat(name: str) -> str:
    """Blocks numbered throughout, where MONAI's EfficientNet nests them in stages."""
    return re.sub(r"(.+)\.\d+(\.\d+\..+)", r"\1\2", name)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
