"""Decoding kept maps: of the same pixels and the same part of the image as they were made of."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from delineate.inference.runner import RunOptions
from delineate.io.reading import read_label_image
from delineate.model import Model
from delineate.runs.decode import decode_folder
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, Summary, predict_folder
from domes import dome_model, domes, write_domes

EXACT = RunOptions(device="cpu", precision="fp32")


def model_of(n: int, **data: Any) -> Model:
    """The stand-in, of a recipe that chooses channels or planes."""

    model = dome_model(channels=n)
    recipe = model.recipe
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=data)})
    return replace(model, description=model.description.model_copy(update={"recipe": recipe}))


def predict(model: Model, images: Path, out: Path, **settings: Any) -> Summary:
    chosen = Settings(run=EXACT, diameter=20, **settings)
    return predict_folder(model, images, out, chosen, Outputs(maps=True))


def errors(out: Path) -> dict[str, str]:
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return {i["name"]: i["error"] for i in record["inputs"]}


def write_stack(path: Path, pixels: np.ndarray, axes: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, ome=True, metadata={"axes": axes}, photometric="minisblack")


def planes(depth: int, side: int = 64) -> np.ndarray:
    return np.stack([domes((side, side), 8, 4, seed)[0] for seed in range(depth)])


@pytest.mark.parametrize(
    ("model", "axes", "chosen"),
    [
        (model_of(1, planes=(2, 0)), "ZYX", None),
        (model_of(3, planes=(0, 1, 2), z_channels=True), "ZYX", None),
        (model_of(4, z_channels=True), "ZYX", None),
        (model_of(2, planes=(3, 1), z_channels=True), "CZYX", (1,)),
        (model_of(1, channels=(1,), planes=(1, 2)), "CZYX", None),
        (model_of(1), "CYX", (2,)),
        (model_of(1, planes=(1, 3)), "TZYX", None),
        (model_of(2, planes=(1, 3), z_channels=True), "TZYX", None),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_part_of_the_image_is_that_of_prediction(
    tmp_path: Path, model: Model, axes: str, chosen: tuple[int, ...] | None
) -> None:
    stack = planes(4)
    if len(axes) == 4:
        stack = np.stack([stack[::-1], stack])
    write_stack(tmp_path / "images" / "a.tif", stack, axes)
    out = tmp_path / "out"
    found = predict(model, tmp_path / "images", out, channels=chosen)
    assert (found.done, found.failed) == (1, 0), errors(out)
    again = decode_folder(out, tmp_path / "again", {})
    assert (again.done, again.failed) == (1, 0), errors(tmp_path / "again")
    before, after = (read_label_image(o / "labels" / "a.tif") for o in (out, tmp_path / "again"))
    assert before.axes == after.axes
    assert before.numpy().max() > 0
    np.testing.assert_array_equal(before.numpy(), after.numpy())
    tables = [(o / "objects.csv").read_text() for o in (out, tmp_path / "again")]
    assert tables[0] == tables[1]


def test_an_image_that_has_changed_is_not_decoded(tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    write_domes(images, ("a", "b"))
    predict(dome_model(), images, out)
    image, _ = domes((80, 80), 8, 3, seed=7)
    tifffile.imwrite(images / "a.tif", image)
    found = decode_folder(out, tmp_path / "again", {})
    assert (found.done, found.failed) == (1, 1)
    reason = errors(tmp_path / "again")["a"]
    assert str(images / "a.tif") in reason
    assert "has changed since it was predicted" in reason
    assert "delineate predict" in reason
    predict(dome_model(), images, out)
    assert decode_folder(out, tmp_path / "again", {}).failed == 0


def test_maps_that_are_gone_or_damaged_are_named(tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    write_domes(images, ("a", "b", "c"))
    predict(dome_model(), images, out)
    shutil.rmtree(out / "maps" / "a.zarr")
    (out / "maps" / "b.zarr" / "zarr.json").write_text("{")
    found = decode_folder(out, tmp_path / "again", {})
    assert (found.done, found.failed) == (1, 2)
    told = errors(tmp_path / "again")
    assert f"{out / 'maps' / 'a.zarr'}: the maps of this image are missing" in told["a"]
    assert "are damaged" in told["b"]
    for name in "ab":
        assert "`delineate predict … --keep-maps` again" in told[name]
        assert "--debug" not in told[name]
    predict(dome_model(), images, out)
    assert (out / "maps" / "a.zarr").exists()
