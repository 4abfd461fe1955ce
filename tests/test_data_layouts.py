"""How training images are found, split, normalised, resized and prepared."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.transform import resize

from conftest import disks, picture
from delineate.data.channels import network_channels
from delineate.data.layouts import Pair, find_pairs
from delineate.data.normalise import SAMPLE, Normalise, grid_sample
from delineate.data.resize import resize_linear, resize_nearest, scaled_shape
from delineate.data.samples import Preparation, prepare
from delineate.data.splits import split_pairs
from delineate.errors import AxesError, DataError, ImageError, ReadError
from delineate.image import Image
from delineate.methods.flows import Flows

BLANK = np.zeros((8, 8), np.uint8)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, BLANK)
        else:
            tifffile.imwrite(path, BLANK)
    return folder


# Layouts


def test_two_folders_pair_by_name_sub_folders_included(tmp_path):
    root = touch(
        tmp_path, "images/b.tif", "images/day 2/a.tif", "labels/b_masks.tif", "labels/day 2/a.tif"
    )
    pairs = find_pairs(root)
    assert [p.name for p in pairs] == ["b", "day 2/a"]
    assert pairs[0].labels == root / "labels/b_masks.tif"
    assert pairs[1].labels == root / "labels/day 2/a.tif"
    assert pairs[0].classes is None


def test_classes_beside_labels_are_found(tmp_path):
    root = touch(tmp_path, "images/a.tif", "labels/a.tif", "classes/a.tif")
    assert find_pairs(root)[0].classes == root / "classes/a.tif"
    touch(tmp_path, "images/b.tif", "labels/b.tif")
    with pytest.raises(DataError, match=r"b\.tif: no image of classes"):
        find_pairs(root)


def test_folders_given_apart(tmp_path):
    touch(tmp_path, "x/a.tif", "y/a.npy")
    pairs = find_pairs(tmp_path / "x", tmp_path / "y")
    assert [(p.name, p.labels) for p in pairs] == [("a", tmp_path / "y/a.npy")]
    with pytest.raises(DataError, match="no such folder"):
        find_pairs(tmp_path / "x", tmp_path / "nowhere")


def test_one_folder_with_suffixes_as_cellpose_leaves_it(tmp_path):
    touch(tmp_path, "a.tif", "a_cp_masks.tif", "a_seg.npy", "b_label.tif", "b.tif")
    pairs = find_pairs(tmp_path)
    assert [(p.name, p.labels.name) for p in pairs] == [
        ("a", "a_cp_masks.tif"),
        ("b", "b_label.tif"),
    ]


def test_table_of_images_and_labels(tmp_path):
    touch(tmp_path, "in/a.tif", "in/b.tif", "out/1.tif", "out/2.tif")
    table = tmp_path / "data.csv"
    table.write_text(
        "﻿image,labels,split,weight\nin/a.tif,out/1.tif,train,2.5\nin/b.tif,out/2.tif,val,\n",
        encoding="utf-8",
    )
    a, b = find_pairs(table)
    assert (a.name, a.labels, a.split, a.weight) == ("in/a", tmp_path / "out/1.tif", "train", 2.5)
    assert (b.split, b.weight) == ("val", 1.0)


def test_split_table_leaves_images_out(tmp_path):
    touch(tmp_path, *(f"{kind}/{n}.tif" for kind in ("images", "labels") for n in "abc"))
    table = tmp_path / "splits.csv"
    table.write_text("image,split\na,train\nb,val\n")
    assert [(p.name, p.split) for p in find_pairs(tmp_path, table=table)] == [
        ("a", "train"),
        ("b", "val"),
    ]
    table.write_text("image,split\na.tif,train\n")
    with pytest.raises(DataError, match=r"'a\.tif' is not among the images.*such as 'a'"):
        find_pairs(tmp_path, table=table)


@pytest.mark.parametrize(
    "rows", ["a,train,1\nb,val,2\n", "a,,\nb,,\n", "a,train,\nb,val,\nc,test,\n"]
)
def test_nothing_need_be_known_of_images_that_a_split_table_leaves_out(tmp_path, rows):
    touch(tmp_path, "images/a.tif", "images/b.tif", "images/c.tif")
    kinds = ("labels", "cost", "classes", "soft")
    touch(tmp_path, *(f"{kind}/{n}.tif" for kind in kinds for n in "ab"))
    table = tmp_path / "splits.csv"
    table.write_text(f"image,split,weight\n{rows}")
    pairs = {p.name: p for p in find_pairs(tmp_path, table=table)}
    assert ("c" in pairs) is ("test" in rows)
    for name in "ab":
        assert set(pairs[name].drawn) == {tmp_path / kind / f"{name}.tif" for kind in kinds}
    split = split_pairs(list(pairs.values()), 0.5, 0)
    assert sorted(p.name for part in split for p in part) == ["a", "b"]
    for lost, what in (("cost", "cost map"), ("labels", "labels"), ("classes", "image of classes")):
        (tmp_path / lost / "b.tif").rename(tmp_path / "away.tif")
        with pytest.raises(DataError, match=rf"no {what}"):
            find_pairs(tmp_path, table=table)
        (tmp_path / "away.tif").rename(tmp_path / lost / "b.tif")
    with pytest.raises(DataError, match=r"c\.tif: no image of classes"):
        find_pairs(tmp_path)


def test_images_left_out_do_not_take_labels_from_the_others(tmp_path):
    """Where nothing need be known, labels are used if all images that are used have them."""
    touch(tmp_path, *(f"images/{n}.tif" for n in "abc"), "labels/a.tif", "labels/b.tif")
    table = tmp_path / "splits.csv"
    for rows, names in (("a,train\nb,val\n", "ab"), ("a,train\nb,val\nc,train\n", "")):
        table.write_text(f"image,split\n{rows}")
        pairs = find_pairs(tmp_path, table=table, needs_truth=False)
        assert "".join(p.name for p in pairs if p.labels) == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("picture,labels\na.tif,a.tif\n", "no column image; it has picture, labels"),
        ("", "no column image, labels; it has no columns"),
        ("image,labels\n", "no rows"),
        ("image,labels\na.tif,\n", "row 2 has nothing in column labels"),
        ("image,labels\na.tif,lost.tif\n", "lost.tif does not exist"),
        ("image,labels,weight\na.tif,a.tif,heavy\n", "weight 'heavy' of a.tif"),
        ("image,labels,weight\na.tif,a.tif,-1\n", "weight '-1' of a.tif"),
        ("image,labels,weight\na.tif,a.tif,nan\n", "weight 'nan' of a.tif"),
        ("image,labels\na.tif,a.tif\na.npy,a.tif\n", "two images are called 'a'"),
        (b"image,labels\n\xff\xfe,a.tif\n", "cannot be read as a CSV table"),
    ],
)
def test_wrong_tables(tmp_path, content, message):
    touch(tmp_path, "a.tif", "a.npy")
    table = tmp_path / "data.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        find_pairs(table)
    assert "data.csv" in str(caught.value) or "called 'a'" in str(caught.value)


def test_split_table_that_is_missing(tmp_path):
    touch(tmp_path, "images/a.tif", "labels/a.tif")
    with pytest.raises(DataError, match=r"lost\.csv: cannot be read"):
        find_pairs(tmp_path, table=tmp_path / "lost.csv")


def test_nothing_found_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match="there is no such file or folder"):
        find_pairs(tmp_path / "lost")
    with pytest.raises(DataError, match=r"a\.tif: expected a folder or a CSV table"):
        find_pairs(touch(tmp_path / "one", "a.tif") / "a.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="no images found"):
        find_pairs(tmp_path / "empty")
    with pytest.raises(DataError, match=r"no labels found.*images/ and labels/.*_masks.*CSV"):
        find_pairs(touch(tmp_path / "bare", "a.tif", "b.tif"))


def test_images_without_labels_are_named(tmp_path):
    touch(tmp_path / "two", "images/a.tif", "images/b.tif", "labels/a.tif")
    with pytest.raises(DataError, match=r"1 images .* have no labels .* first is b\.tif"):
        find_pairs(tmp_path / "two")
    touch(tmp_path / "one", "a.tif", "a_masks.tif", "b.tif")
    with pytest.raises(DataError, match=r"1 images have no labels, the first is b\.tif"):
        find_pairs(tmp_path / "one")


# Splits


@given(n=st.integers(1, 60), fraction=st.floats(0, 0.99), seed=st.integers(0, 2**32 - 1))
def test_random_splits_share_nothing_and_repeat(n, fraction, seed):
    pairs = [Pair(str(i), Path(f"{i}.tif")) for i in range(n)]
    split = split_pairs(pairs, fraction, seed)
    names = [p.name for part in split for p in part]
    assert sorted(names) == sorted(p.name for p in pairs)
    assert split == split_pairs(pairs, fraction, seed)
    assert split.train
    assert bool(split.val) == (fraction > 0 and n > 1)
    if n > 20:
        assert abs(len(split.val) - fraction * n) <= 1


def test_another_seed_draws_another_split():
    pairs = [Pair(str(i), Path(f"{i}.tif")) for i in range(40)]
    assert split_pairs(pairs, 0.3, 0).val != split_pairs(pairs, 0.3, 1).val


def test_a_single_image_trains_and_the_log_says_so(caplog):
    with caplog.at_level(logging.WARNING, "delineate"):
        split = split_pairs([Pair("cell", Path("cell.tif"))], 0.15, 0)
    assert [p.name for p in split.train] == ["cell"]
    assert not split.val
    assert "cell is the only labelled image" in caplog.text


def test_splits_of_a_table_decide():
    pairs = [
        Pair(n, Path(n), split=s) for n, s in zip("abcd", ("val", "train", "test", ""), strict=True)
    ]
    split = split_pairs(pairs, 0.5, 0)
    assert [p.name for p in split.train] == ["b"]
    assert [p.name for p in split.val] == ["a"]
    with pytest.raises(DataError, match="no image has the split 'train'; found 'test', 'val'"):
        split_pairs([pairs[0], pairs[2]], 0.5, 0)


def test_images_of_no_weight_are_refused():
    with pytest.raises(DataError, match="weight 0"):
        split_pairs([Pair("a", Path("a"), split="train", weight=0.0)], 0.5, 0)


# Channels


def test_channels_that_fit_pass_unchanged():
    pixels = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    np.testing.assert_array_equal(network_channels(Image(pixels, "CYX"), 3), pixels)
    np.testing.assert_array_equal(network_channels(Image(pixels, "CYX"), None), pixels)
    np.testing.assert_array_equal(network_channels(Image(pixels, "CYX"), 2, [2, 0]), pixels[[2, 0]])
    np.testing.assert_array_equal(network_channels(Image(pixels, "ZYX"), 1), pixels[None])


def test_grey_serves_three_channels_and_colour_serves_one():
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    assert (network_channels(Image(grey, "YX"), 3) == grey).all()
    rgb = np.stack([grey, 2 * grey, 3 * grey])
    luma = network_channels(Image(rgb, "CYX", channels=("red", "green", "blue")), 1)
    np.testing.assert_allclose(luma[0], 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2], rtol=1e-6)


def test_channels_that_do_not_fit_are_explained():
    two = Image(np.zeros((2, 4, 4)), "CYX", channels=("dapi", "actin"))
    with pytest.raises(
        ImageError, match=r"2 channels \(dapi, actin\), the network takes 1.*choose"
    ):
        network_channels(two, 1)
    with pytest.raises(AxesError, match="has 1 channel, numbered from 0; asked for 1"):
        network_channels(Image(np.zeros((4, 4)), "YX"), 1, [1])
    with pytest.raises(
        AxesError,
        match=r"2 channels \(dapi, actin\), .*asked for 2, -3: choose with --channels, .*data",
    ):
        network_channels(two, 1, [2, 0, -3])
    with pytest.raises(AxesError, match="time axis"):
        network_channels(Image(np.zeros((3, 4, 4)), "TYX"), 1)


# Normalisation


def test_percentiles_become_zero_and_one():
    rng = np.random.default_rng(0)
    pixels = np.stack([rng.normal(1000, 50, (90, 80)), rng.exponential(3, (90, 80))])
    done = Normalise(low=2, high=98).fit(pixels).apply(pixels)
    assert done.dtype == np.float32
    for channel in done:
        np.testing.assert_allclose(np.percentile(channel, [2, 98]), [0, 1], atol=1e-4)


def test_mean_and_range_and_none():
    pixels = np.random.default_rng(0).normal(7, 3, (2, 5, 60, 50))
    done = Normalise(kind="mean-std").fit(pixels).apply(pixels)
    np.testing.assert_allclose(done.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(done.std(axis=(1, 2, 3)), 1, atol=1e-4)
    done = Normalise(kind="range", low=-3, high=5).fit(pixels).apply(pixels)
    np.testing.assert_allclose(done, (pixels + 3) / 8, rtol=1e-5, atol=1e-6)
    done = Normalise(kind="none").fit(pixels).apply(pixels)
    np.testing.assert_array_equal(done, pixels.astype(np.float32))


@pytest.mark.parametrize("kind", ["percentile", "mean-std"])
@pytest.mark.parametrize("value", [0, 0.1, 200, 65535.0])
def test_a_constant_image_becomes_zero(kind, value):
    pixels = np.full((1, 30, 30), value, np.float32)
    np.testing.assert_allclose(Normalise(kind=kind).fit(pixels).apply(pixels), 0, atol=1e-3)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.float16, np.float64])
def test_every_type_of_pixel(dtype):
    pixels = np.zeros((1, 50, 50), dtype)
    pixels[0, :20] = 1
    done = Normalise().fit(pixels).apply(pixels)
    np.testing.assert_array_equal(np.unique(done), [0, 1])


def test_an_image_that_is_mostly_one_value_is_scaled_by_its_extremes():
    pixels = np.zeros((1, 100, 100), np.uint16)
    pixels[0, 0, :20] = np.arange(20) + 400
    done = Normalise().fit(pixels).apply(pixels)
    assert done.min() == 0
    assert done.max() == 1


def test_half_precision_does_not_overflow():
    pixels = np.linspace(-60000, 60000, 10000).reshape(1, 100, 100).astype(np.float16)
    done = Normalise().fit(pixels).apply(pixels)
    np.testing.assert_allclose(np.percentile(done, [1, 99]), [0, 1], atol=1e-2)


def test_large_images_are_sampled_without_changing_the_result():
    yy, xx = np.indices((3200, 3400), dtype=np.float32)
    image = (1000 + 300 * np.sin(yy / 40) * np.cos(xx / 55))[None]
    image += np.random.default_rng(0).normal(0, 20, image.shape).astype(np.float32)
    assert SAMPLE / 3 < grid_sample(image).size < SAMPLE
    found = Normalise().fit(image)
    offset, scale = found.offset, found.scale
    low, high = np.percentile(image, [1, 99])
    assert abs(offset[0] - low) < 0.01 * (high - low)
    assert abs(offset[0] + scale[0] - high) < 0.01 * (high - low)


def test_impossible_percentiles_are_refused():
    with pytest.raises(ValueError, match="must be below"):
        Normalise(low=50, high=50)
    with pytest.raises(ValueError, match="percentiles lie in"):
        Normalise(low=-1, high=99)


# Change of scale


def triangle_resize(pixels: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Triangle filter at pixel centres, widened where the axis shrinks (plain reference)."""
    old = pixels.shape[axis]
    width = max(old / size, 1.0)
    centres = (np.arange(size) + 0.5) * old / size
    distance = np.abs(np.arange(old) + 0.5 - centres[:, None]) / width
    weight = np.maximum(0, 1 - distance)
    weight /= weight.sum(axis=1, keepdims=True)
    return np.moveaxis(np.tensordot(weight, pixels, axes=(1, axis)), 0, axis)


@pytest.mark.parametrize("shape", [(30, 41), (55, 20), (7, 90)])
def test_linear_resize_equals_a_triangle_filter_in_2d(shape):
    pixels = np.random.default_rng(0).random((2, 37, 41), np.float32)
    expected = triangle_resize(triangle_resize(pixels, shape[0], 1), shape[1], 2)
    np.testing.assert_allclose(resize_linear(pixels, shape), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 30, 33), (20, 20, 33), (9, 11, 50)])
def test_linear_resize_equals_a_triangle_filter_in_3d(shape):
    pixels = np.random.default_rng(0).random((1, 9, 20, 33), np.float32)
    expected = pixels
    for axis, size in enumerate(shape):
        expected = triangle_resize(expected, size, axis + 1)
    np.testing.assert_allclose(resize_linear(pixels, shape), expected, atol=1e-5)


@pytest.mark.parametrize(("old", "new"), [((20, 24), (50, 36)), ((8, 20, 24), (12, 50, 36))])
def test_enlarging_equals_scikit_image(old, new):
    pixels = np.random.default_rng(0).random((1, *old), np.float32)
    expected = resize(pixels[0], new, order=1, mode="edge", anti_aliasing=False)
    np.testing.assert_allclose(resize_linear(pixels, new)[0], expected, atol=1e-5)
    unfiltered = resize_linear(pixels, [n // 2 for n in old], antialias=False)[0]
    expected = resize(pixels[0], [n // 2 for n in old], order=1, mode="edge", anti_aliasing=False)
    np.testing.assert_allclose(unfiltered, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_resize_to_the_same_size_changes_nothing(dtype):
    pixels = np.arange(60).reshape(1, 6, 10).astype(dtype)
    same = resize_linear(pixels, (6, 10))
    assert same.dtype == np.float32
    np.testing.assert_array_equal(same, pixels)


@pytest.mark.parametrize(("old", "new"), [((40, 50), (61, 33)), ((10, 40, 50), (5, 80, 77))])
def test_nearest_keeps_ids_and_takes_the_pixel_at_the_centre(old, new):
    labels = disks(old, 4, 6, np.random.default_rng(0)).astype(np.uint32) * 70_001
    small = resize_nearest(labels, new)
    assert small.shape == new
    assert small.dtype == labels.dtype
    assert set(np.unique(small)) <= set(np.unique(labels))
    zoom = [n / o for n, o in zip(new, old, strict=True)]
    grid = [(np.arange(n) + 0.5) / z - 0.5 for n, z in zip(new, zoom, strict=True)]
    at = np.meshgrid(*grid, indexing="ij")
    expected = ndimage.map_coordinates(labels, at, order=0, mode="nearest")
    # Exactly between two pixels either is right.
    between = np.any([np.isclose(g % 1, 0.5, atol=1e-6) for g in at], axis=0)
    np.testing.assert_array_equal(small[~between], expected[~between])


def test_shapes_never_vanish():
    assert scaled_shape((100, 3), 0.1) == (10, 1)
    assert scaled_shape((7, 9), 1.0) == (7, 9)


# Samples


def preparation(**changes: object) -> Preparation:
    values = {
        "method": Flows(),
        "normalise": Normalise(),
        "diameter": 12.0,
        "channels": 1,
        "select": None,
        "ndim": 2,
        "axes": None,
    }
    return Preparation(**{**values, **changes})


def written(folder: Path, labels: np.ndarray, image: np.ndarray | None = None) -> Pair:
    folder.mkdir(exist_ok=True)
    if image is None:
        image = picture(labels, np.random.default_rng(0))
    tifffile.imwrite(folder / "image.tif", image, photometric="minisblack")
    tifffile.imwrite(folder / "labels.tif", labels.astype(np.uint16), photometric="minisblack")
    return Pair("one", folder / "image.tif", folder / "labels.tif", weight=2.0)


def test_samples_are_normalised_scaled_and_encoded(tmp_path):
    labels = disks((80, 90), 9, 8, np.random.default_rng(0))
    pair = written(tmp_path, labels)
    (sample,) = prepare([pair], preparation(), tmp_path / "cache")
    assert sample.scale == pytest.approx(12 / sample.diameter)
    assert sample.diameter == pytest.approx(18, rel=0.1)
    shape = scaled_shape(labels.shape, sample.scale)
    assert sample.labels.shape == shape
    assert sample.image.shape == (1, *shape)
    assert sample.targets.shape == (3, *shape)
    assert sample.weight == 2.0
    np.testing.assert_allclose(sample.targets, Flows().encode(np.array(sample.labels)), atol=1e-6)
    ids = range(1, int(sample.labels.max()) + 1)
    boxes = ndimage.find_objects(np.array(sample.labels))
    expected = [[(s.start + s.stop - 1) / 2 for s in boxes[i - 1]] for i in ids]
    np.testing.assert_allclose(sample.centres, expected)


def test_samples_are_read_from_the_cache_until_a_file_changes(tmp_path):
    labels = disks((60, 60), 8, 5, np.random.default_rng(0))
    pair = written(tmp_path, labels)
    cache = tmp_path / "cache"
    (first,) = prepare([pair], preparation(), cache)
    times = {f: f.stat().st_mtime_ns for f in cache.iterdir()}
    (again,) = prepare([pair], preparation(), cache)
    assert times == {f: f.stat().st_mtime_ns for f in cache.iterdir()}
    np.testing.assert_array_equal(first.image, again.image)
    assert preparation(diameter=20.0).key(pair) != preparation().key(pair)
    written(tmp_path, labels[::-1, :50])
    (changed,) = prepare([pair], preparation(diameter=None), cache)
    assert changed.labels.shape == (60, 50)


def test_many_samples_keep_no_file_open(tmp_path):
    """A process may open some hundred files only; a training has thousands of arrays."""
    import resource

    labels = disks((30, 30), 5, 3, np.random.default_rng(0))
    pairs = [written(tmp_path / str(n), labels) for n in range(30)]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/dev/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 25, limits[1]))
    try:
        samples = prepare(pairs, preparation(), tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(samples) == 30
    for sample in samples[1:]:
        np.testing.assert_array_equal(sample.image, samples[0].image)


def test_images_that_keep_their_scale_and_images_without_objects(tmp_path):
    labels = disks((60, 60), 8, 5, np.random.default_rng(0))
    (kept,) = prepare([written(tmp_path, labels)], preparation(diameter=None), tmp_path / "cache")
    assert kept.scale == 1.0
    assert kept.labels.shape == (60, 60)
    empty = written(tmp_path / "e", np.zeros((40, 40), np.uint16), np.eye(40, dtype=np.uint8))
    (nothing,) = prepare([empty], preparation(), tmp_path / "cache")
    assert nothing.scale == 1.0
    assert np.isnan(nothing.diameter)
    assert nothing.centres.shape == (0, 2)


def test_what_does_not_fit_is_named(tmp_path):
    labels = disks((60, 60), 8, 5, np.random.default_rng(0))
    wrong = written(tmp_path, labels, np.zeros((60, 61), np.uint8))
    with pytest.raises(DataError, match=r"image\.tif: .*\(60, 61\), its labels .*\(60, 60\)"):
        prepare([wrong], preparation(), tmp_path / "cache")
    bad = np.full((60, 60), np.nan, np.float32)
    with pytest.raises(DataError, match=r"image\.tif.*not finite"):
        prepare([written(tmp_path, labels, bad)], preparation(), tmp_path / "cache")
    right = written(tmp_path, labels)
    with pytest.raises(DataError, match="axes YX give 2D images, the network is 3D"):
        prepare([right], preparation(ndim=3), tmp_path / "cache")
    with pytest.raises(DataError, match="no labels"):
        prepare([Pair("one", right.image)], preparation(), tmp_path / "cache")
    tifffile.imwrite(tmp_path / "classes.tif", (labels[:50] > 0).astype(np.uint8))
    classed = Pair("one", right.image, right.labels, tmp_path / "classes.tif")
    with pytest.raises(DataError, match=r"their classes .*classes\.tif \(50, 60\)"):
        prepare([classed], preparation(method=Flows(classes=1)), tmp_path / "cache")
    with pytest.raises(DataError, match="no image of classes was given"):
        prepare([right], preparation(method=Flows(classes=1)), tmp_path / "cache")


def test_volumes_whose_files_do_not_name_their_axes(tmp_path):
    """The axes that the user names serve the labels too, which have no channels."""
    labels = disks((10, 40, 40), 4, 4, np.random.default_rng(0))
    image = np.stack([picture(labels, np.random.default_rng(0))] * 2)
    pair = written(tmp_path, labels, image)
    how = preparation(ndim=3, channels=2, axes="CZYX", diameter=None)
    (sample,) = prepare([pair], how, tmp_path / "cache")
    assert sample.image.shape == (2, 10, 40, 40)
    assert sample.targets.shape == (4, 10, 40, 40)
    with pytest.raises(DataError, match="does not say what its axes are"):
        prepare([pair], preparation(ndim=3, channels=2), tmp_path / "cache")
