"""Predict a folder of images: one after the other, resumable, one bad image does not stop it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from delineate.errors import DelineateError, ModelError
from delineate.inference.diameter import parse_diameter
from delineate.inference.runner import Progress, RunOptions
from delineate.io import ImageFile
from delineate.io.axes import usable_axes
from delineate.model import Model, ResultType
from delineate.runs.asked import check_asked_for
from delineate.runs.earlier import in_order
from delineate.runs.folder import RunFolder
from delineate.runs.lock import writing
from delineate.runs.outputs import Outputs
from delineate.runs.predict_files import Work, find_work
from delineate.words import plural

if TYPE_CHECKING:
    from delineate.runs.quality import Judge

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
    """How images are predicted, see `Model.predict`, the score that is good enough, and the risk.

    `risk` is the share of the accepted images that may miss it, see
    `delineate.uncertainty.thresholds.within_risk`; None: U_min decides.
    """

    diameter: float | str | None = None
    axes: str | None = None
    channels: tuple[int, ...] | None = None
    planes: tuple[int, ...] | None = None
    times: tuple[int, ...] | None = None
    dtype: ResultType = "auto"
    run: RunOptions = field(default_factory=RunOptions)
    decoding: dict[str, Any] = field(default_factory=dict)
    required: float | None = None
    risk: float | None = None

    def rarely_given(self) -> dict[str, Any]:
        """Settings that the record of a run has only where they were given."""
        dtype = None if self.dtype == "auto" else self.dtype
        given: dict[str, Any] = {"planes": self.planes, "times": self.times, "dtype": dtype}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Summary:
    """What became of a run: numbers of images, and objects in all, None where images are made.

    `before` are those of the `done` that an earlier call had finished. `simplified` are the objects
    whose holes or parts outlines as text have lost, in `simplified_images`. `earlier` are images of
    earlier calls, not counted among the others, that stay in the folder and in its tables.
    `verdicts` are lines that say how many images are to be verified, and what that rests on.
    """

    done: int
    failed: int
    objects: int | None
    before: int
    simplified: int = 0
    simplified_images: int = 0
    earlier: int = 0
    verdicts: tuple[str, ...] = ()


def predict_folder(
    model: Model,
    images: str | Path | Sequence[ImageFile] | Work,
    out: str | Path,
    settings: Settings | None = None,
    outputs: Outputs | None = None,
    *,
    overwrite: bool = False,
    listener: Listener | None = None,
    scenes: Sequence[int | str] = (),
) -> Summary:
    """Predict all images of a file, folder, pattern or zarr and write a run folder.

    An image that cannot be read or predicted is recorded with its error, and the run goes on.
    Images that an earlier, interrupted run finished with the same settings are not run again, and
    images of earlier calls that are not among these stay, in the tables and the report as well.
    Results in `out` are never taken for images, wherever it lies. Of a file that holds several
    images each is one of the run, called NAME-SCENE.

    Parameters
    ----------
    images : also a list of images, or what `delineate.runs.predict_files.find_work` found.
    scenes : names or numbers (from 0) of the images to take of files that hold several; empty: all.

    Raises
    ------
    ReadError : nothing is found.
    AxesError, ImageError, ModelError : settings that suit no image.
    WriteError : `out` holds a run with other settings, results of other images of the same names,
        or labels that no run wrote; or another process is writing there.
    """
    settings, outputs = settings or Settings(), outputs or Outputs()
    if not isinstance(images, Work):
        images = find_work(images, Path(out), scenes)
        for note in images.notes:
            log.info("%s", note)
    files = images.images
    if settings.diameter is not None:
        parse_diameter(settings.diameter)
    if settings.axes is not None:
        usable_axes(settings.axes)
    check_asked_for(model, settings, outputs)
    model.runner(settings.run, **settings.decoding)
    if (common := model.description.diameter) and not model.scale and settings.diameter is None:
        log.warning(
            "model %s learned from objects of %g pixels and cannot find their size in an image: "
            "no image is scaled; give --diameter",
            model.name,
            common,
        )
    judge = judge_by(model, settings)
    sha = model.sha256()
    decisive = {
        "model": sha,
        "diameter": settings.diameter,
        "axes": settings.axes,
        "channels": settings.channels,
        **settings.rarely_given(),
        "run": settings.run.model_dump(),
        "decoding": settings.decoding,
    }

    def predict(image: ImageFile, progress: Progress | None) -> Any:
        return model.predict(
            image.path,
            diameter=settings.diameter,
            axes=settings.axes,
            scene=image.scene,
            channels=settings.channels,
            planes=settings.planes,
            times=settings.times,
            dtype=settings.dtype,
            options=settings.run,
            keep_maps=outputs.maps,
            keep_spread=outputs.uncertainty,
            progress=progress,
            **settings.decoding,
        )

    facts = {
        "model": {"name": model.name, "sha256": sha, "path": str(model.source or "")},
        "recipe": model.recipe.model_dump(mode="json"),
        "truth": model.recipe.method.truth,
        "seed": model.recipe.seed,
    }
    with writing(Path(out)):
        run = RunFolder(Path(out), decisive, outputs, overwrite)
        return run_all(run, files, predict, facts, listener, judge)


def judge_by(model: Model, settings: Settings) -> Judge | None:
    """How the images of a run are judged; None where the model has no reference, or one whose
    images were decoded otherwise.

    Raises
    ------
    ModelError : a quality is required, but the model cannot tell what its uncertainty means.
    DelineateError : the quality or the risk is out of range, or there is a risk without a quality.
    """
    from delineate.runs.quality import NO_REFERENCE, Judge, check_asked, decoded_otherwise
    from delineate.uncertainty import Reference

    required, risk = settings.required, settings.risk
    check_asked(required, risk)
    if model.description.reference is None:
        if required is not None:
            raise ModelError(
                f"model {model.name} has no reference images, so that no uncertainty is known to "
                "mean a bad result: leave --required out, or train it with validation images"
            )
        return None
    if changed := decoded_otherwise(model.recipe.method, settings.decoding):
        if required is not None:
            raise ModelError(
                f"{changed}: the reference images of model {model.name} were decoded otherwise, so "
                "that no uncertainty is known to mean a bad result: leave --required out, or these"
            )
        log.warning("%s", NO_REFERENCE.format(changed))
        return None
    reference = Reference.from_dict(model.description.reference)
    return Judge(reference, required, model.recipe.seed, risk)


def run_all(
    run: RunFolder,
    files: Sequence[ImageFile],
    predict: Callable[[ImageFile, Progress | None], Any],
    facts: dict[str, Any],
    listener: Listener | None = None,
    judge: Judge | None = None,
) -> Summary:
    """Work through all images, keep going past bad ones, and finish the run folder."""
    began = time.perf_counter()
    stay = run.take(files)
    earlier = sum(float(record["input"].get("seconds") or 0) for record in stay)
    records, before = [], 0
    for number, image in enumerate(files):
        if listener:
            listener.image(image.name, number, len(files))
        try:
            record = run.done(image)
            if record is not None:
                outcome = "done before"
                before += 1
                earlier += record["input"]["seconds"]
            else:
                start = time.perf_counter()
                prediction = predict(image, listener.tiles if listener else None)
                record = run.write(image, prediction, time.perf_counter() - start)
                outcome = _outcome(record["row"])
        except Exception as error:
            log.debug("%s", image.path, exc_info=True)
            reason = explain(error, image.path)
            outcome = f"failed: {reason}"
            record = run.failed(image, reason)
        records.append(record)
        if listener:
            listener.finished(image.name, outcome)
    every = in_order(records, stay)
    if before < len(records) or not run.is_finished(every, judge):
        run.finish(every, time.perf_counter() - began + earlier, facts, judge)
    good = [r["row"] for r in records if r["input"]["status"] == "done"]
    counts = [r["objects"] for r in good if "objects" in r]
    objects = sum(counts) if counts or not good else None
    lost = [n for r in records for n in r["input"].get("simplified", {}).values()]
    failed = len(records) - len(good)
    told = judge.lines([r["row"] for r in every]) if judge else ()
    return Summary(len(good), failed, objects, before, sum(lost), len(lost), len(stay), told)


def _outcome(row: dict[str, Any]) -> str:
    """What became of an image, in few words."""
    if "objects" in row:
        return plural(row["objects"], "object")
    doubtful = row["not_measurable"]
    return "done" + (f", {doubtful:.0%} not to be measured" if doubtful != "" else "")


def explain(error: Exception, path: Path) -> str:
    """What went wrong with an image; errors that are not ours are named by their type."""
    if isinstance(error, DelineateError):
        return str(error)
    if isinstance(error, MemoryError) or "not enough memory" in str(error):
        return (
            f"{path}: there is not enough memory ({str(error) or 'MemoryError'}); try --tile "
            "256, fewer --threads, or a part of the image"
        )
    return f"{path}: {type(error).__name__}: {error} (--debug shows where)"
