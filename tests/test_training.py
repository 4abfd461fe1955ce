"""Training: it learns, it repeats, it goes on after being killed, and it says what is wrong."""

from __future__ import annotations

import csv
import logging
import threading
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from conftest import disks, picture, small_recipe
from delineate.data.augment import Augment
from delineate.data.layouts import find_pairs
from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.data.patches import Patches
from delineate.data.samples import Preparation, prepare
from delineate.errors import DataError, ModelError, RecipeError
from delineate.image import Image
from delineate.io import read, read_labels
from delineate.labels import median_diameter
from delineate.methods.flows import Flows
from delineate.metrics import average_precision, match
from delineate.model import Model, load
from delineate.runs import train as runs
from delineate.runs.members import first_network
from delineate.runs.train import Silent, train
from delineate.training import callbacks
from delineate.training.options import TrainOptions
from delineate.training.work import Loader


def weights_of(model: Model) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in model.members[0].items()}


def assert_same_weights(a: Model, b: Model) -> None:
    first, second = weights_of(a), weights_of(b)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def quick(dataset: Path, **settings: Any) -> Any:
    """A recipe of a few small steps, in rounds of two."""
    return small_recipe(
        data__images=dataset,
        **{
            "train__steps": 8,
            "train__validate_every": 2,
            "train__patch": 32,
            "train__batch": 2,
            "network__options": {"features": [4, 8]},
            **settings,
        },
    )


DRAW = runs._draw_curves


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    """Drawing takes longer than these trainings; the tests that look at curves draw them."""
    monkeypatch.setattr(runs, "_draw_curves", lambda metrics: None)


class Losses(Silent):
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def step(self, progress: Any) -> None:
        self.steps.append(progress.step)
        self.losses.append(progress.loss)


# It learns


def test_learns_round_objects_and_leaves_a_whole_run(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_draw_curves", DRAW)
    out = tmp_path / "run"
    heard = Losses()
    recipe = small_recipe(data__images=dataset, train__steps=120, train__validate_every=40)
    model = train(recipe, out, reporter=heard)
    assert model.description.scores[0]["val_ap50"] >= 0.8
    assert heard.steps == list(range(1, 121))
    assert {p.name for p in out.iterdir()} == {
        "calibration.png",
        "checkpoints",
        "curves.png",
        "left-out.csv",
        "metrics.csv",
        "model",
        "recipe.yaml",
    }
    assert {p.name for p in (out / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert {p.name for p in (out / "model").iterdir()} == {
        "card.md",
        "member-0.safetensors",
        "model.yaml",
        "novelty-0.safetensors",
        "scale.safetensors",
    }
    rows = rows_of(out)
    assert [int(r["step"]) for r in rows] == [40, 80, 120]
    assert float(rows[-1]["val_loss"]) < float(rows[0]["val_loss"])
    assert all(float(r["patches_per_second"]) > 0 for r in rows)
    best = max(float(r["val_map"]) for r in rows)
    assert model.description.scores[0]["val_map"] == best
    provenance = model.description.provenance
    assert provenance["training_images"] + provenance["validation_images"] == 6
    assert provenance["training_objects"] > 30
    # What was learnt is in the files, and serves images of another scale.
    loaded = load(out / "model")
    rng = np.random.default_rng(9)
    labels = disks((200, 180), 16, 12, rng)
    found = loaded.predict(picture(labels, rng), diameter=32).labels
    assert match(labels, found, 0.5).ap >= 0.8


def test_learns_real_nuclei(examples, tmp_path):
    """Fluorescent nuclei: one image trains, another of other cells and scale is segmented."""
    table = tmp_path / "table.csv"
    table.write_text("image,split\n04acab7636c4,train\n")
    recipe = small_recipe(
        data__images=examples, data__table=table, train__steps=200, train__validate_every=100
    )
    model = train(recipe, tmp_path / "run")
    image = read(examples / "images" / "7f2b15454116.png")
    labels = read_labels(examples / "labels" / "7f2b15454116.png")
    found = model.predict(image, diameter=median_diameter(labels)).labels
    assert float(average_precision(labels, found)[0]) >= 0.7


def test_learns_classes(tmp_path):
    """Bright objects are of class 2, dim ones of class 1; images have two channels."""
    rng = np.random.default_rng(3)
    root = tmp_path / "data"
    for kind in ("images", "labels", "classes"):
        (root / kind).mkdir(parents=True)

    def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels = disks((96, 96), 9, 10, rng)
        kinds = np.concatenate([[0], rng.integers(1, 3, int(labels.max()))])
        image = np.array([10, 90, 200])[kinds][labels] + rng.normal(0, 8, labels.shape)
        both = np.stack([image, rng.normal(100, 8, labels.shape)])
        return np.clip(both, 0, 255).astype(np.uint8), labels, kinds

    for n in range(5):
        image, labels, kinds = scene()
        tifffile.imwrite(
            root / f"images/{n}.tif", image, photometric="minisblack", metadata={"axes": "CYX"}
        )
        tifffile.imwrite(root / f"labels/{n}.tif", labels.astype(np.uint16))
        tifffile.imwrite(root / f"classes/{n}.tif", kinds[labels].astype(np.uint8))
    recipe = small_recipe(
        data__images=root,
        method__classes=2,
        normalise__kind="range",
        normalise__low=0,
        normalise__high=255,
        train__steps=100,
        train__validate_every=50,
    )
    model = train(recipe, tmp_path / "run")
    assert model.description.in_channels == 2
    right = total = 0
    for _ in range(3):
        image, labels, kinds = scene()
        found = model.predict(Image(image, "CYX"), diameter=18)
        matched = match(labels, found.labels, 0.5)
        assert matched.ap >= 0.7
        guessed = found.objects["class"][matched.pred_ids - 1]
        right += int((guessed == kinds[matched.truth_ids]).sum())
        total += len(matched.truth_ids)
    assert total > 20
    assert right / total > 0.9


def test_learns_volumes(tmp_path):
    rng = np.random.default_rng(4)
    root = tmp_path / "data"
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    for n in range(4):
        labels = disks((16, 48, 48), 5, 12, rng)
        tifffile.imwrite(root / f"images/{n}.tif", picture(labels, rng), metadata={"axes": "ZYX"})
        tifffile.imwrite(
            root / f"labels/{n}.tif", labels.astype(np.uint16), metadata={"axes": "ZYX"}
        )
    heard = Losses()
    recipe = small_recipe(
        data__images=root,
        data__diameter=10,
        network__options={"features": [8, 16]},
        train__steps=64,
        train__validate_every=32,
        train__batch=2,
        train__patch=24,
    )
    model = train(recipe, tmp_path / "run", reporter=heard)
    assert model.description.ndim == 3
    assert np.mean(heard.losses[-10:]) < 0.5 * np.mean(heard.losses[:3])
    labels = disks((20, 50, 60), 5, 14, rng)
    found = model.predict(Image(picture(labels, rng), "ZYX"), diameter=10)
    assert found.axes == "ZYX"
    assert found.labels.shape == labels.shape
    assert match(labels, found.labels, 0.5).ap > 0.5


# It repeats, and goes on


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

    def score(self: Flows, maps: Any, labels: Any) -> dict[str, float]:
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


# Rounds, early stopping, fine-tuning


@pytest.mark.parametrize("steps", [1, 7, 99, 100, 150, 250, 1000])
@pytest.mark.parametrize("every", [1, 7, 50, 100])
def test_rounds_take_hardly_more_than_the_steps_asked_for(steps, every):
    options = TrainOptions(steps=steps, validate_every=every)
    assert options.total == options.epochs * options.steps_per_epoch
    assert steps <= options.total < steps + options.epochs
    assert options.steps_per_epoch < 1.6 * every + 1


def test_progress_counts_to_the_steps_that_are_taken(dataset, tmp_path):
    heard = Losses()
    train(quick(dataset, train__steps=7, train__validate_every=3), tmp_path / "run", reporter=heard)
    assert heard.steps == list(range(1, 9))
    assert "training 8 steps" in heard.stages


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


@pytest.mark.parametrize(
    "settings",
    [
        {"train__accumulate": 3},
        {"train__optimizer": "sgd", "train__schedule": "cellpose", "train__learning_rate": 0.02},
        {"train__clip": None},
        {"train__precision": "bf16"},
        {"network__options": {"features": [4, 8], "style": False}},
    ],
)
def test_other_ways_of_training(dataset, tmp_path, settings):
    heard = Losses()
    model = train(quick(dataset, **settings), tmp_path / "run", reporter=heard)
    assert heard.steps[-1] == 8
    assert all(0 < loss < 10 for loss in heard.losses)
    assert all(np.isfinite(v).all() for v in weights_of(model).values())


def test_a_network_from_outside_that_needs_certain_sizes(dataset, tmp_path, monkeypatch):
    """Its `divisor` is heeded where whole images validate and are predicted."""
    name = f"outside_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    divisor = 8\n"
        "    def __init__(self, in_channels, out_channels, ndim):\n"
        "        super().__init__(nn.Conv2d(in_channels, out_channels, 3, padding=1))\n"
        "    def forward(self, x):\n"
        "        assert not any(n % 8 for n in x.shape[2:]), x.shape\n"
        "        return super().forward(x)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    recipe = quick(dataset, network__name=f"{name}:Net", network__options={}, data__diameter=19.3)
    with pytest.raises(ModelError, match="--allow-imports"):
        train(recipe, tmp_path / "run")
    model = train(recipe, tmp_path / "run", allow_imports=True)
    assert model.scale is None
    found = load(tmp_path / "run" / "model", allow_imports=True).predict(np.eye(45, 51))
    assert found.labels.shape == (45, 51)


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


# What goes wrong


def test_a_loss_that_explodes_is_an_error_with_a_remedy(dataset, tmp_path):
    recipe = quick(dataset, train__learning_rate=1e30, train__clip=None, train__steps=40)
    with pytest.raises(RecipeError, match=r"became (nan|inf|infinite).*lower train\.learning_rate"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "model").exists()


def test_images_without_any_object_are_refused(tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        for n in range(2):
            tifffile.imwrite(tmp_path / kind / f"{n}.tif", np.zeros((40, 40), np.uint8))
    with pytest.raises(DataError, match="no object is labelled in any training image"):
        train(quick(tmp_path), tmp_path / "run")


def test_some_images_without_objects_are_fine(dataset, tmp_path):
    """They train as background, and as validation images they score too."""
    for name in ("cell0", "cell3"):
        tifffile.imwrite(dataset / f"labels/{name}.tif", np.zeros((96, 96), np.uint8))
    table = tmp_path / "t.csv"
    table.write_text("image,split\ncell0,train\ncell1,train\ncell2,train\ncell3,val\n")
    model = train(quick(dataset, data__table=table), tmp_path / "run")
    assert np.isfinite(model.description.scores[0]["val_map"])


def test_shapes_that_differ_name_both_files(dataset, tmp_path):
    tifffile.imwrite(dataset / "labels/cell2.tif", np.ones((96, 95), np.uint8))
    with pytest.raises(
        DataError, match=r"cell2\.tif.*\(96, 96\), its labels .*cell2\.tif \(96, 95"
    ):
        train(quick(dataset), tmp_path / "run")


def test_nothing_to_train_on(tmp_path):
    with pytest.raises(RecipeError, match=r"data\.images is not set"):
        train(small_recipe(), tmp_path / "run")


def test_one_image_trains_alone(dataset, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(runs, "_draw_curves", DRAW)
    for n in range(1, 6):
        (dataset / f"images/cell{n}.tif").unlink()
    with caplog.at_level(logging.INFO, "delineate"):
        model = train(quick(dataset, data__diameter=24), tmp_path / "run")
    assert "cell0 is the only labelled image" in caplog.text
    (told,) = [r for r in caplog.records if "the size of objects is not told" in r.message]
    assert "by 1 image and this network" in told.message
    assert told.levelno == logging.WARNING
    assert model.scale is None
    assert model.description.scores == ({},)
    assert model.description.provenance["steps"] == 8
    rows = rows_of(tmp_path / "run")
    assert len(rows) == 4
    assert all(float(r["patches_per_second"]) > 0 for r in rows)
    assert (tmp_path / "run" / "curves.png").stat().st_size > 0
    assert not (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()


def test_images_of_many_kinds_must_be_told_apart(tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    shapes = {"a": (2, 40, 40), "b": (40, 40)}
    for name, shape in shapes.items():
        axes = "CYX"[-len(shape) :]
        tifffile.imwrite(
            tmp_path / f"images/{name}.tif",
            np.zeros(shape, np.uint8),
            photometric="minisblack",
            metadata={"axes": axes},
        )
        tifffile.imwrite(tmp_path / f"labels/{name}.tif", np.ones((40, 40), np.uint8))
    with pytest.raises(DataError, match=r"1, 2 channels: choose with data\.channels"):
        train(quick(tmp_path, data__validation=0), tmp_path / "run")
    tifffile.imwrite(
        tmp_path / "images/a.tif", np.zeros((5, 40, 40), np.uint8), metadata={"axes": "ZYX"}
    )
    with pytest.raises(DataError, match=r"some images have a Z axis and some do not"):
        train(quick(tmp_path, data__validation=0), tmp_path / "run")


def test_a_device_that_is_not_there_is_told_at_once(dataset, tmp_path):
    with pytest.raises(ModelError, match=r"device 'cuda:7' is not usable"):
        train(quick(dataset, train__device="cuda:7"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_tensorboard_that_is_not_installed_is_told_at_once(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("delineate.training.fit.find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"install the extra 'tensorboard' \(in a clone: "):
        train(quick(dataset, train__tensorboard=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# The thread that makes the next batch


@pytest.fixture
def patches(dataset, tmp_path):
    how = Preparation(Flows(), Normalise(), 18.0, 1, None, 2, None)
    samples = prepare(find_pairs(dataset), how, tmp_path / "cache")
    return Patches(samples, Flows(), Augment(), (32, 32), 12, 0)


def no_threads_left(before: set[threading.Thread]) -> bool:
    """Whether all threads started since have ended (they may take a moment)."""
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
    return not set(threading.enumerate()) - before


def test_batches_come_in_order_and_once(patches):
    batches = list(Loader(patches, 5))
    assert [len(b.image) for b in batches] == [5, 5, 2]
    for number in range(12):
        got = batches[number // 5]
        for a, b in zip(got, patches[number], strict=True):
            torch.testing.assert_close(a[number % 5], b, rtol=0, atol=0)


def test_a_loader_left_early_leaves_no_thread(patches):
    before = set(threading.enumerate())
    iterator = iter(Loader(patches, 2))
    next(iterator)
    iterator.close()
    assert no_threads_left(before)


def test_errors_while_making_patches_reach_the_training(dataset, tmp_path, monkeypatch):
    make = Patches.__getitem__

    def failing(self: Patches, index: int) -> Any:
        if self.epoch == 1 and index == 3:
            raise OSError("disk is gone")
        return make(self, index)

    monkeypatch.setattr(Patches, "__getitem__", failing)
    before = set(threading.enumerate())
    with pytest.raises(OSError, match="disk is gone"):
        train(quick(dataset), tmp_path / "run")
    assert no_threads_left(before)


def test_errors_of_a_step_leave_no_thread(dataset, tmp_path, monkeypatch):
    def failing(*_: Any) -> None:
        raise ArithmeticError("no loss")

    before = set(threading.enumerate())
    monkeypatch.setattr(Flows, "loss", failing)
    with pytest.raises(ArithmeticError, match="no loss"):
        train(quick(dataset), tmp_path / "run")
    assert no_threads_left(before)


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
