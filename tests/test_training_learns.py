"""Training learns: objects, classes and volumes, from few images, and in other ways than usual."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tifffile

from conftest import disks, picture, small_recipe
from delineate.errors import ModelError
from delineate.image import Image
from delineate.io import read, read_labels
from delineate.labels import median_diameter
from delineate.metrics import average_precision, match
from delineate.model import load
from delineate.runs.train import train
from small_trainings import Losses, quick, rows_of, weights_of


def test_learns_round_objects_and_leaves_a_whole_run(dataset, tmp_path):
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


def test_learns_real_nuclei(examples, tmp_path, no_curves):
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


def test_learns_classes(tmp_path, no_curves):
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


def test_learns_volumes(tmp_path, no_curves):
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


def test_one_image_trains_alone(dataset, tmp_path, caplog):
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


def test_some_images_without_objects_are_fine(dataset, tmp_path, no_curves):
    """They train as background, and as validation images they score too."""
    for name in ("cell0", "cell3"):
        tifffile.imwrite(dataset / f"labels/{name}.tif", np.zeros((96, 96), np.uint8))
    table = tmp_path / "t.csv"
    table.write_text("image,split\ncell0,train\ncell1,train\ncell2,train\ncell3,val\n")
    model = train(quick(dataset, data__table=table), tmp_path / "run")
    assert np.isfinite(model.description.scores[0]["val_map"])


@pytest.mark.parametrize(
    "settings",
    [
        {"train__accumulate": 3},
        {"train__optimizer": "sgd", "train__schedule": "cellpose", "train__learning_rate": 0.02},
        {"train__clip": 0.01},
        {"train__precision": "bf16"},
        {"network__options": {"features": [4, 8], "style": False}},
    ],
)
def test_other_ways_of_training(dataset, tmp_path, no_curves, settings):
    """Each trains, and to other weights than the usual way."""
    usual = weights_of(train(quick(dataset), tmp_path / "usual"))
    heard = Losses()
    model = train(quick(dataset, **settings), tmp_path / "run", reporter=heard)
    assert heard.steps[-1] == 8
    assert all(0 < loss < 10 for loss in heard.losses)
    weights = weights_of(model)
    assert all(np.isfinite(v).all() for v in weights.values())
    assert any(not np.array_equal(v, usual.get(name)) for name, v in weights.items())


def test_a_network_from_outside_that_needs_certain_sizes(dataset, tmp_path, no_curves, monkeypatch):
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
