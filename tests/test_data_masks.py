"""Training on masks: the objects are their connected parts, as if somebody had numbered them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from conftest import disks, picture
from delineate.data.layouts import find_pairs
from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.data.pairs import Pair
from delineate.data.samples import Preparation, Sample, prepare
from delineate.data.times import single_images
from delineate.data.truth import read_truth
from delineate.errors import DataError, LabelError
from delineate.methods.base import Method
from delineate.methods.flows import Flows
from delineate.methods.semantic import Semantic


def apart(shape: tuple[int, ...], radius: float, count: int, seed: int) -> np.ndarray:
    """Numbered balls that do not touch."""
    labels = disks(shape, radius, count, np.random.default_rng(seed))
    return np.asarray(ndimage.label(labels > 0, np.ones((3,) * len(shape)))[0])


def how(method: Method | None = None, **changes: object) -> Preparation:
    options = {
        "method": method or Flows(),
        "normalise": Normalise(),
        "diameter": 20.0,
        "channels": 1,
        "select": None,
        "ndim": 2,
        "axes": None,
    }
    return Preparation(**{**options, **changes})  # type: ignore[arg-type]


def written(folder: Path, *labels: np.ndarray, axes: str = "YX") -> Path:
    rng = np.random.default_rng(0)
    for number, own in enumerate(labels):
        image = picture((own > 0).astype(int), rng)
        for room, pixels in (("images", image), ("labels", own)):
            (folder / room).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / room / f"{number}.tif", pixels, photometric="minisblack",
                             metadata={"axes": axes})  # fmt: skip
    return folder


def prepared(folder: Path, preparation: Preparation) -> list[Sample]:
    pairs = single_images(find_pairs(folder), DataOptions())
    return prepare(pairs, preparation, folder / "cache")


def same(one: Sample, other: Sample) -> None:
    assert (one.diameter, one.scale) == (other.diameter, other.scale)
    assert np.array_equal(one.labels > 0, other.labels > 0)
    np.testing.assert_allclose(one.targets, other.targets, atol=1e-6)
    assert sorted(map(tuple, one.centres)) == sorted(map(tuple, other.centres))


@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("shape", [(70, 80), (20, 40, 44)])
def test_a_mask_trains_like_the_numbered_objects(tmp_path, white, shape):
    labels = apart(shape, 6, 7, 1)
    mask = (white * (labels > 0)).astype(np.uint8)
    axes = "ZYX"[-len(shape) :]
    options = how(ndim=len(shape))
    (expected,) = prepared(written(tmp_path / "ids", labels.astype(np.uint16), axes=axes), options)
    (found,) = prepared(written(tmp_path / "mask", mask, axes=axes), options)
    assert len(found.centres) == labels.max() > 3
    assert 9 < found.diameter < 16  # not that of all together
    same(found, expected)


def test_every_time_of_a_movie_has_its_own_parts(tmp_path):
    labels = np.stack([apart((60, 60), 6, 5, seed) for seed in (1, 2)])
    mask = (labels > 0).astype(np.uint8)
    expected = prepared(written(tmp_path / "ids", labels.astype(np.uint16), axes="TYX"), how())
    found = prepared(written(tmp_path / "mask", mask, axes="TYX"), how())
    for one, other in zip(found, expected, strict=True):
        same(one, other)


def test_it_is_said_once(tmp_path, caplog):
    labels = [apart((60, 60), 6, 5, seed) for seed in range(4)]
    masks = [(255 * (own > 0)).astype(np.uint8) for own in labels[:3]]
    folder = written(tmp_path / "data", *masks, labels[3].astype(np.uint16))
    for _ in range(2):  # what was prepared before is known to be of masks
        caplog.clear()
        with caplog.at_level(logging.WARNING, "delineate"):
            prepared(folder, how())
        (message,) = caplog.messages
        assert message.startswith("3 of 4 label files are masks: their connected parts")
    caplog.clear()
    alone = (labels[3] == 1).astype(np.uint16)  # the same object, mask or not
    prepared(written(tmp_path / "ids", labels[3].astype(np.uint16), alone), how())
    assert not caplog.messages


def test_one_object_of_another_number_may_have_parts(tmp_path):
    labels = 7 * (apart((60, 60), 6, 5, 1) > 0).astype(np.uint8)
    (sample,) = prepared(written(tmp_path / "ids", labels), how())
    assert len(sample.centres) == 1
    assert sample.labels.max() == 1


def test_undecided_pixels_are_not_trained_on_as_an_object(tmp_path):
    mask = (apart((60, 60), 6, 5, 1) > 0).astype(np.uint8)
    mask[:, :6] = 255
    folder = written(tmp_path / "truth", mask)
    file = folder / "labels" / "0.tif"
    with pytest.raises(DataError, match=r"0\.tif: holds 0, 1 and 255.*undecided"):
        prepared(folder, how())
    settings = {"classes": None, "undecided": 255, "objects": False}
    (folder / "consensus.json").write_text(json.dumps({"settings": settings}))
    with pytest.raises(LabelError) as caught:
        read_truth(Pair("a", file, file), Flows(), mask.shape)
    assert str(caught.value).startswith(f"{file}: 360 pixels are undecided (255, says consensus")
    assert "--method.ignore 255" in str(caught.value)
    (sample,) = prepared(folder, how(Semantic(ignore=255), diameter=None))
    assert (sample.labels[:, :6] == -1).all()  # classes leave them out


def test_a_mask_of_classes_is_read_as_it_was(tmp_path, caplog):
    mask = (255 * (apart((60, 60), 6, 5, 1) > 0)).astype(np.uint8)
    with caplog.at_level(logging.INFO, "delineate"):
        (sample,) = prepared(written(tmp_path / "d", mask), how(Semantic(), diameter=None))
    np.testing.assert_array_equal(sample.labels, mask // 255)
    assert "connected parts" not in caplog.text
