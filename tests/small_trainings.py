"""Trainings of a few small steps, and what the tests read of them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from conftest import small_recipe
from delineate.model import Model
from delineate.runs.train import Silent


def weights_of(model: Model) -> dict[str, np.ndarray]:
    """Weights of the first member."""
    return {name: value.numpy() for name, value in model.members[0].items()}


def assert_same_weights(a: Model, b: Model) -> None:
    """To the last bit."""
    first, second = weights_of(a), weights_of(b)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rounds of a training."""
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


class Losses(Silent):
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def step(self, progress: Any) -> None:
        self.steps.append(progress.step)
        self.losses.append(progress.loss)
