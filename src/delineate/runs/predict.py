"""Predict a folder of images: one after the other, resumable, one bad image does not stop it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from delineate.errors import DelineateError
from delineate.inference.runner import Progress, RunOptions
from delineate.io import ImageFile, find_images
from delineate.model import Model
from delineate.runs.outputs import Outputs, RunFolder

log = logging.getLogger("delineate")


class Listener(Protocol):
    """Hears how a run goes on; the command line shows it as a progress bar."""

    def image(self, name: str, number: int, total: int) -> None:
        """An image is begun."""

    def tiles(self, done: int, total: int) -> None:
        """Tiles of the image are done."""

    def finished(self, name: str, outcome: str) -> None:
        """An image is done, was done before, or failed: `outcome` says it in words."""


@dataclass(frozen=True)
class Settings:
    """How images are predicted; see `Model.predict`."""

    diameter: float | str | None = None
    axes: str | None = None
    channels: tuple[int, ...] | None = None
    run: RunOptions = field(default_factory=RunOptions)
    decoding: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """What became of a run: numbers of images, and objects in all."""

    done: int
    failed: int
    objects: int


def predict_folder(
    model: Model,
    images: str | Path | Sequence[ImageFile],
    out: str | Path,
    settings: Settings | None = None,
    outputs: Outputs | None = None,
    *,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Summary:
    """Predict all images of a file, folder, pattern or zarr and write a run folder.

    An image that cannot be read or predicted is recorded with its error, and the run goes on.
    Images that an earlier, interrupted run finished with the same settings are not run again.

    Raises
    ------
    ReadError : nothing is found.
    WriteError : `out` holds a run with other settings.
    """
    settings, outputs = settings or Settings(), outputs or Outputs()
    files = find_images(images) if isinstance(images, str | Path) else list(images)
    sha = model.sha256()
    run = RunFolder(
        Path(out),
        {
            "model": sha,
            "diameter": settings.diameter,
            "axes": settings.axes,
            "channels": settings.channels,
            "run": settings.run.model_dump(),
            "decoding": settings.decoding,
        },
        outputs,
        overwrite,
    )

    def predict(image: ImageFile, progress: Progress | None) -> Any:
        return model.predict(
            image.path,
            diameter=settings.diameter,
            axes=settings.axes,
            channels=settings.channels,
            options=settings.run,
            keep_maps=outputs.maps,
            progress=progress,
            **settings.decoding,
        )

    facts = {
        "model": {"name": model.name, "sha256": sha, "path": str(model.source or "")},
        "recipe": model.recipe.model_dump(mode="json"),
        "seed": model.recipe.seed,
    }
    return run_all(run, files, predict, facts, listener)


def run_all(
    run: RunFolder,
    files: Sequence[ImageFile],
    predict: Callable[[ImageFile, Progress | None], Any],
    facts: dict[str, Any],
    listener: Listener | None = None,
) -> Summary:
    """Work through all images, keep going past bad ones, and finish the run folder."""
    began = time.perf_counter()
    records = []
    for number, image in enumerate(files):
        if listener:
            listener.image(image.name, number, len(files))
        record = run.done(image) if image.path.exists() else None
        outcome = "done before"
        if record is None:
            try:
                start = time.perf_counter()
                prediction = predict(image, listener.tiles if listener else None)
                record = run.write(image, prediction, time.perf_counter() - start)
                outcome = f"{record['row']['objects']} objects"
            except DelineateError as error:
                outcome = f"failed: {error}"
                record = run.failed(image, str(error))
            except Exception as error:
                log.debug("%s", image.path, exc_info=True)
                outcome = f"failed: {type(error).__name__}: {error}"
                record = run.failed(image, f"{type(error).__name__}: {error}")
        records.append(record)
        if listener:
            listener.finished(image.name, outcome)
    run.finish(records, time.perf_counter() - began, facts)
    good = [r["row"] for r in records if r["input"]["status"] == "done"]
    return Summary(len(good), len(records) - len(good), sum(r["objects"] for r in good))
