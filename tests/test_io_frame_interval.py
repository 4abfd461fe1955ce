"""Time between the frames of a movie: read from every format that tells it, written to all."""

from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import zarr

from delineate.image import Image
from delineate.io import read, write_image, write_labels
from delineate.io.ome_zarr_write import write_zarr
from delineate.io.reading import read_label_image
from delineate.io.tiff_metadata import metadata
from delineate.io.units import seconds
from microscope_files import write_czi_movie

MOVIE = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
SIZES = {"Y": 0.5, "X": 0.25}


def movie(interval, axes="TYX"):
    """A movie of 0.5 × 0.25 µm a pixel."""
    shape = tuple({"T": 3, "C": 2, "Z": 6, "Y": 4, "X": 5}[a] for a in axes)
    return Image(np.zeros(shape, np.uint8), axes, SIZES, frame_interval=interval)


def ome_pixels(path):
    """Attributes of Pixels as the OME-XML has them."""
    with tifffile.TiffFile(path) as file:
        root = ElementTree.fromstring(file.ome_metadata)
    return root.find("{*}Image/{*}Pixels").attrib


def multiscale(path):
    attributes = dict(zarr.open_group(path, mode="r").attrs)
    return attributes.get("ome", attributes)["multiscales"][0]


OME_UNITS = {
    "Ys": 1e24, "Zs": 1e21, "Es": 1e18, "Ps": 1e15, "Ts": 1e12, "Gs": 1e9, "Ms": 1e6, "ks": 1e3,
    "hs": 1e2, "das": 10, "s": 1, "ds": 0.1, "cs": 1e-2, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9,
    "ps": 1e-12, "fs": 1e-15, "as": 1e-18, "zs": 1e-21, "ys": 1e-24, "min": 60, "h": 3600,
    "d": 86400,
}  # fmt: skip
"""UnitsTime of the schema 2016-06."""

ZARR_UNITS = {
    "attosecond": 1e-18, "centisecond": 1e-2, "day": 86400, "decisecond": 0.1, "exasecond": 1e18,
    "femtosecond": 1e-15, "gigasecond": 1e9, "hectosecond": 100, "hour": 3600, "kilosecond": 1e3,
    "megasecond": 1e6, "microsecond": 1e-6, "millisecond": 1e-3, "minute": 60, "nanosecond": 1e-9,
    "petasecond": 1e15, "picosecond": 1e-12, "second": 1, "terasecond": 1e12,
    "yoctosecond": 1e-24, "yottasecond": 1e24, "zeptosecond": 1e-21, "zettasecond": 1e21,
}  # fmt: skip
"""Units of time that OME-Zarr 0.4 and 0.5 list."""

TYPED = {"sec": 1, "Seconds": 1, "msec": 1e-3, "us": 1e-6, "\u03bcs": 1e-6, "\\u00B5s": 1e-6,
         "Min": 60, "minutes": 60, "hr": 3600, "Hours": 3600, "days": 86400}  # fmt: skip
"""What people type into ImageJ."""


@pytest.mark.parametrize(("unit", "factor"), [*(OME_UNITS | ZARR_UNITS | TYPED).items()])
def test_units_of_time(unit, factor):
    assert seconds(3, unit) == pytest.approx(3 * factor, rel=1e-12)


def test_decimal_fractions_are_exact():
    assert seconds(100, "ms") == 0.1
    assert seconds("0.1", "min") == 6.0


@pytest.mark.parametrize("interval", [None, 0, -2.0, np.nan, np.inf, "", "soon", "nan", "1e999"])
def test_what_is_no_time_is_unknown(interval):
    assert seconds(interval, "s") is None


@pytest.mark.parametrize("unit", ["", "frame", "pixel", "µm", "m"])
def test_a_unit_that_is_none_of_time_is_unknown(unit):
    assert seconds(5.0, unit) is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"TimeIncrement": 30.0}, 30.0),
        ({"TimeIncrement": 30.0, "TimeIncrementUnit": "s"}, 30.0),
        ({"TimeIncrement": 250.0, "TimeIncrementUnit": "ms"}, 0.25),
        ({"TimeIncrement": 1.5, "TimeIncrementUnit": "min"}, 90.0),
        ({"TimeIncrement": 0.0, "TimeIncrementUnit": "s"}, None),
        ({"TimeIncrement": -1.0}, None),
        ({"TimeIncrement": float("nan")}, None),
        ({"TimeIncrement": 4.0, "TimeIncrementUnit": "reference frame"}, None),
        ({}, None),
    ],
)
def test_ome_tiff_is_read(tmp_path, said, expected):
    tifffile.imwrite(tmp_path / "a.ome.tif", MOVIE, metadata={"axes": "TYX", **said})
    image = read(tmp_path / "a.ome.tif")
    assert (image.axes, image.frame_interval) == ("TYX", expected)


def test_each_scene_of_an_ome_tiff_has_its_own(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        for interval in (2.0, 5.0):
            file.write(MOVIE, metadata={"axes": "TYX", "TimeIncrement": interval})
    assert [read(tmp_path / "a.ome.tif", scene=n).frame_interval for n in (0, 1)] == [2.0, 5.0]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"finterval": 30.0}, 30.0),
        ({"finterval": 30, "tunit": "sec"}, 30.0),
        ({"finterval": 0.5, "tunit": "s"}, 0.5),
        ({"finterval": 250.0, "tunit": "ms"}, 0.25),
        ({"finterval": 1.5, "tunit": "min"}, 90.0),
        ({"finterval": 2, "tunit": "hours"}, 7200.0),
        ({"finterval": 0.0, "tunit": "s"}, None),
        ({"finterval": -3.0}, None),
        ({"finterval": "NaN"}, None),
        ({"finterval": 1.0, "tunit": "frame"}, None),
        ({"fps": 7.0}, None),  # how fast it is shown
        ({}, None),
    ],
)
def test_imagej_is_read(tmp_path, said, expected):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, MOVIE, imagej=True, metadata={"axes": "TYX", **said})
    image = read(path)
    assert (image.axes, image.frame_interval) == ("TYX", expected)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("scale", "unit", "expected"),
    [
        (30.0, "second", 30.0),
        (1.0, "second", 1.0),
        (250.0, "millisecond", 0.25),
        (1.5, "minute", 90.0),
        (1.0, None, None),
        (30.0, None, None),
        (0.0, "second", None),
        (1.0, "micrometer", None),
    ],
)
def test_ome_zarr_is_read(tmp_path, version, scale, unit, expected):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=3 if version == "0.5" else 2)
    group.create_array("0", shape=MOVIE.shape, dtype="u1")[...] = MOVIE
    axes = [
        {"name": "frame", "type": "time", **({"unit": unit} if unit else {})},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    transformations = [{"type": "scale", "scale": [scale, 0.5, 0.25]}]
    known = {
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": transformations}],
    }
    group.attrs.update({"ome": {"multiscales": [known]}} if version == "0.5" else
                       {"multiscales": [known | {"version": version}]})  # fmt: skip
    image = read(tmp_path / "a.zarr")
    assert (image.axes, image.frame_interval) == ("TYX", expected)
    assert image.pixel_size == SIZES


def test_scale_of_the_whole_image_counts_too(tmp_path):
    write_image(tmp_path / "a.ome.zarr", movie(2.0))
    group = zarr.open_group(tmp_path / "a.ome.zarr")
    known = dict(group.attrs)["ome"]
    whole = {"type": "scale", "scale": [10.0, 1.0, 1.0]}
    known["multiscales"][0]["coordinateTransformations"] = [whole]
    group.attrs.update({"ome": known})
    assert read(tmp_path / "a.ome.zarr").frame_interval == 20.0


@pytest.mark.parametrize(("interval", "expected"), [(2.5, 2.5), (0.0, None)])
def test_lsm_is_read(interval, expected):
    file = SimpleNamespace(
        is_ome=False, is_imagej=False, is_lsm=True, lsm_metadata={"TimeIntervall": interval}
    )
    assert metadata(file, None).frame_interval == expected


@pytest.mark.parametrize(
    ("said", "expected"), [("2.5", 2.5), ("1e-1", 0.1), ("0", None), ("", None)]
)
def test_czi_is_read(tmp_path, said, expected):
    write_czi_movie(tmp_path / "a.czi", MOVIE, said)
    image = read(tmp_path / "a.czi")
    assert (image.axes, image.frame_interval) == ("TYX", expected)
    assert image.pixel_size == pytest.approx({"Y": 0.5, "X": 0.5})
    np.testing.assert_array_equal(image.numpy(), MOVIE)
    assert image.select(T=0).frame_interval is None


@pytest.mark.parametrize("axes", ["TYX", "TCZYX"])
@pytest.mark.parametrize("interval", [0.1, 90.0, None])
def test_written_ome_tiff_says_it_in_seconds(tmp_path, axes, interval):
    path = tmp_path / "a.ome.tif"
    write_image(path, movie(interval, axes))
    said = ome_pixels(path)
    assert said.get("TimeIncrement") == (None if interval is None else str(interval))
    assert said.get("TimeIncrementUnit") == (None if interval is None else "s")
    assert not [name for name in said if name.startswith("PhysicalSizeT")]
    image = read(path)
    assert (image.axes, image.frame_interval) == (axes, interval)
    assert image.pixel_size == SIZES


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("interval", [0.1, 90.0, None])
@pytest.mark.parametrize("is_labels", [False, True])
def test_written_ome_zarr_says_it_in_seconds(tmp_path, version, interval, is_labels):
    path = tmp_path / "a.ome.zarr"
    image = movie(interval, "TZYX")
    wide = Image(np.zeros((3, 6, 4, 2000), np.uint8), "TZYX", SIZES, frame_interval=interval)
    write_zarr(path, wide, is_labels=is_labels, version=version)
    known = multiscale(path)
    time = {"name": "t", "type": "time"}
    assert known["axes"][0] == (time if interval is None else {**time, "unit": "second"})
    assert len(known["datasets"]) == 2
    for level in known["datasets"]:
        for transformation in level["coordinateTransformations"]:
            first = transformation[transformation["type"]][0]
            scale = 1.0 if interval is None else interval
            assert first == (scale if transformation["type"] == "scale" else 0.0)
    back = read(path)
    assert (back.axes, back.frame_interval, back.pixel_size) == (
        "TZYX",
        interval,
        image.pixel_size,
    )


@pytest.mark.parametrize("interval", [0.1, 90.0, None])
@pytest.mark.parametrize("highest", [7, 70000, 2**33])
def test_written_labels_keep_it(tmp_path, highest, interval):
    labels = np.zeros((3, 4, 5), np.uint64)
    labels[1, 2, 3] = highest
    image = movie(interval, "TCYX")
    for path in (tmp_path / "a.tif", tmp_path / "a.ome.zarr"):
        write_labels(path, labels, image, "TYX")
        back = read_label_image(path)
        assert (back.axes, back.frame_interval) == ("TYX", interval)
        assert back.pixel_size == pytest.approx(SIZES)
        np.testing.assert_array_equal(back.numpy(), labels)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        if highest == 7:
            said = file.imagej_metadata
            known = (None, None) if interval is None else (interval, "sec")
            assert (said.get("finterval"), said.get("tunit")) == known
        elif highest == 70000:
            expected = None if interval is None else str(interval)
            assert ome_pixels(tmp_path / "a.tif").get("TimeIncrement") == expected
        else:
            assert file.shaped_metadata[0].get("TimeIncrement") == interval


def test_labels_within_an_image_keep_it(tmp_path):
    image = movie(0.25)
    write_zarr(tmp_path / "a.zarr", image, is_labels=False, version="0.4")
    write_labels(tmp_path / "a.zarr" / "labels" / "cells", MOVIE, image, "TYX")
    known = multiscale(tmp_path / "a.zarr" / "labels" / "cells")
    assert known["axes"][0]["unit"] == "second"
    assert read(tmp_path / "a.zarr" / "labels" / "cells").frame_interval == 0.25


def test_without_times_there_is_none_between_them(tmp_path):
    image = movie(30.0)
    for path in (tmp_path / "a.tif", tmp_path / "a.ome.zarr"):
        write_labels(path, MOVIE[0], image, "YX")
        assert read(path).frame_interval is None
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert "finterval" not in file.imagej_metadata
    write_image(tmp_path / "b.ome.tif", image.select(T=0))
    assert "TimeIncrement" not in ome_pixels(tmp_path / "b.ome.tif")
    # One frame that the file calls a movie.
    write_image(tmp_path / "c.ome.tif", image.select(T=[1]))
    assert ome_pixels(tmp_path / "c.ome.tif")["TimeIncrement"] == "30.0"
    assert (read(tmp_path / "c.ome.tif").axes, read(tmp_path / "c.ome.tif").frame_interval) == (
        "YX",
        None,
    )


def test_it_belongs_to_the_axis_that_the_user_calls_time(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, MOVIE, imagej=True, metadata={"axes": "ZYX", "finterval": 4.0})
    assert read(path).frame_interval is None
    assert read(path, axes="TYX!").frame_interval == 4.0
    assert read(path, axes="CYX").frame_interval is None


def test_a_palette_of_labels_keeps_it(tmp_path):
    colours = np.random.default_rng(0).integers(0, 65536, (3, 256)).astype(np.uint16)
    known = {"axes": "TYX", "TimeIncrement": 8.0, "TimeIncrementUnit": "s"}
    tifffile.imwrite(
        tmp_path / "a.tif", MOVIE, photometric="palette", colormap=colours, metadata=known
    )
    image = read_label_image(tmp_path / "a.tif")
    assert (image.axes, image.frame_interval) == ("TYX", 8.0)
    np.testing.assert_array_equal(image.numpy(), MOVIE)


def test_large_movies_that_are_read_later_have_it_and_their_parts_too(tmp_path, monkeypatch):
    monkeypatch.setattr("delineate.io.axes.EAGER_BYTES", 0)
    for name in ("a.ome.tif", "a.ome.zarr"):
        write_image(tmp_path / name, movie(2.0, "TZYX"))
        image = read(tmp_path / name)
        assert not isinstance(image.data, np.ndarray)
        assert image.frame_interval == 2.0
        assert image.select(T=slice(None, None, 2), Z=1).frame_interval == 4.0
