"""What a network is given of an image: its channels, normalised, at another scale."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.transform import resize

from conftest import disks
from delineate.data.channels import network_channels
from delineate.data.normalise import SAMPLE, Normalise, grid_sample
from delineate.data.resize import resize_linear, resize_nearest, scaled_shape
from delineate.errors import AxesError, ImageError
from delineate.image import Image

# Channels


def test_channels_that_fit_pass_unchanged():
    pixels = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    np.testing.assert_array_equal(network_channels(Image(pixels, "CYX"), 3), pixels)
    np.testing.assert_array_equal(network_channels(Image(pixels, "CYX"), None), pixels)
    np.testing.assert_array_equal(network_channels(Image(pixels, "CYX"), 2, [2, 0]), pixels[[2, 0]])
    np.testing.assert_array_equal(network_channels(Image(pixels, "ZYX"), 1), pixels[None])


def test_grey_serves_three_channels_and_colour_serves_one():
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    assert (network_channels(Image(grey, "YX"), 3) == grey).all()
    rgb = np.stack([grey, 2 * grey, 3 * grey])
    luma = network_channels(Image(rgb, "CYX", channels=("red", "green", "blue")), 1)
    np.testing.assert_allclose(luma[0], 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2], rtol=1e-6)


def test_channels_that_do_not_fit_are_explained():
    two = Image(np.zeros((2, 4, 4)), "CYX", channels=("dapi", "actin"))
    with pytest.raises(
        ImageError, match=r"2 channels \(dapi, actin\), the network takes 1.*choose"
    ):
        network_channels(two, 1)
    with pytest.raises(AxesError, match="has 1 channel, numbered from 0; asked for 1"):
        network_channels(Image(np.zeros((4, 4)), "YX"), 1, [1])
    with pytest.raises(
        AxesError,
        match=r"2 channels \(dapi, actin\), .*asked for 2, -3: choose with --channels, .*data",
    ):
        network_channels(two, 1, [2, 0, -3])
    with pytest.raises(AxesError, match="time axis"):
        network_channels(Image(np.zeros((3, 4, 4)), "TYX"), 1)


@pytest.mark.parametrize(
    ("found", "n", "told"),
    [
        (4, 3, "--channels, for instance --channels 0, or three of them, such as --channels 0,1,2"),
        (3, 1, "--channels, for instance --channels 0"),
        (2, 3, "--channels, for instance --channels 0"),
        (5, 2, "--channels, for instance --channels 0,1"),
        (2, 4, "choose as many with --channels, of which one may be given twice"),
    ],
)
def test_the_channels_that_are_suggested_are_there(found, n, told):
    image = Image(np.zeros((found, 4, 4)), "CYX")
    with pytest.raises(ImageError) as error:
        network_channels(image, n)
    assert str(error.value).endswith(told)
    if "instance" in told:
        for text in told.split("--channels ")[1:]:
            chosen = [int(part) for part in text.split(", ")[0].split(",")]
            assert network_channels(image, n, chosen).shape[0] == n


# Normalisation


def test_percentiles_become_zero_and_one():
    rng = np.random.default_rng(0)
    pixels = np.stack([rng.normal(1000, 50, (90, 80)), rng.exponential(3, (90, 80))])
    done = Normalise(low=2, high=98).fit(pixels).apply(pixels)
    assert done.dtype == np.float32
    for channel in done:
        np.testing.assert_allclose(np.percentile(channel, [2, 98]), [0, 1], atol=1e-4)


def test_mean_and_range_and_none():
    pixels = np.random.default_rng(0).normal(7, 3, (2, 5, 60, 50))
    done = Normalise(kind="mean-std").fit(pixels).apply(pixels)
    np.testing.assert_allclose(done.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(done.std(axis=(1, 2, 3)), 1, atol=1e-4)
    done = Normalise(kind="range", low=-3, high=5).fit(pixels).apply(pixels)
    np.testing.assert_allclose(done, (pixels + 3) / 8, rtol=1e-5, atol=1e-6)
    done = Normalise(kind="none").fit(pixels).apply(pixels)
    np.testing.assert_array_equal(done, pixels.astype(np.float32))


@pytest.mark.parametrize("kind", ["percentile", "mean-std"])
@pytest.mark.parametrize("value", [0, 0.1, 200, 65535.0])
def test_a_constant_image_becomes_zero(kind, value):
    pixels = np.full((1, 30, 30), value, np.float32)
    np.testing.assert_allclose(Normalise(kind=kind).fit(pixels).apply(pixels), 0, atol=1e-3)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.float16, np.float64])
def test_every_type_of_pixel(dtype):
    pixels = np.zeros((1, 50, 50), dtype)
    pixels[0, :20] = 1
    done = Normalise().fit(pixels).apply(pixels)
    np.testing.assert_array_equal(np.unique(done), [0, 1])


def test_an_image_that_is_mostly_one_value_is_scaled_by_its_extremes():
    pixels = np.zeros((1, 100, 100), np.uint16)
    pixels[0, 0, :20] = np.arange(20) + 400
    done = Normalise().fit(pixels).apply(pixels)
    assert done.min() == 0
    assert done.max() == 1


def test_half_precision_does_not_overflow():
    pixels = np.linspace(-60000, 60000, 10000).reshape(1, 100, 100).astype(np.float16)
    done = Normalise().fit(pixels).apply(pixels)
    np.testing.assert_allclose(np.percentile(done, [1, 99]), [0, 1], atol=1e-2)


def test_large_images_are_sampled_without_changing_the_result():
    yy, xx = np.indices((3200, 3400), dtype=np.float32)
    image = (1000 + 300 * np.sin(yy / 40) * np.cos(xx / 55))[None]
    image += np.random.default_rng(0).normal(0, 20, image.shape).astype(np.float32)
    assert SAMPLE / 3 < grid_sample(image).size < SAMPLE
    found = Normalise().fit(image)
    offset, scale = found.offset, found.scale
    low, high = np.percentile(image, [1, 99])
    assert abs(offset[0] - low) < 0.01 * (high - low)
    assert abs(offset[0] + scale[0] - high) < 0.01 * (high - low)


def test_impossible_percentiles_are_refused():
    with pytest.raises(ValueError, match="must be below"):
        Normalise(low=50, high=50)
    with pytest.raises(ValueError, match="percentiles lie in"):
        Normalise(low=-1, high=99)


# Change of scale


def triangle_resize(pixels: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Triangle filter at pixel centres, widened where the axis shrinks (plain reference)."""
    old = pixels.shape[axis]
    width = max(old / size, 1.0)
    centres = (np.arange(size) + 0.5) * old / size
    distance = np.abs(np.arange(old) + 0.5 - centres[:, None]) / width
    weight = np.maximum(0, 1 - distance)
    weight /= weight.sum(axis=1, keepdims=True)
    return np.moveaxis(np.tensordot(weight, pixels, axes=(1, axis)), 0, axis)


@pytest.mark.parametrize("shape", [(30, 41), (55, 20), (7, 90)])
def test_linear_resize_equals_a_triangle_filter_in_2d(shape):
    pixels = np.random.default_rng(0).random((2, 37, 41), np.float32)
    expected = triangle_resize(triangle_resize(pixels, shape[0], 1), shape[1], 2)
    np.testing.assert_allclose(resize_linear(pixels, shape), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 30, 33), (20, 20, 33), (9, 11, 50)])
def test_linear_resize_equals_a_triangle_filter_in_3d(shape):
    pixels = np.random.default_rng(0).random((1, 9, 20, 33), np.float32)
    expected = pixels
    for axis, size in enumerate(shape):
        expected = triangle_resize(expected, size, axis + 1)
    np.testing.assert_allclose(resize_linear(pixels, shape), expected, atol=1e-5)


@pytest.mark.parametrize(("old", "new"), [((20, 24), (50, 36)), ((8, 20, 24), (12, 50, 36))])
def test_enlarging_equals_scikit_image(old, new):
    pixels = np.random.default_rng(0).random((1, *old), np.float32)
    expected = resize(pixels[0], new, order=1, mode="edge", anti_aliasing=False)
    np.testing.assert_allclose(resize_linear(pixels, new)[0], expected, atol=1e-5)
    unfiltered = resize_linear(pixels, [n // 2 for n in old], antialias=False)[0]
    expected = resize(pixels[0], [n // 2 for n in old], order=1, mode="edge", anti_aliasing=False)
    np.testing.assert_allclose(unfiltered, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_resize_to_the_same_size_changes_nothing(dtype):
    pixels = np.arange(60).reshape(1, 6, 10).astype(dtype)
    same = resize_linear(pixels, (6, 10))
    assert same.dtype == np.float32
    np.testing.assert_array_equal(same, pixels)


@pytest.mark.parametrize(("old", "new"), [((40, 50), (61, 33)), ((10, 40, 50), (5, 80, 77))])
def test_nearest_keeps_ids_and_takes_the_pixel_at_the_centre(old, new):
    labels = disks(old, 4, 6, np.random.default_rng(0)).astype(np.uint32) * 70_001
    small = resize_nearest(labels, new)
    assert small.shape == new
    assert small.dtype == labels.dtype
    assert set(np.unique(small)) <= set(np.unique(labels))
    zoom = [n / o for n, o in zip(new, old, strict=True)]
    grid = [(np.arange(n) + 0.5) / z - 0.5 for n, z in zip(new, zoom, strict=True)]
    at = np.meshgrid(*grid, indexing="ij")
    expected = ndimage.map_coordinates(labels, at, order=0, mode="nearest")
    # Exactly between two pixels either is right.
    between = np.any([np.isclose(g % 1, 0.5, atol=1e-6) for g in at], axis=0)
    np.testing.assert_array_equal(small[~between], expected[~between])


def test_shapes_never_vanish():
    assert scaled_shape((100, 3), 0.1) == (10, 1)
    assert scaled_shape((7, 9), 1.0) == (7, 9)
