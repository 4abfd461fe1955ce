"""Blind-spot validation of small and weighted images: a score needs a pixel that counts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from delineate.methods.regression import Regression
from delineate.training.blind_options import BlindSpotOptions
from delineate.training.blind_spot import hide
from delineate.training.options import TrainOptions
from delineate.training.setting import Setting


class Zeros(torch.nn.Module):
    """A network that is wrong wherever the image is not 0."""

    divisor = 1

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(image)


def losses(*samples: tuple[np.ndarray, np.ndarray | None]) -> list[float]:
    """Validation losses of images, with their weights, in order."""
    made: list[Any] = [
        SimpleNamespace(image=image[None], targets=image[None], truth=image[None], cost=cost)
        for image, cost in samples
    ]

    def build(*_: Any) -> torch.nn.Module:
        raise AssertionError

    ndim = samples[0][0].ndim
    given = Setting(Zeros(), Regression(), TrainOptions(), 1, made, ndim, 1, build)
    module: Any = BlindSpotOptions().module(given)
    for index in range(len(made)):
        module.validation_step(index, 0)
    return [row["loss"] for row in module.validation]


@pytest.mark.parametrize("shape", [(7, 7), (2, 4, 5)])
def test_every_validation_image_is_told_at_least_one_pixel(shape: tuple[int, ...]) -> None:
    image = np.full(shape, 3, np.float32)
    found = losses(*[(image, None)] * 60)
    np.testing.assert_allclose(found, 3, rtol=1e-6)


def test_the_pixel_that_is_hidden_counts() -> None:
    image, cost = np.full((40, 40), 3, np.float32), np.zeros((40, 40), np.float32)
    cost[5, 7] = 0.5
    image[5, 7] = 9
    assert losses((image, cost))[0] == pytest.approx(9)
    pixels, weight = (torch.from_numpy(a)[None, None] for a in (image, cost))
    generator = torch.Generator().manual_seed(0)
    chosen, seen = hide(pixels, BlindSpotOptions(), generator, weight)
    assert chosen[0, 0, 5, 7] == 1
    assert seen[0, 0, 5, 7] == 3


def test_images_without_weight_have_no_loss() -> None:
    image = np.full((9, 9), 3, np.float32)
    found = losses((image, np.zeros_like(image)), (image, None))
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(3)


def test_each_image_of_a_batch_is_looked_at_by_itself() -> None:
    image = torch.ones(200, 1, 7, 7)
    weight = torch.ones_like(image)
    weight[::3] = 0
    weight[1::3, :, 2:] = 0
    chosen, _ = hide(image, BlindSpotOptions(), torch.Generator().manual_seed(0), weight)
    counted = (chosen * (weight > 0)).flatten(1).sum(dim=1)
    assert (counted[weight.flatten(1).any(dim=1)] >= 1).all()
    plain, _ = hide(image, BlindSpotOptions(), torch.Generator().manual_seed(0))
    assert torch.equal(chosen[::3], plain[::3])
    drawn = (plain * (weight > 0)).flatten(1).sum(dim=1) > 0
    assert torch.equal(chosen[drawn], plain[drawn])
