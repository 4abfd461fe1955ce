"""TIFF in all its kinds: axes, pixel size, channels, colours, regions, damage."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delineate.errors import AxesError, DelineateError, ReadError
from delineate.image import Image
from delineate.io import read, read_labels, scenes, write_image


def numbered(*shape, dtype=np.uint16):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.fixture
def lazy(monkeypatch):
    """Read nothing at once, however small."""
    monkeypatch.setattr("delineate.io.axes.EAGER_BYTES", 0)


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


def test_imagej_hyperstack(tmp_path):
    pixels = numbered(2, 3, 4, 10, 11)
    labels = [f"{name}" for _ in range(6) for name in ("DAPI", "GFP", "RFP", "Cy5")]
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, imagej=True, resolution=(4, 2),
        metadata={"axes": "TZCYX", "unit": "\\u00B5m", "spacing": 1.5, "Labels": labels},
    )  # fmt: skip
    image = read(tmp_path / "a.tif")
    assert image.axes == "TCZYX"
    assert image.pixel_size == {"Z": 1.5, "Y": 0.5, "X": 0.25}
    assert image.unit == "µm"
    assert image.channels == ("DAPI", "GFP", "RFP", "Cy5")
    np.testing.assert_array_equal(image.numpy(), pixels.transpose(0, 2, 1, 3, 4))


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("nm", 2e-4), ("mm", 200.0), ("cm", 2000.0), ("micron", 0.2), ("µm", 0.2), ("inch", 5080.0)],
)
def test_units_become_micrometres(tmp_path, unit, expected):
    tifffile.imwrite(
        tmp_path / "a.tif", numbered(4, 5), imagej=True, resolution=(5, 5),
        metadata={"unit": unit.replace("µ", "\\u00B5")},
    )  # fmt: skip
    image = read(tmp_path / "a.tif")
    assert image.pixel_size == pytest.approx({"Y": expected, "X": expected})
    assert image.unit == "µm"


@pytest.mark.parametrize("unit", ["", "pixel"])
def test_pixels_are_no_unit(tmp_path, unit):
    metadata = {"unit": unit} if unit else {}
    tifffile.imwrite(
        tmp_path / "a.tif", numbered(4, 5), imagej=True, resolution=(5, 5), metadata=metadata
    )
    assert read(tmp_path / "a.tif").pixel_size == {}


def test_resolution_in_centimetres_counts_and_in_inches_not(tmp_path):
    for unit, expected in (("CENTIMETER", {"Y": 0.5, "X": 0.5}), ("INCH", {}), ("NONE", {})):
        tifffile.imwrite(
            tmp_path / "a.tif", numbered(4, 5), resolution=(20000, 20000), resolutionunit=unit
        )
        assert read(tmp_path / "a.tif").pixel_size == expected
    tifffile.imwrite(
        tmp_path / "a.tif", numbered(4, 5), resolution=(72 / 2.54, 72 / 2.54), resolutionunit=3
    )
    assert read(tmp_path / "a.tif").pixel_size == {}


def test_ome_tiff_with_pyramid_is_read_at_full_resolution(tmp_path):
    pixels = numbered(3, 200, 220)
    metadata = {
        "axes": "CYX",
        "Channel": {"Name": ["DAPI", "GFP", "membrane"]},
        "PhysicalSizeX": 325.0, "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.65, "PhysicalSizeYUnit": "µm",
    }  # fmt: skip
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        options = {"tile": (64, 64), "photometric": "minisblack", "compression": "zlib"}
        file.write(pixels, subifds=2, metadata=metadata, **options)
        file.write(pixels[:, ::2, ::2], subfiletype=1, **options)
        file.write(pixels[:, ::4, ::4], subfiletype=1, **options)
    image = read(tmp_path / "a.ome.tif")
    assert (image.axes, image.shape) == ("CYX", (3, 200, 220))
    assert image.channels == ("DAPI", "GFP", "membrane")
    assert image.pixel_size == pytest.approx({"Y": 0.65, "X": 0.325})
    np.testing.assert_array_equal(image.numpy(), pixels)


def test_scenes_of_an_ome_tiff(tmp_path, caplog):
    first, second = numbered(8, 9), numbered(6, 7) + 3
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(first, metadata={"axes": "YX", "Name": "left", "PhysicalSizeX": 1.0})
        file.write(second, metadata={"axes": "YX", "Name": "right", "PhysicalSizeX": 2.0})
    path = tmp_path / "a.ome.tif"
    assert scenes(path) == ["left", "right"]
    with caplog.at_level(logging.WARNING, logger="delineate"):
        np.testing.assert_array_equal(read(path).numpy(), first)
    assert "holds 2 images" in caplog.text
    for scene in (1, "1", "right"):
        image = read(path, scene=scene)
        np.testing.assert_array_equal(image.numpy(), second)
        assert image.pixel_size["X"] == 2.0
    with pytest.raises(ReadError, match=r"no scene 'middle'.*'left'.*'right'"):
        read(path, scene="middle")


def test_planes_of_a_missing_file_of_a_set_are_announced(tmp_path, caplog):
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="9" SizeY="8" SizeZ="2" '
        'SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        '<TiffData FirstZ="0" IFD="0" PlaneCount="1"><UUID FileName="a.ome.tif">urn:uuid:1</UUID>'
        '</TiffData><TiffData FirstZ="1" IFD="0" PlaneCount="1"><UUID FileName="b.ome.tif">'
        "urn:uuid:2</UUID></TiffData></Pixels></Image></OME>"
    ).replace("<OME ", '<OME UUID="urn:uuid:1" ')
    pixels = numbered(8, 9)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, description=xml, metadata=None)
    image = read(tmp_path / "a.ome.tif")
    assert "1 of 2 planes are in files that are missing" in caplog.text
    np.testing.assert_array_equal(image.numpy(), [pixels, 0 * pixels])
    tifffile.imwrite(tmp_path / "b.ome.tif", pixels + 1, description=xml, metadata=None)
    np.testing.assert_array_equal(read(tmp_path / "a.ome.tif").numpy(), [pixels, pixels + 1])


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib", "jpeg"])
def test_colours(tmp_path, lazy, planar, compression):
    pixels = np.full((24, 32, 3), (200, 120, 40), np.uint8)
    stored = np.moveaxis(pixels, -1, 0) if planar else pixels
    options = {"planarconfig": "separate" if planar else "contig"}
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", compression=compression, **options
    )
    image = read(tmp_path / "a.tif")
    assert (image.axes, image.channels) == ("CYX", ("red", "green", "blue"))
    np.testing.assert_allclose(image.numpy(), np.moveaxis(pixels, -1, 0), atol=2)
    np.testing.assert_allclose(image.data[1, 3:5, ::2], pixels[3:5, ::2, 1], atol=2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_dropped_with_a_line_in_the_log(tmp_path, lazy, caplog, dtype):
    pixels = numbered(8, 9, 4, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    with caplog.at_level(logging.INFO, logger="delineate"):
        image = read(tmp_path / "a.tif")
    assert "a.tif: alpha channel dropped" in caplog.text
    assert image.is_rgb
    np.testing.assert_array_equal(image.numpy(), np.moveaxis(pixels[..., :3], -1, 0))
    np.testing.assert_array_equal(image.data[::-1, 1:3, 4], pixels[1:3, 4, 2::-1].T)


def test_samples_that_are_no_colours_are_channels(tmp_path):
    pixels = numbered(8, 9, 5)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig")
    image = read(tmp_path / "a.tif")
    assert (image.axes, image.channels) == ("CYX", ())
    np.testing.assert_array_equal(image.numpy(), np.moveaxis(pixels, -1, 0))
    tifffile.imwrite(
        tmp_path / "a.tif", numbered(8, 9, 2), photometric="minisblack", planarconfig="contig",
        extrasamples=["unassalpha"],
    )  # fmt: skip
    image = read(tmp_path / "a.tif")
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.numpy(), numbered(8, 9, 2)[..., 0])


def test_palettes(tmp_path):
    rng = np.random.default_rng(1)
    palette = (rng.integers(0, 256, (3, 256)) * 257).astype(np.uint16)
    indices = rng.integers(0, 256, (8, 9)).astype(np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, indices, photometric="palette", colormap=palette)
    image = read(path)
    assert image.is_rgb
    np.testing.assert_array_equal(image.numpy(), (palette // 257)[:, indices])
    np.testing.assert_array_equal(read_labels(path), indices)
    # A ramp of one colour, and any table of ImageJ's, only says how to show the intensities.
    green = np.zeros((3, 256), np.uint16)
    green[1] = np.arange(256) * 257
    tifffile.imwrite(path, indices, photometric="palette", colormap=green)
    np.testing.assert_array_equal(read(path).numpy(), indices)
    tifffile.imwrite(path, indices, imagej=True, colormap=palette)
    np.testing.assert_array_equal(read(path).numpy(), indices)


def test_one_bit(tmp_path):
    pixels = np.arange(35).reshape(5, 7) % 3 == 0
    for compression in (None, "packbits"):
        tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression)
        image = read(tmp_path / "a.tif")
        assert image.dtype == bool
        np.testing.assert_array_equal(image.numpy(), pixels)


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


def test_axes_named_by_the_user_beat_those_of_the_file(tmp_path):
    pixels = numbered(3, 8, 9)
    rgb = {"photometric": "rgb", "planarconfig": "separate"}  # as tifffile writes by itself
    tifffile.imwrite(tmp_path / "a.tif", pixels, **rgb)
    assert read(tmp_path / "a.tif").is_rgb
    image = read(tmp_path / "a.tif", axes="ZYX")
    assert (image.axes, image.channels) == ("ZYX", ())
    image = read(tmp_path / "a.tif", axes="CYX")
    assert (image.axes, image.channels) == ("CYX", ())
    np.testing.assert_array_equal(image.numpy(), pixels)
    # In a folder of mixed pictures the same --axes does for grey and for colour ones.
    tifffile.imwrite(tmp_path / "b.tif", numbered(8, 9, 3), photometric="rgb")
    assert read(tmp_path / "b.tif", axes="YX").is_rgb


def test_axes_of_length_one_are_dropped(tmp_path):
    pixels = numbered(1, 1, 1, 8, 9)
    tifffile.imwrite(tmp_path / "a.tif", pixels, metadata={"axes": "TZCYX"})
    assert read(tmp_path / "a.tif").axes == "YX"
    assert read(tmp_path / "a.tif", axes="TZCYX").axes == "YX"
    tifffile.imwrite(tmp_path / "a.tif", numbered(1, 8, 9), metadata=None)
    assert read(tmp_path / "a.tif").axes == "YX"
    tifffile.imwrite(
        tmp_path / "a.tif", numbered(4, 1, 9), metadata={"axes": "ZYX"}, photometric="minisblack"
    )
    assert read(tmp_path / "a.tif").sizes == {"Z": 4, "Y": 1, "X": 9}


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_smallest_pictures(tmp_path, shape):
    pixels = numbered(*shape) + 1
    for options in ({}, {"metadata": None}, {"compression": "zlib"}):
        tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
        image = read(tmp_path / "a.tif")
        assert image.axes == "YX"
        np.testing.assert_array_equal(image.numpy(), pixels)


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
    tifffile.imwrite(tmp_path / "a.tif", numbered(4, 5))

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(ReadError, match=r"a\.png: may not be read"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("axes", ["YX", "CYX", "ZYX", "TCZYX", "TZYX"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "f4", "f8", "f2", "?"])
def test_written_images_come_back(tmp_path, axes, dtype):
    shape = tuple({"T": 2, "C": 3, "Z": 4, "Y": 15, "X": 12}[a] for a in axes)
    pixels = (numbered(*shape) % (2 if dtype == "?" else 250)).astype(dtype)
    sizes = {a: s for a, s in {"Z": 2.0, "Y": 0.325, "X": 0.3}.items() if a in axes}
    names = ("DAPI", "GFP & more", "Zelle-µ") if "C" in axes else ()
    write_image(tmp_path / "a.ome.tif", Image(pixels, axes, sizes, channels=names))
    image = read(tmp_path / "a.ome.tif")
    assert (image.axes, image.channels, image.unit) == (axes, names, "µm")
    assert image.pixel_size == pytest.approx(sizes)
    np.testing.assert_array_equal(image.numpy(), pixels)


def test_written_colours_are_colours(tmp_path):
    pixels = numbered(3, 8, 9, dtype=np.uint8)
    names = ("red", "green", "blue")
    write_image(tmp_path / "a.tif", Image(pixels, "CYX", {"Y": 0.5, "X": 0.5}, channels=names))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
    image = read(tmp_path / "a.tif")
    assert image.is_rgb
    assert image.pixel_size == {"Y": 0.5, "X": 0.5}
    np.testing.assert_array_equal(image.numpy(), pixels)


def test_a_written_big_image_has_tiles(tmp_path):
    pixels = np.zeros((1100, 1200), np.uint8)
    pixels[500, 700] = 9
    write_image(tmp_path / "a.ome.tif", Image(pixels, "YX"))
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert file.pages[0].is_tiled
    np.testing.assert_array_equal(read(tmp_path / "a.ome.tif").numpy(), pixels)


def test_an_image_that_ome_tiff_cannot_hold_is_refused(tmp_path):
    from delineate.errors import WriteError

    with pytest.raises(WriteError, match=r"a\.ome\.tif.*\.ome\.zarr"):
        write_image(tmp_path / "a.ome.tif", Image(np.zeros((3, 4), np.int64), "YX"))
    assert list(tmp_path.iterdir()) == []
