"""Architectures: built in, or any importable `nn.Module` that the user allows."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from delineate.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

BUILT_IN = {"residual-unet": "delineate.networks.residual_unet:ResidualUNet"}
"""Names of the networks in the package, with the class that builds each."""


class NetworkOptions(BaseModel):
    """Which network, and what its constructor is given beside channels and dimensions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        "residual-unet",
        description="a built-in network, or the import path of a class, package.module:Class",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="further arguments of the network's constructor"
    )


def build(
    network: NetworkOptions,
    in_channels: int,
    out_channels: int,
    ndim: int,
    *,
    allow_imports: bool = False,
) -> nn.Module:
    """Build a network with fresh weights.

    Parameters
    ----------
    network : its name and the arguments of its constructor.
    in_channels, out_channels, ndim : handed to the constructor under these names.
    allow_imports : whether a class from outside the package may be imported.

    Raises
    ------
    ModelError : unknown name, a class that is not allowed or cannot be imported, or arguments
        that its constructor does not take.
    """
    path = BUILT_IN.get(network.name)
    if path is None:
        if ":" not in network.name:
            raise ModelError(
                f"there is no network {network.name!r}: choose one of "
                f"{', '.join(sorted(BUILT_IN))}, or give an import path such as "
                "package.module:Class"
            )
        if not allow_imports:
            raise ModelError(
                f"network {network.name!r} comes from outside the package: pass --allow-imports "
                "if you trust it"
            )
        path = network.name
    module, _, name = path.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelError(f"network {network.name!r} cannot be imported: {error}") from error
    if not callable(factory):
        raise ModelError(f"network {network.name!r} is no class: it cannot be called")
    given = {"in_channels": in_channels, "out_channels": out_channels, "ndim": ndim}
    fixed = sorted(set(given) & set(network.options))
    if fixed:
        raise ModelError(
            f"network {network.name!r}: its options set {', '.join(fixed)}, which data and method "
            "decide: leave them out"
        )
    return _construct(network.name, factory, {**given, **network.options})


def _construct(name: str, factory: Callable[..., Any], arguments: dict[str, Any]) -> nn.Module:
    from torch import nn

    try:
        inspect.signature(factory).bind(**arguments)
    except TypeError as error:
        raise ModelError(f"network {name!r} does not take its options: {error}") from error
    try:
        module = factory(**arguments)
    except Exception as error:
        # Whatever a constructor raises, its options are what the user can change.
        raise ModelError(
            f"network {name!r} cannot be built with {arguments}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"network {name!r} is {module!r}, expected a torch.nn.Module")
    return module
