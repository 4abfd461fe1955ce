"""The size of objects: given in pixels or as a length, or found by the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from delineate.errors import ImageError
from delineate.image import Image
from delineate.inference.diameter import diameter_in_pixels
from delineate.labels import median_diameter
from domes import EXACT, dome_model, domes


def test_diameter_scales_and_labels_come_back_at_the_image_s_resolution() -> None:
    """Objects of 40 pixels in a model for 20: half the size inside, full size outside."""
    image, truth = domes((160, 200), 20, 8)
    found = dome_model().predict(image, diameter=40, options=EXACT)
    assert found.diameter == 40
    assert found.labels.shape == image.shape
    assert found.labels.max() == truth.max()
    areas = np.bincount(found.labels.ravel())[1:]
    assert np.median(areas) == pytest.approx(np.median(np.bincount(truth.ravel())[1:]), rel=0.2)


def test_the_model_finds_the_scale(field: tuple[np.ndarray, np.ndarray]) -> None:
    """Its first guess (32 pixels) is replaced by the median diameter of what it finds."""
    found = dome_model(knows_scale=32.0).predict(field[0], options=EXACT)
    assert found.diameter == pytest.approx(15, abs=1.5)
    assert found.labels.max() == 10


@pytest.mark.parametrize("where", [[0], [4], [1, 3]])
def test_the_scale_of_a_stack_is_found_where_it_shows_something(
    field: tuple[np.ndarray, np.ndarray], where: list[int]
) -> None:
    """By an empty middle plane the first guess of 32 pixels stayed."""
    stack = np.zeros((5, *field[0].shape), np.uint8)
    stack[where] = field[0]
    model = dome_model(knows_scale=32.0)
    found = model.predict(stack, axes="ZYX", options=EXACT)
    alone = model.predict(field[0], options=EXACT)
    assert found.diameter == pytest.approx(alone.diameter, rel=0.05)


def test_a_guess_never_blows_up_the_image() -> None:
    """Nothing is found to refine the first guess of two pixels, ten times less than common."""
    found = dome_model(knows_scale=0.1).predict(np.zeros((40, 40), np.uint8), options=EXACT)
    assert found.diameter == 4


def test_diameter_with_a_unit_uses_the_pixel_size() -> None:
    image = Image(np.zeros((8, 8)), "YX", {"Y": 0.5, "X": 0.5})
    assert diameter_in_pixels("8um", image, 2) == 16
    assert diameter_in_pixels(" 8 µm ", image, 2) == 16
    assert diameter_in_pixels("8000nm", image, 2) == 16
    assert diameter_in_pixels("30", image, 2) == diameter_in_pixels("30 px", image, 2) == 30
    assert diameter_in_pixels(2.5, image, 2) == 2.5
    assert diameter_in_pixels(None, image, 2) is None
    other = Image(np.zeros((8, 8)), "YX", {"Y": 500, "X": 500}, "nm")
    assert diameter_in_pixels("8um", other, 2) == 16
    for size in (0.1, 0.3, 0.65, 0.7):  # not a digit differs where pixels are square
        square = Image(np.zeros((8, 8, 8)), "ZYX", dict.fromkeys("ZYX", size))
        assert diameter_in_pixels("8um", square, 3) == diameter_in_pixels("8um", square, 2)
        assert diameter_in_pixels("8um", square, 2) == 8 / size
        line = Image(np.zeros((8, 8)), "YX", {"X": size})
        assert diameter_in_pixels("8um", line, 2) == 8 / size


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("sizes", [(5.0, 1.0, 1.0), (2.0, 0.5, 0.8)])
def test_a_length_is_the_diameter_by_which_networks_learn(
    ndim: int, sizes: tuple[float, ...]
) -> None:
    """A disk (ball) of 40 µm in pixels that are not square, as `labels.median_diameter` tells."""
    own = sizes[-ndim:]
    grids = np.indices([int(44 / s) + 1 for s in own])
    far = sum((s * g - 22) ** 2 for s, g in zip(own, grids, strict=True))
    inside = median_diameter((far <= 20**2).astype(np.uint8))
    pixel_size = dict(zip("ZYX", sizes, strict=True))
    image = Image(np.zeros((9, 9, 9), np.uint8), "ZYX", pixel_size)
    assert diameter_in_pixels("40 um", image, ndim) == pytest.approx(inside, rel=0.03)


def test_volumes_of_long_voxels_are_told_of_where_they_are_scaled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pixels, model = domes((24, 40, 40), 8, 2)[0], dome_model(ndim=3)

    def told(z: float, diameter: float) -> str:
        caplog.clear()
        image = Image(pixels, "ZYX", {"Z": z, "Y": 1, "X": 1}, source=Path("cells.tif"))
        model.predict(image, diameter=diameter, options=EXACT)
        return caplog.text

    assert "cells.tif: its voxels are 3.0 times longer along Z than along X" in told(3, 16)
    assert told(3, 20) == ""
    assert told(1.4, 16) == ""
    caplog.clear()
    stack = Image(pixels, "ZYX", {"Z": 3, "Y": 1, "X": 1})
    dome_model().predict(stack, diameter=16, options=EXACT)  # plane by plane
    assert caplog.text == ""


@pytest.mark.parametrize("text", ["", "wide", "-3", "0", "8 miles", "1.2.3", "nan", "1e999"])
def test_what_is_no_diameter(text: str) -> None:
    with pytest.raises(ImageError, match="expected pixels such as 30, or a length such as 8um"):
        diameter_in_pixels(text, Image(np.zeros((8, 8)), "YX"), 2)


def test_length_without_pixel_size() -> None:
    with pytest.raises(ImageError, match=r"cells.tif does not say how large its pixels are"):
        diameter_in_pixels("8um", Image(np.zeros((8, 8)), "YX", source=Path("cells.tif")), 2)
    flat = Image(np.zeros((4, 8, 8)), "ZYX", {"Y": 1, "X": 1}, source=Path("cells.tif"))
    assert diameter_in_pixels("8um", flat, 2) == 8
    with pytest.raises(ImageError, match=r"cells.tif does not say how .* pixels are along Z: give"):
        diameter_in_pixels("8um", flat, 3)


def test_diameter_that_would_blow_up_the_image(field: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ImageError, match="enlarged 67 times"):
        dome_model().predict(field[0], diameter=0.3)


@pytest.mark.parametrize("diameter", [1e9, 161, "1mm"])
def test_objects_larger_than_the_whole_image_are_refused(diameter: float | str) -> None:
    """The image would be shrunk to a few pixels, in which nothing is found."""
    pixels = domes((120, 160), 20, 3)[0]
    image = Image(pixels, "YX", {"Y": 0.5, "X": 0.5})
    with pytest.raises(ImageError, match=r"pixels are larger than the whole image \(120 by 160"):
        dome_model().predict(image, diameter=diameter, options=EXACT)


def test_a_part_of_an_object_need_not_be_shrunk() -> None:
    """A crop smaller than its object, which the network knows as it is."""
    found = dome_model().predict(np.zeros((12, 12), np.uint8), diameter=18, options=EXACT)
    assert found.labels.max() == 0
    line = np.zeros((1, 160), np.uint8)
    assert dome_model().predict(line, diameter=60, options=EXACT).labels.max() == 0
