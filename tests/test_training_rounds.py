"""Rounds of a training: how many steps, at which rate, from which weights, and when they end."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from conftest import small_recipe
from delineate.data.options import DataOptions
from delineate.errors import ModelError, RecipeError
from delineate.methods.flows import Flows
from delineate.runs.members import first_network
from delineate.runs.train import train
from delineate.training.callbacks import Keep
from delineate.training.options import TrainOptions
from small_trainings import Losses, quick, rows_of

pytestmark = pytest.mark.usefixtures("no_curves")


@pytest.mark.parametrize("steps", [1, 7, 99, 100, 150, 250, 1000])
@pytest.mark.parametrize("every", [1, 7, 50, 100])
def test_rounds_take_hardly_more_than_the_steps_asked_for(steps, every):
    options = TrainOptions(steps=steps, validate_every=every)
    assert options.total == options.epochs * options.steps_per_epoch
    assert steps <= options.total < steps + options.epochs
    assert options.steps_per_epoch < 1.6 * every + 1


def test_schedules_begin_low_and_end_low():
    for schedule in ("one-cycle", "cellpose"):
        options = TrainOptions(schedule=schedule)
        rates = [options.rate(step, 500) for step in range(501)]
        assert max(rates) == pytest.approx(1.0)
        assert rates[0] <= 0.05
        assert rates[-1] < 0.01
    rates = np.array([TrainOptions(schedule="cellpose").rate(step, 500) for step in range(500)])
    np.testing.assert_allclose(rates[:10], np.arange(10) / 10)
    assert (rates[10:400] == 1).all()
    np.testing.assert_allclose(rates[400::10], 0.5 ** np.arange(1, 11))


def test_progress_counts_to_the_steps_that_are_taken(dataset, tmp_path):
    heard = Losses()
    train(quick(dataset, train__steps=7, train__validate_every=3), tmp_path / "run", reporter=heard)
    assert heard.steps == list(range(1, 9))
    assert "training 8 steps" in heard.stages


def test_stops_when_the_score_no_longer_grows(dataset, tmp_path, monkeypatch):
    scores = iter([0.1, 0.4, 0.3, 0.2, 0.35, 0.0])
    monkeypatch.setattr(Flows, "score", lambda *_: {"map": next(scores), "ap50": 0.0})
    model = train(quick(dataset, train__patience=3, train__steps=40), tmp_path / "run")
    assert len(rows_of(tmp_path / "run")) == 5
    assert model.description.provenance["steps"] == 4
    assert model.description.scores[0]["val_map"] == pytest.approx(0.4)


def test_of_weights_that_find_nothing_yet_those_of_the_lowest_loss_are_kept(
    dataset, tmp_path, monkeypatch
):
    """A score of 0 in every round neither keeps the first weights nor ends the training."""
    monkeypatch.setattr(Flows, "score", lambda *_: {"map": 0.0, "ap50": 0.0})
    model = train(quick(dataset, train__patience=2, train__steps=16), tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert len(rows) > 3
    lowest = min(rows, key=lambda row: float(row["val_loss"]))
    assert model.description.provenance["steps"] == int(lowest["step"]) > 2


def judged(
    folder: Path, mode: Any, patience: int | None, rounds: list[dict[str, float]]
) -> tuple[list[int], int]:
    """Rounds that wrote best.ckpt, and after how many of them training ended."""
    kept: list[int] = []
    trainer: Any = SimpleNamespace(
        should_stop=False,
        is_global_zero=True,
        save_checkpoint=lambda file: Path(file).write_text(str(trainer.current_epoch)),
        strategy=SimpleNamespace(barrier=lambda: None),
    )
    keep = Keep(folder, "val_map", mode, patience)
    for number, trainer.callback_metrics in enumerate(rounds):
        trainer.current_epoch = number
        keep.on_train_epoch_end(trainer, None)
        if (folder / "best.ckpt").exists():
            best = int((folder / "best.ckpt").read_text())
            kept += [best] * (best not in kept)
        if keep.stopped:
            return kept, number + 1
    return kept, len(rounds)


@pytest.mark.parametrize(
    ("mode", "scores", "losses", "kept", "ended"),
    [
        ("max", [0, 0, 0, 0, 0], [3, 2, 2.5, 2, 1], [0, 1], 4),
        ("max", [0, 0.1, 0, 0.1, 0.1], [3, 4, 1, 3, 5], [0, 1, 3], 5),
        ("min", [1, 1, 0.5, 1, 1], [3, 2, 9, 1, 0], [0, 1, 2], 5),
        ("max", [0, 0, 0, 0, 0], [math.nan, 2, math.nan, 1, math.nan], [0, 1, 3], 5),
        ("max", [0.1, 0.2, 0.2, 0.1, 0.3], None, [0, 1], 4),  # a regime that logs no loss
        ("max", [0.1, 0.2, math.nan, 0.3, 0.4], None, [0, 1], 3),
    ],
)
def test_of_equal_scores_the_lower_loss_is_better(tmp_path, mode, scores, losses, kept, ended):
    rounds = [{"val_map": float(score)} for score in scores]
    for row, loss in zip(rounds, losses or (), strict=False):
        row["val_loss"] = float(loss)
    assert judged(tmp_path, mode, 2, rounds) == (kept, ended)
    assert judged(tmp_path, mode, None, rounds)[1] == len(rounds)


def test_a_score_that_was_not_logged_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"val_map, .*not logged .*there are: val_dice"):
        judged(tmp_path, "max", None, [{"val_dice": 0.1}])


def test_fine_tuning_starts_from_the_weights_of_a_model(dataset, tmp_path):
    base = train(small_recipe(data__images=dataset, train__steps=80), tmp_path / "base")
    fresh, tuned = Losses(), Losses()
    once = small_recipe(data__images=dataset, train__steps=1)
    train(once, tmp_path / "fresh", reporter=fresh)
    train(once, tmp_path / "tuned", start=base, reporter=tuned)
    assert tuned.losses[0] < 0.6 * fresh.losses[0]
    wider = small_recipe(data__images=dataset, network__options={"features": [8, 16, 48]})
    with pytest.raises(ModelError, match=r"do not fit the network: differs in .* instead of"):
        train(wider, tmp_path / "wider", start=base)
    classes = small_recipe(data__images=dataset, method__classes=2)
    remedy = r"with method\.classes 0 and not 2: set the same, or leave out --from to train from"
    with pytest.raises(ModelError, match=f"do not fit .*; it was trained {remedy} the beginning"):
        first_network(classes, 0, 1, 2, base, False)
    deeper = small_recipe(data__images=dataset, network__options={"features": [8, 16, 32, 64]})
    with pytest.raises(ModelError, match="lacks"):
        train(deeper, tmp_path / "deeper", start=base)


def test_no_scale_is_no_warning_where_no_diameter_was_chosen(dataset, tmp_path, caplog):
    for n in range(1, 6):
        (dataset / f"images/cell{n}.tif").unlink()
    recipe = quick(dataset, train__steps=1)
    default = DataOptions.model_fields["diameter"].default
    data = recipe.data.model_copy(update={"diameter": default})
    with caplog.at_level(logging.INFO, "delineate"):
        train(recipe.model_copy(update={"data": data}), tmp_path / "run")
    (told,) = [r for r in caplog.records if "the size of objects is not told" in r.message]
    assert told.levelno == logging.INFO
