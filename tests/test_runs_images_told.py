"""What a run of images tells before it begins: what it cannot do, and what it will not write."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from delineate.errors import ModelError
from delineate.image import Image
from delineate.io import write_image
from delineate.model import Description, Model
from delineate.recipe import Recipe
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, predict_folder
from same import EXACT, Same, same_model


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "a.tif"
    write_image(path, Image(np.random.default_rng(0).random((20, 30), np.float32), "YX"))
    return path


def test_one_draw_has_no_maps_of_uncertainty_and_says_so(
    image: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="delineate")
    model, asked = same_model(), Outputs(uncertainty=True)
    predict_folder(model, image, tmp_path / "one", Settings(run=EXACT), asked)
    assert "no maps of it are written: add --turns 4" in caplog.text
    assert not (tmp_path / "one" / "uncertainty" / "a.tif").exists()
    caplog.clear()
    predict_folder(model, image, tmp_path / "unasked", Settings(run=EXACT))
    four = Settings(run=EXACT.model_copy(update={"turns": 4}))
    predict_folder(model, image, tmp_path / "four", four, asked)
    assert not caplog.text
    assert (tmp_path / "four" / "uncertainty" / "a.tif").exists()


@pytest.mark.parametrize(("name", "told"), [("Blobs", True), ("SureBlobs", False)])
def test_a_method_that_has_no_uncertainty_says_so(
    image: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, told: bool
) -> None:
    caplog.set_level(logging.WARNING, logger="delineate")
    recipe = Recipe.build({"method": {"name": f"toy_methods:{name}"}}, allow_imports=True)
    model = Model(Description(schema=1, recipe=recipe, in_channels=1, ndim=2), ({},))
    model._built.append(Same())
    for turns in (1, 4):
        settings = Settings(run=EXACT.model_copy(update={"turns": turns}))
        out = tmp_path / f"out{turns}"
        assert predict_folder(model, image, out, settings, Outputs(uncertainty=True)).done == 1
        assert (out / "uncertainty" / "a.tif").exists() is not told
        predict_folder(model, image, tmp_path / f"unasked{turns}", settings)
    warned = [r.getMessage() for r in caplog.records if "uncertainty" in r.getMessage()]
    expected = (
        f"tells no uncertainty (its method, {recipe.method.title}, has none), so that no maps"
    )
    assert len(warned) == 2 * told
    assert all(expected in message and "--turns" not in message for message in warned)
    if told:
        with pytest.raises(ModelError, match=r"no image could be accepted.*: leave --required out"):
            predict_folder(model, image, tmp_path / "required", Settings(run=EXACT, required=0.8))


@pytest.mark.parametrize("name", ["threshold", "flow_threshold", "min_size"])
def test_what_decodes_objects_is_refused_by_the_name_of_its_option(
    image: Path, tmp_path: Path, name: str
) -> None:
    option = f"--{name.replace('_', '-')}"
    settings = Settings(run=EXACT, decoding={name: 0.3})
    with pytest.raises(ModelError, match=f"no objects: leave {option} out"):
        predict_folder(same_model(), image, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()
