"""Small images, small networks and quick recipes that the tests share."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from delineate.recipe import Recipe

torch.set_num_threads(1)
# A background job may ignore Ctrl-C, and so would the commands that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """The levels that a command sets in its process do not outlive the test that calls it."""
    names = ("delineate", "tifffile", "lightning.pytorch", "lightning.fabric")
    before = [(log, log.level, log.propagate) for log in map(logging.getLogger, names)]
    yield
    for log, level, propagate in before:
        log.setLevel(level)
        log.propagate = propagate


@pytest.fixture(scope="session")
def examples() -> Path:
    """Folder of the bundled CC0 nuclei: images/ and labels/."""
    return Path(str(resources.files("delineate"))) / "examples" / "nuclei"


def disks(
    shape: tuple[int, ...], radius: float, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Label image of balls of about one radius that do not overlap, in 2D or 3D."""
    labels = np.zeros(shape, np.int32)
    grids = np.indices(shape)
    placed = 0
    for _ in range(count * 30):
        if placed == count:
            break
        centre = [rng.uniform(radius, n - radius - 1) for n in shape]
        ball = (
            sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True))
            <= (radius * rng.uniform(0.85, 1.15)) ** 2
        )
        if not labels[ball].any():
            placed += 1
            labels[ball] = placed
    return labels


def picture(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A noisy 8-bit image in which every object has a brightness of its own."""
    values = np.concatenate([[20], rng.uniform(90, 200, int(labels.max()))])
    image = values[labels] + rng.normal(0, 8, labels.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def field() -> tuple[np.ndarray, np.ndarray]:
    """An image of ten domes, and their labels."""
    from domes import domes

    return domes((96, 120), 8, 10)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the stand-in for a trained model."""
    from domes import dome_model

    return dome_model().save(tmp_path_factory.mktemp("models") / "domes")


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read nothing at once, however small."""
    monkeypatch.setattr("delineate.io.axes.EAGER_BYTES", 0)


@pytest.fixture
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than the trainings of the tests."""
    monkeypatch.setattr("delineate.runs.train._draw_curves", lambda metrics: None)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A folder with images/ and labels/: six images of 96×96 with round objects."""
    import tifffile

    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for number in range(6):
        labels = disks((96, 96), 9, 10, rng)
        tifffile.imwrite(root / "images" / f"cell{number}.tif", picture(labels, rng))
        tifffile.imwrite(root / "labels" / f"cell{number}.tif", labels.astype(np.uint16))
    return root


SMALL = {
    "data.diameter": 18.0,
    "network.options": {"features": [8, 16, 32]},
    "train.patch": 64,
    "train.batch": 4,
    "train.precision": "fp32",
    "train.device": "cpu",
    "train.learning_rate": 0.005,
    "train.patience": None,
}
"""Settings with which a training takes seconds."""


def small_recipe(**settings: object) -> Recipe:
    """A recipe for tests; settings are given as data__images=…"""
    from delineate.recipe import override

    dotted = {k.replace("__", "."): v for k, v in settings.items()}
    return Recipe.build(override({}, {**SMALL, **dotted}))
