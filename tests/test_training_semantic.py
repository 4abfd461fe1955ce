"""Semantic segmentation from files to classes: it learns, ignores, and takes soft labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from conftest import disks, small_recipe
from delineate.image import Image
from delineate.io import read, read_labels
from delineate.metrics import class_counts, dice
from delineate.model import load
from delineate.runs import train as runs
from delineate.runs.train import train

NETWORK = {"network__name": "unet", "network__options": {"channels": [8, 16, 32]}}


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    monkeypatch.setattr(runs, "_draw_curves", lambda metrics: None)


def recipe(folder: Path, **settings: Any) -> Any:
    values = {
        "data__images": folder,
        "data__diameter": None,
        "method__name": "semantic",
        "train__steps": 80,
        "train__validate_every": 40,
        **NETWORK,
        **settings,
    }
    return small_recipe(**values)


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Dim disks are of class 1, bright ones of class 2, one of them in each image."""
    labels = disks((96, 96), 9, 8, rng)
    kinds = np.concatenate([[0, 2], np.ones(int(labels.max()) - 1, int)])
    classes = kinds[labels].astype(np.uint8)
    image = np.array([20, 90, 190])[classes] + rng.normal(0, 10, labels.shape)
    return np.clip(image, 0, 255).astype(np.uint8), classes


def written(folder: Path, rng: np.random.Generator, count: int = 5) -> Path:
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for n in range(count):
        image, classes = scene(rng)
        tifffile.imwrite(folder / f"images/{n}.tif", image)
        tifffile.imwrite(folder / f"labels/{n}.tif", classes)
    return folder


def test_learns_classes_of_which_one_is_rare(tmp_path):
    rng = np.random.default_rng(0)
    folder = written(tmp_path / "data", rng)
    fixed = {"normalise__kind": "range", "normalise__low": 0, "normalise__high": 255}
    train(recipe(folder, method__classes=3, **fixed), tmp_path / "run")
    model = load(tmp_path / "run" / "model")
    assert model.description.scores[0]["val_dice"] > 0.85
    assert model.description.diameter is None
    image, truth = scene(rng)
    found = model.predict(Image(image, "YX"))
    assert found.classes is not None
    assert class_counts(truth, found.classes).dice.min() > 0.8
    assert set(found.objects["class"]) == {1, 2}


def test_learns_real_nuclei(examples, tmp_path):
    """Fluorescent nuclei of one image; another of other cells is segmented."""
    folder = tmp_path / "data"
    names = ("04acab7636c4", "7f2b15454116")
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    image = (examples / "images" / f"{names[0]}.png").read_bytes()
    (folder / "images" / "a.png").write_bytes(image)
    mask = read_labels(examples / "labels" / f"{names[0]}.png") > 0
    tifffile.imwrite(folder / "labels" / "a.tif", mask * np.uint8(255))
    model = train(recipe(folder, train__steps=120, data__validation=0), tmp_path / "run")
    found = model.predict(read(examples / "images" / f"{names[1]}.png"))
    truth = read_labels(examples / "labels" / f"{names[1]}.png") > 0
    assert found.classes is not None
    assert dice(truth, found.classes > 0) > 0.75


def test_what_is_ignored_teaches_nothing(tmp_path):
    """Half of each label image is wrong on purpose, and marked to be ignored."""
    rng = np.random.default_rng(1)
    folder = written(tmp_path / "data", rng)
    for file in (folder / "labels").iterdir():
        classes = np.minimum(tifffile.imread(file), 1)
        classes[:48] = 255
        tifffile.imwrite(file, classes)
    model = train(recipe(folder, method__ignore=255), tmp_path / "run")
    image, truth = scene(rng)
    found = model.predict(Image(image, "YX")).classes
    assert found is not None
    assert dice(truth[:48] > 0, found[:48] > 0) > 0.85


def test_soft_labels_are_learnt_as_probabilities(tmp_path):
    """Where half of the experts draw an object, its probability is one half, not 0 or 1."""
    rng = np.random.default_rng(2)
    folder = tmp_path / "data"
    for kind in ("images", "labels", "soft"):
        (folder / kind).mkdir(parents=True)
    for n in range(5):
        image, classes = scene(rng)
        soft = np.array([0, 0.5, 1], np.float32)[classes]
        tifffile.imwrite(folder / f"images/{n}.tif", image)
        tifffile.imwrite(folder / f"labels/{n}.tif", (soft > 0.4).astype(np.uint8))
        tifffile.imwrite(folder / f"soft/{n}.tif", soft, metadata={"axes": "YX"})
    fixed = {"normalise__kind": "range", "normalise__low": 0, "normalise__high": 255}
    settings = {"method__criterion": "cross-entropy", "augment__contrast": 0, "augment__gamma": 0}
    more = {"augment__brightness": 0, "augment__channel_gain": 0, "train__steps": 120}
    model = train(recipe(folder, **settings, **more, **fixed), tmp_path / "run")
    image, classes = scene(rng)
    maps = model.runner().maps(image[None] / np.float32(255))
    inner = ndimage.binary_erosion(classes == 1, iterations=3)
    bright = ndimage.binary_erosion(classes == 2, iterations=3)
    assert 0.3 < np.median(maps[1][inner]) < 0.7
    assert np.median(maps[1][bright]) > 0.8
    assert np.median(maps[1][classes == 0]) < 0.1
