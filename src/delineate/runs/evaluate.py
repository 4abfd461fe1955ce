"""Score a folder of predicted labels against true ones: tables and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.consensus.true_objects import true_objects
from delineate.errors import DataError, LabelError
from delineate.image import Image
from delineate.io import find_images, write_table
from delineate.io.reading import read_label_image
from delineate.methods.segmentation import Classes
from delineate.methods.semantic import Semantic
from delineate.metrics import (
    ObjectScores,
    ScoreTables,
    bracketed,
    mean_table,
    score_objects,
    score_table,
)
from delineate.recipe import Recipe
from delineate.runs.layout import label_files, label_folder, read_json
from delineate.runs.lock import alone
from delineate.runs.predict import Listener
from delineate.runs.scored import (
    NotScored,
    Paired,
    labels_by_image,
    nothing_pairs,
    score_each,
    scores_table,
    told,
    without_truth,
)
from delineate.runs.wanted import Wanted, wanted_of
from delineate.words import plural


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Tables of scores; `missing` true label files had no prediction, `failed` cannot be scored.

    Of `without`, names of predictions, there is no truth. Of the true files, `masks` hold masks of
    several parts, and `undecided` pixels were left out.
    """

    tables: ScoreTables
    missing: int
    masks: int = 0
    undecided: int = 0
    failed: tuple[NotScored, ...] = ()
    without: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The summary as text, one score a line: mean over images and pooled, with intervals."""
        summary = self.tables.summary
        pooled = "objects" in summary
        objects = f", {plural(int(summary['objects'][0]), 'true object')}" if pooled else ""
        n = len(self.tables.images["image"])
        intervals = f"; {summary['level'][0]:.0%} bootstrap intervals over images" if n > 1 else ""
        lines = [
            f"{plural(n, 'image')}{objects}{intervals}",
            f"{'score':<16}{'mean over images':<28}{'pooled over images' if pooled else ''}",
        ]
        names = list(dict.fromkeys(summary["score"]))
        for name in names:
            rows = np.flatnonzero(summary["score"] == name)
            cells = [
                f"{summary['value'][r]:.3f} {bracketed(summary['low'][r], summary['high'][r])}"
                for r in rows
            ]
            lines.append(f"{name:<16}{cells[0]:<28}{''.join(cells[1:])}".rstrip())
        if self.masks:
            lines.append(
                f"masks among the true label files: {self.masks}; their connected parts are the "
                "objects, while numbers of predicted files are ids (masks on both sides: "
                "--classes 2)"
            )
        if self.undecided:
            lines.append(f"undecided pixels of the truth, not scored: {self.undecided:,}")
        if self.missing:
            lines.append(f"not scored, since not predicted: {self.missing} of the true label files")
        lines += without_truth(self.without)
        return lines + told(self.failed, "label files")


class LabelPair(NamedTuple):
    """Name of an image, the file of its predicted labels and that of the true ones."""

    name: str
    predicted: Path
    truth: Path


def pair_labels(predicted: Path, truth: Path, room: str = "labels") -> Paired[LabelPair]:
    """Label files with the same name; some of either side may have no counterpart.

    Parameters
    ----------
    room : of a run whose files are wanted, see `label_files`.

    Raises
    ------
    DataError : no prediction has a truth.
    """
    if predicted.is_file() and truth.is_file():
        return Paired([LabelPair(truth.stem, predicted, truth)], 0)
    truth = label_folder(truth)
    true = labels_by_image(truth, find_images(truth))
    found = labels_by_image(predicted, label_files(predicted, room))
    pairs = [LabelPair(name, found[name], true[name]) for name in found if name in true]
    if not pairs:
        raise DataError(nothing_pairs(predicted, sorted(found), truth, sorted(true)))
    without = sorted(set(found) - set(true))
    return Paired(pairs, len(set(true) - set(found)), tuple(without))


@alone()
def evaluate_folder(
    predicted: str | Path,
    truth: str | Path,
    out: str | Path,
    *,
    min_size: int = 0,
    tolerance: float = 2.0,
    classes: int | None = None,
    seed: int = 0,
    allow_imports: bool = False,
    listener: Listener | None = None,
) -> Evaluation:
    """Score labels or classes: scores.csv, summary.csv and scores.png in `out`.

    Files that cannot be scored stand in scores.csv with their error, and the others are scored.
    Predictions may lack their truth.

    Numbers of predicted files are ids of objects. Of true files, too, unless they hold masks, whose
    connected parts are the objects; pixels that a consensus left undecided are background on both
    sides (`true_objects`). Of true stacks the planes are meant that the run is of.

    Parameters
    ----------
    predicted : run folder, folder of label files, or one label file.
    truth : folder of label files of the same names, or one file.
    min_size : objects of fewer pixels are left out on both sides.
    tolerance : of the boundary F score, in pixels.
    classes : the files hold so many classes, background among them, instead of ids of objects;
        a run of a semantic model says so itself.
    seed : of the bootstrap.
    allow_imports : whether the method of a run may be imported from outside the package.

    Raises
    ------
    DataError : no files pair.
    LabelError, ReadError, AxesError : of no image can the files be scored: shapes differ, or they
        hold no labels; the message names them.
    WriteError : another process is writing into `out`, or nothing can be written there.
    """
    from delineate.review.figures import evaluation_figure

    if (method := _of_classes(Path(predicted), classes, allow_imports)) is not None:
        return _evaluate_classes(Path(predicted), Path(truth), Path(out), method, seed, listener)
    pairs, missing, without = pair_labels(Path(predicted), Path(truth))
    wanted = wanted_of(Path(predicted))
    found, failed = score_each(
        {pair.name: pair for pair in pairs},
        lambda pair: _score(pair, wanted, min_size, tolerance),
        listener,
    )
    scores = {name: score for own in found.values() for name, score in own.frames.items()}
    tables = score_table(scores, np.random.default_rng(seed))
    _write(Path(out), tables, failed)
    evaluation_figure(
        np.stack([s.ap for s in scores.values()]), Path(out) / "scores.png", names=list(scores)
    )
    masks, undecided = (sum(getattr(f, k) for f in found.values()) for k in ("mask", "undecided"))
    return Evaluation(tables, missing, masks, undecided, failed, without)


class _Scored(NamedTuple):
    """Scores of each frame of an image by its name, whether truth is a mask, pixels left out."""

    frames: dict[str, ObjectScores]
    mask: bool
    undecided: int


def _score(pair: LabelPair, wanted: Wanted, min_size: int, tolerance: float) -> tuple[_Scored, str]:
    """Scores of an image, and what to tell of them."""
    name, found, true = pair
    whole, predicted = read_label_image(true), read_label_image(found)
    meant = true_objects(whole.numpy(), true)
    images = wanted.plane(whole, predicted), predicted
    undecided = int(meant.left_out(images[0].numpy()).sum())
    own: dict[str, ObjectScores] = {}
    several = False
    try:
        for frame, a, b in _frames(*images):
            both = meant.beside(a, b)
            several |= meant.inside is not None and bool((both[0] > 1).any())
            own[name + frame] = score_objects(*both, min_size=min_size, tolerance=tolerance)
    except LabelError as error:
        raise LabelError(f"{found} against {true}: {error}") from error
    told = f"AP50 {np.mean([s.ap[0] for s in own.values()]):.3f}"
    return _Scored(own, several, undecided), told


def _write(out: Path, tables: ScoreTables, failed: Sequence[NotScored]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / "scores.csv", scores_table(tables.images, failed))
    write_table(out / "summary.csv", tables.summary)


def _frames(true: Image, found: Image) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Truth and prediction of an image, or of each time point of a movie as -t0000, -t0001 …

    Raises
    ------
    LabelError : one is a movie and the other is not, or they have other lengths.
    """
    if "T" not in true.axes + found.axes:
        yield "", true.numpy(), found.numpy()
        return
    frames = [image.sizes.get("T", 0) for image in (true, found)]
    if frames[0] != frames[1]:
        raise LabelError(
            f"axes {true.axes} of shape {true.shape} and {found.axes} of {found.shape}: expected "
            "movies with as many time points"
        )
    for t in range(frames[0]):
        yield f"-t{t:04d}", true.select(T=t).numpy(), found.select(T=t).numpy()


def _of_classes(predicted: Path, classes: int | None, allow_imports: bool) -> Classes | None:
    """The method whose classes are scored; None where objects are.

    Raises
    ------
    DataError : fewer than two classes.
    RecipeError : the recipe of a run is not valid.
    """
    record = read_json(predicted / "run.json") or {}
    method = (record.get("recipe") or {}).get("method")
    if classes is not None and classes < 2:
        raise DataError(f"{classes} classes: expected 2 (background and one more) or more")
    if isinstance(method, dict):
        source = f"the recipe in {predicted / 'run.json'}"
        own = Recipe.build({"method": method}, source, allow_imports=allow_imports).method
        if isinstance(own, Classes):
            return own if classes is None else own.model_copy(update={"classes": classes})
    return None if classes is None else Semantic(classes=classes)


def _evaluate_classes(
    predicted: Path,
    truth: Path,
    out: Path,
    method: Classes,
    seed: int,
    listener: Listener | None,
) -> Evaluation:
    """Score images of classes: Dice, IoU and the average precision of the connected parts."""
    from delineate.review.class_scores import class_scores_figure

    pairs, missing, without = pair_labels(predicted, truth, "classes")
    wanted = wanted_of(predicted)

    def score(pair: LabelPair) -> tuple[dict[str, dict[str, float]], str]:
        name, predicted, true = pair
        found = read_label_image(predicted)
        images = wanted.plane(read_label_image(true), found), found
        try:
            own = {name + frame: method.compare(b, a) for frame, a, b in _frames(*images)}
        except LabelError as error:
            raise LabelError(f"{predicted} against {true}: {error}") from error
        return own, f"Dice {np.mean([s['dice'] for s in own.values()]):.3f}"

    found, failed = score_each({pair.name: pair for pair in pairs}, score, listener)
    scores = {name: values for own in found.values() for name, values in own.items()}
    tables = mean_table(scores, np.random.default_rng(seed))
    _write(out, tables, failed)
    class_scores_figure(tables.images, out / "scores.png")
    return Evaluation(tables, missing, failed=failed, without=without)
