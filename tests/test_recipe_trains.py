"""Every recipe of the package takes a step, with a network of its kind made small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from conftest import disks, picture
from delineate.image import Image
from delineate.io import read, read_labels, write_image
from delineate.recipe import Recipe, packaged_recipes
from delineate.runs.train import train


def volumes(folder: Path) -> Path:
    """Three volumes whose files do not name their axes."""
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for number in range(3):
        labels = disks((12, 40, 40), 4, 6, rng)
        np.save(folder / f"images/v{number}.npy", picture(labels, rng))
        np.save(folder / f"labels/v{number}.npy", labels)
    return folder


def masks(folder: Path) -> Path:
    """The labels of a folder as classes: 255 where there is any object."""
    for file in (folder / "labels").iterdir():
        mask = (read_labels(file, axes="ZYX" if file.suffix == ".npy" else None) > 0) * np.uint8(
            255
        )
        np.save(file, mask) if file.suffix == ".npy" else tifffile.imwrite(file, mask)
    return folder


SMALL_NETWORKS = {
    "residual-unet": {"features": [4, 8]},
    "unet": {"channels": [4, 8], "num_res_units": 1},
    "attention-unet": {"channels": [4, 8]},
    "fnet": {"features": 4, "depth": 2},
    "resnet-generator": {"features": 4, "blocks": 1},
}


def images_and_targets(folder: Path, shape: tuple[int, ...], channels: int) -> Path:
    """Two images, what is wanted of them, and masks."""
    rng = np.random.default_rng(0)
    for room, n in (("images", channels), ("targets", channels), ("masks", 1)):
        (folder / room).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(0, 256, (n, *shape)).astype(np.uint8)
            if room == "targets":  # they look like the images
                known = read(folder / "images" / f"a{number}.tif").channel_first()
                pixels = (known // 2 + pixels // 8).astype(np.uint8)
            if room == "masks":
                pixels = np.where(pixels > 200, 255, 0).astype(np.uint8)
            axes = ("C" if n > 1 else "") + "ZYX"[3 - len(shape) :]
            image = Image(pixels if n > 1 else pixels[0], axes)
            write_image(folder / room / f"a{number}.tif", image)
    return folder


@pytest.mark.parametrize("name", list(packaged_recipes()))
def test_every_packaged_recipe_trains(name, dataset, tmp_path):
    """Loads, and takes a real step with a network of its kind, made small."""
    raw = yaml.safe_load(packaged_recipes()[name].read_text(encoding="utf-8"))
    assert raw["name"] == name
    assert raw["description"]
    plain = Recipe.load(name)
    ndim = plain.data.ndim or 2
    overrides: dict[str, object] = {
        "train.steps": 1,
        "train.batch": 2,
        "train.patch": 16 if ndim == 3 else 32,
        "train.device": "cpu",
        "network.options": SMALL_NETWORKS[plain.network.name],
    }
    if plain.method.truth == "image" or plain.data.unpaired:
        channels = getattr(plain.method, "channels", 1)
        shape = (16, 20, 24) if ndim == 3 else (40, 44)
        folder = images_and_targets(tmp_path / "pairs", shape, channels)
        inputs = folder / ("masks" if plain.normalise.kind == "mask" else "images")
        overrides["data.images"] = str(inputs)
        if plain.method.truth == "classes":
            overrides["data.labels"] = str(folder / "masks")
        elif plain.regime.needs_truth:
            overrides["data.targets"] = str(folder / "targets")
    else:
        folder = volumes(tmp_path / "3d") if ndim == 3 else dataset
        overrides["data.images"] = str(masks(folder) if plain.method.truth == "classes" else folder)
    if plain.regime.name in ("pix2pix", "cyclegan"):
        overrides["regime.discriminator"] = {"features": 4, "layers": 1, "scales": 1}
        overrides["regime.warmup_steps"] = 0
    if plain.regime.name == "cyclegan":
        del overrides["regime.warmup_steps"]
        overrides["regime.back_network"] = None
    model = train(Recipe.load(name, overrides), tmp_path / "run")
    assert model.name == name
    assert model.description.ndim == ndim
    assert (model.back is not None) == (plain.regime.name == "cyclegan")
    assert all(np.isfinite(v.numpy()).all() for v in model.members[0].values())
