"""The method in CONTRIBUTING.md: complete as it stands there, and usable by its import path."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import delineate
from command_line import call
from conftest import SMALL, disks
from delineate.errors import ModelError, RecipeError
from delineate.io import read_labels
from delineate.metrics import average_precision
from delineate.recipe import Recipe

GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"
NAME = "distances:Distances"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The class, from a file that Python finds."""
    codes = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (code for code in codes if "class Distances(" in code)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "distances.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "own")
    yield lambda: __import__("distances").Distances
    sys.modules.pop("distances", None)


@pytest.mark.parametrize("shape", [(90, 100), (30, 60, 60)])
def test_perfect_maps_give_the_labels_that_they_came_from(example: Any, shape: Any) -> None:
    labels = disks(shape, 8, 6, np.random.default_rng(0))
    labels[labels == 2] = 0  # ids with a gap
    method = example()()
    found = method.decode(method.encode(labels)).labels
    assert average_precision(labels, found)[4] == 1  # IoU 0.7
    np.testing.assert_array_equal(
        method.encode(np.flip(labels, -1)), np.flip(method.encode(labels), -1)
    )
    empty = np.zeros(shape, np.int32)
    assert not method.decode(method.encode(empty)).labels.any()


def test_nothing_is_imported_unless_it_is_allowed(example: Any) -> None:
    values = {"method": {"name": NAME, "core": 0.4}}
    with pytest.raises(RecipeError, match=r"outside the package: pass --allow-imports"):
        Recipe.build(values)
    assert "distances" not in sys.modules
    recipe = Recipe.build(values, allow_imports=True)
    assert recipe.method == example()(core=0.4)
    assert Recipe.build({"method": recipe.method}) == recipe  # what is given was imported already
    assert Recipe.build(recipe.model_dump(mode="json"), allow_imports=True) == recipe
    for name, core, told in (
        (NAME, 2, r"method\.core: .*less than 1"),
        ("distances:Nothing", 0.4, "cannot be imported"),
        ("distances:np", 0.4, "expected a subclass of Method"),
        ("delineate.methods.base:Method", 0.4, "not complete: it lacks activate, decode, encode"),
        ("delineate.methods.flows:Flows", 0.4, "give that name"),
        ("far", 0.4, r"choose one of flows, .*or give an import path"),
    ):
        with pytest.raises(RecipeError, match=told):
            Recipe.build({"method": {"name": name, "core": core}}, allow_imports=True)
    with pytest.raises(RecipeError, match=r"method\.cores: .*not permitted|no such setting"):
        Recipe.build({"method": {"name": NAME, "cores": 1}}, allow_imports=True)
    with pytest.raises(RecipeError, match="serves no discriminator"):
        recipe.method.picture_channels(2)


def test_the_commands_of_the_guide(
    example: Any, tmp_path: Path, dataset: Path, no_curves: None, capsys: pytest.CaptureFixture[str]
) -> None:
    import tifffile

    for image in (dataset / "images").iterdir():
        smooth = gaussian_filter(tifffile.imread(image).astype(np.float32), 1)
        tifffile.imwrite(image, smooth)
    settings = {**SMALL, "data.diameter": "null", "train.steps": 150, "train.validate_every": 50}
    given = [text for key, value in settings.items() for text in (f"--{key}", str(value))]
    given[given.index("{'features': [8, 16, 32]}")] = "{features: [4, 8]}"
    given = ["null" if text == "None" else text for text in given]
    own = ["--method.name", NAME, "--method.core", "0.4", "--allow-imports"]
    assert call("train", dataset, "-o", tmp_path / "far", *own, *given) == 0
    model = tmp_path / "far" / "model"
    sys.modules.pop("distances")
    with pytest.raises(ModelError, match="--allow-imports"):
        delineate.load(model)
    assert call("info", model) == 2
    assert "--allow-imports" in capsys.readouterr().err
    assert "distances" not in sys.modules
    out = tmp_path / "out"
    given = ["predict", dataset / "images", "-o", out, "--model", model, "--device", "cpu"]
    assert call(*given, "--allow-imports") == 0
    assert len(list((out / "labels").glob("*.tif"))) == 6
    assert read_labels(out / "labels" / "cell0.tif").max() > 0
    again = delineate.load(model, allow_imports=True)
    first = dataset / "images" / "cell0.tif"
    fewer = again.predict(first, core=0.8).labels
    assert fewer is not None and not np.array_equal(fewer, again.predict(first).labels)
