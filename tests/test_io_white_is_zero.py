"""TIFFs in which 0 is white: intensities come out as viewers show them, ids as they are."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

from delineate.io import read, read_labels
from delineate.io.axes import EAGER_BYTES

RNG = np.random.default_rng(0)


def written(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, pixels, photometric="miniswhite", **options)
    return path


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_intensities_are_turned_round_in_the_range_of_their_type(
    tmp_path: Path, dtype: type, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    pixels = RNG.integers(0, 200, (20, 30)).astype(dtype)
    with caplog.at_level(logging.INFO, "delineate"):
        image = read(written(tmp_path / "a.tif", pixels, **options))
    assert image.dtype == dtype
    np.testing.assert_array_equal(image.numpy(), np.iinfo(dtype).max - pixels)
    assert "a.tif: 0 is white in this file; pixels are turned round" in caplog.text


def test_they_look_as_pillow_shows_them(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (20, 30)).astype(np.uint8)
    path = written(tmp_path / "a.tif", pixels)
    with Picture.open(path) as picture:
        np.testing.assert_array_equal(read(path).numpy(), np.asarray(picture))


def test_the_range_is_that_of_the_bits_in_the_file(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 4096, (20, 30)).astype(np.uint16)
    path = written(tmp_path / "a.tif", pixels, bitspersample=12)
    np.testing.assert_array_equal(read(path).numpy(), 4095 - pixels)


def test_signed_integers_keep_their_range_and_fractions_their_values(tmp_path: Path) -> None:
    signed = np.array([[-32768, -1], [0, 32767]], np.int16)
    image = read(written(tmp_path / "a.tif", signed))
    np.testing.assert_array_equal(image.numpy(), [[32767, 0], [-1, -32768]])
    fractions = RNG.random((20, 30), np.float32)
    np.testing.assert_array_equal(read(written(tmp_path / "b.tif", fractions)).numpy(), fractions)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_parts_of_large_stacks_are_turned_round_where_they_are_read(
    tmp_path: Path, compression: str | None
) -> None:
    pixels = RNG.integers(0, 256, (17, 1000, 1024)).astype(np.uint8)
    assert pixels.nbytes > EAGER_BYTES
    options = {"metadata": {"axes": "ZYX"}, "compression": compression}
    image = read(written(tmp_path / "a.tif", pixels, **options))
    assert not isinstance(image.data, np.ndarray)
    part = image.select(Z=[3, 9], Y=slice(100, 200)).numpy()
    np.testing.assert_array_equal(part, 255 - pixels[[3, 9], 100:200])


def test_where_0_is_black_nothing_changes(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 200, (20, 30)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    np.testing.assert_array_equal(read(tmp_path / "a.tif").numpy(), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_ids_stay_as_they_are(
    tmp_path: Path, dtype: type, caplog: pytest.LogCaptureFixture
) -> None:
    """So does the mask of 0 and 255 that ImageJ writes with an inverted look-up table."""
    ids = RNG.integers(0, 5, (20, 30)).astype(dtype)
    with caplog.at_level(logging.INFO, "delineate"):
        found = read_labels(written(tmp_path / "a.tif", ids))
    np.testing.assert_array_equal(found, ids)
    assert found.dtype == dtype
    assert "a.tif: 0 is white in this file; its numbers are taken as they are" in caplog.text
    mask = np.where(ids > 3, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(read_labels(written(tmp_path / "b.tif", mask)), mask)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", None])
@pytest.mark.parametrize("compression", [None, "packbits"])
def test_masks_of_one_bit_have_a_background_of_0(
    tmp_path: Path, photometric: str | None, compression: str | None
) -> None:
    """As tifffile, which marks truth values so by itself, and ImageJ read them: as stored."""
    mask = np.zeros((20, 30), bool)
    mask[5:9, 4:20] = True
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, mask, photometric=photometric, compression=compression)
    np.testing.assert_array_equal(tifffile.imread(path), mask)
    labels = read_labels(path)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, mask)
    np.testing.assert_array_equal(read(path).numpy(), mask)
