"""What tells one training's data from another's."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from delineate.data.layouts import Pair
from delineate.data.splits import Split
from delineate.errors import RecipeError
from delineate.recipe import Recipe
from delineate.runs.record import ENDS, _content, claim, fingerprint


def write(path: Path, value: int) -> Path:
    tifffile.imwrite(path, np.full((8, 8), value, np.uint8))
    return path


@pytest.fixture
def pair(tmp_path):
    names = ("image", "target", "cost")
    return Pair("a", **{n: write(tmp_path / f"{n}.tif", 1) for n in names})


def of(pair: Pair) -> str:
    return fingerprint([Split([pair], [])])


def test_the_content_of_targets_and_costs_counts(pair):
    first = of(pair)
    assert of(pair) == first
    for path in (pair.target, pair.cost):
        before = of(pair)
        write(path, 2)
        os.utime(path, (0, 0))
        assert of(pair) != before
    now = of(pair)
    assert of(dataclasses.replace(pair, time=3)) != now
    assert of(dataclasses.replace(pair, cost=None)) != now
    assert fingerprint([Split([], [pair])]) != now


def test_unpaired_images_and_targets_are_told_apart_by_what_is_in_them(pair):
    image, target = (dataclasses.replace(pair, only=s) for s in ("image", "target"))
    before = of(image), of(target)
    write(pair.image, 7)
    assert of(image) != before[0] and of(target) != before[1]


def test_of_a_large_image_both_ends_count_and_its_size(pair):
    size = 3 * ENDS
    content = bytearray(size)

    def found() -> str:
        pair.image.write_bytes(content)
        return of(pair)

    marks = [found()]
    content[size // 2] = 1  # the middle of a large file is not read
    assert found() == marks[0]
    for place in (ENDS - 1, size - ENDS):
        content[place] = 1
        marks.append(found())
    content.append(0)
    marks.append(found())
    assert len(set(marks)) == 4


def test_a_training_goes_on_with_another_cache_but_not_with_other_targets(pair, tmp_path):
    splits = [Split([pair], [])]
    out = tmp_path / "run"

    def recipe(**data: object) -> Recipe:
        own = {"images": tmp_path, "targets": tmp_path, **data}
        return Recipe.build({"data": own, "method": {"name": "regression"}})

    claim(out, recipe(), None, splits)
    (out / "model").mkdir()
    claim(out, recipe(cache=tmp_path / "kept"), None, splits)
    with pytest.raises(RecipeError, match="another recipe or of other images"):
        claim(out, recipe(targets=tmp_path / "others"), None, splits)
    write(pair.target, 9)
    with pytest.raises(RecipeError, match="another recipe or of other images"):
        claim(out, recipe(), None, splits)


def test_other_pixels_of_a_zarr_count_though_its_files_keep_their_sizes(pair, tmp_path):
    names = ("image", "labels")
    paths = {name: tmp_path / f"{name}.zarr" for name in names}
    zarrs = {
        name: zarr.create_array(str(p), shape=(8, 8), dtype="uint8", compressors=None)
        for name, p in paths.items()
    }
    for array in zarrs.values():
        array[...] = 1
    pair = dataclasses.replace(pair, target=None, cost=None, **paths)
    for array in zarrs.values():
        before, content = of(pair), _content([pair])
        assert (of(pair), _content([pair])) == (before, content)
        array[3, 4] = 2
        assert of(pair) != before
        assert _content([pair]) != content
