"""Planes of stacks that train 2D networks: each is an image of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from delineate.data.layouts import Pair, training_pairs
from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.data.samples import Preparation, Sample, prepare
from delineate.errors import DataError
from delineate.methods.base import Method
from delineate.methods.flows import Flows
from delineate.methods.regression import Regression

RNG = np.random.default_rng(0)
AS_IT_IS = Normalise(kind="range", low=0, high=1)


def write(path: Path, pixels: np.ndarray[Any, Any], axes: str) -> np.ndarray[Any, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, ome=True, metadata={"axes": axes}, photometric="minisblack")
    return pixels


def stack(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.integers(1, 900, shape).astype(np.uint16)


def samples(folder: Path, options: DataOptions, method: Method) -> dict[str, Sample]:
    pairs = training_pairs(options, method.truth)
    planes = (method, AS_IT_IS, None, 1, options.channels, 2, options.axes)
    made = Preparation(*planes, planes=options.planes)
    return {s.name: s for s in prepare(pairs, made, folder / "cache")}


def test_one_plane_of_image_target_and_cost(tmp_path: Path) -> None:
    image, target = (
        write(tmp_path / room / "a.tif", stack(4, 16, 18), "ZYX") for room in ("images", "targets")
    )
    cost = write(tmp_path / "cost" / "a.tif", stack(4, 16, 18), "ZYX")
    for ndim in (None, 2):
        options = DataOptions(images=tmp_path, planes=(3,), ndim=ndim)
        (sample,) = samples(tmp_path, options, Regression()).values()
        assert sample.name == "a/z3"
        np.testing.assert_array_equal(sample.image, image[3:])
        np.testing.assert_array_equal(sample.targets, target[3:])
        assert sample.cost is not None
        np.testing.assert_array_equal(sample.cost, cost[3])


def test_several_planes_are_images_of_their_own_as_times_are(tmp_path: Path) -> None:
    image = write(tmp_path / "images" / "m.tif", stack(2, 4, 16, 18), "TZYX")
    labels = write(tmp_path / "labels" / "m.tif", stack(2, 4, 16, 18), "TZYX")
    flat = write(tmp_path / "images" / "flat.tif", stack(16, 18), "YX")
    write(tmp_path / "labels" / "flat.tif", stack(16, 18), "YX")
    options = DataOptions(images=tmp_path, planes=(2, 0), ndim=2, times=(1,))
    pairs = training_pairs(options, "objects")
    assert [p.name for p in pairs] == ["flat", "m/t1/z2", "m/t1/z0"]
    with pytest.raises(DataError, match="1 plane, numbered from 0; asked for 2"):
        samples(tmp_path, options, Flows())
    (tmp_path / "images" / "flat.tif").unlink()
    (tmp_path / "labels" / "flat.tif").unlink()
    found = samples(tmp_path, options, Flows())
    for name, z in (("m/t1/z2", 2), ("m/t1/z0", 0)):
        np.testing.assert_array_equal(found[name].image[0], image[1, z])
        apart = np.unique(labels[1, z]).size
        assert np.unique(found[name].labels).size == apart
    assert flat.ndim == 2


def test_labels_of_a_single_plane(tmp_path: Path) -> None:
    """Someone drew in one plane of each stack, and saved that plane alone."""
    write(tmp_path / "images" / "a.tif", stack(4, 16, 18), "ZYX")
    labels = np.zeros((16, 18), np.uint8)
    labels[2:6, 2:6], labels[9:14, 9:14] = 1, 2
    write(tmp_path / "labels" / "a.tif", labels, "YX")
    (sample,) = samples(tmp_path, DataOptions(images=tmp_path, planes=(1,)), Flows()).values()
    np.testing.assert_array_equal(sample.labels, labels)
    several = DataOptions(images=tmp_path, planes=(1, 2), ndim=2)
    with pytest.raises(DataError, match=r"labels.a\.tif: has one plane, and .* has 4, of which 2"):
        training_pairs(several, "objects")


def test_planes_that_stay_together(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.tif", stack(4, 16, 18), "ZYX")
    write(tmp_path / "labels" / "a.tif", stack(4, 16, 18), "ZYX")
    whole: tuple[dict[str, Any], ...] = (
        {"planes": (0, 2)},
        {"planes": (3,), "ndim": 3},
        {"planes": (3,), "z_channels": True},
        {"ndim": 2},
    )
    for settings in whole:
        (pair,) = training_pairs(DataOptions(images=tmp_path, **settings), "objects")
        assert (pair.name, pair.plane) == ("a", None), settings


def test_a_plane_that_is_not_there_names_the_file(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.tif", stack(4, 16, 18), "ZYX")
    write(tmp_path / "labels" / "a.tif", stack(4, 16, 18), "ZYX")
    said = r"a\.tif: has 4 planes, 0 to 3; data\.planes asks for 4"
    with pytest.raises(DataError, match=said):
        training_pairs(DataOptions(images=tmp_path, planes=(4,)), "objects")
    last = training_pairs(DataOptions(images=tmp_path, planes=(-1,)), "objects")
    assert [(p.name, p.plane) for p in last] == [("a/z3", 3)]


def test_planes_have_samples_of_their_own_in_a_cache() -> None:
    made = Preparation(Flows(), AS_IT_IS, None, 1, None, 2, None, planes=(0, 1))
    here = Path(__file__)
    keys = {made.key(Pair(f"a/z{z}", here, here, plane=z)) for z in (0, 1, None)}
    assert len(keys) == 3
