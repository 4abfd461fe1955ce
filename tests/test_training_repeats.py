"""A training repeats, and goes on to the same weights after being killed or interrupted."""

from __future__ import annotations

from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from delineate.errors import RecipeError
from delineate.methods.flows import Flows
from delineate.model import load
from delineate.runs import train as runs
from delineate.runs.train import Silent, train
from delineate.training import callbacks
from small_trainings import Losses, assert_same_weights, quick, rows_of, weights_of

pytestmark = pytest.mark.usefixtures("no_curves")


def test_the_seed_decides_the_weights(dataset, tmp_path):
    a, b = (train(quick(dataset), tmp_path / name) for name in "ab")
    other = train(quick(dataset, seed=1), tmp_path / "c")
    assert_same_weights(a, b)
    assert a.description.scores == b.description.scores
    first, second = weights_of(a), weights_of(other)
    assert any(not np.array_equal(first[k], second[k]) for k in first)


def test_patches_made_by_processes_are_the_same(dataset, tmp_path):
    options = {"train__steps": 2, "train__validate_every": 1}
    alone = train(quick(dataset, **options), tmp_path / "a")
    helped = train(quick(dataset, **options, train__workers=1), tmp_path / "b")
    assert_same_weights(alone, helped)


def interrupt(monkeypatch: pytest.MonkeyPatch, name: str, epoch: int) -> None:
    """Let a training die where it would write the checkpoint `name` of a round."""
    save = callbacks.Keep._save

    def dying(self: Any, trainer: Any, file: str) -> None:
        if trainer.current_epoch == epoch and file == name:
            raise ZeroDivisionError("killed")
        save(self, trainer, file)

    monkeypatch.setattr(callbacks.Keep, "_save", dying)


def growing_score(start: int = 0) -> Any:
    count = [start]

    def score(self: Flows, maps: Any, labels: Any, counted: Any = None) -> dict[str, float]:
        count[0] += 1
        return {"map": count[0] / 100, "ap50": 0.0}

    return score


@pytest.mark.parametrize(("name", "epoch"), [("last.ckpt", 0), ("last.ckpt", 2), ("best.ckpt", 1)])
def test_a_training_that_died_between_checkpoints_ends_the_same(
    dataset, tmp_path, monkeypatch, name, epoch
):
    # A score that grows in every round makes every round write both checkpoints.
    monkeypatch.setattr(Flows, "score", growing_score())
    whole = train(quick(dataset), tmp_path / "whole")
    monkeypatch.setattr(Flows, "score", growing_score())
    with monkeypatch.context() as patched:
        interrupt(patched, name, epoch)
        with pytest.raises(ZeroDivisionError):
            train(quick(dataset), tmp_path / "died")
    assert not (tmp_path / "died" / "model").exists()
    monkeypatch.setattr(Flows, "score", growing_score(epoch))
    heard = Losses()
    resumed = train(quick(dataset), tmp_path / "died", reporter=heard)
    assert heard.steps == list(range(2 * epoch + 1, 9))
    assert_same_weights(whole, resumed)
    assert [r["loss"] for r in rows_of(tmp_path / "died")] == [
        r["loss"] for r in rows_of(tmp_path / "whole")
    ]


def test_a_training_that_died_while_the_scale_was_learnt_ends_the_same(
    dataset, tmp_path, monkeypatch
):
    """Also where it had stopped early: nothing is trained again."""
    monkeypatch.setattr(Flows, "score", lambda *_: {"map": 0.5, "ap50": 0.5})
    monkeypatch.setattr(Flows, "loss", lambda _, output, *__: 1 + 0 * output.sum())
    recipe = quick(dataset, train__patience=2, train__steps=20)
    whole = train(recipe, tmp_path / "whole")
    assert [int(r["step"]) for r in rows_of(tmp_path / "whole")] == [2, 4, 6]
    assert whole.description.provenance["steps"] == 2

    def dying(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(runs, "_scale", dying)
        with pytest.raises(ZeroDivisionError):
            train(recipe, tmp_path / "died")
    heard = Losses()
    resumed = train(recipe, tmp_path / "died", reporter=heard)
    assert heard.steps == []
    assert_same_weights(whole, resumed)
    assert resumed.description.scores == whole.description.scores
    assert not (tmp_path / "died" / "cache").exists()


@pytest.mark.parametrize("killed", [3, 4])
def test_a_training_that_died_stops_at_the_same_round(dataset, tmp_path, monkeypatch, killed):
    """With the best weights of the same round, the third: of equal scores the lower loss tells."""
    scores, losses = [0.1, 0.4, 0.4, 0.4, 0.3, 0.2], [0.5, 0.9, 0.8, 0.85, 0.82, 0.1]

    def known(first: int) -> None:
        told = chain(zip(scores[first:], losses[first:], strict=True), repeat((0.2, 0.1)))
        row = lambda *_: dict(zip(("map", "loss"), next(told), strict=True), ap50=0.0)  # noqa: E731
        monkeypatch.setattr(Flows, "score", row)

    recipe = quick(dataset, train__patience=3, train__steps=40)
    known(0)
    whole = train(recipe, tmp_path / "whole")
    assert whole.description.provenance["steps"] == 6
    assert len(rows_of(tmp_path / "whole")) == 6
    known(0)
    with monkeypatch.context() as patched:
        interrupt(patched, "last.ckpt", killed)
        with pytest.raises(ZeroDivisionError):
            train(recipe, tmp_path / "died")
    known(killed)
    resumed = train(recipe, tmp_path / "died")
    assert len(rows_of(tmp_path / "died")) == 6
    assert resumed.description.provenance["steps"] == 6
    assert_same_weights(whole, resumed)


def test_an_interruption_comes_through_as_one(dataset, tmp_path):
    """Ctrl-C is KeyboardInterrupt, and the next run goes on from the last checkpoint."""

    class Impatient(Silent):
        def step(self, progress: Any) -> None:
            if progress.step == 5:
                raise KeyboardInterrupt

    whole = train(quick(dataset), tmp_path / "whole")
    import signal

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(quick(dataset), tmp_path / "run", reporter=Impatient())
    assert signal.getsignal(signal.SIGINT) is handler
    heard = Losses()
    assert_same_weights(whole, train(quick(dataset), tmp_path / "run", reporter=heard))
    assert heard.steps == [5, 6, 7, 8]


def test_a_run_can_be_moved_while_it_rests(dataset, tmp_path, monkeypatch):
    """The best score so far is known in the new place, so the best weights are kept."""
    scores = iter([0.9, 0.1, 0.2, 0.3])
    monkeypatch.setattr(Flows, "score", lambda *_: {"map": next(scores), "ap50": 0.0})
    with monkeypatch.context() as patched:
        interrupt(patched, "last.ckpt", 1)
        with pytest.raises(ZeroDivisionError):
            train(quick(dataset), tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    scores = chain([0.1, 0.2, 0.3], repeat(0.5))  # then come those of the images left out
    model = train(quick(dataset), tmp_path / "new")
    assert model.description.provenance["steps"] == 2
    assert model.description.scores[0]["val_map"] == pytest.approx(0.9)


def test_a_finished_training_gives_its_model_back(dataset, tmp_path):
    model = train(quick(dataset), tmp_path / "run")
    heard = Losses()
    again = train(quick(dataset), tmp_path / "run", reporter=heard)
    assert heard.steps == []
    assert any("trained already" in stage for stage in heard.stages)
    assert again.sha256() == model.sha256()


def test_another_training_in_the_same_folder_is_refused(dataset, tmp_path):
    out = tmp_path / "run"
    train(quick(dataset), out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    with pytest.raises(RecipeError, match=r"run holds a training by another recipe.*recipe\.yaml"):
        train(quick(dataset, seed=5), out)
    with pytest.raises(RecipeError, match="another folder"):
        train(quick(dataset), out, start=load(out / "model"))
    tifffile.imwrite(dataset / "images/new.tif", np.zeros((50, 50), np.uint8))
    tifffile.imwrite(dataset / "labels/new.tif", np.zeros((50, 50), np.uint8))
    with pytest.raises(RecipeError, match="of other images"):
        train(quick(dataset), out)
    assert before == {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    (out / "recipe.yaml").unlink()
    with pytest.raises(RecipeError, match="holds a training"):
        train(quick(dataset), out)


def test_the_recipe_that_a_run_leaves_can_be_trained_from_anywhere(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(quick(Path("data"), train__steps=1), "run")
    text = (tmp_path / "run" / "recipe.yaml").read_text(encoding="utf-8")
    assert f"images: {tmp_path / 'data'}" in text
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    from delineate.recipe import Recipe

    again = train(Recipe.load("../run/recipe.yaml"), "../run")
    assert again.description.provenance["training_images"] == 5
