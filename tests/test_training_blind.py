"""The blind-spot regime: what is hidden, and that a network cannot see it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from delineate.data.augment import MARGIN
from delineate.methods.regression import Regression
from delineate.training.blind_options import BlindSpotOptions
from delineate.training.blind_spot import hide
from delineate.training.options import TrainOptions
from delineate.training.setting import Setting


def noise(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random(shape, np.float32))


@pytest.mark.parametrize("shape", [(2, 1, 40, 50), (1, 3, 12, 20, 22)])
@pytest.mark.parametrize("fill", ["median", "neighbour"])
def test_only_chosen_pixels_change_and_take_values_from_around(
    shape: tuple[int, ...], fill: str
) -> None:
    image = noise(*shape)
    regime = BlindSpotOptions(share=0.05, reach=1, fill=fill)  # type: ignore[arg-type]
    chosen, seen = hide(image, regime, torch.Generator().manual_seed(0))
    assert chosen.shape == (shape[0], 1, *shape[2:])
    assert 0.03 < float(chosen.mean()) < 0.07
    hidden = chosen.bool().expand_as(image)
    assert torch.equal(seen[~hidden], image[~hidden])
    place = chosen[0, 0].nonzero()[3]
    around = [
        image[
            (
                0,
                0,
                *(
                    min(max(int(p) + d, 0), n - 1)
                    for p, d, n in zip(place, step, shape[2:], strict=True)
                ),
            )
        ]
        for step in np.ndindex(*(3,) * len(place))
        for step in [tuple(s - 1 for s in step)]
        if any(step)
    ]
    value = seen[(0, 0, *place)]
    assert float(min(around)) <= float(value) <= float(max(around))
    assert float(value) != float(image[(0, 0, *place)])


def test_replacements_do_not_depend_on_the_hidden_pixels() -> None:
    image = noise(1, 1, 64, 64)
    regime = BlindSpotOptions(share=0.002, reach=2)
    chosen, seen = hide(image, regime, torch.Generator().manual_seed(0))
    other = torch.where(chosen.bool(), torch.full_like(image, 9.0), image)
    again, also = hide(other, regime, torch.Generator().manual_seed(0))
    assert torch.equal(chosen, again)
    assert torch.equal(seen, also)


def test_a_line_is_hidden_with_its_pixel() -> None:
    image = noise(1, 1, 32, 64)
    regime = BlindSpotOptions(share=0.003, line=2)
    chosen, seen = hide(image, regime, torch.Generator().manual_seed(0))
    y, x = next((int(y), int(x)) for y, x in chosen[0, 0].nonzero() if 3 < x < 60)
    changed = (seen != image)[0, 0]
    assert changed[y, x - 2 : x + 3].all()
    assert chosen[0, 0, y, x - 2 : x + 3].sum() == 1


class Halves(torch.nn.Module):
    """Half of what it is given, as long as that can be halved twice."""

    divisor = 4

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        assert all(n % 4 == 0 for n in image.shape[2:])
        self.shapes.append(tuple(image.shape[2:]))
        return image / 2


@pytest.mark.parametrize("shape", [(33, 46), (9, 14, 19)])
def test_validation_sees_beyond_the_edges_as_training_and_prediction_do(
    shape: tuple[int, ...],
) -> None:
    ndim, network, method = len(shape), Halves(), Regression(l1=0, l2=1)
    image = noise(1, *shape).numpy()
    sample: Any = SimpleNamespace(image=image, targets=image, truth=image, cost=None)

    def build(*_: Any) -> torch.nn.Module:
        raise AssertionError

    given = Setting(network, method, TrainOptions(), 1, [sample], ndim, 1, build)
    regime = BlindSpotOptions(share=0.1)
    module: Any = regime.module(given)
    module.validation_step(0, 0)
    margin = 2 * MARGIN[ndim]
    assert network.shapes == [tuple(-(-(n + margin) // 4) * 4 for n in shape)]
    pixels = torch.from_numpy(image)[None]
    chosen, seen = hide(pixels, regime, torch.Generator().manual_seed(0))
    expected = method.loss(seen / 2, pixels, chosen)
    assert module.validation[0]["loss"] == pytest.approx(float(expected), rel=1e-5)
