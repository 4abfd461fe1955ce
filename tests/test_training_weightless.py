"""Cost maps that are 0 everywhere, or where validation looks: nothing is learnt or scored there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from delineate.data.normalise import Normalise
from delineate.data.pairs import Pair
from delineate.data.samples import Preparation, prepare
from delineate.errors import DataError, RecipeError
from delineate.image import Image
from delineate.io import write_image
from delineate.methods.regression import Regression
from delineate.recipe import Recipe
from delineate.runs.train import train
from delineate.training.regimes import SupervisedOptions
from delineate.training.validation import validating

pytestmark = pytest.mark.usefixtures("no_curves")


def trained(folder: Path, nothing: set[str], recipe: str = "restoration", **changes: Any) -> Path:
    """Four images train, c and d validate; the cost maps of some are 0 everywhere."""
    rng = np.random.default_rng(0)
    table = ["image,split"]
    for number, name in enumerate("abcdef"):
        image = rng.random((32, 32)).astype(np.float32)
        cost = np.full_like(image, 0 if name in nothing else 1)
        for room, pixels in (("images", image), ("targets", image**2), ("cost", cost)):
            (folder / room).mkdir(parents=True, exist_ok=True)
            write_image(folder / room / f"{name}.tif", Image(pixels, "YX"))
        table.append(f"{name},{'val' if number in (2, 3) else 'train'}")
    (folder / "table.csv").write_text("\n".join(table))
    settings = {
        "data.images": str(folder),
        "data.table": str(folder / "table.csv"),
        "network": {"name": "residual-unet", "options": {"features": [4, 8]}},
        "train.steps": 4,
        "train.validate_every": 2,
        "train.batch": 1,
        "train.patch": 32,
        "train.device": "cpu",
        **changes,
    }
    train(Recipe.load(recipe, settings), folder / "run")
    return folder / "run"


@pytest.mark.parametrize("recipe", ["restoration", "noise2void"])
def test_without_a_weight_nothing_trains(tmp_path, recipe):
    with pytest.raises(DataError, match=r"cost maps of all 4 images to train on are 0 everywhere"):
        trained(tmp_path, set("abef"), recipe)
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize("recipe", ["restoration", "noise2void"])
def test_without_a_weight_nothing_validates(tmp_path, recipe):
    said = r"no validation image can be scored.*cost maps are 0 in the middle 768 .*is c\)"
    with pytest.raises(DataError, match=said):
        trained(tmp_path, set("cd"), recipe)
    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_single_images_without_a_weight_are_told_and_left_out(tmp_path, caplog):
    run = trained(tmp_path, set("ac"), "noise2void")
    assert (run / "model").is_dir()
    told = [r.message for r in caplog.records if r.levelname == "WARNING"]
    assert any("2 of 6 cost maps are 0 everywhere" in t and "a.tif" in t for t in told)
    assert any("1 of 2 validation images are not scored" in t and "is c" in t for t in told)


def test_whether_an_image_counts_is_kept_with_it(tmp_path):
    zeros = tmp_path / "zeros.tif"
    write_image(zeros, Image(np.zeros((32, 32), np.float32), "YX"))
    write_image(tmp_path / "a.tif", Image(np.eye(32, dtype=np.float32), "YX"))
    how = Preparation(Regression(), Normalise(), None, 1, None, 2, None)
    pair = Pair("a", tmp_path / "a.tif", target=tmp_path / "a.tif", cost=zeros)
    assert not prepare([pair], how, tmp_path / "cache")[0].counts
    assert not prepare([pair], how, tmp_path / "cache")[0].counts, "read from the cache"


def test_validation_asks_for_a_weight_where_it_looks(tmp_path, caplog):
    image, cost = (np.zeros((900, 40), np.float32) for _ in range(2))
    image[450:] = 1
    cost[:66] = 1  # validation looks at rows 66 to 833
    pairs = []
    for number in (0, 1):
        for kind, pixels in (("image", image), ("cost", cost)):
            write_image(tmp_path / f"{kind}{number}.tif", Image(pixels, "YX"))
        file = tmp_path / f"image{number}.tif"
        pairs.append(Pair(str(number), file, target=file, cost=tmp_path / f"cost{number}.tif"))
        cost[66] = 1
    how = Preparation(Regression(), Normalise(), None, 1, None, 2, None)
    samples = prepare(pairs, how, tmp_path / "cache")
    assert all(s.counts for s in samples)
    assert validating(samples, SupervisedOptions(), 5) == samples[1:]
    assert "1 of 2 validation images" in caplog.text
    with pytest.raises(DataError, match="no validation image can be scored"):
        validating(samples[:1], SupervisedOptions(), 5)
    assert validating([], SupervisedOptions(), 5) == []


def test_structure_is_asked_for_where_it_counts(tmp_path):
    rng = np.random.default_rng(0)
    blank = rng.random((32, 32)).astype(np.float32)
    blank[:, 16:] = 1
    cost = np.zeros_like(blank)
    cost[:, 16:] = 1
    for number in range(4):
        for room, pixels in (("images", blank), ("targets", blank), ("cost", cost)):
            (tmp_path / room).mkdir(exist_ok=True)
            write_image(tmp_path / room / f"{number}.tif", Image(pixels, "YX"))
    settings = {"data.images": str(tmp_path), "train.steps": 4, "train.device": "cpu"}
    with pytest.raises(RecipeError, match="no validation image has structure"):
        train(Recipe.load("restoration", settings), tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.csv").exists()
