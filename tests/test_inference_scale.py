"""Learning the size of objects from style: which images are shown, and how."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from delineate.data.intensity import Intensity
from delineate.data.resize import resize_linear, scaled_shape
from delineate.inference.scale import (
    FACTORS,
    ScaleModel,
    busiest_crops,
    busiest_planes,
    estimate_diameter,
    fit_scale,
    ridge,
)


class Grain:
    """A network whose style is how much neighbouring pixels differ, at three distances."""

    def __init__(self) -> None:
        self.networks = [SimpleNamespace(style_vector=None)]
        self.seen: list[tuple[int, ...]] = []

    def style(self, data: np.ndarray) -> np.ndarray:
        self.seen.append(data.shape[1:])
        x = np.asarray(data)[0, ..., : data.shape[-1] // 4 * 4]
        spread = float(x.std()) + 1e-6
        apart = [float(np.abs(x[..., d:] - x[..., :-d]).mean()) / spread for d in (1, 2, 4)]
        return np.log(np.array(apart) + 1e-6).astype(np.float32)


def grains(shape: tuple[int, ...], size: int, seed: int) -> np.ndarray:
    """Random squares (cubes) of one size: the wider, the less do neighbours differ."""
    rng = np.random.default_rng(seed)
    coarse = rng.random([-(-n // size) for n in shape], dtype=np.float32)
    for axis in range(len(shape)):
        coarse = coarse.repeat(size, axis)
    return coarse[tuple(slice(0, n) for n in shape)][None]


def fitted(runner: Any, images: list[np.ndarray], sizes: list[float]) -> ScaleModel | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return fit_scale(runner, images, sizes)


@pytest.mark.parametrize("sides", [[3000] * 6, [500] + [3000] * 5])
def test_large_images_teach_the_scale_by_their_crops(sides: list[int]) -> None:
    """Shown whole at one of the factors at most, they taught nothing, or an error that is NaN."""
    runner, sizes = Grain(), [6, 8, 10, 14, 20, 28]
    images = [grains((n, n), size, k) for k, (n, size) in enumerate(zip(sides, sizes, strict=True))]
    found = fitted(runner, images, [float(size) for size in sizes])
    assert found is not None
    assert found.correlation > 0.9
    assert max(max(shape) for shape in runner.seen) <= 1024
    for k in (2, 5):
        size = found.diameter(runner.style(images[k][:, :384, :384]))
        assert size == pytest.approx(sizes[k], rel=0.3)


def test_images_that_fit_are_shown_whole_at_every_size_that_does() -> None:
    """Numbers that were measured with models of such images stay as they are."""
    runner, images = Grain(), [grains((400 + 40 * k, 300), 6 + k, k) for k in range(6)]
    found = fitted(runner, images, [6.0 + k for k in range(6)])
    shapes = [(k, f, scaled_shape(i.shape[1:], f)) for k, i in enumerate(images) for f in FACTORS]
    shapes = [(k, f, shape) for k, f, shape in shapes if max(shape) <= 1024]
    assert runner.seen == [shape for _, _, shape in shapes]
    assert found is not None
    own = Grain()
    x = np.stack([own.style(resize_linear(images[k], shape)) for k, _, shape in shapes])
    y = np.log([(6 + k) * f for k, f, _ in shapes])
    penalties = [ridge(x, y, penalty) for penalty in 10.0 ** np.arange(-4, 3)]
    assert any(np.array_equal(w, found.weight) and b == found.bias for w, b in penalties)


def test_large_volumes_teach_the_scale_by_their_crops() -> None:
    runner, sizes = Grain(), [4.0, 5.0, 6.0, 8.0, 10.0]
    images = [grains((8, 1100, 300), int(size), k) for k, size in enumerate(sizes)]
    found = fitted(runner, images, sizes)
    assert found is not None
    assert found.correlation > 0.8
    assert max(max(shape) for shape in runner.seen) <= 97


def test_too_few_images_that_can_be_shown_teach_nothing() -> None:
    """Lines of one pixel are no pictures: five of them beside one image made folds without any."""
    images = [grains((200, 200), 8, 0), *[grains((1, 200), 8, k) for k in range(1, 6)]]
    assert fitted(Grain(), images, [8.0] * 6) is None
    assert fitted(Grain(), images[:1] * 4, [8.0] * 4) is None
    assert fitted(Grain(), images[:1] * 6, [8.0] * 4 + [float("nan")] * 2) is None


def test_planes_of_the_largest_contrast_are_told_from_empty_ones() -> None:
    rng = np.random.default_rng(0)
    stack = rng.normal(100, 5, (1, 9, 64, 64)).astype(np.float32)
    stack[:, 6] += 80 * (grains((64, 64), 8, 0) > 0.5)
    assert busiest_planes(stack) == [6]
    stack[:, 1] += 60 * (grains((64, 64), 8, 1) > 0.5)
    assert busiest_planes(stack) == [6, 1]
    stack[:, 3] += 70 * (grains((64, 64), 8, 2) > 0.5)
    stack[:, 4] += 50 * (grains((64, 64), 8, 2) > 0.5)
    assert busiest_planes(stack) == [6, 3, 1]
    stack[0, 8, 8, 8] = 60000  # a hot pixel
    assert 8 not in busiest_planes(stack)
    weak = np.concatenate([stack / 1000, np.full_like(stack, 7)])
    assert busiest_planes(weak) == busiest_planes(stack)
    flat = np.zeros((2, 4, 5, 5), np.uint8)
    assert busiest_planes(flat) == [0, 1, 2]
    assert busiest_planes(flat[:, :1]) == [0]


@pytest.mark.parametrize("shape", [(96, 128), (64, 64, 96)])
def test_the_busiest_crops_are_those_of_the_largest_contrast(shape: tuple[int, ...]) -> None:
    """Noise that is stronger in some blocks of 32 pixels, wherever they lie, and darker there."""
    rng = np.random.default_rng(0)
    blocks = tuple(n // 32 for n in shape)
    strength = 1.6 ** rng.permutation(np.prod(blocks)).reshape(blocks)
    wide = np.kron(strength, np.ones((32,) * len(shape)))
    data = (rng.normal(size=shape) * wide - 9 * wide)[None]
    order = np.stack(np.unravel_index(np.argsort(-strength, axis=None)[:4], blocks), axis=1)
    assert not np.array_equal(order, order[np.lexsort(order.T[::-1])])
    found = busiest_crops(data, 32, 4)
    assert [tuple(s.start for s in crop) for crop in found] == [tuple(b) for b in 32 * order]
    assert all(s.stop - s.start == 32 for crop in found for s in crop)
    assert busiest_crops(data, max(shape), 4) == [tuple(slice(0, n) for n in shape)]


class Bright:
    """A network that sees what is bright, one whose objects are all that hangs together."""

    ndim = 2
    method: Any = SimpleNamespace(
        decode=lambda maps: SimpleNamespace(
            labels=ndimage.label(maps[0] > 0.5)[0].astype(np.uint32)
        )
    )

    def style(self, data: np.ndarray) -> np.ndarray:
        return np.array([data.mean()], np.float32)

    def maps(self, data: np.ndarray) -> np.ndarray:
        return data


def squares(sides: list[int]) -> np.ndarray:
    image = np.zeros((1, 60, 60 * len(sides)), np.float32)
    for k, side in enumerate(sides):
        image[0, 5 : 5 + side, 60 * k : 60 * k + side] = 1
    return image


@pytest.mark.parametrize("common", [16.0, 32.0])
def test_the_diameter_is_the_median_of_what_is_found(common: float) -> None:
    """Four squares of 8 to 10 pixels and one of 50, in sight of a network that guessed 16."""
    model = ScaleModel(np.zeros(1, np.float32), float(np.log(16)), 1.0)
    runner: Any = Bright()
    unchanged = Intensity(np.zeros(1, np.float32), np.ones(1, np.float32))
    image = squares([10, 8, 50, 9, 9])
    found = estimate_diameter(runner, model, [image], unchanged, common)
    assert found == pytest.approx(2 * 9 / np.sqrt(np.pi), rel=1e-6)
    assert estimate_diameter(runner, model, [image], unchanged, common, rounds=0) == (
        pytest.approx(16)
    )
    few = estimate_diameter(runner, model, [image[..., :120]], unchanged, common)
    assert few == pytest.approx(16)


def test_the_first_guess_is_the_median_of_those_of_all_planes() -> None:
    model = ScaleModel(np.ones(1, np.float32), 0.0, 1.0)
    planes = [np.full((1, 20, 20), np.log(size), np.float32) for size in (30, 8, 300)]
    runner: Any = Bright()
    unchanged = Intensity(np.zeros(1, np.float32), np.ones(1, np.float32))
    found = estimate_diameter(runner, model, planes, unchanged, 30.0, rounds=0)
    assert found == pytest.approx(30)
