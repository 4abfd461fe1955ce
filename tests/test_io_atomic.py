"""Writing in one step, and checking pixels."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from delineate.errors import ImageError, WriteError
from delineate.image import Image
from delineate.io import atomic_path, check_pixels, find_images, write_labels


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "a.ome.tif"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".ome.tif")
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    with atomic_path(str(path)) as temporary:
        temporary.write_text("newer")
        assert path.read_text() == "new"
    assert path.read_text() == "newer"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_failure_leaves_everything_as_it_was(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error("stop")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_replaced_as_a_whole(tmp_path):
    path = tmp_path / "a.zarr"
    for content in ("first", "second"):
        with atomic_path(path) as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
        assert [file.name for file in path.iterdir()] == [content]
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.mkdir()
        raise RuntimeError
    assert [file.name for file in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_written_is_an_error(tmp_path):
    with (
        pytest.raises(WriteError, match=r"a\.txt: nothing was written"),
        atomic_path(tmp_path / "a.txt"),
    ):
        pass


def test_a_full_disk_and_a_wrong_place_are_named(tmp_path):
    with (
        pytest.raises(WriteError, match=r"a\.txt: cannot be written: No space"),
        atomic_path(tmp_path / "a.txt"),
    ):
        raise OSError(28, "No space left on device")
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(WriteError, match="folder cannot be created"),
        atomic_path(tmp_path / "file" / "a.txt"),
    ):
        pass
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "content").write_text("x")
    with (
        pytest.raises(WriteError, match="folder: cannot be written"),
        atomic_path(tmp_path / "folder") as temporary,
    ):
        temporary.write_text("x")
    assert (tmp_path / "folder" / "content").exists()


def test_a_read_only_file_system_is_named(tmp_path, monkeypatch):
    """There nothing can be removed either, and what says so must not take the error's place."""

    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with (
        pytest.raises(WriteError, match=r"a\.txt: cannot be written: Read-only file system"),
        atomic_path(tmp_path / "a.txt") as temporary,
    ):
        refuse(temporary)


def test_other_files_errors_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        (tmp_path / "input that is missing").read_text()


def test_what_is_being_written_is_no_image(tmp_path):
    write_labels(tmp_path / "a.tif", np.zeros((4, 5), int))
    with atomic_path(tmp_path / "b.tif") as temporary:
        temporary.write_bytes(b"half")
        assert [image.name for image in find_images(tmp_path)] == ["a"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_counted_and_placed(value):
    pixels = np.zeros((3, 4, 5), np.float32)
    pixels[1, 2, 3] = pixels[2, 0, 0] = value
    with pytest.raises(ImageError, match=r"cells\.tif: 2 of 60 pixels are not finite") as caught:
        check_pixels(pixels, "cells.tif")
    assert f"{value} at (1, 2, 3)" in str(caught.value)
    with pytest.raises(ImageError, match=r"\(1, 2, 3\) \(ZYX\)"):
        check_pixels(Image(pixels, "ZYX"))


def test_large_images_are_checked_in_blocks(monkeypatch):
    monkeypatch.setattr("delineate.io.check._BLOCK", 7)
    pixels = np.zeros((2, 3, 4, 5))
    check_pixels(pixels)
    for place in ((0, 0, 0, 0), (1, 2, 3, 4), (1, 0, 2, 1)):
        wrong = pixels.copy()
        wrong[place] = np.nan
        with pytest.raises(ImageError, match=str(place).replace("(", r"\(").replace(")", r"\)")):
            check_pixels(wrong)


def test_lazy_images_of_integers_are_not_read():
    class Unreadable:
        shape = (4, 5)

        def __init__(self, dtype):
            self.dtype = np.dtype(dtype)

        def __getitem__(self, key):
            keys.append(key)
            return np.zeros(self.shape, self.dtype)[key]

    keys = []
    check_pixels(Image(Unreadable(np.uint8), "YX"))
    assert keys == []
    check_pixels(Image(Unreadable(np.float32), "YX"))
    assert keys


@pytest.mark.parametrize(
    ("pixels", "wrong"),
    [
        (np.full((4, 5), 7.0), np.full((4, 5), np.nan)),
        (np.zeros((1, 1), np.float16), np.full((1, 1), np.inf, np.float16)),
    ],
)
def test_constant_images_and_single_pixels_pass(pixels, wrong):
    """It is their values that count: the same of NaN or infinity are refused."""
    before = pixels.copy()
    assert check_pixels(pixels) is None
    np.testing.assert_array_equal(pixels, before)
    with pytest.raises(ImageError, match=f"{pixels.size} of {pixels.size} pixels are not finite"):
        check_pixels(wrong)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (2, 0, 3)])
def test_no_pixels_are_refused(shape):
    with pytest.raises(ImageError, match="no pixels"):
        check_pixels(np.zeros(shape, np.uint8))
