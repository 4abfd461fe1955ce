"""The rules by which axes get their names, and units."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.errors import AxesError, ReadError
from delineate.io import read
from delineate.io.axes import Raw, to_image
from delineate.io.lazy import View
from delineate.io.units import micrometres

PATH = Path("folder/cells.tif")


def numbered(*shape):
    return np.arange(np.prod(shape)).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((5, 6), "QQ", "YX"),
        ((1, 5, 6), "QQQ", "YX"),
        ((5, 1, 6), "QQQ", "YX"),
        ((1, 6), "QQ", "YX"),
        ((1, 1), "QQ", "YX"),
        ((1, 1, 1), "QQQ", "YX"),
        ((3, 5, 6), "EYX", "CYX"),
        ((2, 3, 5, 6), "CTYX", "TCYX"),
        ((1, 3, 5, 6), "PZYX", "ZYX"),
        ((6, 5, 3, 2), "XYZT", "TZYX"),
        ((5, 6, 1), "YXS", "YX"),
    ],
)
def test_axes_by_name_and_rule(shape, axes, expected):
    image = to_image(Raw(numbered(*shape), axes), PATH, None)
    assert image.axes == expected
    assert sorted(image.numpy().ravel()) == list(range(np.prod(shape)))


@pytest.mark.parametrize(
    ("shape", "axes", "hint"),
    [
        ((4, 5, 6), "QYX", "ZYX (a volume), TYX (a movie) or CYX (channels)"),
        ((4, 5, 6), "IYX", "--axes ZYX"),
        ((4, 5, 6), "PYX", "has axes 'PYX'"),
        ((2, 3, 5, 6), "QQYX", "--axes ZCYX"),
        ((2, 2, 3, 5, 6), "QQQYX", "one letter of TCZYX for each axis"),
        ((2, 3, 5, 6), "CEYX", "has axes 'CEYX'"),
        ((4, 5), "ZT", "lack Y or X"),
    ],
)
def test_unknown_axes_ask_for_names(shape, axes, hint):
    with pytest.raises(AxesError) as caught:
        to_image(Raw(numbered(*shape), axes), PATH, None)
    assert hint in str(caught.value)
    assert "cells.tif" in str(caught.value)


def test_channels_and_colours_together_are_refused():
    raw = Raw(numbered(2, 5, 6, 3), "CYXS", rgb=True)
    with pytest.raises(AxesError, match="both channels and colour"):
        to_image(raw, PATH, None)
    assert to_image(raw, PATH, "TYX").axes == "TCYX"


def test_one_axis_is_no_picture():
    with pytest.raises(ReadError, match="no picture"):
        to_image(Raw(numbered(5), "Q"), PATH, None)


def test_names_stay_with_their_channels():
    raw = Raw(numbered(2, 3, 5, 6), "CZYX", channels=("a", "b"), pixel_size={"Z": 2, "X": 1})
    assert to_image(raw, PATH, None).channels == ("a", "b")
    assert to_image(raw, PATH, "CTYX!").channels == ("a", "b")
    assert to_image(raw, PATH, "TCYX!").channels == ()
    assert to_image(raw, PATH, "CTYX!").pixel_size == {"X": 1}


def test_the_log_says_what_decided(caplog):
    caplog.set_level(logging.INFO, logger="delineate")
    for axes, asked, text in (("QQ", None, "two axes without names"), ("YX", None, "from the file"),
                              ("QQ", "YX", "as asked for"), ("EYX", None, "λ")):  # fmt: skip
        to_image(Raw(numbered(*(4, 5, 6)[-len(axes) :]), axes), PATH, asked)
        assert text in caplog.text
        caplog.clear()


def test_a_view_of_a_view():
    pixels = numbered(2, 3, 4, 5)
    view = View(View(pixels, (3, 1, 0), {2: 1}), (1, 2, 0))
    expected = pixels[:, :, 1].transpose(1, 0, 2)
    assert (view.shape, view.ndim, view.size, len(view)) == (expected.shape, 3, 30, 3)
    assert view.nbytes == 30 * pixels.itemsize
    np.testing.assert_array_equal(view, expected)
    np.testing.assert_array_equal(view[[2, 0], ::-1], expected[[2, 0], ::-1])
    chosen = np.array([True, False, True])
    np.testing.assert_array_equal(view[chosen], expected[chosen])
    assert view[[]].shape == (0, 2, 5)
    assert "3×2×5" in repr(view)
    for key in ([3], [-4], [[0, 1]], ["x"], "x", (0, 0, 0, 0), 3, None):
        with pytest.raises(IndexError):
            view[key]


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [
        (100, "nm", (0.1, "µm")),
        (0.5, "\\u00B5m", (0.5, "µm")),
        (0.5, "μm", (0.5, "µm")),
        (0.5, "micron", (0.5, "µm")),
        (2.0, "Å", (2e-4, "µm")),
        (1.0, "inch", (25400.0, "µm")),
        (3.0, "furlong", (3.0, "furlong")),
        (3.0, "pixel", None),
        (3.0, "", None),
        (0.0, "µm", None),
        (-1.0, "µm", None),
        (float("nan"), "µm", None),
    ],
)
def test_units(size, unit, expected):
    sizes, name = micrometres({"X": size}, unit)
    if expected is None:
        assert sizes == {}
    else:
        assert (sizes["X"], name) == expected


def test_pixel_size_of_slide_scanners(tmp_path):
    text = "Aperio Image Library v11\n20x|MPP = 0.4990|Left = 1"
    tifffile.imwrite(tmp_path / "a.tif", numbered(5, 6).astype(np.uint8), description=text,
                     metadata=None)  # fmt: skip
    assert read(tmp_path / "a.tif").pixel_size == {"Y": 0.499, "X": 0.499}


def test_broken_ome_metadata_are_no_obstacle(tmp_path):
    pixels = numbered(5, 6).astype(np.uint8)
    for text in ("<OME broken", '<OME xmlns="x"></OME>'):
        tifffile.imwrite(tmp_path / "a.tif", pixels, description=text, metadata=None)
        image = read(tmp_path / "a.tif")
        assert (image.axes, image.pixel_size) == ("YX", {})
        np.testing.assert_array_equal(image.numpy(), pixels)
