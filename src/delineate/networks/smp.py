"""Networks of segmentation-models-pytorch, where a user has installed it: ``smp:Unet``.

Its constructors call the output channels "classes" and by default fetch weights; here the names
are ours and nothing is fetched, unless ``network.download`` says so.
"""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn

from delineate.errors import ModelError
from delineate.networks.adapter import Adapted

LIBRARY = "segmentation_models_pytorch"


def build_smp(
    name: str,
    in_channels: int,
    out_channels: int,
    ndim: int,
    encoder_weights: str | None = None,
    **options: Any,
) -> nn.Module:
    """A network of the library by the name of its class, such as "Unet" or "DeepLabV3Plus".

    Parameters
    ----------
    encoder_weights : weights of the encoder to fetch, such as imagenet; null: none.
    options : further arguments of its constructor, such as ``encoder_name="resnet34"``.

    Raises
    ------
    ModelError : the library is not installed, has no such network, or the images are volumes.
    """
    if ndim != 2:
        raise ModelError(f"network 'smp:{name}' is for images, not for volumes: choose another")
    inner = smp_class(name)(
        in_channels=in_channels,
        classes=out_channels,
        encoder_weights=encoder_weights,
        **options,
    )
    encoder = getattr(inner, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise ModelError(f"network 'smp:{name}' has no encoder; expected one such as smp:Unet")
    return Adapted(inner, 32, encoder, [encoder])


def smp_class(name: str) -> type[nn.Module]:
    """A class of networks in the library.

    Raises
    ------
    ModelError : the library is not installed, or has no such network.
    """
    try:
        library = importlib.import_module(LIBRARY)
    except Exception as error:
        # An installation that does not fit torch fails with RuntimeError and others.
        raise ModelError(
            f"network 'smp:{name}' needs segmentation-models-pytorch, which cannot be imported "
            f"({error}): pip install segmentation-models-pytorch, or choose a built-in network "
            "such as resnet34-unet"
        ) from error
    found = getattr(library, name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        networks = [n for n, v in vars(library).items() if isinstance(v, type) and n[0].isupper()]
        raise ModelError(
            f"segmentation-models-pytorch has no network {name!r}; it has {', '.join(networks)}"
        )
    return found
