"""The scale of training images: that of their own objects, unless those are slips of annotation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from conftest import disks, picture
from delineate.data.normalise import Normalise
from delineate.data.pairs import Pair
from delineate.data.samples import Preparation, Sample, prepare
from delineate.data.scaling import ENLARGE, Size, training_scale, usual_diameter
from delineate.labels import median_diameter
from delineate.methods.flows import Flows

NAN = float("nan")


def preparation(ndim: int = 2, diameter: float | None = 16.0) -> Preparation:
    axes = "ZYX" if ndim == 3 else None
    return Preparation(Flows(), Normalise(), diameter, 1, None, ndim, axes)


def pair(folder: Path, name: str, labels: np.ndarray) -> Pair:
    folder.mkdir(exist_ok=True)
    image, truth = folder / f"{name}.tif", folder / f"{name}_masks.tif"
    tifffile.imwrite(image, picture(labels, np.random.default_rng(0)), photometric="minisblack")
    tifffile.imwrite(truth, labels.astype(np.uint16), photometric="minisblack")
    return Pair(name, image, truth)


def stray(shape: tuple[int, ...]) -> np.ndarray:
    """Two labels of one pixel each."""
    labels = np.zeros(shape, np.uint16)
    labels[(5,) * len(shape)], labels[tuple(n - 4 for n in shape)] = 1, 2
    return labels


def fields(side: int = 60, radius: float = 5, count: int = 4) -> list[np.ndarray]:
    return [disks((side, side), radius, count, np.random.default_rng(k)) for k in range(3)]


def as_alone(sample: Sample, labels: np.ndarray, common: float) -> bool:
    return sample.scale == common / median_diameter(labels)


@pytest.mark.parametrize("ndim", [2, 3])
def test_stray_pixels_do_not_blow_up_an_image(tmp_path, ndim, caplog) -> None:
    """By a median of 1.1 pixels it was enlarged 14 times along each axis, without a word."""
    shape = (40, 40) if ndim == 2 else (12, 24, 24)
    good = [disks(shape, 4, 4, np.random.default_rng(k)) for k in range(3)]
    pairs = [pair(tmp_path, f"good{k}", labels) for k, labels in enumerate(good)]
    pairs.insert(1, pair(tmp_path, "slip", stray(shape)))
    how = preparation(ndim)
    one, slip, *rest = prepare(pairs, how, tmp_path / "cache")
    usual = float(np.median([median_diameter(labels) for labels in good]))
    assert slip.scale == pytest.approx(16 / usual)
    assert slip.image.shape[1:] == tuple(round(n * slip.scale) for n in shape)
    assert np.isnan(slip.diameter), "the size of specks is not to be learned from"
    assert all(map(as_alone, [one, *rest], good, [16.0] * 3))
    assert "1 of 4 images" in caplog.text
    assert str(pairs[1].image) in caplog.text


def test_stray_pixels_alone_are_enlarged_in_moderation(tmp_path, caplog) -> None:
    (slip,) = prepare([pair(tmp_path, "slip", stray((40, 40)))], preparation(), tmp_path / "cache")
    assert slip.scale == ENLARGE
    assert slip.image.shape == (1, 200, 200)
    assert "slip.tif" in caplog.text


def test_objects_that_are_small_in_all_images_are_enlarged_as_asked(tmp_path, caplog) -> None:
    """Spots of three pixels are no slips where others are as small."""
    spots = fields(30, 1.5, 8)
    pairs = [pair(tmp_path, f"spots{k}", labels) for k, labels in enumerate(spots)]
    samples = prepare(pairs, preparation(diameter=30), tmp_path / "cache")
    assert all(sample.scale > ENLARGE for sample in samples)
    assert all(map(as_alone, samples, spots, [30.0] * 3))
    assert not caplog.records


def test_a_cache_serves_several_sets_and_is_not_written_anew(tmp_path) -> None:
    """The scale of a slip depends on the other images, so that each set has its own sample."""
    slip = pair(tmp_path, "slip", stray((40, 40)))
    small = [pair(tmp_path, f"a{k}", labels) for k, labels in enumerate(fields(40, 4, 4))]
    large = [pair(tmp_path, f"b{k}", labels) for k, labels in enumerate(fields(60, 8, 4))]
    cache, how = tmp_path / "cache", preparation()
    first = prepare([slip, *small], how, cache)
    second = prepare([slip, *large], how, cache)
    assert first[0].scale > 1.5 * second[0].scale
    times = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    again = prepare([slip, *small], how, cache)
    assert times == {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    for a, b in zip(first, again, strict=True):
        assert a.scale == b.scale
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.targets, b.targets)


@pytest.mark.parametrize(("z", "diameter", "said"), [(3, 16, 1), (1.2, 16, 0), (3, None, 0)])
def test_volumes_of_long_voxels_are_told_of_once(tmp_path, caplog, z, diameter, said) -> None:
    labels = disks((12, 24, 24), 4, 4, np.random.default_rng(0))
    pairs = [pair(tmp_path, name, labels) for name in ("a", "b", "c")]
    pixels = picture(labels, np.random.default_rng(0))
    for each in pairs[1:]:
        tifffile.imwrite(
            each.image, pixels, imagej=True, resolution=(1, 1), metadata={
                "axes": "ZYX", "spacing": z, "unit": "um",
            },
        )  # fmt: skip
    for _ in range(2):  # prepared, and found again
        caplog.clear()
        prepare(pairs, preparation(3, diameter), tmp_path / "cache")
        assert len(caplog.records) == said
    if said:
        assert "2 of 3 volumes have voxels that are longer along Z" in caplog.text
        assert f"{pairs[1].image}, 3.0 times" in caplog.text


def test_scales_by_hand() -> None:
    assert usual_diameter([Size(10, 3), Size(2, 2), Size(14, 80), Size(NAN, 0)]) == 12
    assert usual_diameter([Size(2, 2), Size(NAN, 0)]) == 0
    for usual in (None, 0.0, 12.0):
        assert training_scale(None, Size(1, 1), usual) == (1.0, False)
        assert training_scale(20, Size(NAN, 0), usual) == (1.0, False)
        assert training_scale(20, Size(4, 1), usual) == (5.0, False)
        assert training_scale(20, Size(1000, 1), usual) == (0.05, False)
    assert training_scale(20, Size(2, 9), None) is None
    assert training_scale(20, Size(2, 9), 0.0) == (5.0, False)
    assert training_scale(20, Size(2, 9), 8.0) == (10.0, False)
    assert training_scale(20, Size(2, 9), 10.0) == (2.0, True)
    assert training_scale(20, Size(0.9, 9), 3.0) == (20.0, False)
