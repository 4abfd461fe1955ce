"""Folders of predicted and of true images, and what the tests read of their scores."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from delineate.cli import main
from delineate.image import Image
from delineate.io import write_image

RNG = np.random.default_rng(0)


def put(path: Path, pixels: np.ndarray, axes: str = "YX", channels: tuple[str, ...] = ()) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Image(pixels, axes, channels=channels))


def record(run: Path, *names: str, failed: tuple[str, ...] = (), **facts: object) -> None:
    inputs = [{"name": n, "status": "failed" if n in failed else "done"} for n in names]
    (run / "run.json").write_text(json.dumps({"schema": 1, "inputs": inputs, **facts}))


def scene(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A true image and a prediction of it with noise."""
    truth = 100 + 50 * ndimage.gaussian_filter(RNG.normal(size=shape), 2) / 0.15
    return (truth + RNG.normal(0, 8, shape)).astype(np.float32), truth.astype(np.float32)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(a) for a in arguments])
    return int(exit_.value.code or 0)
