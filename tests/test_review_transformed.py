"""Pictures of images that a model made: the input beside the result, and where to doubt it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture

from delineate.errors import AxesError, ImageError
from delineate.image import Image
from delineate.review._pixels import block_mean
from delineate.review.heat import DEVIATION, OUTLINE, colour_of
from delineate.review.transformed import (
    doubt,
    plane_of_most_contrast,
    side_by_side,
    write_doubt,
    write_side_by_side,
)


def noise(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(shape, np.float32)


def halves(picture: NDArray[np.uint8], width: int) -> tuple[NDArray[Any], NDArray[Any]]:
    return picture[:, :width], picture[:, -width:]


def is_grey(pixels: NDArray[np.uint8]) -> bool:
    return bool(
        (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()
    )


def stretched(pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    low, high = np.percentile(pixels, (1, 99))
    return 255 * np.clip((pixels - low) / (high - low), 0, 1)


def test_both_stand_side_by_side_each_in_its_own_contrast() -> None:
    given, made = noise((700, 700)), 1000 * noise((1, 700, 700), 1) - 300
    picture = side_by_side(Image(given, "YX"), Image(made, "CYX"))
    assert picture.dtype == np.uint8 and picture.shape[0] == 700 and 1400 < picture.shape[1] < 1420
    left, right = halves(picture, 700)
    np.testing.assert_allclose(left[:600, :, 0], stretched(given)[:600], atol=1.01)
    np.testing.assert_allclose(right[:600, :, 0], stretched(made[0])[:600], atol=1.01)
    assert len(np.unique(picture[:, 700:-700].reshape(-1, 3), axis=0)) == 1


def test_wide_images_stand_above_each_other() -> None:
    given = noise((400, 1000))
    picture = side_by_side(Image(given, "YX"), Image(given[None], "CYX"))
    assert picture.shape[1] == 1000 and 800 < picture.shape[0] < 820
    np.testing.assert_array_equal(picture[:300], picture[-400:-100])


def test_channels_of_the_result_have_colours_and_names() -> None:
    made = np.zeros((2, 700, 700), np.float32)
    made[0, :350], made[1, :, 350:] = 5, 9
    left, right = halves(side_by_side(Image(noise((700, 700)), "YX"), Image(made, "CYX")), 700)
    assert is_grey(left)
    assert right[200, 200].tolist() == [255, 0, 255] and right[600, 500].tolist() == [0, 255, 0]
    assert right[200, 500].tolist() == [255, 255, 255]
    named = Image(made, "CYX", channels=("DAPI", "NFH"))
    other = halves(side_by_side(Image(noise((700, 700)), "YX"), named), 700)[1]
    changed = (other != right).any(axis=-1)
    assert changed[:80, :150].any() and not changed[80:].any() and not changed[:, 150:].any()


def test_red_green_and_blue_are_shown_as_they_are() -> None:
    pixels = (255 * noise((3, 700, 700))).astype(np.uint8)
    image = Image(pixels, "CYX", channels=("red", "green", "blue"))
    left, right = halves(side_by_side(image, image), 700)
    np.testing.assert_array_equal(left[:600], np.moveaxis(pixels, 0, -1)[:600])
    np.testing.assert_array_equal(left[:600], right[:600])


def test_volumes_show_one_plane_of_both_that_with_most_contrast() -> None:
    given, made = noise((4, 700, 700)), 0.1 * noise((4, 1, 700, 700), 1).swapaxes(0, 1)
    made[:, 2] *= 5
    left, right = halves(side_by_side(Image(given, "ZYX"), Image(made, "CZYX")), 700)
    np.testing.assert_allclose(left[:600, :, 0], stretched(given[2])[:600], atol=1.01)
    np.testing.assert_allclose(right[:600, :, 0], stretched(made[0, 2])[:600], atol=1.01)


def test_a_stack_that_became_flat_shows_its_middle_plane() -> None:
    given = noise((7, 700, 700))
    left, _ = halves(side_by_side(Image(given, "ZYX"), Image(given[:1], "CYX")), 700)
    np.testing.assert_allclose(left[:600, :, 0], stretched(given[3])[:600], atol=1.01)


@pytest.mark.parametrize(
    ("spread", "plane"), [([1, 3, 2], 1), ([2, 2, 2], 1), ([2, 2, 2, 2], 1), ([1, 0, 0, 1], 0)]
)
def test_the_plane_of_most_contrast_is_the_one_that_varies_most(
    spread: list[int], plane: int
) -> None:
    volume = np.stack([s * noise((20, 30)) for s in spread])
    assert plane_of_most_contrast(Image(volume, "ZYX")) == plane
    assert plane_of_most_contrast(Image(volume[0], "YX")) is None
    volume[plane, 0, 0], volume[plane - 1, 0, 0] = np.nan, np.inf
    assert plane_of_most_contrast(Image(volume, "ZYX")) == plane


def test_every_channel_counts_the_same_for_the_plane() -> None:
    volume = np.zeros((2, 3, 20, 30), np.float32)
    volume[0] = 1000 * noise((3, 20, 30))
    volume[1, 2] = noise((20, 30))
    assert plane_of_most_contrast(Image(volume, "CZYX")) == 2


def test_large_images_are_shrunk_by_blocks_with_a_detail_at_full_resolution() -> None:
    """The noise of a large image, gone where it is shrunk, is seen in the corner."""
    given = 100 + noise((3000, 3000))
    given[1200:1400, 600:800] += 40 * noise((200, 200))
    picture = side_by_side(Image(given, "YX"), Image(given[None], "CYX"), 1000)
    assert picture.shape[0] == 1000
    left, right = halves(picture, 1000)
    np.testing.assert_array_equal(left[:900], right[:900])
    shrunk = block_mean(given, (), (0, 3000), (0, 3000), 3)
    np.testing.assert_allclose(left[600:900, :, 0], stretched(shrunk)[600:900], atol=1.01)
    inset = left[2:248, 752:998, 0].astype(float)
    assert np.abs(np.diff(inset, axis=0)).mean() > 30  # the noise of single pixels
    corners = inset[:20, :20].mean(), inset[-20:, -20:].mean()
    assert inset.max() == 255 and min(corners) < 100  # with what is bright, and where it ends


def test_the_scale_bar_needs_a_pixel_size() -> None:
    pixels = np.zeros((700, 700), np.float32)
    with_size = Image(pixels, "YX", {"Y": 0.5, "X": 0.5})
    left = halves(side_by_side(with_size, with_size), 700)[0]
    rows = np.nonzero((left[:, 500:] == 255).all(axis=-1))[0]
    assert max(np.bincount(rows)) in (100, 101)  # 50 µm
    bare = halves(side_by_side(Image(pixels, "YX"), Image(pixels, "YX")), 700)[0]
    assert not (bare[:, 500:] == 255).any()


def test_doubt_has_one_range_of_standard_deviations() -> None:
    result = Image(noise((1, 700, 700)), "CYX")
    flat = np.full((700, 700), 0.2**2, np.float32)
    flat[:100] = 4.0
    picture = doubt(result, flat, None)
    black = np.zeros(1, np.float32)
    wanted = colour_of(np.array([0.04]), black, DEVIATION)[0].astype(np.uint8)
    assert (picture[200:650] == wanted).all()  # from 0.15 on the colour hides the picture
    last = colour_of(np.array([0.25**2]), black, DEVIATION)[0].astype(np.uint8)
    assert (picture[50:100, :300] == last).all()
    none = doubt(result, np.zeros((700, 700), np.float32), None)
    assert is_grey(none[100:]) and none[100:].max() < 180
    corner = none[:40, :300].astype(int)
    assert (corner[..., 0] - corner[..., 2]).max() > 100  # the fire of the colour bar


def test_colours_of_deviations_are_those_of_the_square_root() -> None:
    grey = np.zeros(5, np.float32)
    values = np.array([0.0, 0.01, 0.0625, 1.0, np.inf])
    colours = colour_of(values, grey, DEVIATION)
    np.testing.assert_array_equal(colours[2], colours[3])
    np.testing.assert_array_equal(colours[3], colours[4])
    np.testing.assert_array_equal(colours[0], 0)
    light = colours @ (0.2126, 0.7152, 0.0722)
    assert light[0] < light[1] < light[2]
    np.testing.assert_array_equal(colour_of(np.array([-1.0, np.nan]), grey[:2], DEVIATION), 0)


def test_pixels_not_to_be_measured_are_hatched_and_outlined() -> None:
    doubtful = np.zeros((700, 700), bool)
    doubtful[300:400, 200:500] = True
    doubtful[600, 600] = True
    variance = np.full((700, 700), 0.0625, np.float32)
    picture = doubt(Image(noise((700, 700)), "YX"), variance, doubtful)
    cyan = (picture == OUTLINE).all(axis=-1)
    assert cyan[300, 200:500].all() and cyan[399, 200:500].all() and cyan[600, 600]
    inside = cyan[301:399, 201:499].mean()
    assert 0.1 < inside < 0.4
    cyan[300:400, 200:500] = cyan[600, 600] = False
    assert not cyan.any()


def test_of_shrunk_pictures_blocks_are_hatched_that_are_mostly_doubtful() -> None:
    doubtful = np.zeros((2000, 2000), bool)
    doubtful[1000:1200, 1000:1200] = True
    doubtful[500, ::2] = True
    result = Image(np.zeros((2000, 2000), np.float32), "YX")
    picture = doubt(result, np.zeros((2000, 2000), np.float32), doubtful, 1000)
    cyan = (picture == OUTLINE).all(axis=-1)
    rows, columns = np.nonzero(cyan)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (500, 599, 500, 599)


def test_volumes_show_the_doubt_of_the_plane_of_their_result() -> None:
    made = 0.1 * noise((1, 3, 700, 700))
    made[0, 1] *= 9
    variance = np.zeros((3, 700, 700), np.float32)
    variance[0], doubtful = 1.0, np.zeros((3, 700, 700), bool)
    doubtful[2, 100:200, 100:200] = True
    picture = doubt(Image(made, "CZYX"), variance, doubtful)
    assert is_grey(picture[50:650])


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 700)])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_tiny_and_empty_images_are_drawn(shape: tuple[int, int], value: float) -> None:
    image = Image(np.full(shape, value, np.float32), "YX")
    both = side_by_side(image, image)
    assert both.ndim == 3 and min(both.shape[:2]) > 0
    assert doubt(image, np.zeros(shape, np.float32), np.ones(shape, bool)).ndim == 3


def test_files_are_written_whole(tmp_path: Path) -> None:
    image = Image(noise((64, 48)), "YX")
    write_side_by_side(tmp_path / "sub" / "a.jpg", image, image)
    write_doubt(tmp_path / "sub" / "b.jpg", image, noise((64, 48)), None)
    with Picture.open(tmp_path / "sub" / "a.jpg") as picture:
        assert picture.height == 512
    with Picture.open(tmp_path / "sub" / "b.jpg") as picture:
        assert picture.size == (384, 512)
    assert sorted(p.name for p in (tmp_path / "sub").iterdir()) == ["a.jpg", "b.jpg"]


def test_what_does_not_fit_is_refused() -> None:
    image, movie = Image(noise((20, 20)), "YX"), Image(noise((2, 20, 20)), "TYX")
    with pytest.raises(ImageError, match=r"\(20, 10\).*\(20, 20\)"):
        side_by_side(image, Image(noise((20, 10)), "YX"))
    with pytest.raises(AxesError, match="time"):
        side_by_side(movie, image)
    with pytest.raises(AxesError, match="time"):
        doubt(movie, noise((20, 20)), None)
    with pytest.raises(ImageError, match=r"\(10, 20\).*\(20, 20\)"):
        doubt(image, noise((20, 20)), np.zeros((10, 20), bool))
