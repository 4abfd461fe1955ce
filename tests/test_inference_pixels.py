"""Pixels of any size and type, channels and axes of arrays, and the units of results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.data.precision import single_precision
from delineate.errors import AxesError, ImageError, ReadError
from delineate.image import Image
from delineate.inference.predict import Units, predict
from delineate.inference.runner import Runner
from delineate.methods.regression import Regression
from domes import EXACT, dome_model


@pytest.mark.parametrize(
    ("change", "dtype"),
    [
        (lambda x: x * 1e300, np.float64),
        (lambda x: x * 1e-300, np.float64),
        (lambda x: x * 1e35, np.float32),
        (lambda x: x * 1e-40, np.float32),
        (lambda x: x + 1e9, np.float64),
        (lambda x: x + 2**31 - 300, np.uint32),
        (lambda x: x.astype(np.uint64) + np.uint64(2**63), np.uint64),
        (lambda x: x.astype(np.int64) - 2**62, np.int64),
        (lambda x: x * 200, np.uint16),
        (lambda x: x - 100, np.int16),
        (lambda x: x / 255, np.float16),
    ],
)
def test_intensities_of_any_size_and_type(
    field: tuple[np.ndarray, np.ndarray], change: object, dtype: type
) -> None:
    assert callable(change)
    image, truth = field
    changed = change(image.astype(np.float64)).astype(dtype)
    assert dome_model().predict(changed, options=EXACT).labels.max() == truth.max()


def test_a_picture_of_two_values(field: tuple[np.ndarray, np.ndarray]) -> None:
    """Inside is what is true; there is no slope that would lead to a centre."""
    found = dome_model().predict(field[1] > 0, options=EXACT, keep_maps=True)
    assert found.labels.shape == field[1].shape
    assert found.posterior is not None
    assert np.array_equal(found.posterior.maps[2] > 0.5, field[1] > 0)


@pytest.mark.parametrize("value", [0, 7, -1.5, 1e300])
def test_constant_image_has_no_objects(value: float) -> None:
    found = dome_model().predict(np.full((40, 40), value), options=EXACT)
    assert not found.labels.any()


def test_fixed_ranges_refuse_what_they_cannot_hold() -> None:
    with pytest.raises(ImageError, match="cannot be computed with"):
        single_precision(np.array([[0, 1e300]]), Normalise(kind="none"), "x")


@pytest.mark.parametrize(
    "channels",
    [
        [(-1e12, 1e12, np.float64), (0.001, 0.002, np.float64)],
        [(0, 1e37, np.float64), (-3, 5, np.float64), (7, 7, np.float64)],
        [(-1e33, 1e33, np.float32), (100, 101, np.float32), (0, 0, np.float32)],
        [(-(2**31), 2**31 - 1, np.int32), (3, 9, np.int32), (-5, -5, np.int32)],
        [(0, 2**62, np.int64), (2**40, 2**40 + 1000, np.int64)],
    ],
)
def test_a_strong_channel_does_not_erase_a_weak_one(channels: list[tuple]) -> None:
    """Each is brought to 0…1 by itself, and back to its own units; a constant one is 0."""
    random = np.random.default_rng(0)
    made = []
    for low, high, dtype in channels:
        share = random.random((20, 30))
        share.flat[:2] = 0, 1
        made.append((low + share * (high - low)).astype(dtype))
    raw = np.stack(made)
    rule = Normalise(kind="mean-std")
    single = single_precision(raw, rule, "x")
    own = single.pixels
    assert own.dtype == np.float32
    intensity = rule.fit(own)
    found = single.of_file(intensity).invert(intensity.apply(own))
    for seen, pixels, back in zip(own, raw.astype(np.float64), found, strict=True):
        low, high = pixels.min(), pixels.max()
        expected = (pixels - low) / (high - low) if high > low else np.zeros_like(pixels)
        np.testing.assert_allclose(seen, expected, atol=1e-6)
        if abs(pixels).max() < 1e38:  # float32 holds no more
            np.testing.assert_allclose(back, pixels, atol=1e-6 * (high - low), rtol=1e-6)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 1), (3, 2), (2, 3), (2, 2)])
def test_results_have_the_units_of_the_first_channel_where_numbers_differ(
    inputs: int, outputs: int, dtype: type, given: bool
) -> None:
    """As in training. The network gives its first channel, and a variance of 1."""

    class First(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = x[:, :1].expand(-1, outputs, *x.shape[2:])
            return torch.cat([first, torch.zeros_like(first)], dim=1)

    random = np.random.default_rng(0)
    pixels = np.stack([random.normal(100 * 10**c, 5 * 10**c, (24, 32)) for c in range(inputs)])
    rule = Normalise(kind="mean-std")
    fixed = Normalise(kind="range", low=10, high=30).fit(np.zeros((outputs, 1, 1)))
    found = predict(
        Image(pixels.astype(dtype), "CYX"),
        Runner([First()], Regression(channels=outputs, noise=True), 2, EXACT),
        normalise=rule,
        in_channels=inputs,
        data=DataOptions(),
        common=None,
        scale_model=None,
        units=Units(fixed if given else None, None),
        keep_spread=True,
    )
    assert found.result is not None
    result = np.asarray(found.result.data)
    assert result.shape == (outputs, 24, 32)
    mean, std = pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2))
    # As many channels have a map each.
    own = np.arange(outputs) if inputs == outputs else np.zeros(outputs, int)
    scale = np.full(outputs, 20) if given else std[own]
    offset = np.full(outputs, 10) if given else mean[own]
    normal = (pixels[0] - mean[0]) / std[0]
    expected = normal * scale[:, None, None] + offset[:, None, None]
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3)
    assert len(found.channel_spread) == outputs
    for spread, size in zip(found.channel_spread, scale, strict=True):
        np.testing.assert_allclose(spread.aleatoric, size**2, rtol=1e-3)


@pytest.mark.parametrize(
    ("pixels", "axes", "error", "text"),
    [
        (np.full((8, 8), np.nan), None, ImageError, "64 of 64 pixels are not finite"),
        (np.zeros((0, 8)), None, ImageError, "no pixels"),
        (np.zeros((0, 8, 8)), "TYX", ImageError, "no pixels"),
        (np.zeros((2, 8, 8)), None, AxesError, "needs names for its axes"),
        (np.zeros((2, 8, 8)), "QYX", AxesError, "not usable"),
        (np.zeros((2, 8, 8)), "YX", AxesError, "name 2 axes"),
        (np.zeros((2, 8, 8)), "CYX", ImageError, "has 2 channels, the network takes 1"),
        (np.zeros((8, 8), complex), None, ReadError, "real number"),
    ],
)
def test_arrays_that_cannot_be_used(
    pixels: np.ndarray, axes: str | None, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        dome_model().predict(pixels, axes=axes)


def test_arrays_in_any_order_of_axes(field: tuple[np.ndarray, np.ndarray]) -> None:
    image, truth = field
    model = dome_model(channels=3)
    colours = np.stack([image] * 3, axis=-1)
    for pixels, axes in ((colours, "YXC"), (colours, "YXS"), (image, None), (image.tolist(), None)):
        assert model.predict(pixels, axes=axes, options=EXACT).labels.max() == truth.max()


def test_channels_are_chosen(field: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    image, truth = field
    pixels = np.stack([np.zeros_like(image), image])
    found = dome_model().predict(pixels, axes="CYX", channels=[1], options=EXACT)
    assert found.labels.max() == truth.max()
    tifffile.imwrite(tmp_path / "two.tif", pixels, metadata={"axes": "CYX"})
    with pytest.raises(AxesError, match=r"two\.tif has 2 channels, .* from 0; asked .* --channels"):
        dome_model().predict(tmp_path / "two.tif", axes="CYX", channels=[0, 4])


def test_a_network_of_planes_takes_as_many_planes_only(
    field: tuple[np.ndarray, np.ndarray],
) -> None:
    """A single plane is no grey image that serves three channels."""
    image, truth = field
    model = dome_model(channels=3)
    data = DataOptions(z_channels=True)
    recipe = model.recipe.model_copy(update={"data": data})
    model = replace(model, description=model.description.model_copy(update={"recipe": recipe}))
    stack = np.stack([image] * 3)
    assert model.predict(stack, axes="ZYX", options=EXACT).labels.max() == truth.max()
    for pixels, axes, depth in ((image, "YX", 1), (stack[:2], "ZYX", 2)):
        with pytest.raises(ImageError, match=rf"its {depth} planes give \d channels.* takes 3"):
            model.predict(pixels, axes=axes, options=EXACT)
