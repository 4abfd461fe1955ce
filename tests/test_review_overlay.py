"""Overlays show the pixels, every object's outline and what part of the image is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Picture

from delineate.errors import AxesError, LabelError, WriteError
from delineate.image import Image
from delineate.review.overlay import OUTLINE, overlay, write_overlay

RGB = ("red", "green", "blue")


def outlined(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((picture == OUTLINE).all(axis=-1))


def square(shape: tuple[int, ...] = (700, 700)) -> NDArray[np.uint16]:
    labels = np.zeros(shape, np.uint16)
    labels[..., 200:300, 400:500] = 7
    return labels


def noise(shape: tuple[int, ...], dtype: Any = np.uint16) -> NDArray[Any]:
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def test_outline_lies_on_the_border_pixels_inside_the_object() -> None:
    picture = overlay(Image(noise((700, 700)), "YX"), square())
    assert picture.shape == (700, 700, 3)
    assert picture.dtype == np.uint8
    expected = np.zeros((700, 700), bool)
    expected[200:300, 400:500] = True
    expected[202:298, 402:498] = False
    np.testing.assert_array_equal(outlined(picture), expected)


def test_touching_objects_are_parted_by_a_line() -> None:
    labels = np.zeros((700, 700), np.int64)
    labels[100:200, 100:200] = 2**40
    labels[100:200, 200:300] = 5
    line = outlined(overlay(Image(noise((700, 700)), "YX"), labels))[110:190]
    assert line[:, 199:201].all()
    assert not line[:, 203:290].any()
    assert not line[:, 110:198].any()


def test_small_objects_keep_thin_outlines() -> None:
    labels = np.zeros((700, 700), np.uint8)
    labels[50:60, 50:60] = 1
    assert outlined(overlay(Image(noise((700, 700)), "YX"), labels)).sum() == 36


def test_contrast_is_stretched_between_percentiles() -> None:
    pixels = np.linspace(1000, 3000, 700 * 700).reshape(700, 700)
    pixels[0, 0] = 1e9
    picture = overlay(Image(pixels, "YX"), np.zeros((700, 700), int))
    low, high = np.percentile(pixels, (1, 99))
    expected = 255 * np.clip((pixels - low) / (high - low), 0, 1)
    np.testing.assert_allclose(picture[..., 1], expected, atol=1.01)
    np.testing.assert_array_equal(picture[..., 0], picture[..., 2])


def test_rgb_is_shown_as_it_is() -> None:
    pixels = noise((3, 700, 700), np.uint8)
    picture = overlay(Image(pixels, "CYX", channels=RGB), np.zeros((700, 700), int))
    np.testing.assert_array_equal(picture, np.moveaxis(pixels, 0, -1))


def test_outlines_on_light_pictures_have_a_dark_rim() -> None:
    pixels = np.full((3, 700, 700), 240, np.uint8)
    picture = overlay(Image(pixels, "CYX", channels=RGB), square())
    assert (picture[199, 400:500] == 96).all()
    assert (picture[190, 400:500] == 240).all()
    dark = overlay(Image(pixels // 6, "CYX", channels=RGB), square())
    assert (dark[199, 400:500] == 40).all()


def test_two_channels_are_magenta_and_green() -> None:
    pixels = np.zeros((2, 700, 700), np.uint16)
    pixels[0, :350], pixels[1, :, :350] = 900, 50
    picture = overlay(Image(pixels, "CYX"), np.zeros((700, 700), int))
    assert picture[100, 600].tolist() == [255, 0, 255]
    assert picture[600, 100].tolist() == [0, 255, 0]
    assert picture[100, 100].tolist() == [255, 255, 255]
    assert picture[600, 600].tolist() == [0, 0, 0]


def test_transmitted_light_is_grey_beside_fluorescence() -> None:
    pixels = np.zeros((2, 700, 700), np.uint16)
    pixels[0, :350], pixels[1, :, :350] = 900, 50
    image = Image(pixels, "CYX", channels=("Brightfield", "GFP"))
    picture = overlay(image, np.zeros((700, 700), int))
    assert picture[100, 600].tolist() == [153, 153, 153]
    assert picture[600, 100].tolist() == [255, 0, 255]


def test_more_channels_than_colours_show_the_first_four() -> None:
    pixels = np.zeros((6, 64, 64), np.uint8)
    pixels[4:, :32] = 255
    picture = overlay(Image(pixels, "CYX"), np.zeros((64, 64), int))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_small_images_are_enlarged_by_a_whole_number() -> None:
    labels = np.zeros((20, 30), int)
    labels[5:15, 5:15] = 1
    picture = overlay(Image(noise((20, 30)), "YX"), labels)
    assert picture.shape == (160, 240, 3)
    ys, xs = np.nonzero(outlined(picture))
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (40, 119, 40, 119)


def test_large_images_are_shrunk_and_keep_their_outlines() -> None:
    labels = np.zeros((3000, 2000), np.uint32)
    labels[1000:1400, 500:900] = 3
    picture = overlay(Image(noise((3000, 2000)), "YX"), labels, max_side=600)
    assert picture.shape == (600, 400, 3)
    ys, xs = np.nonzero(outlined(picture))
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (200, 279, 100, 179)


def test_objects_too_small_to_outline_are_shown_in_detail_with_the_field_in_a_corner() -> None:
    labels = np.zeros((4000, 4000), np.uint32)
    grid = np.arange(1, 2501, dtype=np.uint32).reshape(50, 50)
    labels[1000:3000, 2000:4000] = np.kron(grid, np.ones((40, 40), np.uint32))
    labels[::40] = labels[:, ::40] = 0
    pixels = np.where(labels > 0, 300, 100).astype(np.uint16)
    picture = overlay(Image(pixels, "YX"), labels, max_side=400)
    assert picture.shape == (400, 400, 3)
    lower = outlined(picture)[150:350]
    assert 0.05 < lower.mean() < 0.5
    assert (picture[:100, 298:300] == 255).all()


def test_a_volume_shows_its_fullest_plane() -> None:
    labels = np.zeros((5, 700, 700), np.uint16)
    labels[3] = square()
    labels[1, 0, 0] = 9
    pixels = noise((5, 700, 700))
    picture = overlay(Image(pixels, "ZYX"), labels)
    np.testing.assert_array_equal(picture[:600], overlay(Image(pixels[3], "YX"), square())[:600])
    assert (picture[-12:, :60] > 200).any()


@pytest.mark.parametrize("axes", ["ZYX", "CZYX"])
def test_channels_of_volumes_share_one_path(axes: str) -> None:
    pixels = noise((3, 4, 40, 50)) if "C" in axes else noise((4, 40, 50))
    picture = overlay(Image(pixels, axes), np.ones((4, 40, 50), int))
    assert picture.shape == (320, 400, 3)


def test_a_scale_bar_has_a_round_length() -> None:
    image = Image(np.zeros((700, 1000)), "YX", pixel_size={"Y": 0.5, "X": 0.5})
    picture = overlay(image, np.zeros((700, 1000), int))
    white = (picture > 250).all(axis=-1).sum(axis=1)
    assert white.max() == pytest.approx(200, abs=2)


class Counting:
    """A lazy array that knows the largest piece that was asked of it."""

    shape, dtype = (6000, 4000), np.dtype(np.uint16)

    def __init__(self) -> None:
        self.largest = 0

    def __getitem__(self, key: Any) -> NDArray[np.uint16]:
        rows, columns = key
        piece = np.add.outer(
            np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)
        ).astype(np.uint16)
        self.largest = max(self.largest, piece.size)
        return piece


def test_lazy_images_are_read_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delineate.review._pixels._BAND", 2**20)
    lazy = Counting()
    picture = overlay(Image(lazy, "YX"), np.zeros((6000, 4000), np.uint8), max_side=500)
    assert 0 < lazy.largest <= 2**20
    assert picture.shape == (500, 333, 3)
    assert (np.diff(picture[:, 100, 0].astype(int)) >= 0).all()


@pytest.mark.parametrize("value", [0, 255, 3.5])
def test_constant_images_are_dark(value: float) -> None:
    picture = overlay(Image(np.full((9, 9), value), "YX"), np.zeros((9, 9), int))
    assert picture.max() < 128


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(8, 40), st.booleans())
def test_any_size_gives_a_picture_within_its_bounds(
    height: int, width: int, max_side: int, filled: bool
) -> None:
    labels = np.full((height, width), int(filled) * 2**33)
    picture = overlay(Image(noise((height, width)), "YX"), labels, max_side)
    assert min(picture.shape[:2]) >= 1
    assert max(picture.shape[:2]) <= max(max_side, 1)


def test_wrong_labels_and_time_series_are_refused() -> None:
    with pytest.raises(LabelError, match=r"\(5, 4\).*\(4, 5\)"):
        overlay(Image(np.zeros((4, 5)), "YX"), np.zeros((5, 4), int))
    with pytest.raises(AxesError, match="time"):
        overlay(Image(np.zeros((2, 4, 5)), "TYX"), np.zeros((4, 5), int))


def test_write_overlay_makes_folders_and_leaves_only_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "picture.jpg"
    write_overlay(path, Image(noise((700, 700)), "YX"), square())
    with Picture.open(path) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (700, 700))
    assert [p.name for p in path.parent.iterdir()] == ["picture.jpg"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="file"):
        write_overlay(tmp_path / "file" / "a.jpg", Image(noise((9, 9)), "YX"), noise((9, 9)))


def test_a_noisy_picture_is_encoded():
    """Noise needs more than a byte a pixel, more than some ways of encoding can hold."""
    from io import BytesIO

    from PIL import Image as Picture

    from delineate.review._pixels import jpeg

    noise = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), np.uint8)
    data = jpeg(noise, 95)
    assert len(data) > 1024 * 1024
    assert Picture.open(BytesIO(data)).size == (1024, 1024)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("channels", [(), ("one", "two", "three"), RGB])
@pytest.mark.parametrize(
    ("gain", "offset", "dtype"),
    [
        (1, 1e9, np.float64),
        (1e200, 0, np.float64),
        (1, 2.0**31, np.uint32),
        (1e-200, 0, np.float64),
    ],
)
def test_pixels_of_any_type_and_size_are_seen(
    gain: float, offset: float, dtype: type, channels: tuple[str, ...]
) -> None:
    """As the same picture is in 16 bits; also where blocks are averaged."""
    plain = noise((3, 700, 650))
    axes = "CYX" if channels else "YX"
    pixels = plain if channels else plain[0]
    wide = (pixels * gain + offset).astype(dtype)
    for side in (1000, 300):
        expected = overlay(Image(pixels, axes, channels=channels), square((700, 650)), side)
        found = overlay(Image(wide, axes, channels=channels), square((700, 650)), side)
        np.testing.assert_allclose(found.astype(int), expected, atol=1)
