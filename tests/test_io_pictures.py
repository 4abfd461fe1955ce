"""PNG, JPEG and NPY: depth, colours, palettes, axes, damage."""

import logging
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from delineate.errors import AxesError, LabelError, ReadError
from delineate.io import read, read_labels


def numbered(*shape, dtype=np.uint8):
    return (np.arange(np.prod(shape)).reshape(shape) % 251).astype(dtype)


def write_png(path, pixels, bits, colour):
    """PNG of raw samples, with any number of bits."""
    rows = pixels.reshape(len(pixels), -1)
    if bits == 16:
        lines = rows.astype(">u2").view(np.uint8).reshape(len(rows), -1)
    else:
        spread = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., 8 - bits :]
        lines = np.packbits(spread.reshape(len(rows), -1), axis=1)
    data = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
    content = b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_png_keeps_its_depth(tmp_path, bits):
    pixels = np.arange(13 * 11).reshape(13, 11) * 263 % 2**bits
    write_png(tmp_path / "a.png", pixels, bits, 0)
    image = read(tmp_path / "a.png")
    assert image.axes == "YX"
    assert image.dtype == {1: bool, 16: np.uint16}.get(bits, np.uint8)
    np.testing.assert_array_equal(image.numpy(), pixels)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("bits", [8, 16])
def test_colour_png(tmp_path, caplog, bits):
    caplog.set_level(logging.INFO, logger="delineate")
    for samples, colour in ((3, 2), (4, 6)):
        pixels = numbered(7, 6, samples, dtype=np.uint16) * (200 if bits == 16 else 1)
        write_png(tmp_path / "a.png", pixels, bits, colour)
        image = read(tmp_path / "a.png")
        assert (image.axes, image.channels) == ("CYX", ("red", "green", "blue"))
        assert image.dtype == {8: np.uint8, 16: np.uint16}[bits]
        np.testing.assert_array_equal(image.numpy(), np.moveaxis(pixels[..., :3], -1, 0))
        assert ("alpha channel dropped" in caplog.text) is (samples == 4)
    with pytest.raises(LabelError, match="colour picture"):
        read_labels(tmp_path / "a.png")
    pixels = numbered(7, 6, 2)
    write_png(tmp_path / "a.png", pixels, 8, 4)
    np.testing.assert_array_equal(read(tmp_path / "a.png").numpy(), pixels[..., 0])


def test_palette_png_is_colours_or_ids(tmp_path):
    rng = np.random.default_rng(0)
    colours, indices = rng.integers(0, 256, (200, 3)), rng.integers(0, 200, (9, 8))
    picture = Pillow.fromarray(indices.astype(np.uint8))
    picture.putpalette(colours.astype(np.uint8).tobytes())
    for options in ({}, {"transparency": 3}):
        picture.save(tmp_path / "a.png", **options)
        image = read(tmp_path / "a.png")
        assert image.is_rgb
        np.testing.assert_array_equal(image.numpy(), np.moveaxis(colours[indices], -1, 0))
        np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), indices)
    picture.putpalette(np.repeat(np.arange(200, dtype=np.uint8)[::-1], 3).tobytes())
    picture.save(tmp_path / "a.png")
    image = read(tmp_path / "a.png")
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.numpy(), 199 - indices)


def test_palette_png_of_few_colours_keeps_its_ids(tmp_path):
    indices = np.arange(30).reshape(5, 6) % 3
    picture = Pillow.fromarray(indices.astype(np.uint8))
    picture.putpalette(bytes([0, 0, 0, 255, 0, 0, 0, 255, 0]))
    picture.save(tmp_path / "a.png", bits=2)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), indices)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "JPG"])
def test_jpeg(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    grey, colours = np.full((24, 32), 130, np.uint8), np.full((24, 32, 3), (200, 90, 30), np.uint8)
    Pillow.fromarray(grey).save(path, "JPEG")
    image = read(path)
    assert image.axes == "YX"
    np.testing.assert_allclose(image.numpy(), grey, atol=2)
    with pytest.raises(LabelError, match="JPEG"):
        read_labels(path)
    for options in ({}, {"progressive": True}):
        Pillow.fromarray(colours).save(path, "JPEG", **options)
        image = read(path)
        assert image.is_rgb
        np.testing.assert_allclose(image.numpy(), np.moveaxis(colours, -1, 0), atol=3)
    Pillow.fromarray(colours).convert("CMYK").save(path, "JPEG")
    assert read(path).is_rgb


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_truncated_pictures_are_refused_wherever_they_end(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (90, 80, 3)).astype(np.uint8)
    Pillow.fromarray(noise).save(path)
    whole = path.read_bytes()
    read(path)
    for end in [*np.linspace(1, len(whole) - 20, 50).astype(int), len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises(ReadError, match=rf"a\.{suffix}"):
            read(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "npy"])
def test_what_is_no_picture_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    for content, message in ((b"", "is empty"), (b"some text", rf"a\.{suffix}")):
        path.write_bytes(content)
        with pytest.raises(ReadError, match=message):
            read(path)


def test_a_damaged_png_is_refused(tmp_path):
    Pillow.fromarray(numbered(60, 50)).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ReadError, match=r"a\.png: is a damaged PNG"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", ">u2", "i4", "f4", "?"])
@pytest.mark.parametrize("lazy", [False, True])
def test_npy(tmp_path, monkeypatch, order, dtype, lazy):
    if lazy:
        monkeypatch.setattr("delineate.io.axes.EAGER_BYTES", 0)
    pixels = np.asarray(numbered(6, 7) % 2, dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", pixels)
    image = read(tmp_path / "a.npy")
    assert image.axes == "YX"
    assert image.dtype == pixels.dtype.newbyteorder("=")
    assert image.dtype.isnative
    np.testing.assert_array_equal(image.numpy(), pixels)
    np.testing.assert_array_equal(image.data[2:4, ::-1], pixels[2:4, ::-1])


def test_npy_of_three_axes_asks_for_them(tmp_path):
    pixels = numbered(6, 7, 3)
    np.save(tmp_path / "a.npy", pixels)
    with pytest.raises(AxesError, match=r"a\.npy.*--axes"):
        read(tmp_path / "a.npy")
    image = read(tmp_path / "a.npy", axes="YXS")
    assert image.is_rgb
    np.testing.assert_array_equal(image.numpy(), np.moveaxis(pixels, -1, 0))
    image = read(tmp_path / "a.npy", axes="YXC")
    assert (image.axes, image.channels) == ("CYX", ())
    assert read(tmp_path / "a.npy", axes="ZYX").shape == (6, 7, 3)


def test_unusable_npy_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    for array in (np.array([[{}]], dtype=object), np.zeros((3, 3), complex), np.zeros(5)):
        np.save(path, array, allow_pickle=True)
        with pytest.raises(ReadError, match=r"a\.npy"):
            read(path)
    np.save(path, np.zeros((3, 3), "U5"))
    with pytest.raises(ReadError, match=r"a\.npy.*type <U5"):
        read(path)
    np.save(path, numbered(60, 70))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ReadError, match=r"a\.npy"):
        read(path)


def test_pictures_have_one_scene(tmp_path):
    Pillow.fromarray(numbered(6, 5)).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", scene=0).shape == (6, 5)
    with pytest.raises(ReadError, match="one image only"):
        read(tmp_path / "a.png", scene=1)
