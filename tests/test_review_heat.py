"""Pictures of uncertainty: one value has one colour everywhere, over the view of the outlines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture

from delineate.errors import AxesError, LabelError
from delineate.image import Image
from delineate.review.heat import OUTLINE, colour_of, heat, write_heat
from delineate.review.overlay import overlay


def noise(shape: tuple[int, ...], seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(np.uint16)


def test_the_colour_of_a_value_does_not_depend_on_the_image() -> None:
    """0.2 looks the same beside 0.25 and beside nothing, on white and on black."""
    labels = np.zeros((700, 700), int)
    one, other = np.zeros((2, 700, 700), np.float32)
    one[300:400, 300:400] = other[300:400, 300:400] = 0.2
    other[500:600] = 0.25
    dark, light = np.zeros((700, 700), np.uint8), noise((700, 700))
    first, second = heat(Image(dark, "YX"), labels, one), heat(Image(light, "YX"), labels, other)
    np.testing.assert_array_equal(first[310:390, 310:390], second[310:390, 310:390])
    assert len(np.unique(first[310:390, 310:390].reshape(-1, 3), axis=0)) == 1


def test_no_uncertainty_leaves_the_grey_picture() -> None:
    values = np.zeros((700, 700), np.float32)
    picture = heat(Image(noise((700, 700)), "YX"), np.zeros((700, 700), int), values)
    below = picture[100:]  # below the colour bar
    np.testing.assert_array_equal(below[..., 0], below[..., 1])
    assert below.max() > 100


def test_more_uncertainty_is_brighter_and_the_range_ends_at_a_quarter() -> None:
    values = np.linspace(0, 0.25, 400, dtype=np.float32)
    colours = colour_of(values, np.zeros(400, np.float32))
    light = colours @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(light) >= -0.5).all() and light[-1] > 200
    black = np.zeros(3, np.float32)
    odd = colour_of(np.array([0.25, 0.4, np.inf]), black)
    np.testing.assert_array_equal(odd[0], odd[1])
    np.testing.assert_array_equal(odd[0], odd[2])
    np.testing.assert_array_equal(colour_of(np.array([np.nan]), black[:1])[0], black)


@pytest.mark.parametrize("shape", [(20, 30), (700, 500), (5, 300, 400), (3000, 2600)])
def test_the_view_is_that_of_the_outlines(shape: tuple[int, ...]) -> None:
    """Small images are enlarged, volumes show the same plane, large ones the same detail."""
    labels = np.zeros(shape, np.uint16)
    labels[..., -12:-5, -12:-5] = 1
    if shape[0] > 2000:
        labels[1000:1008, 1000:1008] = 2
    if len(shape) == 3:
        labels[:2] = labels[3:] = 0
    image = Image(noise(shape), "ZYX"[-len(shape) :])
    drawn = heat(image, labels, np.zeros(shape, np.float32))
    outlined = overlay(image, labels)
    assert drawn.shape == outlined.shape and drawn.dtype == np.uint8
    lines = (outlined == (255, 208, 0)).all(axis=-1)
    cyan = drawn[..., 2].astype(int) - drawn[..., 0] > 60
    assert not (cyan & ~lines).any()
    assert cyan[lines].mean() > 0.4  # enlarged, the yellow line has two rings and the cyan one


def test_volumes_show_the_uncertainty_of_their_plane() -> None:
    labels = np.zeros((3, 700, 700), int)
    labels[1, 300:400, 300:400] = 1
    values = np.zeros(labels.shape, np.float32)
    values[1, 320:380, 320:380] = 0.25
    values[2] = 0.1
    picture = heat(Image(noise(labels.shape), "ZYX"), labels, values)
    assert (picture[340, 340] == colour_of(np.array([0.25]), np.zeros(1, np.float32))[0] // 1).all()
    np.testing.assert_array_equal(picture[650, 600, 0], picture[650, 600, 1])


def test_outlines_are_thin_and_of_a_colour_that_no_uncertainty_has() -> None:
    labels = np.zeros((700, 700), int)
    labels[300:400, 300:400] = 1
    flat = Image(np.zeros((700, 700), np.uint8), "YX")
    picture = heat(flat, labels, np.zeros((700, 700), np.float32)).astype(int)
    line = picture[300, 350]
    assert line[2] - line[0] > 50
    assert (picture[302, 350] == picture[500, 500]).all()
    colours = colour_of(np.linspace(0, 0.25, 256), np.zeros(256, np.float32))
    assert np.abs(colours - OUTLINE).sum(axis=1).min() > 150


def test_a_bar_tells_the_range_where_there_is_room() -> None:
    flat = Image(np.zeros((700, 700), np.uint8), "YX")
    picture = heat(flat, np.zeros((700, 700), int), np.zeros((700, 700), np.float32))
    corner = picture[:40, :300].astype(int)
    assert (corner[..., 0] - corner[..., 2]).max() > 100  # the fire of the colour bar
    assert (picture[40:, 300:] == picture[-1, -1]).all()
    tiny = Image(np.zeros((4, 60), np.uint8), "YX")
    assert heat(tiny, np.zeros((4, 60), int), np.zeros((4, 60), np.float32)).shape == (32, 480, 3)


def test_files_are_written_whole(tmp_path: Path) -> None:
    labels, image = np.zeros((64, 48), int), Image(noise((64, 48)), "YX")
    write_heat(tmp_path / "sub" / "a.jpg", image, labels, np.zeros((64, 48), np.float32))
    with Picture.open(tmp_path / "sub" / "a.jpg") as picture:
        assert picture.size == (384, 512)
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["a.jpg"]


def test_what_does_not_fit_is_refused() -> None:
    image, labels = Image(noise((20, 20)), "YX"), np.zeros((20, 20), int)
    with pytest.raises(LabelError, match=r"\(20, 10\).*\(20, 20\)"):
        heat(image, labels, np.zeros((20, 10), np.float32))
    with pytest.raises(AxesError, match="time"):
        heat(Image(noise((2, 20, 20)), "TYX"), labels, np.zeros((20, 20), np.float32))
