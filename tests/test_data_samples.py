"""Samples: prepared once, kept in the cache, and refused by name where files do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from conftest import disks, picture
from delineate.data.layouts import Pair
from delineate.data.normalise import Normalise
from delineate.data.resize import scaled_shape
from delineate.data.samples import Preparation, prepare
from delineate.errors import DataError
from delineate.methods.flows import Flows


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
