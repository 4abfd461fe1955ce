"""TIFF in all its kinds of storage: whole planes, regions and any index."""

import pickle

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delineate.errors import ReadError
from delineate.io import read
from microscope_files import numbered

KINDS = {
    "plain": {},
    "big": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "deflate": {"compression": "zlib", "predictor": True},
    "lzw": {"compression": "lzw"},
    "zstd": {"compression": "zstd"},
    "tiles": {"tile": (16, 16)},
    "deflated tiles": {"tile": (16, 32), "compression": "zlib", "predictor": True},
    "strips": {"rowsperstrip": 7, "compression": "zlib"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_one_plane(tmp_path, kind, dtype):
    pixels = numbered(45, 53, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, metadata=None, **KINDS[kind])
    image = read(tmp_path / "a.tif")
    assert (image.axes, image.dtype, image.channels) == ("YX", np.dtype(dtype), ())
    assert image.dtype.isnative
    assert image.source == tmp_path / "a.tif"
    np.testing.assert_array_equal(image.numpy(), pixels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metadata", ["imagej", "ome", "shaped"])
def test_regions_equal_those_of_the_whole(tmp_path, lazy, kind, metadata):
    options = dict(KINDS[kind])
    if metadata == "imagej":
        options.pop("bigtiff", None)
        options["imagej"] = True
    options["ome"] = metadata == "ome"
    pixels = numbered(2, 3, 4, 45, 53)
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels,
        metadata={"axes": "TZCYX"},
        photometric="minisblack",
        **options,
    )
    image = read(tmp_path / "a.tif")
    assert image.axes == "TCZYX"
    assert not isinstance(image.data, np.ndarray)
    whole = pixels.transpose(0, 2, 1, 3, 4)
    np.testing.assert_array_equal(image.numpy(), whole)
    np.testing.assert_array_equal(np.asarray(image.data), whole)
    for key in (
        (1, 2, 0),
        (slice(None), 1, slice(None, None, -1), slice(10, 30), slice(40, None, 3)),
        (0, [3, 1], Ellipsis, slice(-9, -2), 52),
        (Ellipsis, 7),
        (-1, -1, -1, -1, -1),
        (slice(0, 0),),
        (0, slice(3, 1)),
    ):
        np.testing.assert_array_equal(image.data[key], whole[key])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(image)).data[1, 2], whole[1, 2])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_index_equals_numpys(tmp_path, data):
    path = tmp_path / "index.tif"
    pixels = numbered(5, 37, 29)
    if not path.exists():
        tifffile.imwrite(path, pixels, metadata={"axes": "ZYX"}, compression="zlib", tile=(16, 16))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("delineate.io.axes.EAGER_BYTES", 0)
        image = read(path)
    key = tuple(
        data.draw(st.one_of(st.integers(-size, size - 1), st.slices(size))) for size in pixels.shape
    )
    np.testing.assert_array_equal(image.data[key], pixels[key])


@pytest.mark.parametrize("key", [(5,), (0, 0, 37), (0, 0, 0, 0), (Ellipsis, Ellipsis), (1.5,)])
def test_indices_outside_are_refused(tmp_path, lazy, key):
    tifffile.imwrite(tmp_path / "a.tif", numbered(5, 37, 29), metadata={"axes": "ZYX"})
    with pytest.raises(IndexError):
        read(tmp_path / "a.tif").data[key]


def test_a_region_of_a_big_image_is_decoded_alone(tmp_path):
    """All other tiles are overwritten with garbage: a region that needs none of them is right."""
    path = tmp_path / "big.tif"
    tile = np.arange(512 * 512, dtype=np.uint16).reshape(512, 512)
    tiles = (np.roll(tile, i) for i in range(400))
    tifffile.imwrite(
        path, tiles, shape=(10240, 10240), dtype=np.uint16, tile=(512, 512),
        compression="zlib", compressionargs={"level": 1}, metadata=None, bigtiff=True,
    )  # fmt: skip
    with tifffile.TiffFile(path) as file:
        offsets, counts = file.pages[0].dataoffsets, file.pages[0].databytecounts
    wanted = {5 * 20 + 7, 5 * 20 + 8}
    with path.open("r+b") as file:
        for number, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
            if number not in wanted:
                file.seek(offset)
                file.write(b"\xff" * count)
    image = read(path)
    assert image.shape == (10240, 10240)
    region = image.data[5 * 512 + 10 : 6 * 512, 7 * 512 + 100 : 9 * 512]
    expected = np.hstack([np.roll(tile, 107)[10:, 100:], np.roll(tile, 108)[10:]])
    np.testing.assert_array_equal(region, expected)
    with pytest.raises(ReadError, match=r"big\.tif.*cannot be decoded"):
        image.data[0, 0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_smallest_pictures(tmp_path, shape):
    pixels = numbered(*shape) + 1
    for options in ({}, {"metadata": None}, {"compression": "zlib"}):
        tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
        image = read(tmp_path / "a.tif")
        assert image.axes == "YX"
        np.testing.assert_array_equal(image.numpy(), pixels)
