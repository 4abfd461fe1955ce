"""Tiles: a partition of unity; a tiled result equals the untiled one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from delineate.data.normalise import Intensity
from delineate.inference.runner import Runner, RunOptions
from delineate.inference.tiles import Grid
from delineate.methods.flows import Flows

CPU = {"device": "cpu", "precision": "fp32"}


@given(
    st.lists(st.integers(1, 300), min_size=2, max_size=3),
    st.integers(16, 120),
    st.integers(0, 60),
    st.sampled_from([1, 8]),
)
@settings(max_examples=60, deadline=None)
def test_weights_sum_to_one_everywhere(shape, tile, overlap, divisor):
    if len(shape) == 3:
        shape = [min(n, 60) for n in shape]
    grid = Grid(shape, [tile] * len(shape), [overlap] * len(shape), divisor)
    total = np.zeros(shape)
    for part in grid:
        assert all(n > 0 for n in part.size)
        total[part.slices] += grid.weight(part)
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert all(t % divisor == 0 for t in grid.tile)


def test_tiles_overlap_by_what_was_asked():
    axis = Grid((1000,), (256,), (32,), 8).axes[0]
    assert (np.diff(axis.starts) <= axis.tile - 32).all()
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.tile == 1000


class Local(nn.Module):
    """A small network with a receptive field of 7 pixels and batch statistics frozen."""

    divisor = 1

    def __init__(self, ndim: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        conv = nn.Conv2d if ndim == 2 else nn.Conv3d
        self.layers = nn.Sequential(
            conv(1, 6, 3, padding=1),
            nn.ReLU(),
            conv(6, 6, 3, padding=1),
            nn.ReLU(),
            conv(6, ndim + 1, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.mark.parametrize(("shape", "tile"), [((150, 210), 64), ((20, 90, 70), 48)])
def test_tiled_equals_untiled(shape, tile):
    """Away from the taper's ends tiles agree exactly with the whole image in one piece."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(1, *shape)).astype(np.float32)
    ndim = len(shape)
    whole = Runner([Local(ndim)], Flows(), ndim, RunOptions(tile=512, **CPU)).maps(data)
    parts = Runner([Local(ndim)], Flows(), ndim, RunOptions(tile=tile, overlap=16, **CPU)).maps(
        data
    )
    np.testing.assert_allclose(parts, whole, atol=2e-3)
    inner = np.abs(parts - whole) < 1e-5
    assert inner.mean() > 0.7


def test_mirrored_tiles_of_an_equivariant_network_change_nothing():
    """A network that commutes with mirroring gives the same maps with augmentation."""

    class Gradient(nn.Module):
        divisor = 1

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
            dy = x[..., 2:, 1:-1] - x[..., :-2, 1:-1]
            dx = x[..., 1:-1, 2:] - x[..., 1:-1, :-2]
            return torch.cat([dy, dx, x[..., 1:-1, 1:-1]], dim=1)

    data = np.random.default_rng(0).normal(size=(1, 90, 70)).astype(np.float32)
    plain = Runner([Gradient()], Flows(), 2, RunOptions(**CPU)).maps(data)
    mirrored = Runner([Gradient()], Flows(), 2, RunOptions(augment=True, tile=32, **CPU)).maps(data)
    np.testing.assert_allclose(mirrored[:, 1:-1, 1:-1], plain[:, 1:-1, 1:-1], atol=1e-2)


@pytest.mark.parametrize(("shape", "turns"), [((50, 70), 4), ((12, 30, 20), 8)])
def test_an_image_of_one_tile_is_mirrored_in_every_way(shape, turns):
    """The mean over all mirrorings, as the same number of turns gives it."""
    ndim = len(shape)
    data = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    network = Local(ndim)
    plain, mirrored, turned = (
        Runner([network], Flows(), ndim, RunOptions(**own, **CPU)).maps(data)
        for own in ({}, {"augment": True, "tile": 128}, {"turns": turns, "tile": 128})
    )
    assert np.abs(mirrored - plain).max() > 0.05
    np.testing.assert_allclose(mirrored, turned, atol=1e-5)


def test_a_strip_of_one_row_of_tiles_is_mirrored_across_it():
    """Turning the image by mirroring it along Y turns the result: each tile is run both ways."""
    data = np.random.default_rng(0).normal(size=(1, 40, 300)).astype(np.float32)
    runner = Runner([Local(2)], Flows(), 2, RunOptions(augment=True, tile=64, **CPU))
    maps = runner.maps(data)
    flipped = runner.maps(data[:, ::-1])[:, ::-1] * np.array([-1, 1, 1]).reshape(3, 1, 1)
    np.testing.assert_allclose(flipped, maps, atol=1e-5)


def test_a_tile_that_stands_twice_shares_its_weight():
    grid = Grid((30, 200), (64, 64), (32, 32), 8, fewest=2)
    assert [len(axis.starts) for axis in grid.axes] == [2, 6]
    assert {tile.index[0] for tile in grid} == {0, 1}
    total = np.zeros((30, 200))
    for tile in grid:
        total[tile.slices] += grid.weight(tile)
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_members_are_averaged_as_maps():
    class Constant(nn.Module):
        divisor = 1

        def __init__(self, logit: float) -> None:
            super().__init__()
            self.logit = logit

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = torch.zeros(x.shape[0], 3, *x.shape[2:])
            out[:, 2] = self.logit
            return out

    data = np.zeros((1, 20, 20), np.float32)
    maps = Runner([Constant(-2.0), Constant(4.0)], Flows(), 2, RunOptions(**CPU)).maps(data)
    expected = (1 / (1 + np.exp(2)) + 1 / (1 + np.exp(-4))) / 2
    np.testing.assert_allclose(maps[2], expected, rtol=1e-5)


def test_normalised_by_tile_equals_normalised_whole():
    data = np.random.default_rng(0).integers(0, 255, (1, 100, 90), np.uint8)
    intensity = Intensity(np.array([10], np.float32), np.array([200], np.float32))
    runner = Runner([Local(2)], Flows(), 2, RunOptions(tile=48, **CPU))
    np.testing.assert_allclose(
        runner.maps(data, intensity), runner.maps(intensity.apply(data)), atol=1e-6
    )


def test_the_network_sees_zeros_around_the_image():
    """Where an image ends the network sees a margin of zeros, as in training, never in between."""

    class Neighbours(nn.Module):
        divisor = 1

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            total = torch.nn.functional.avg_pool2d(x, 3, 1, padding=1)
            return torch.cat([total, total, total], dim=1)

    data = np.ones((1, 60, 50), np.float32)
    maps = Runner([Neighbours()], Flows(), 2, RunOptions(tile=512, **CPU)).maps(data)[0] * 5
    np.testing.assert_allclose(maps[1:-1, 1:-1], 1, atol=1e-6)
    np.testing.assert_allclose(maps[0, 1:-1], 6 / 9, atol=1e-6)
    np.testing.assert_allclose(maps[0, 0], 4 / 9, atol=1e-6)
