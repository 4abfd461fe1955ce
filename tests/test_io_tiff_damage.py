"""TIFF files that are cut off, damaged, missing or no TIFF at all are refused by name."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.errors import DelineateError, ReadError
from delineate.io import read
from microscope_files import numbered


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_pixels_are_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), dtype))
    with pytest.raises(ReadError, match=r"a\.tif.*complex.*magnitude"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "kind", ["plain", "deflate", "tiles", "imagej", "ome", "pages", "deflated pages"]
)
def test_truncated_files_are_refused_wherever_they_end(tmp_path, kind):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60000, (6, 40, 50)).astype(np.uint16)
    options = {
        "plain": {},
        "deflate": {"compression": "zlib"},
        "tiles": {"tile": (16, 16), "compression": "zlib"},
        "imagej": {"imagej": True},
        "ome": {"ome": True},
        "pages": {"metadata": None, "contiguous": False},
        "deflated pages": {"metadata": None, "compression": "zlib"},
    }[kind]
    path = tmp_path / "a.tif"
    if kind != "pages" and kind != "deflated pages":
        options.setdefault("metadata", {"axes": "ZYX"})
    tifffile.imwrite(path, pixels, photometric="minisblack", **options)
    whole = path.read_bytes()
    for axes in ("ZYX", None) if "pages" not in kind else ("ZYX",):
        path.write_bytes(whole)
        np.testing.assert_array_equal(read(path, axes=axes).numpy(), pixels)
        for part in np.linspace(0.002, 0.999, 60):
            path.write_bytes(whole[: int(part * len(whole))])
            with pytest.raises(DelineateError, match=r"a\.tif"):
                read(path, axes=axes).numpy()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"just some text, not an image\n" * 3, "content is text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "content is no TIFF"),
        (b"II", "truncated or damaged"),
        (b"II*\0\x08\0\0\0", "a.tif"),
        (b"MM\0*" + bytes(100), "a.tif"),
        (bytes(range(256)), "content is no TIFF"),
    ],
)
def test_what_is_no_tiff_is_refused(tmp_path, capfd, content, message):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ReadError, match=message) as caught:
        read(tmp_path / "a.tif")
    assert "a.tif" in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_damaged_pixels_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", numbered(40, 50), compression="zlib")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[-60:-20] = b"\xff" * 40
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ReadError, match=r"a\.tif"):
        read(tmp_path / "a.tif").numpy()


def test_missing_files_folders_and_unknown_suffixes(tmp_path):
    with pytest.raises(ReadError, match=r"none\.tif: no such file"):
        read(tmp_path / "none.tif")
    with pytest.raises(ReadError, match="is a folder"):
        read(tmp_path)
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(ReadError, match=r"a\.docx.*\.png.*\.tif"):
        read(tmp_path / "a.docx")
    with pytest.raises(ReadError, match="no suffix"):
        read(tmp_path / "image")


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    tifffile.imwrite(tmp_path / "a.tif", numbered(4, 5))
    (tmp_path / "a.png").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", refuse)
    for name in ("a.tif", "a.png"):
        with pytest.raises(ReadError, match=f"{name}: may not be read"):
            read(tmp_path / name)
