"""Rounds of a training: how many steps, at which rate, from which weights, and when they end."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from conftest import small_recipe
from delineate.data.options import DataOptions
from delineate.errors import ModelError
from delineate.methods.flows import Flows
from delineate.runs.members import first_network
from delineate.runs.train import train
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
