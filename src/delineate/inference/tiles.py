"""Overlapping tiles whose tapered weights sum to exactly one at every pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tile:
    """One tile of a grid.

    Parameters
    ----------
    start : first pixel along each spatial axis.
    size : pixels of it that lie in the image.
    index : its number along each axis.
    """

    start: tuple[int, ...]
    size: tuple[int, ...]
    index: tuple[int, ...]

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where it lies in the image."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.size, strict=True))

    def within(self, shape: Sequence[int], margin: int) -> Overlap:
        """What the tile shares with an image of `shape` that starts `margin` into the grid.

        A tile that lies in the margin alone shares the pixels nearest to it: one, at least.
        """
        image, tile = [], []
        for start, size, n in zip(self.start, self.size, shape, strict=True):
            low = min(max(start - margin, 0), n - 1)
            high = max(min(start - margin + size, n), low + 1)
            image.append(slice(low, high))
            tile.append(slice(low - start + margin, high - start + margin))
        return Overlap(tuple(image), tuple(tile))


class Overlap(NamedTuple):
    """The same pixels, as slices of the image and of the tile."""

    image: tuple[slice, ...]
    tile: tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Axis:
    """Tiles along one axis: their starts and the weight of each of their pixels, (tiles, tile)."""

    tile: int
    starts: tuple[int, ...]
    weights: NDArray[np.float32]


def _axis(size: int, tile: int, overlap: int, divisor: int, fewest: int) -> Axis:
    def up(n: int) -> int:
        return -(-n // divisor) * divisor

    tile = up(max(tile, divisor))
    if size <= tile:
        weights = np.full((fewest, up(size)), 1 / fewest, np.float32)
        return Axis(up(size), (0,) * fewest, weights)
    overlap = min(overlap, tile - divisor)
    count = -(-(size - overlap) // (tile - overlap))
    tile = min(tile, up(-(-(size + (count - 1) * overlap) // count)))
    starts = np.round(np.linspace(0, size - tile, count)).astype(int)
    ramp = np.minimum(np.arange(tile), np.arange(tile)[::-1]) + 0.5
    bump = np.clip(ramp / max(overlap, 1), 0, 1)
    bump = bump * bump * (3 - 2 * bump) + 1e-6  # smooth step: no kink where a tile fades in
    total = np.zeros(size)
    for start in starts:
        total[start : start + tile] += bump
    weights = np.stack([bump / total[s : s + tile] for s in starts])
    return Axis(tile, tuple(int(s) for s in starts), weights.astype(np.float32))


class Grid:
    """Tiles of one common shape that cover an image evenly.

    Parameters
    ----------
    shape : spatial shape of the image.
    tile : largest tile along each axis; the tiles used are as small as covers the image in the
        same number, so that little is computed twice.
    overlap : pixels in which neighbours overlap, at least.
    divisor : the shape of tiles is a multiple of this.
    fewest : along an axis that one tile covers, it stands this often, each with its share of the
        weight: for what is done to every second tile.

    The weight of a tile is a product over the axes of smooth ramps, divided by the sum over all
    tiles: a partition of unity, so that equal predictions stay exactly as they are.
    """

    def __init__(
        self,
        shape: Sequence[int],
        tile: Sequence[int],
        overlap: Sequence[int],
        divisor: int,
        fewest: int = 1,
    ) -> None:
        self.shape = tuple(shape)
        self.axes = [
            _axis(n, t, o, divisor, fewest) for n, t, o in zip(shape, tile, overlap, strict=True)
        ]
        self.tile = tuple(a.tile for a in self.axes)

    def __len__(self) -> int:
        return int(np.prod([len(a.starts) for a in self.axes]))

    def __iter__(self) -> Iterator[Tile]:
        for index in product(*(range(len(a.starts)) for a in self.axes)):
            start = tuple(a.starts[i] for a, i in zip(self.axes, index, strict=True))
            size = tuple(
                min(t, n - s) for t, n, s in zip(self.tile, self.shape, start, strict=True)
            )
            yield Tile(start, size, index)

    def weight(self, tile: Tile) -> NDArray[np.float32]:
        """Weight of each pixel of a tile, shape `tile.size`."""
        result = np.ones((), np.float32)
        for axis, i, n in zip(self.axes, tile.index, tile.size, strict=True):
            result = result[..., None] * axis.weights[i, :n]
        return result
