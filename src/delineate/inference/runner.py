"""`Runner`: the networks of a model on a device, and the maps they give for whole images."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from delineate.data.augment import MARGIN
from delineate.data.normalise import Intensity
from delineate.errors import ModelError
from delineate.image import LazyArray
from delineate.inference.device import channels_last, resolve_device, resolve_precision
from delineate.inference.posterior import Pooled, Posterior, Turn, turns
from delineate.inference.tiles import Grid, Tile
from delineate.networks.locality import NORMS, whole_tile_layers

if TYPE_CHECKING:
    from delineate.methods.base import Maps, Method

log = logging.getLogger("delineate")

Progress = Callable[[int, int], None]
"""Called with the tiles done and all tiles."""


REACH = 4
"""Margins from the edge of a tile within which features count less: as far as networks see."""


class RunOptions(BaseModel):
    """How networks are run; none of it changes what they were trained for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tile: int | None = Field(
        None, ge=24, description="largest side of a tile; null: 512 in 2D, 96 in 3D"
    )
    overlap: int | None = Field(
        None, ge=0, description="pixels by which tiles overlap; null: 32 in 2D, 16 in 3D"
    )
    augment: bool = Field(
        False,
        description="tiles overlap by half and are mirrored in turn, a single one in every way: "
        "slower, often better",
    )
    turns: int = Field(
        1, ge=1, description="passes over each tile, each mirrored or turned in another way"
    )
    batch: int | None = Field(None, ge=1, description="tiles at a time; null: 1 on the CPU, else 8")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    precision: str = Field(
        "auto",
        pattern="^(auto|fp32|bf16|fp16)$",
        description="auto, fp32, bf16 or fp16; auto: bf16 where the hardware has it, unless images "
        "are made by a network that would lose their digits",
    )


def _for_inference(network: nn.Module) -> nn.Module:
    """The network as it runs fastest without training: its own `folded` copy where it has one."""
    folded = getattr(network, "folded", None)
    result: nn.Module = folded() if callable(folded) else network
    return result.eval()


def _flipped(batch: Tensor, flips: Sequence[tuple[int, ...]]) -> Tensor:
    """Each image of a batch, mirrored along axes of its own."""
    return torch.cat([Turn(f).apply(x[None]) for x, f in zip(batch, flips, strict=True)])


class Runner:
    """Networks of one model, ready to run.

    Parameters
    ----------
    networks : the members; their maps are averaged before decoding.
    method : gives their output a meaning.
    ndim : 2 or 3.
    options : tiles, device, precision.
    """

    def __init__(
        self, networks: Sequence[nn.Module], method: Method, ndim: int, options: RunOptions
    ) -> None:
        self.method = method
        self.ndim = ndim
        self.options = options
        self.device = resolve_device(options.device)
        exact = method.truth == "image" and not all(
            getattr(n, "keeps_intensities", False) for n in networks
        )
        precision = "fp32" if exact and options.precision == "auto" else options.precision
        self.dtype = resolve_precision(precision, self.device)
        self.format = channels_last(ndim)
        self.margin = MARGIN[ndim]
        self.networks = [
            _for_inference(n.to(self.device)).to(memory_format=self.format)  # type: ignore[call-overload]
            for n in networks
        ]
        self.divisor = max(int(getattr(n, "divisor", 1)) for n in networks)
        try:
            self.turns = turns(options.turns, ndim)
        except ValueError as error:
            raise ModelError(str(error)) from error
        self.draws = len(self.networks) * len(self.turns)
        self._tiles_told = False

    def with_method(self, method: Method) -> Runner:
        """The same networks, whose output another method gives a meaning."""
        other = copy.copy(self)
        other.method = method
        return other

    def grid(self, shape: Sequence[int]) -> Grid:
        """The tiles in which an image of this spatial shape is run."""
        tile = self.options.tile or (512 if self.ndim == 2 else 96)
        overlap = self.options.overlap
        if overlap is None:
            overlap = 32 if self.ndim == 2 else 16
        fewest = 1
        if self.options.augment:
            tile = self.options.tile or (256 if self.ndim == 2 else 64)
            overlap = tile // 2
            fewest = 2  # as it is, and mirrored
        return Grid(shape, [tile] * self.ndim, [overlap] * self.ndim, self.divisor, fewest)

    def _tell_of_tiles(self, grid: Grid) -> None:
        """Warn once where results depend on how an image is cut: those of images, of norms all."""
        if self._tiles_told or all(len(set(axis.starts)) == 1 for axis in grid.axes):
            return
        self._tiles_told = True
        layers = {layer: None for n in self.networks for layer in whole_tile_layers(n)}
        told = [a for a in layers if a in NORMS or self.method.truth == "image"]
        if told:
            log.warning(
                "the network has %s, taken over each tile by itself: results depend on the tile "
                "and may jump where tiles meet; with --tile %d there is one",
                " and ".join(told), max(grid.shape),
            )  # fmt: skip

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32),
        ):
            yield

    def tensor(self, tiles: Sequence[NDArray[np.float32]]) -> Tensor:
        """A batch on the device, in the memory format that convolutions like."""
        batch = torch.from_numpy(np.stack(tiles))
        return batch.to(self.device).contiguous(memory_format=self.format)

    def maps(
        self,
        data: LazyArray,
        intensity: Intensity | None = None,
        progress: Progress | None = None,
    ) -> Maps:
        """Mean over the draws of the maps of an image: float32 (map channels, spatial axes).

        See `posterior`, whose spread is not worked out here.
        """
        return self._over_tiles(data, intensity, progress)

    def posterior(
        self,
        data: LazyArray,
        intensity: Intensity | None = None,
        progress: Progress | None = None,
    ) -> Posterior:
        """Mean and spread of the maps of an image over the draws: members times turns.

        Parameters
        ----------
        data : (channels, spatial axes), read tile by tile.
        intensity : normalisation, applied tile by tile; None where the data are normalised.

        Raises
        ------
        ModelError : the network's output has another shape than the method's maps, or NaN in it.
        """
        n = self.method.out_channels(self.ndim)
        with_moments = self.draws > 1 and self.method.n_moments > 0
        with Pooled(self.networks, REACH * self.margin) as pooled:
            sums = self._over_tiles(data, intensity, progress, with_moments, pooled)
        moments = sums[n:] if with_moments else None
        return Posterior(sums[:n], moments, self.draws, pooled.features)

    def _over_tiles(
        self,
        data: LazyArray,
        intensity: Intensity | None,
        progress: Progress | None,
        with_moments: bool = False,
        pooled: Pooled | None = None,
    ) -> NDArray[np.float32]:
        """The maps of a whole image, after them the moments of the method where asked for."""
        shape = tuple(data.shape[1:])
        grid = self.grid([n + 2 * self.margin for n in shape])
        self._tell_of_tiles(grid)
        channels = self.method.out_channels(self.ndim) + with_moments * self.method.n_moments
        result = np.zeros((channels, *shape), np.float32)
        size = self.options.batch or (1 if self.device.type == "cpu" else 8)
        tiles, done = iter(grid), 0
        while group := list(islice(tiles, size)):
            pixels = [self._read(data, tile, grid, intensity) for tile in group]
            weights = np.zeros((len(group), 1, *grid.tile), np.float32)
            overlaps = [tile.within(shape, self.margin) for tile in group]
            for own, tile, here in zip(weights, group, overlaps, strict=True):
                own[(0, *here.tile)] = grid.weight(tile)[here.tile]
            flips = [self._flips(t) for t in group]
            output = self._run(self.tensor(pixels), flips, with_moments, pooled, weights)
            for own, values, here in zip(weights, output, overlaps, strict=True):
                part = values[(slice(None), *here.tile)] * own[(slice(None), *here.tile)]
                result[(slice(None), *here.image)] += part
            done += len(group)
            if progress:
                progress(done, len(grid))
        return result

    def _flips(self, tile: Tile) -> tuple[int, ...]:
        if not self.options.augment:
            return ()
        return tuple(axis for axis, i in enumerate(tile.index) if i % 2)

    def _read(
        self, data: LazyArray, tile: Tile, grid: Grid, intensity: Intensity | None
    ) -> NDArray[np.float32]:
        here = tile.within(data.shape[1:], self.margin)
        pixels: NDArray[Any] = np.asarray(data[(slice(None), *here.image)])
        values = pixels.astype(np.float32) if intensity is None else intensity.apply(pixels)
        pad = [(s.start, t - s.stop) for t, s in zip(grid.tile, here.tile, strict=True)]
        return np.pad(values, [(0, 0), *pad], mode="constant") if any(map(any, pad)) else values

    def _run(
        self,
        batch: Tensor,
        flips: Sequence[tuple[int, ...]],
        with_moments: bool,
        pooled: Pooled | None,
        weights: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Means over all draws of the maps of a batch, and where asked for of their moments."""
        total: Tensor | None = None
        with self._computing():
            batch = _flipped(batch, flips)
            if pooled is not None:
                counted = _flipped(torch.from_numpy(weights).to(self.device), flips)
            for network, turn in product(self.networks, self.turns):
                if pooled is not None:
                    pooled.expect(turn.apply(counted))
                turned = turn.apply(batch).contiguous(memory_format=self.format)
                maps = turn.undo(self._activated(network(turned), turned), self.method)
                if with_moments:
                    maps = torch.cat([maps, self.method.moments(maps)], dim=1)
                total = maps if total is None else total.add_(maps)
            assert total is not None
            total = total / self.draws
            total = torch.cat(
                [Turn(f).undo(x[None], self.method) for x, f in zip(total, flips, strict=True)]
            )
        output: NDArray[np.float32] = total.float().cpu().numpy()
        if not np.isfinite(output).all():
            advice = "" if self.dtype == torch.float32 else "; try --precision fp32"
            raise ModelError(f"the network gave values that are not finite{advice}")
        return output

    def _activated(self, output: Tensor, batch: Tensor) -> Tensor:
        """The maps of a network's output, whose shape must be what the method takes."""
        expected = (self.method.out_channels(self.ndim), *batch.shape[2:])
        if output.shape[1:] != expected:
            raise ModelError(
                f"the network gave maps of shape {tuple(output.shape[1:])} for a tile, the method "
                f"{getattr(self.method, 'name', type(self.method).__name__)} takes {expected}"
            )
        return self.method.activate(output.float())

    def style(self, data: LazyArray, intensity: Intensity | None = None) -> NDArray[np.float32]:
        """Mean style vector of the tiles of an image, by the first member: (features,).

        Raises
        ------
        ModelError : the network has no style vector.
        """
        network = self.networks[0]
        if not hasattr(network, "style_vector"):
            raise ModelError(f"{type(network).__name__} has no style vector to know the scale by")
        grid = self.grid([n + 2 * self.margin for n in data.shape[1:]])
        styles = []
        for tile in {tile.start: tile for tile in grid}.values():  # none twice
            batch = self.tensor([self._read(data, tile, grid, intensity)])
            with self._computing():
                styles.append(network.style_vector(batch)[0].float().cpu().numpy())
        mean: NDArray[np.float32] = np.mean(styles, axis=0)
        return mean
