"""The learning-rate finder: where it suggests nothing and why, and which regimes it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from delineate.errors import RecipeError
from delineate.recipe import Recipe
from delineate.runs.rates import find_rates
from delineate.training.rates import HIGHEST, LOWEST, Rates, read_rates

RATES = np.geomspace(LOWEST, HIGHEST, 100)
STEPS = np.arange(100)


def noise(seed: int) -> Any:
    return np.random.default_rng(seed).normal(0, 0.01, 100)


@pytest.mark.parametrize("decay", [1, 3, 10])
@pytest.mark.parametrize("seed", range(5))
def test_a_loss_that_falls_at_the_lowest_rates_alone_suggests_nothing(decay, seed):
    """It falls whatever the rate, as while the statistics of norms settle."""
    found = read_rates(RATES, 1 + 0.5 * np.exp(-STEPS / decay) + noise(seed))
    assert found.suggested is None
    assert "lowest rates" in found.why


def test_a_loss_that_falls_later_too_is_told_by_the_steeper_fall():
    fall = 1 / (1 + np.exp(-4 * (np.log10(RATES) + 3)))
    early = 0.05 * np.exp(-STEPS / 10)
    found = read_rates(RATES, 1 - 0.7 * fall + early + noise(0))
    assert found.suggested == pytest.approx(1e-3, rel=0.6)
    assert found.why == ""


@pytest.mark.parametrize(
    ("losses", "why"),
    [
        (1 + np.linspace(0, 1, 100), "fell at no rate"),
        (np.ones(100), "fell at no rate"),
        (np.array([1.0, 2.0, 7.0]), "exploded"),
        (np.array([]), "exploded"),
    ],
)
def test_the_picture_says_why_nothing_is_suggested(losses, why, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    titles: list[str] = []

    def keep(figure: Any, file: Path, **_: Any) -> None:
        titles.extend(axes.get_title(loc="left") for axes in figure.axes)
        file.touch()

    found = read_rates(RATES[: len(losses)], losses)
    assert found.suggested is None
    assert why in found.why
    table, picture = found.save(tmp_path)
    assert picture.is_file()
    assert len(table.read_text().splitlines()) == len(losses) + 1
    monkeypatch.setattr(Figure, "savefig", keep)
    found.save(tmp_path)
    assert titles == [f"no rate is suggested: {found.why}"]


def test_a_rate_that_is_found_needs_no_reason():
    assert Rates(RATES, RATES, RATES, 1e-3).why == ""


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("labelfree-pix2pix", {}),
        ("labelfree-cyclegan", {"data.unpaired": False}),
        ("labelfree-cyclegan", {}),
        ("unsupervised-3d", {}),
        ("noise2void", {}),
    ],
)
def test_regimes_with_another_loss_than_the_method_s_are_refused(
    name: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    recipe = Recipe.load(name, {"data.images": str(tmp_path / "images"), **changes})
    said = rf"regime {recipe.regime.name} .*set train\.learning_rate by hand \(now \d"
    with pytest.raises(RecipeError, match=said):
        find_rates(recipe, tmp_path / "out")
    assert not list(tmp_path.iterdir())
