"""Where the cost is 0 nothing is known: it is not learned from, validated on, or scored."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from delineate.image import Image
from delineate.io import write_image
from delineate.methods.base import Method
from delineate.methods.regression import Regression
from delineate.methods.semantic import Semantic
from delineate.model import Model
from delineate.recipe import Recipe
from delineate.runs import train as runs
from delineate.training.options import TrainOptions
from delineate.training.setting import Setting
from delineate.training.supervised import Supervised
from small_trainings import assert_same_weights

METHODS = {
    "image": {"name": "regression", "ssim": 1.0},
    "classes": {"name": "semantic", "criterion": "cross-entropy+dice"},
}


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_draw_curves", lambda metrics: None)


def trained(folder: Path, kind: str, rubbish: bool) -> Model:
    """Four images train, two validate; of a quarter of each nothing is known."""
    rng = np.random.default_rng(0)
    table = ["image,split"]
    room = {"image": "targets", "classes": "labels"}[kind]
    for number, name in enumerate("abcdef"):
        image = rng.random((40, 40)).astype(np.float32)
        target = 0.5 - image if kind == "image" else (image > 0.5).astype(np.uint8)
        cost = np.full_like(image, 1 + number)
        cost[:20, :20] = 0
        if rubbish:
            target[cost == 0] = 9 if kind == "image" else 1
        for place, pixels in (("images", image), (room, target), ("cost", cost)):
            (folder / place).mkdir(parents=True, exist_ok=True)
            write_image(folder / place / f"{name}.tif", Image(pixels, "YX"))
        table.append(f"{name},{'val' if number in (2, 3) else 'train'}")
    (folder / "table.csv").write_text("\n".join(table))
    settings = {
        "data.images": str(folder),
        "data.table": str(folder / "table.csv"),
        "data.diameter": None,
        "normalise_target": None,
        "method": METHODS[kind],
        "network": {"name": "residual-unet", "options": {"features": [4, 8]}},
        "augment.rotate": 0,
        "augment.scale": [1, 1],
        "train.steps": 6,
        "train.validate_every": 2,
        "train.batch": 2,
        "train.patch": 48,
        "train.centres": "anywhere",
        "train.device": "cpu",
    }
    return runs.train(Recipe.load("restoration", settings), folder / "run")


def table_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "run" / name).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", list(METHODS))
def test_what_is_not_known_changes_no_weight_and_no_score(tmp_path: Path, kind: str) -> None:
    clean, rubbish = tmp_path / "clean", tmp_path / "rubbish"
    assert_same_weights(trained(clean, kind, False), trained(rubbish, kind, True))
    for name, scores in (("metrics.csv", "val_"), ("left-out.csv", "")):
        first, second = table_of(clean, name), table_of(rubbish, name)
        assert len(first) == len(second) > 1
        for a, b in zip(first, second, strict=True):
            known = [key for key in a if key.startswith(scores) and key != "image"]
            assert {key: a[key] for key in known} == {key: b[key] for key in known}
            assert len(known) > 2


class Same(torch.nn.Module):
    """Puts out its image as often as it is asked."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([20 * image - 10] * (self.channels - 1) + [10 - 20 * image], dim=1)


@pytest.mark.parametrize("method", [Regression(), Semantic()])
def test_a_right_image_scores_so_beside_what_is_not_known(method: Method) -> None:
    rng = np.random.default_rng(1)
    image = rng.random((1, 32, 32)).astype(np.float32)
    truth = image if method.truth == "image" else (image[0] < 0.5).astype(np.int32)
    wrong = rng.permuted(truth, axis=-1)
    cost = np.ones((32, 32), np.float32)
    cost[:, 10:] = 0
    wrong = np.where(cost > 0, truth, wrong)

    def scored(cost: Any) -> dict[str, float]:
        sample: Any = SimpleNamespace(
            image=image, targets=method.encode(wrong), truth=wrong, cost=cost
        )
        network = Same(2) if isinstance(method, Semantic) else torch.nn.Identity()
        module = Supervised(Setting(network, method, TrainOptions(), 1, [sample], 2, 1, _none))
        with torch.no_grad():
            module.validation_step(0, 0)
        return module.validation[0]

    assert scored(np.ones_like(cost))[method.monitor] < 0.8
    assert scored(None) == scored(np.ones_like(cost))
    found = scored(cost)
    assert found[method.monitor] == pytest.approx(1)
    nothing = scored(0 * cost)
    assert math.isnan(nothing[method.monitor])
    assert nothing.keys() == found.keys()


def _none(*_: Any) -> torch.nn.Module:
    raise AssertionError
