"""Weights of a model into its networks, and arrays into its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delineate.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor


def load_strictly(network: Any, weights: dict[str, Tensor], source: str) -> None:
    """Load weights into a network; every name and shape must agree.

    Raises
    ------
    ModelError : names what lacks, what is too much and which shapes differ.
    """
    own = network.state_dict()
    lacks = sorted(set(own) - set(weights))
    spare = sorted(set(weights) - set(own))
    differ = [
        f"{k} {tuple(weights[k].shape)} instead of {tuple(own[k].shape)}"
        for k in own
        if k in weights and own[k].shape != weights[k].shape
    ]
    if lacks or spare or differ:
        parts = [
            f"{what} {', '.join(names[:3])}{' …' if len(names) > 3 else ''}"
            for what, names in (("lacks", lacks), ("has also", spare), ("differs in", differ))
            if names
        ]
        raise ModelError(f"{source}: the weights do not fit the network: {'; '.join(parts)}")
    network.load_state_dict({k: v.to(own[k].dtype) for k, v in weights.items()}, strict=True)


def save_arrays(file: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write named arrays as safetensors, contiguous as the format asks."""
    from safetensors.numpy import save

    file.write_bytes(save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
