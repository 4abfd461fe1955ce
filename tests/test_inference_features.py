"""Features by which novelty is known: of what an image shows, not of its size nor of its tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from delineate.inference.posterior import Pooled
from delineate.inference.runner import Runner, RunOptions
from delineate.methods.regression import Regression
from delineate.networks import NetworkOptions, build
from delineate.uncertainty.novelty import FeatureStatistics, fit_features

SIDE = {2: 96, 3: 32}


def runner(ndim: int, **options: object) -> Runner:
    torch.manual_seed(0)
    depth = {2: 3, 3: 2}[ndim]
    given = NetworkOptions(name="fnet", options={"features": 4, "depth": depth, "norm": "none"})
    network = build(given, 1, 1, ndim).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Conv3d):  # so that what is shown gets deep
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            torch.nn.init.zeros_(layer.bias)
    settled = RunOptions(device="cpu", precision="fp32", **options)
    return Runner([network], Regression(), ndim, settled)


def texture(rng: np.random.Generator, side: int, ndim: int) -> NDArray[np.float32]:
    smooth = ndimage.gaussian_filter(rng.normal(size=(side,) * ndim), 2)
    return (0.5 + 0.2 * smooth / smooth.std()).astype(np.float32)[None]


def novelty(known: FeatureStatistics, by: Runner, image: NDArray[np.float32]) -> float:
    return float(known.novelty(by.posterior(image).features[0][None])[0])


def learned(by: Runner, rng: np.random.Generator) -> FeatureStatistics:
    images = [texture(rng, SIDE[by.ndim], by.ndim) for _ in range(30)]
    features = [by.posterior(image).features[0] for image in images]
    return fit_features(features[:20], features[20:])


@pytest.mark.parametrize(
    ("ndim", "sizes", "options"),
    [
        (2, (96, 97, 100, 128, 200), {}),
        (2, (97, 200), {"tile": 112, "overlap": 32}),
        (2, (97, 128), {"augment": True}),
        (2, (97, 128), {"turns": 8}),
        (3, (32, 40, 60), {}),
        (3, (40, 60), {"tile": 48, "overlap": 16}),
    ],
)
def test_a_crop_of_a_texture_is_as_novel_as_the_whole(ndim, sizes, options) -> None:
    """All training images have one size; others were far from them."""
    rng = np.random.default_rng(0)
    known = learned(runner(ndim), rng)
    by = runner(ndim, **options)
    whole = texture(rng, max(sizes), ndim)
    crops = [whole[(slice(None), *[slice(0, side)] * ndim)] for side in sizes]
    found = {crop.shape[-1]: novelty(known, by, crop) for crop in crops}
    assert max(found.values()) < 2.5, found
    noise = rng.uniform(0, 1, whole.shape).astype(np.float32)
    assert novelty(known, by, noise) > 4


def test_a_deepest_map_is_averaged_by_the_pixels_under_it() -> None:
    """Four pixels of a deepest map, under which 16, 8, 0 and 2 of 16 pixels count."""
    layer = torch.nn.Identity()
    network = torch.nn.Module()
    network.feature_layer = layer
    weights = torch.zeros(1, 1, 8, 8)
    weights[..., :4, :4] = 1
    weights[..., :4, 4:6] = 1
    weights[..., 4:, 4:][..., 0, :2] = 1
    deepest = torch.tensor([[1.0, 10.0], [100.0, 1000.0]])
    with Pooled([network], reach=1) as pooled:
        pooled.expect(weights)
        layer(deepest[None, None])
    edge = np.array([0.25, 1, 1, 1, 1, 1, 1, 0.25])  # half a pixel from the edge, squared
    counted = weights[0, 0].numpy() * edge[:, None] * edge
    blocks = counted.reshape(2, 4, 2, 4).sum(axis=(1, 3))
    wanted = (blocks * np.array([[1, 10], [100, 1000]])).sum() / blocks.sum()
    assert pooled.features[0] == pytest.approx([wanted])
    assert blocks[1, 0] == 0


def test_every_pixel_counts_alike_where_tiles_overlap() -> None:
    """What pixels weigh, without the edges of tiles, is one in all; beyond the image nothing."""
    by = runner(2, tile=64, overlap=24)
    total = []

    class Summed(Pooled):
        def expect(self, weights: torch.Tensor) -> None:
            total.append(float(weights.sum()))
            super().expect(weights)

    image = texture(np.random.default_rng(0), 101, 2)
    with Summed(by.networks, 1) as pooled:
        by._over_tiles(image, None, None, pooled=pooled)
    assert len(total) > 1
    assert sum(total) == pytest.approx(101**2, rel=1e-5)
