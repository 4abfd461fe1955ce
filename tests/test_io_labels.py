"""Label images: what is written comes back, in the smallest type, with its scale."""

import logging

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from delineate.errors import AxesError, LabelError, WriteError
from delineate.image import Image
from delineate.io import read, read_label_image, read_labels, write_image, write_labels

IDS = st.sampled_from([0, 1, 2, 255, 256, 65535, 65536, 2**31, 2**32 - 1, 2**32, 2**40])
SCALED = Image(np.zeros((4, 5, 6)), "ZYX", {"Z": 2.0, "Y": 0.325, "X": 0.65})


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    labels=hnp.arrays(np.uint64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9), elements=IDS)
)
def test_tiff_labels_come_back_equal(labels, tmp_path):
    write_labels(tmp_path / "a.tif", labels)
    axes = "ZYX"[3 - labels.ndim :]
    back = read_labels(tmp_path / "a.tif", axes=axes)
    squeezed = labels[0] if labels.ndim == 3 and labels.shape[0] == 1 else labels
    np.testing.assert_array_equal(back, squeezed)
    assert back.dtype.kind == "u"


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (0, "u1"),
        (255, "u1"),
        (256, "u2"),
        (65535, "u2"),
        (65536, "u4"),
        (2**32 - 1, "u4"),
        (2**32, "u8"),
    ],
)
def test_type_is_the_smallest_that_holds_the_ids(tmp_path, highest, expected):
    labels = np.zeros((3, 4), np.int64)
    labels[1, 2] = highest
    write_labels(tmp_path / "a.tif", labels)
    stored = tifffile.imread(tmp_path / "a.tif")
    assert stored.dtype == np.dtype(expected)
    assert stored.max() == highest
    assert read_labels(tmp_path / "a.tif").dtype == np.dtype(expected)


@pytest.mark.parametrize("highest", [7, 300, 70000, 2**33])
def test_scale_and_axes_are_kept(tmp_path, highest):
    labels = np.zeros((4, 5, 6), np.uint64)
    labels[0, 0, 0] = highest
    write_labels(tmp_path / "a.tif", labels, like=SCALED)
    image = read(tmp_path / "a.tif")
    assert image.axes == "ZYX"
    assert image.unit == "µm"
    assert image.pixel_size == pytest.approx({"Z": 2.0, "Y": 0.325, "X": 0.65})
    np.testing.assert_array_equal(image.numpy(), labels)


def test_small_labels_are_an_imagej_file_without_predictor(tmp_path):
    # ImageJ undoes the predictor for LZW only: with deflate it would show garbage.
    write_labels(tmp_path / "a.tif", np.arange(12).reshape(3, 4))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_imagej
        assert file.pages[0].predictor == 1
        assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE


def test_labels_are_compressed(tmp_path):
    write_labels(tmp_path / "a.tif", np.repeat(np.arange(512), 512).reshape(512, 512))
    assert (tmp_path / "a.tif").stat().st_size < 512 * 512 * 2 / 20


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        (np.full((3, 3), -1), LabelError),
        (np.zeros((3, 3), np.float32), LabelError),
        (np.zeros((2, 2, 3, 3), np.int32), AxesError),
        (np.zeros(3, np.int32), AxesError),
    ],
)
def test_what_is_no_label_image_is_refused(tmp_path, labels, error):
    with pytest.raises(error, match=r"a\.tif"):
        write_labels(tmp_path / "a.tif", labels)
    assert list(tmp_path.iterdir()) == []


def test_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(WriteError, match=r"\.tif or \.ome\.zarr"):
        write_labels(tmp_path / "a.bmp", np.zeros((3, 3), int))
    with pytest.raises(WriteError, match=r"\.tif or \.ome\.zarr"):
        write_image(tmp_path / "a.bmp", SCALED)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i4", "i8", "u8", ">u2", "f4", "f8", "?"])
def test_ids_of_any_type_are_read_exactly(tmp_path, dtype):
    labels = (np.arange(20) % (2 if dtype == "?" else 120)).reshape(4, 5).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", labels)
    back = read_labels(tmp_path / "a.tif")
    np.testing.assert_array_equal(back, labels)
    assert back.dtype.kind in "ui"
    assert back.dtype.isnative


def test_largest_ids_in_float_files_are_exact(tmp_path):
    for dtype, bits in ((np.float16, 11), (np.float32, 24), (np.float64, 53)):
        ids = [[0, 2**bits], [1, 2**bits - 1]]
        tifffile.imwrite(tmp_path / "a.tif", np.array(ids, dtype))
        assert read_labels(tmp_path / "a.tif").tolist() == ids


@pytest.mark.parametrize(
    ("dtype", "ids"),
    [
        (np.float16, (2050, 2051)),
        (np.float32, (2**32 - 1, 2**32 - 2)),
        (np.float32, (2**24 + 2, 2**24 + 3)),
        (np.float64, (2**53 + 2, 2**53 + 3)),
    ],
)
def test_ids_that_floats_cannot_tell_apart_are_refused(tmp_path, dtype, ids):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, ids[0]], [1, ids[1]]]).astype(dtype))
    with pytest.raises(LabelError, match=r"a\.tif: .* may have become one; save ids as integers"):
        read_labels(tmp_path / "a.tif")


def test_the_warning_about_64_bits_names_the_file(tmp_path, caplog):
    write_labels(tmp_path / "b.tif", np.array([[0, 2**40], [1, 2]]))
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert record.getMessage().startswith("b.tif: ids above")
    assert read_labels(tmp_path / "b.tif").tolist() == [[0, 2**40], [1, 2]]


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.array([[0, -3], [1, 2]], np.int16), "negative ids"),
        (np.array([[0, -3], [1, 2]], np.float32), "negative ids"),
        (np.array([[0, 0.5], [1, 2]], np.float32), "not whole"),
        (np.array([[0, np.nan], [1, 2]], np.float32), "not whole"),
        (np.array([[0, np.inf], [1, 2]], np.float32), "not whole"),
        (np.array([[0, 1e30], [1, 2]], np.float32), "may have become one"),
    ],
)
def test_numbers_that_are_no_ids_are_refused(tmp_path, pixels, message):
    tifffile.imwrite(tmp_path / "wrong.tif", pixels)
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(tmp_path / "wrong.tif")
    assert "wrong.tif" in str(caught.value)


def test_colour_pictures_channels_and_movies_are_no_labels(tmp_path):
    pixels = np.zeros((8, 9, 3), np.uint8)
    pixels[2, 3, 1] = 1
    tifffile.imwrite(tmp_path / "rgb.tif", pixels, photometric="rgb")
    with pytest.raises(LabelError, match="colour picture"):
        read_labels(tmp_path / "rgb.tif")
    for axes in ("CYX", "TYX"):
        path = tmp_path / f"{axes}.tif"
        tifffile.imwrite(path, np.zeros((2, 8, 9), np.uint8), imagej=True, metadata={"axes": axes})
        with pytest.raises(LabelError, match=axes):
            read_labels(path)


GREY = np.kron(np.array([[0, 1], [200, 255]], np.uint8), np.ones((4, 5), np.uint8))


@pytest.mark.parametrize("opacity", [None, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_shades_of_grey_in_a_colour_png_are_ids(tmp_path, caplog, opacity, dtype):
    scale = np.iinfo(dtype).max // 255
    samples = [GREY] * 3 + ([] if opacity is None else [np.full_like(GREY, opacity)])
    picture = np.stack(samples, axis=-1).astype(dtype) * dtype(scale)
    (tmp_path / "mask.png").write_bytes(imagecodecs.png_encode(picture))
    with caplog.at_level(logging.INFO, "delineate"):
        labels = read_labels(tmp_path / "mask.png")
    assert labels.dtype == dtype
    np.testing.assert_array_equal(labels, GREY.astype(dtype) * dtype(scale))
    assert "mask.png: a picture in shades of grey, which are taken for ids" in caplog.text
    assert "is a colour picture" not in caplog.text
    assert read(tmp_path / "mask.png").axes == "CYX"  # as an image it keeps its channels
    np.testing.assert_array_equal(read_labels(tmp_path / "mask.png", "YX"), labels)


def test_shades_of_grey_in_a_colour_tiff_and_a_movie_are_ids(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY] * 3, -1), photometric="rgb")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), GREY)
    movie = np.stack([GREY, GREY[::-1]])
    tifffile.imwrite(tmp_path / "m.tif", np.stack([movie] * 3, -1), photometric="rgb",
                     metadata={"axes": "TYXS"})  # fmt: skip
    found = read_label_image(tmp_path / "m.tif")
    assert found.axes == "TYX"
    np.testing.assert_array_equal(found.numpy(), movie)


def test_transparent_pixels_are_no_ids(tmp_path):
    picture = np.stack([GREY, GREY, GREY, 255 * (GREY > 0).astype(np.uint8)], axis=-1)
    (tmp_path / "mask.png").write_bytes(imagecodecs.png_encode(picture))
    with pytest.raises(LabelError, match=r"mask\.png: is a picture with transparent pixels"):
        read_labels(tmp_path / "mask.png")


def test_channel_of_length_one_is_dropped(tmp_path):
    labels = np.arange(30, dtype=np.uint16).reshape(1, 5, 6)
    tifffile.imwrite(tmp_path / "a.tif", labels, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), labels[0])
