"""Axes that a user names: for files that do not say, and with a ! for those that do."""

import logging

import numpy as np
import pytest
import tifffile

from delineate.errors import AxesError
from delineate.io import read
from microscope_files import numbered


@pytest.mark.parametrize("options", [{"metadata": None}, {}])
def test_a_stack_without_axes_asks_for_them(tmp_path, options):
    pixels = numbered(5, 8, 9)
    tifffile.imwrite(tmp_path / "stack.tif", pixels, photometric="minisblack", **options)
    with pytest.raises(AxesError) as caught:
        read(tmp_path / "stack.tif")
    for word in ("stack.tif", "--axes ZYX", "TYX", "CYX", "(5, 8, 9)"):
        assert word in str(caught.value)
    for axes in ("ZYX", "TYX", "CYX", "zyx"):
        image = read(tmp_path / "stack.tif", axes=axes)
        assert image.axes == axes.upper()
        np.testing.assert_array_equal(image.numpy(), pixels)


@pytest.mark.parametrize("axes", ["CZYX", "TZYX", "XYZC", "YXCT"])
def test_named_axes_are_put_in_order(tmp_path, lazy, axes):
    pixels = numbered(3, 4, 8, 9)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    image = read(tmp_path / "a.tif", axes=axes)
    assert image.axes == "".join(a for a in "TCZYX" if a in axes)
    np.testing.assert_array_equal(
        image.numpy(), pixels.transpose([axes.index(a) for a in image.axes])
    )


@pytest.mark.parametrize("axes", ["", "ZY", "ZYXC", "ZYYX", "QYX", "ABC", "CZT"])
def test_axes_that_do_not_fit_are_refused(tmp_path, axes):
    tifffile.imwrite(tmp_path / "a.tif", numbered(5, 8, 9), photometric="minisblack")
    with pytest.raises(AxesError):
        read(tmp_path / "a.tif", axes=axes)


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}])
def test_a_file_that_says_its_axes_keeps_them(tmp_path, caplog, options):
    caplog.set_level(logging.WARNING, logger="delineate")
    pixels = numbered(5, 8, 9)
    file = tmp_path / "stack.tif"
    tifffile.imwrite(file, pixels, metadata={"axes": "ZYX"}, photometric="minisblack", **options)
    for _ in range(2):
        assert read(file, axes="TYX").axes == "ZYX"
    assert [record.getMessage() for record in caplog.records] == [
        f"{file}: says that its axes are ZYX, which are taken; --axes TYX is for files that do "
        "not say (TYX! also for those that do)"
    ]
    caplog.clear()
    for same in ("ZYX", "ZCYX", "tzyx"):
        assert read(file, axes=same).axes == "ZYX"
    assert read(file, axes="CZYX").axes == "ZYX"
    for asked in ("TYX!", "tyx!"):
        image = read(file, axes=asked)
        assert image.axes == "TYX"
        np.testing.assert_array_equal(image.numpy(), pixels)
    assert not caplog.records
    with pytest.raises(AxesError, match="name 4 axes, the file has 3"):
        read(file, axes="TCYX!")


def test_axes_of_a_folder_of_mixed_files(tmp_path, caplog):
    """Plain stacks take the axes that are named, all others have those that they say."""
    caplog.set_level(logging.WARNING, logger="delineate")
    tifffile.imwrite(tmp_path / "a.tif", numbered(5, 8, 9), photometric="minisblack")
    tifffile.imwrite(
        tmp_path / "b.tif", numbered(4, 2, 8, 9), imagej=True, metadata={"axes": "ZCYX"}
    )
    tifffile.imwrite(tmp_path / "c.tif", numbered(8, 9))
    assert [read(tmp_path / f"{n}.tif", axes="TYX").axes for n in "abc"] == ["TYX", "CZYX", "YX"]
    assert len(caplog.records) == 1


def test_colours_are_what_a_file_says(tmp_path, caplog):
    caplog.set_level(logging.WARNING, logger="delineate")
    pixels = numbered(3, 8, 9)
    rgb = {"photometric": "rgb", "planarconfig": "separate"}  # as tifffile writes by itself
    tifffile.imwrite(tmp_path / "a.tif", pixels, **rgb)
    assert read(tmp_path / "a.tif").is_rgb
    assert read(tmp_path / "a.tif", axes="CYX").is_rgb
    assert not caplog.records
    assert read(tmp_path / "a.tif", axes="ZYX").is_rgb
    assert "axes are SYX" in caplog.text
    image = read(tmp_path / "a.tif", axes="ZYX!")
    assert (image.axes, image.channels) == ("ZYX", ())
    image = read(tmp_path / "a.tif", axes="CYX!")
    assert (image.axes, image.channels) == ("CYX", ())
    np.testing.assert_array_equal(image.numpy(), pixels)
    # In a folder of mixed pictures the same --axes does for grey and for colour ones.
    tifffile.imwrite(tmp_path / "b.tif", numbered(8, 9, 3), photometric="rgb")
    assert read(tmp_path / "b.tif", axes="YX").is_rgb
