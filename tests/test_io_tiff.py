"""TIFF: pixel size, channels, colours, and images that were written."""

import logging

import numpy as np
import pytest
import tifffile

from delineate.errors import ReadError
from delineate.image import Image
from delineate.io import read, read_labels, scenes, write_image
from microscope_files import numbered


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


@pytest.mark.parametrize("ending", [".tif", ".ome.tif"])
@pytest.mark.parametrize("axes", ["YX", "CYX", "ZYX", "TCZYX", "TZYX"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "f4", "f8", "f2", "?"])
def test_written_images_come_back(tmp_path, axes, dtype, ending):
    shape = tuple({"T": 2, "C": 3, "Z": 4, "Y": 15, "X": 12}[a] for a in axes)
    pixels = (numbered(*shape) % (2 if dtype == "?" else 250)).astype(dtype)
    sizes = {a: s for a, s in {"Z": 2.0, "Y": 0.325, "X": 0.3}.items() if a in axes}
    names = ("DAPI", "GFP & more", "Zelle-µ") if "C" in axes else ()
    write_image(tmp_path / f"a{ending}", Image(pixels, axes, sizes, channels=names))
    image = read(tmp_path / f"a{ending}")
    assert (image.axes, image.channels, image.unit) == (axes, names, "µm")
    assert image.pixel_size == pytest.approx(sizes)
    np.testing.assert_array_equal(image.numpy(), pixels)
    with tifffile.TiffFile(tmp_path / f"a{ending}") as file:
        # ImageJ undoes a predictor for LZW only: of others it shows what is stored.
        assert all(317 not in page.tags for page in file.pages)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f2", "?"])
def test_imagej_opens_what_is_written_as_a_hyperstack(tmp_path, dtype):
    pixels = (numbered(2, 3, 4, 15, 12) % 2).astype(dtype)
    sizes = {"Z": 2.0, "Y": 0.325, "X": 0.3}
    image = Image(pixels, "TCZYX", sizes, channels=("A", "B", "C"), frame_interval=30.0)
    write_image(tmp_path / "a.tif", image)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        known = file.imagej_metadata
        assert [known[k] for k in ("frames", "channels", "slices")] == [2, 3, 4]
        assert (known["unit"], known["spacing"], known["finterval"]) == ("um", 2.0, 30.0)
        assert known["Labels"] == ["A", "B", "C"] * 8
        assert not file.pages[0].is_tiled
        # The order of planes that ImageJ knows: channels run fastest, then Z, then time.
        order = [page.asarray() for page in file.pages]
    np.testing.assert_array_equal(
        np.stack(order), pixels.swapaxes(1, 2).reshape(24, 15, 12).astype(order[0].dtype)
    )
    assert read(tmp_path / "a.tif").frame_interval == 30


@pytest.mark.parametrize(
    ("dtype", "sizes", "unit", "names"),
    [
        ("u2", {"Z": 2.0}, "µm", ()),
        ("u2", {"Y": 0.5}, "µm", ()),
        ("u2", {"X": 0.5, "Y": 0.5}, "Å", ()),
        ("u2", {}, "µm", ("red", "green", "blue")),
        ("u2", {}, "µm", ("A", "A", "B")),
        ("i4", {}, "µm", ()),
    ],
)
def test_what_imagej_has_no_place_for_is_kept_in_ome(tmp_path, dtype, sizes, unit, names):
    image = Image(numbered(3, 4, 8, 9).astype(dtype), "CZYX", sizes, unit, names)
    write_image(tmp_path / "a.tif", image)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_ome
    back = read(tmp_path / "a.tif")
    assert back.channels == names
    assert set(back.pixel_size) == set(sizes)


def test_written_colours_are_colours(tmp_path):
    pixels = numbered(3, 8, 9, dtype=np.uint8)
    names = ("red", "green", "blue")
    write_image(tmp_path / "a.tif", Image(pixels, "CYX", {"Y": 0.5, "X": 0.5}, channels=names))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_imagej
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
