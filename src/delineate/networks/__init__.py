"""Architectures: built in, or any importable `nn.Module` that the user allows."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ConfigDict, Field

from delineate.errors import ModelError
from delineate.networks.options import DIMENSIONS, Further, Options, options_of

if TYPE_CHECKING:
    from torch import nn

_MONAI = "delineate.networks.monai_networks"

BUILT_IN = {
    "residual-unet": "delineate.networks.residual_unet:ResidualUNet",
    "fnet": "delineate.networks.fnet:FNet",
    "resnet-generator": "delineate.networks.resnet_generator:ResNetGenerator",
    "unet": f"{_MONAI}:unet",
    "unet++": f"{_MONAI}:unet_plus_plus",
    "attention-unet": f"{_MONAI}:attention_unet",
    "segresnet": f"{_MONAI}:segresnet",
    "dynunet": f"{_MONAI}:dynunet",
    "swin-unetr": f"{_MONAI}:swin_unetr",
    **{f"resnet{n}-unet": f"{_MONAI}:resnet{n}_unet" for n in (18, 34, 50)},
    **{f"efficientnet-b{n}-unet": f"{_MONAI}:efficientnet_b{n}_unet" for n in range(5)},
}
"""Names of the networks in the package, with the class or function that builds each."""

SMP = "smp:"
"""What the name of a network of segmentation-models-pytorch begins with."""


class NetworkOptions(BaseModel):
    """Which network, and what its constructor is given beside channels and dimensions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        "residual-unet",
        description="residual-unet, fnet, resnet-generator, unet, unet++, attention-unet, "
        "segresnet, dynunet, swin-unetr, resnet18-unet (34, 50), efficientnet-b0-unet (to b4), "
        "smp:Unet (and other networks of segmentation-models-pytorch), or the import path of a "
        "class, package.module:Class, that takes in_channels and out_channels (and ndim, "
        "spatial_dims or dimensions)",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="further arguments of the network's constructor; `delineate recipes "
        "--network NAME` lists them",
    )
    weights: Path | None = Field(
        None, description="local file of pretrained weights of the encoder (.safetensors, .pth)"
    )
    download: bool = Field(
        False, description="fetch pretrained weights of the encoder, where some are known"
    )


def build(
    network: NetworkOptions,
    in_channels: int,
    out_channels: int,
    ndim: int,
    *,
    allow_imports: bool = False,
) -> nn.Module:
    """Build a network with fresh weights (`pretrained.start_encoder` sets those of its encoder).

    Parameters
    ----------
    network : its name and the arguments of its constructor.
    in_channels, out_channels : handed to the constructor under these names.
    ndim : spatial axes, handed to it under the first name of `DIMENSIONS` that it has; to a
        constructor that has none, and does not take any keyword, not at all.
    allow_imports : whether a class from outside the package may be imported.

    Raises
    ------
    ModelError : unknown name, a class that is not allowed or cannot be imported, or arguments
        that its constructor does not take.
    """
    factory = _factory(network.name, allow_imports)
    return _construct(
        network.name, factory, _arguments(network, factory, in_channels, out_channels, ndim)
    )


def _arguments(
    network: NetworkOptions, factory: Callable[..., Any], inputs: int, outputs: int, ndim: int
) -> dict[str, Any]:
    """All that a constructor is given.

    Raises
    ------
    ModelError : options that data and method decide, or that it does not take.
    """
    given = {"in_channels": inputs, "out_channels": outputs}
    dimensions = _dimensions(factory)
    if dimensions is not None:
        given[dimensions] = ndim
    fixed = sorted(set(given) & set(network.options))
    if fixed:
        raise ModelError(
            f"network {network.name!r}: its options set {', '.join(fixed)}, which data and method "
            "decide: leave them out"
        )
    arguments = {**given, **network.options}
    name = network.name
    known = _options(name, factory)
    try:
        inspect.signature(factory).bind(**arguments)
    except ValueError:
        pass  # compiled ones need not say what they take
    except TypeError as error:
        names = f"{', '.join(DIMENSIONS[:-1])} or {DIMENSIONS[-1]}"
        told = f"; every network is given in_channels and out_channels, and {names} if it has it"
        raise ModelError(
            f"network {name!r} does not take its options: {error}{known.told()}"
            f"{told if is_outside(name) else ''}"
        ) from error
    if unknown := known.unknown(network.options):
        raise ModelError(
            f"network {name!r} does not take its options: there is no "
            f"{', '.join(map(repr, unknown))}{known.told()}"
        )
    return arguments


def known_options(name: str, *, allow_imports: bool = False) -> Options:
    """The options of a network by its name, with types, defaults and what its docstring says.

    Raises
    ------
    ModelError : as for `check_name`.
    """
    return _options(name, _factory(name, allow_imports))


def _options(name: str, factory: Callable[..., Any]) -> Options:
    if not name.startswith(SMP):
        return options_of(factory)
    from delineate.networks.smp import smp_class

    return options_of(factory, Further(smp_class(name.removeprefix(SMP)), ("classes",)))


def check_name(network: NetworkOptions, *, allow_imports: bool = False) -> None:
    """Whether there is a network of this name that takes its options, before images are prepared.

    Raises
    ------
    ModelError : there is none, it is not allowed or cannot be imported, or takes other options.
    """
    _arguments(network, _factory(network.name, allow_imports), 1, 1, 2)


def is_outside(name: str) -> bool:
    """Whether a name is the import path of a class from outside the package."""
    return name not in BUILT_IN and not name.startswith(SMP)


def _factory(name: str, allow_imports: bool) -> Callable[..., Any]:
    if name.startswith(SMP):
        from delineate.networks.smp import build_smp

        return partial(build_smp, name.removeprefix(SMP))
    path = BUILT_IN.get(name)
    if path is None:
        if ":" not in name:
            near = difflib.get_close_matches(name.lower(), BUILT_IN, n=1)
            meant = f"; did you mean {near[0]}?" if near else ":"
            raise ModelError(
                f"there is no network {name!r}{meant} choose one of {', '.join(BUILT_IN)}, or give "
                "an import path such as package.module:Class"
            )
        if not allow_imports:
            raise ModelError(
                f"network {name!r} comes from outside the package: pass --allow-imports if you "
                "trust it"
            )
        path = name
    module, _, attribute = path.partition(":")
    try:
        factory: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelError(f"network {name!r} cannot be imported: {error}") from error
    if not callable(factory):
        raise ModelError(f"network {name!r} is no class: it cannot be called")
    return cast(Callable[..., Any], factory)


def _dimensions(factory: Callable[..., Any]) -> str | None:
    """The name under which a constructor takes the number of spatial axes, if it does."""
    try:
        known = inspect.signature(factory).parameters
    except ValueError:  # compiled ones need not say
        return DIMENSIONS[0]
    anything = any(p.kind is p.VAR_KEYWORD for p in known.values())
    named = (name for name in DIMENSIONS if name in known)
    return next(named, DIMENSIONS[0] if anything else None)


def _construct(name: str, factory: Callable[..., Any], arguments: dict[str, Any]) -> nn.Module:
    from torch import nn

    try:
        module = factory(**arguments)
    except ModelError:
        raise
    except Exception as error:
        # Whatever a constructor raises, its options are what the user can change.
        raise ModelError(
            f"network {name!r} cannot be built with {arguments}: {type(error).__name__}: {error}"
            f"{_options(name, factory).told()}"
        ) from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"network {name!r} is {module!r}, expected a torch.nn.Module")
    return module
