"""Runs of the stand-in model over folders, and what the tests read of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from delineate.model import Model
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, Summary, predict_folder
from domes import EXACT, dome_model


class Log:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def image(self, name: str, number: int, total: int) -> None:
        assert 0 <= number < total

    def tiles(self, done: int, total: int) -> None:
        assert 0 < done <= total

    def finished(self, name: str, outcome: str) -> None:
        self.outcomes[name] = outcome


def run(
    images: Path | str,
    out: Path,
    model: Model | None = None,
    overwrite: bool = False,
    **kwargs: Any,
) -> tuple[Summary, Log]:
    """What a run over a folder counts and says."""
    outputs = kwargs.pop("outputs", Outputs())
    settings = Settings(run=kwargs.pop("options", EXACT), **kwargs)
    log = Log()
    model = model or dome_model()
    summary = predict_folder(
        model, images, out, settings, outputs, overwrite=overwrite, listener=log
    )
    return summary, log


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def record(out: Path) -> dict[str, Any]:
    """The record of a run."""
    return dict(json.loads((out / "run.json").read_text(encoding="utf-8")))
