"""Which layers of a network look at all of a tile, so that a result depends on how it is cut."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

NORMS = {
    "instance norm": (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
    "group norm": (nn.GroupNorm,),
}
"""Norms by the statistics of one image, unless they keep those of the training."""

AVERAGES = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)


def whole_tile_layers(network: nn.Module) -> tuple[str, ...]:
    """What in a network takes statistics over the whole of what it is given, as it predicts.

    Such a layer gives the same pixels other values in a tile where something else lies beside
    them: tiles then differ where they meet, and noise is made large where a tile is empty. Batch
    norms do not: they predict with the statistics of the training. Of networks from outside the
    package it is known only as far as they are made of torch's own layers.

    Returns
    -------
    "instance norm", "group norm", "a style vector", "averages over the whole tile": those there
    are, in this order.
    """
    modules = list(network.modules())
    still = [m for m in modules if not getattr(m, "track_running_stats", False)]
    found = [name for name, kinds in NORMS.items() if any(isinstance(m, kinds) for m in still)]
    if any(getattr(m, "use_style", False) is True for m in modules):
        found.append("a style vector")
    if any(isinstance(m, AVERAGES) and _single(m.output_size) for m in modules):
        found.append("averages over the whole tile")
    return tuple(found)


def _single(size: int | Iterable[int | None] | None) -> bool:
    return size == 1 or (isinstance(size, Iterable) and all(n == 1 for n in size))
