"""Movies in training, and what belongs to them: it must be as long as what is used of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.data.layouts import Pair, training_pairs
from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.data.samples import Preparation, prepare
from delineate.data.truth_files import at_time
from delineate.errors import DataError, DelineateError
from delineate.image import Image
from delineate.methods.flows import Flows
from delineate.methods.regression import Regression

KINDS = {
    "labels": (Flows(), "labels"),
    "classes": (Flows(classes=1), "classes"),
    "targets": (Regression(), "target"),
    "cost": (Regression(), "costs"),
}


def movie(path: Path, count: int, axes: str | None = "TYX") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.ones((count, 12, 14), np.uint8)
    pixels[:, 2:5, 2:5] = 0
    metadata = {"axes": axes} if axes else None
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata=metadata)
    return path


def dataset(folder: Path, short: str, count: int = 3) -> Path:
    """A movie a of three and b of four time points, of which something has `count`."""
    rooms = ("images", "labels", "classes") if short in ("labels", "classes") else ()
    for room in rooms or ("images", "targets", "cost"):
        movie(folder / room / "a.tif", 3)
        movie(folder / room / "b.tif", count if room == short else 4)
    return folder


@pytest.mark.parametrize("short", list(KINDS))
def test_the_file_that_is_shorter_is_named_with_both_lengths(tmp_path, short):
    method, what = KINDS[short]
    options = DataOptions(images=dataset(tmp_path, short))
    said = (
        rf"^.*{short}.b\.tif: has 3 time points, and .*images.b\.tif, whose {what} it holds, has "
        "4, of which point 3 is used"
    )
    with pytest.raises(DataError, match=said):
        training_pairs(options, method.truth)
    fewer = training_pairs(options.model_copy(update={"times": (0, 2)}), method.truth)
    assert [p.name for p in fewer] == ["a/t0", "a/t2", "b/t0", "b/t2"]


def test_files_that_do_not_tell_their_axes_have_those_of_images(tmp_path):
    movie(tmp_path / "images/b.tif", 4)
    movie(tmp_path / "targets/b.tif", 3, axes=None)
    options = DataOptions(images=tmp_path, axes="TYX")
    with pytest.raises(DataError, match=r"targets.b\.tif: has 3 time points"):
        training_pairs(options, "image")


def test_still_files_serve(tmp_path):
    folder = dataset(tmp_path, "targets", 4)
    tifffile.imwrite(folder / "cost/b.tif", np.ones((12, 14), np.uint8))
    assert len(training_pairs(DataOptions(images=folder), "image")) == 7


@pytest.mark.parametrize("long", list(KINDS))
def test_the_file_that_is_longer_is_refused_with_both_lengths(tmp_path, long):
    method, what = KINDS[long]
    options = DataOptions(images=dataset(tmp_path, long, 6))
    said = (
        rf"^.*{long}.b\.tif: has 6 time points, and .*images.b\.tif, whose {what} it holds, has 4"
    )
    for times in (None, (0, 2)):
        with pytest.raises(DataError, match=said):
            training_pairs(options.model_copy(update={"times": times}), method.truth)


@pytest.mark.parametrize("ndim", [2, 3])
def test_stacks_of_other_lengths_are_refused_where_planes_are_chosen(tmp_path, ndim):
    movie(tmp_path / "images/a.tif", 4, "ZYX")
    movie(tmp_path / "labels/a.tif", 6, "ZYX")
    options = DataOptions(images=tmp_path, planes=(0, 2), ndim=ndim)
    with pytest.raises(
        DataError, match=r"labels.a\.tif: has 6 planes, and .*images.a\.tif.* has 4"
    ):
        training_pairs(options, "objects")
    movie(tmp_path / "labels/a.tif", 2, "ZYX")
    with pytest.raises(DataError, match=r"has 2 planes.* has 4, of which plane 2 is used too"):
        training_pairs(options, "objects")


def test_what_cannot_be_opened_is_told_when_it_is_read(tmp_path):
    folder = dataset(tmp_path, "targets", 4)
    (folder / "targets/b.tif").write_bytes(b"nothing")
    pairs = training_pairs(DataOptions(images=folder), "image")
    how = Preparation(Regression(), Normalise(), None, 1, None, 2, None)
    with pytest.raises(DataError, match=r"targets.b\.tif"):
        prepare(pairs, how, tmp_path / "cache")


def test_a_time_point_that_is_not_there_names_the_file(tmp_path):
    image = Image(np.zeros((3, 4, 5), np.uint8), "TYX", source="b.tif")
    assert at_time(image, 2).axes == "YX"
    for time in (3, -1):
        with pytest.raises(DataError, match=r"b\.tif has 3 time points, 0 to 2, and .* point"):
            at_time(image, time)
    folder = dataset(tmp_path, "targets")
    pair = Pair("b/t3", folder / "images/b.tif", target=folder / "targets/b.tif", time=3)
    how = Preparation(Regression(), Normalise(), None, 1, None, 2, None)
    with pytest.raises(DelineateError, match=r"targets.b\.tif has 3 time points"):
        prepare([pair], how, tmp_path / "cache")
