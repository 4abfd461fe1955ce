"""Regimes of one's own, named by their import path as methods and networks are."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import delineate
from command_line import call
from conftest import SMALL
from delineate.errors import ModelError, RecipeError
from delineate.recipe import Recipe, override
from delineate.runs.rates import find_rates

GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"
NAME = "noisy:Noisy"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The regime of the guide, from a file that Python finds."""
    codes = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (code for code in codes if "class Noisy(" in code)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "noisy.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "own")
    yield lambda: __import__("noisy").Noisy
    sys.modules.pop("noisy", None)


def test_nothing_is_imported_unless_it_is_allowed(example: Any) -> None:
    values = {"regime": {"name": NAME, "sd": 0.2}}
    with pytest.raises(RecipeError, match=r"regime 'noisy:Noisy' .*pass --allow-imports"):
        Recipe.build(values)
    assert "noisy" not in sys.modules
    recipe = Recipe.build(values, allow_imports=True)
    assert recipe.regime == example()(sd=0.2)
    assert Recipe.build({"regime": recipe.regime}) == recipe  # what is given was imported already
    assert recipe.model_dump(mode="json")["regime"] == {"sd": 0.2, "name": NAME}
    assert Recipe.build(recipe.model_dump(mode="json"), allow_imports=True) == recipe
    for name, sd, told in (
        (NAME, -1, r"regime\.sd: .*greater than"),
        ("noisy:Nothing", 0.4, "cannot be imported"),
        ("noisy:torch", 0.4, "expected a subclass of Regime"),
        ("delineate.training.regime:Regime", 0.4, "not complete: it lacks module"),
        ("delineate.training.regimes:SupervisedOptions", 0.4, "give that name"),
        ("loud", 0.4, r"choose one of supervised, .*or give an import path"),
    ):
        with pytest.raises(RecipeError, match=told):
            Recipe.build({"regime": {"name": name, "sd": sd}}, allow_imports=True)
    with pytest.raises(RecipeError, match=r"regime\.sds: .*no such setting"):
        Recipe.build({"regime": {"name": NAME, "sds": 1}}, allow_imports=True)
    with pytest.raises(RecipeError, match=r"data\.unpaired: regime noisy:Noisy learns from pairs"):
        Recipe.build({**values, "data": {"unpaired": True}}, allow_imports=True)


def test_the_commands_of_the_guide(
    example: Any,
    tmp_path: Path,
    dataset: Path,
    no_curves: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = {**SMALL, "data.diameter": None, "train.steps": 4, "train.validate_every": 2}
    settings["network.options"] = {"features": [4, 8]}
    own = {"regime.name": NAME, "regime.sd": 0.2}
    given = [text for k, v in {**settings, **own}.items() for text in (f"--{k}", str(v))]
    given = ["null" if text == "None" else text for text in given]
    run = tmp_path / "run"
    assert call("train", dataset, "-o", run, *given) == 2
    assert "--allow-imports" in capsys.readouterr().err and not run.exists()
    example()
    module, seen = sys.modules["noisy"].NoisyTraining, []
    step = module.training_step
    monkeypatch.setattr(
        module, "training_step", lambda self, *batch: seen.append(self.sd) or step(self, *batch)
    )
    assert call("train", dataset, "-o", run, *given, "--allow-imports") == 0
    assert seen == [0.2] * 4  # its own step was taken
    assert call("train", dataset, "-o", run, *given, "--allow-imports") == 0
    assert len(seen) == 4  # and not again
    with pytest.raises(ModelError, match="--allow-imports"):
        delineate.load(run / "model")
    model = delineate.load(run / "model", allow_imports=True)
    assert model.recipe.regime == example()(sd=0.2)
    assert model.predict(dataset / "images" / "cell0.tif").labels is not None
    values = override({}, {**settings, **own, "data.images": str(dataset)})
    with pytest.raises(RecipeError, match="regime noisy:Noisy trains by another"):
        find_rates(Recipe.build(values, allow_imports=True), tmp_path / "rates")
