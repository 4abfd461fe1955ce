"""Images whose truth has no structure: they end no training, and nothing is compared with them."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from delineate.cli.train import _success
from delineate.errors import RecipeError
from delineate.image import Image
from delineate.io import write_image
from delineate.methods.regression import Regression
from delineate.model import Model
from delineate.recipe import Recipe
from delineate.runs import train as runs
from delineate.training.callbacks import Keep


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_draw_curves", lambda metrics: None)


def trained(folder: Path, blank: set[str], **changes: Any) -> Model:
    """Four images train, c and d validate; the targets of some are constant."""
    rng = np.random.default_rng(0)
    table = ["image,split"]
    for number, name in enumerate("abcdef"):
        image = rng.random((32, 32)).astype(np.float32)
        target = np.full_like(image, 7) if name in blank else 0.5 - image
        for room, pixels in (("images", image), ("targets", target)):
            (folder / room).mkdir(parents=True, exist_ok=True)
            write_image(folder / room / f"{name}.tif", Image(pixels, "YX"))
        table.append(f"{name},{'val' if number in (2, 3) else 'train'}")
    (folder / "table.csv").write_text("\n".join(table))
    settings = {
        "data.images": str(folder),
        "data.table": str(folder / "table.csv"),
        "normalise_target": None,
        "network": {"name": "residual-unet", "options": {"features": [4, 8]}},
        "train.steps": 8,
        "train.validate_every": 2,
        "train.patience": 2,
        "train.batch": 1,
        "train.patch": 32,
        "train.device": "cpu",
        **changes,
    }
    return runs.train(Recipe.load("restoration", settings), folder / "run")


def test_a_blank_channel_has_no_say_in_a_score() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((2, 24, 24)).astype(np.float32)
    found = truth + rng.normal(0, 0.2, truth.shape).astype(np.float32)
    one = Regression().score(found[:1], truth[:1])
    truth[1] = 3
    assert Regression(channels=2).score(found, truth) == one
    assert math.isnan(Regression().score(found[1:], truth[1:])["pearson"])


def test_a_blank_image_neither_ends_a_training_nor_is_a_reference(tmp_path: Path) -> None:
    model = trained(tmp_path, {"c"})
    with (tmp_path / "run" / "metrics.csv").open() as file:
        scores = [float(row["val_pearson"]) for row in csv.DictReader(file)]
    assert len(scores) > 1 and np.isfinite(scores).all()
    assert model.description.scores[0]["val_pearson"] == max(scores)
    reference = model.description.reference
    assert reference is not None
    assert [row["image"] for row in reference["images"]] == ["d"]
    with (tmp_path / "run" / "left-out.csv").open() as file:
        assert {row["image"] for row in csv.DictReader(file)} == {"c", "d"}


def test_blank_images_alone_cannot_validate(tmp_path: Path) -> None:
    said = r"no validation image has structure.*all of the 2 are constant.* middle 768 .*is c\)"
    with pytest.raises(RecipeError, match=said):
        trained(tmp_path, {"c", "d"})
    assert not (tmp_path / "run" / "metrics.csv").exists(), "it was trained before"


def test_without_a_score_there_is_no_reference(tmp_path: Path) -> None:
    """Discriminators have the last weights kept, whatever they score."""
    regime = {"name": "pix2pix", "discriminator": {"features": 4, "layers": 1, "scales": 1}}
    model = trained(tmp_path, {"c", "d"}, regime=regime)
    assert model.description.reference is None
    assert set(model.description.scores[0]) == {"val_loss"}
    assert "no image tells" in _success(replace(model, members=model.members * 2))


def test_no_number_is_never_the_best_score(tmp_path: Path) -> None:
    metrics: dict[str, float] = {}
    trainer: Any = SimpleNamespace(
        should_stop=False,
        is_global_zero=True,
        callback_metrics=metrics,
        save_checkpoint=lambda file: Path(file).write_text(str(metrics["val"])),
        strategy=SimpleNamespace(barrier=lambda: None),
    )
    keep = Keep(tmp_path, "val", "max")
    for score in (math.nan, 0.2, math.nan, 0.5, 0.1):
        metrics["val"] = score
        keep.on_train_epoch_end(trainer, None)
    assert keep.best == 0.5
    assert (tmp_path / "best.ckpt").read_text() == "0.5"
