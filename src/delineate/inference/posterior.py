"""Draws of maps and what is kept of them: their mean, and how far they spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from delineate.methods.base import Maps, Method
    from delineate.uncertainty import Spread

SLAB = 1 << 22
"""Pixels whose spread is worked out at a time."""


class Turn(NamedTuple):
    """A symmetry of the grid: mirrored along `flips`, then Y and X swapped where `swap`."""

    flips: tuple[int, ...] = ()
    swap: bool = False

    def apply(self, batch: Tensor) -> Tensor:
        """A batch of scalar images (B, C, spatial axes), turned."""
        turned = torch.flip(batch, [2 + a for a in self.flips]) if self.flips else batch
        return turned.transpose(-1, -2) if self.swap else turned

    def undo(self, maps: Tensor, method: Method) -> Tensor:
        """The maps of a turned batch, brought back with their vectors."""
        if self.swap:
            maps = method.transpose(maps)
        return method.flip(maps, self.flips) if self.flips else maps


def turns(number: int, ndim: int) -> tuple[Turn, ...]:
    """The first `number` symmetries: mirrorings first, X before Y, then the same with Y, X swapped.

    Raises
    ------
    ValueError : there are only 8 in 2D and 16 in 3D.
    """
    every = [
        Turn(tuple(a for a in reversed(range(ndim)) if bits[a]), bool(swap))
        for swap, *bits in product((0, 1), repeat=ndim + 1)
    ]
    if not 1 <= number <= len(every):
        raise ValueError(f"{number} turns: there are 1 to {len(every)} in {ndim}D")
    return tuple(every[:number])


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is known from all draws of an image; memory does not grow with their number.

    Parameters
    ----------
    maps : float32 mean over draws (map channels, axes).
    spread : float32 (moments of the method, axes), their means over draws; None for a single draw,
        and where the method has none.
    draws : their number.
    features : of each member (F,) the mean of its deepest maps over the pixels of the image; empty
        where its network does not say which these are.
    by_plane : the maps are those of a 2D method for each plane of a volume.
    """

    maps: Maps
    spread: NDArray[np.float32] | None
    draws: int
    features: tuple[NDArray[np.float32], ...] = ()
    by_plane: bool = False

    def slabs(self, method: Method) -> Iterator[tuple[slice, Spread]]:
        """Uncertainty piece by piece along the first spatial axis; nothing where none is known."""
        size = self.maps.shape[1]
        step = max(1, SLAB * size // max(1, int(np.prod(self.maps.shape[1:]))))
        for start in range(0, size, step):
            where = slice(start, min(start + step, size))
            part = method.spread(
                self._batch(self.maps[:, where]),
                None if self.spread is None else self._batch(self.spread[:, where]),
            )
            if part is None:
                return
            yield where, part if self.by_plane else part.first()

    def _batch(self, channels: NDArray[np.float32]) -> Tensor:
        """Channels (C, axes) as a batch of one, or of planes: (B, C, axes of the method)."""
        part = torch.from_numpy(np.ascontiguousarray(channels))
        return part.transpose(0, 1) if self.by_plane else part[None]


class Pooled:
    """Sums of the deepest maps of each network, read in passing while tiles are run.

    A pixel of a deepest map counts as much as the pixels under it: nothing in the margin and in
    what fills up a tile, whose share would make the size of an image a feature; where tiles
    overlap, as much in all as elsewhere; and less the nearer it is to the edge of a tile, beyond
    which the network sees zeros, whose influence depends on that distance.

    Used as a context; networks whose `feature_layer` is no module are left out.

    Parameters
    ----------
    networks : whose maps are read.
    reach : pixels from the edge of a tile within which they count less.
    """

    def __init__(self, networks: Sequence[nn.Module], reach: int) -> None:
        self.reach = reach
        self.layers = [getattr(n, "feature_layer", None) for n in networks]
        self.sums: list[NDArray[np.float64] | None] = [None] * len(networks)
        self.counts = [0.0] * len(networks)
        self._weights: Tensor | None = None
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        for number, layer in enumerate(self.layers):
            if isinstance(layer, nn.Module):
                self._hooks.append(layer.register_forward_hook(partial(self._read, number)))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def expect(self, weights: Tensor) -> None:
        """Set what the pixels of the batch that runs next weigh: (B, 1, spatial axes)."""
        for axis in range(2, weights.ndim):
            n = weights.shape[axis]
            place = torch.arange(n, device=weights.device)
            inwards = (torch.minimum(place, n - 1 - place) + 0.5) / self.reach
            shape = [n if a == axis else 1 for a in range(weights.ndim)]
            weights = weights * inwards.clamp(max=1).square().reshape(shape)
        self._weights = weights

    def _read(self, number: int, _: nn.Module, __: Any, output: Tensor) -> None:
        assert self._weights is not None
        weights = F.interpolate(self._weights, size=list(output.shape[2:]), mode="area")
        every = (0, *range(2, output.ndim))
        pooled = (output.detach().float() * weights).sum(dim=every).double().cpu().numpy()
        known = self.sums[number]
        self.sums[number] = pooled if known is None else known + pooled
        self.counts[number] += float(weights.sum())

    @property
    def features(self) -> tuple[NDArray[np.float32], ...]:
        """Mean over the image and all turns, of each network; empty unless all have them."""
        found = [
            (s / n).astype(np.float32)
            for s, n in zip(self.sums, self.counts, strict=True)
            if s is not None
        ]
        return tuple(found) if len(found) == len(self.layers) else ()


def whole_spread(posterior: Posterior, method: Method) -> Spread | None:
    """Uncertainty of the whole image, worked out in slabs; None where nothing is known of it."""
    shape = posterior.maps.shape[1:]
    whole: Spread | None = None
    for where, part in posterior.slabs(method):
        if whole is None:
            whole = part.enlarged(shape)
        whole.put(where, part)
    return whole


def mean_features(
    parts: Sequence[tuple[NDArray[np.float32], ...]],
) -> tuple[NDArray[np.float32], ...]:
    """Features of each member, as means over planes or time points."""
    return tuple(np.mean(own, axis=0, dtype=np.float32) for own in zip(*parts, strict=True))
