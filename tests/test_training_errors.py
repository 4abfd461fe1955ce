"""What goes wrong in a training is told with a remedy, and leaves no thread behind."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from conftest import small_recipe
from delineate.data.augment import Augment
from delineate.data.layouts import find_pairs
from delineate.data.normalise import Normalise
from delineate.data.patches import Patches
from delineate.data.samples import Preparation, prepare
from delineate.errors import DataError, ModelError, RecipeError
from delineate.methods.flows import Flows
from delineate.runs.train import train
from delineate.training.work import Loader
from small_trainings import quick

pytestmark = pytest.mark.usefixtures("no_curves")


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


def test_shapes_that_differ_name_both_files(dataset, tmp_path):
    tifffile.imwrite(dataset / "labels/cell2.tif", np.ones((96, 95), np.uint8))
    with pytest.raises(
        DataError, match=r"cell2\.tif.*\(96, 96\), its labels .*cell2\.tif \(96, 95"
    ):
        train(quick(dataset), tmp_path / "run")


def test_nothing_to_train_on(tmp_path):
    with pytest.raises(RecipeError, match=r"data\.images is not set"):
        train(small_recipe(), tmp_path / "run")


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
    assert set(threading.enumerate()) - before
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
