"""Training normalises pixels of any type and size as prediction does: in enough digits."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.data.channels import network_channels
from delineate.data.mapped import map_image, map_target
from delineate.data.normalise import Normalise
from delineate.data.pairs import Pair
from delineate.data.precision import single_precision
from delineate.data.samples import Preparation, Sample, prepare
from delineate.errors import DataError, ImageError
from delineate.image import Image
from delineate.methods.flows import Flows
from delineate.methods.regression import Regression

PLAIN = np.random.default_rng(0).integers(0, 256, (40, 50))
"""An image of 8 bits, which other types and sizes hold exactly."""

CHANGES = [
    (np.uint32, 1, 2**31),
    (np.uint64, 1, 2**63),
    (np.int64, 1, -(2**62)),
    (np.int32, 1, 2**31 - 300),
    (np.float64, 1, 1e9),
    (np.float64, 1e200, 0),
    (np.float64, 1e-200, 0),
    (np.float32, 2.0**120, 0),
]


def changed(dtype: type, gain: float, offset: float) -> np.ndarray:
    """The plain image in another type, exactly."""
    if np.dtype(dtype).kind == "f":
        return (PLAIN * gain + offset).astype(dtype)
    made = np.array([int(v) + int(offset) for v in PLAIN.ravel()], dtype)
    return made.reshape(PLAIN.shape)


def prepared(folder: Path, image: np.ndarray, target: np.ndarray | None = None, **how) -> Sample:
    paths = {"image": folder / "image.tif"}
    tifffile.imwrite(paths["image"], image, photometric="minisblack")
    if target is not None:
        paths["target"] = folder / "target.tif"
        tifffile.imwrite(paths["target"], target, photometric="minisblack")
    else:
        paths["labels"] = folder / "labels.tif"
        tifffile.imwrite(paths["labels"], (PLAIN > 200).astype(np.uint8))
    values = {
        "method": Flows() if target is None else Regression(),
        "normalise": Normalise(),
        "diameter": None,
        "channels": 1,
        "select": None,
        "ndim": 2,
        "axes": None,
    }
    return prepare([Pair("one", **paths)], Preparation(**values | how), folder / "cache")[0]


@pytest.mark.parametrize("kind", ["percentile", "mean-std"])
@pytest.mark.parametrize(("dtype", "gain", "offset"), CHANGES)
def test_training_sees_the_contrast_of_images_of_any_type_and_size(
    tmp_path, dtype, gain, offset, kind
):
    rule = Normalise(kind=kind)
    image = changed(dtype, gain, offset)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        sample = prepared(tmp_path, image, normalise=rule)
    plain = PLAIN[None].astype(np.float32)
    expected = rule.fit(plain).apply(plain)
    np.testing.assert_allclose(sample.image, expected, atol=2e-6)


@pytest.mark.parametrize(("dtype", "gain", "offset"), CHANGES[:5])
def test_three_channels_made_of_one_grey_one_are_alike(tmp_path, dtype, gain, offset):
    sample = prepared(tmp_path, changed(dtype, gain, offset), channels=3)
    plain = PLAIN[None].astype(np.float32)
    expected = Normalise().fit(plain).apply(plain)
    np.testing.assert_allclose(sample.image, np.repeat(expected, 3, axis=0), atol=2e-6)


@pytest.mark.parametrize(("dtype", "gain", "offset"), [c for c in CHANGES if 1e-30 < c[1] < 1e30])
@pytest.mark.parametrize("kind", ["percentile", "match", None])
def test_targets_keep_their_contrast_and_come_back_in_their_units(
    tmp_path, dtype, gain, offset, kind
):
    """By a rule of their own, matched to their image, and by the map of their image."""
    target = changed(dtype, gain, offset)
    image = target if kind is None else PLAIN.astype(np.uint8)
    rule = None if kind is None else Normalise(kind=kind)
    sample = prepared(tmp_path, image, target, normalise_target=rule)
    plain = PLAIN[None].astype(np.float32)
    expected = Normalise().fit(plain).apply(plain)
    np.testing.assert_allclose(sample.targets, expected, atol=1e-5)
    back = sample.target_intensity.invert(sample.targets)[0].astype(float)
    # Results are float32: of that size, they have about so many digits.
    np.testing.assert_allclose(back, target.astype(float), rtol=3e-7, atol=1e-3)
    np.testing.assert_allclose(sample.target_intensity.scale[0], np.ptp(PLAIN), rtol=0.05)


def test_a_target_darker_than_its_image_keeps_its_contrast(tmp_path):
    """Differences below 0 too are exact: 64 bits of a target 100 below its image of unsigned."""
    image = changed(np.uint64, 1, 2**63)
    sample = prepared(tmp_path, image, image - np.uint64(100))
    plain = PLAIN[None].astype(np.float32)
    expected = Normalise().fit(plain).apply(plain - 100)
    np.testing.assert_allclose(sample.targets, expected, atol=2e-6)


def test_results_that_float32_does_not_hold_are_refused_by_name(tmp_path):
    large = changed(np.float64, 1e200, 0)
    for rule in (Normalise(), None):
        with pytest.raises(
            DataError, match=r"image\.tif: the target .*target\.tif: results are .* float32"
        ):
            prepared(tmp_path, large, large, normalise_target=rule)
    with pytest.raises(
        DataError, match=r"the target .*target\.tif: its pixels are more than float32 holds"
    ):
        prepared(tmp_path, PLAIN.astype(np.uint8), large)


def test_fixed_ranges_refuse_pixels_of_extreme_size(tmp_path):
    with pytest.raises(DataError, match=r"image\.tif: the image: pixels up to .* scale them"):
        prepared(tmp_path, changed(np.float64, 1e200, 0), normalise=Normalise(kind="none"))


def test_both_ends_of_a_type_are_one_range():
    """Neither integers nor floats overflow where the range is wider than the type."""
    for dtype in (np.int64, np.uint64, np.int32, np.float64):
        limits = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
        low, high = limits.min, limits.max
        pixels = np.array([[low, high, high // 2 + low // 2]], dtype)
        found = single_precision(pixels, Normalise(), "x").pixels
        np.testing.assert_allclose(found, [[0, 1, 0.5]], atol=1e-6)


def test_the_grey_of_a_colour_picture_keeps_its_contrast():
    colours = np.stack([changed(np.uint32, 1, 2**31)] * 3)
    image = Image(colours, "CYX", channels=("red", "green", "blue"))
    grey = network_channels(image, 1)
    np.testing.assert_allclose(grey[0] - 2.0**31, PLAIN, atol=1e-4)


def test_one_map_of_an_image_serves_targets_of_more_channels():
    image = map_image(changed(np.float64, 1, 1e9)[None], Normalise(), "x")
    target = np.stack([PLAIN + 1e9, PLAIN + 1e9 + 5])
    found = map_target(target, None, image, Normalise(), "y").normalised()
    np.testing.assert_allclose(found[0], image.normalised()[0], atol=1e-6)
    np.testing.assert_allclose(found[1] - found[0], 5 / image.intensity.scale[0] / 255, rtol=1e-4)


def test_pixels_that_are_no_numbers_are_refused():
    with pytest.raises(ImageError, match="expected real numbers"):
        single_precision(np.ones((1, 2, 2), complex), Normalise(), "x")
