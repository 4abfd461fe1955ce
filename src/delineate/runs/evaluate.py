"""Score a folder of predicted labels against true ones: tables and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from delineate.data.layouts import LABEL_SUFFIXES
from delineate.errors import DataError, LabelError
from delineate.io import ImageFile, find_images, read_labels, write_table
from delineate.metrics import ObjectScores, ScoreTables, score_objects, score_table
from delineate.runs.layout import label_files
from delineate.runs.predict import Listener


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of every image and their tables; `missing` true label files had no prediction."""

    scores: Mapping[str, ObjectScores]
    tables: ScoreTables
    missing: int

    def lines(self) -> list[str]:
        """The summary as text, one score a line: mean over images and pooled, with intervals."""
        summary = self.tables.summary
        lines = [
            f"{len(self.scores)} images, {int(summary['objects'][0])} true objects; "
            f"{summary['level'][0]:.0%} bootstrap intervals over images",
            f"{'score':<16}{'mean over images':<28}pooled over images",
        ]
        names = list(dict.fromkeys(summary["score"]))
        for name in names:
            rows = np.flatnonzero(summary["score"] == name)
            cells = [
                f"{summary['value'][r]:.3f} [{summary['low'][r]:.3f}, {summary['high'][r]:.3f}]"
                for r in rows
            ]
            lines.append(f"{name:<16}{cells[0]:<28}{cells[1]}")
        if self.missing:
            lines.append(f"not scored, since not predicted: {self.missing} of the true label files")
        return lines


class LabelPair(NamedTuple):
    """Name of an image, the file of its predicted labels and that of the true ones."""

    name: str
    predicted: Path
    truth: Path


def pair_labels(predicted: Path, truth: Path) -> tuple[list[LabelPair], int]:
    """Label files with the same name, and how many true ones have no prediction.

    Raises
    ------
    DataError : a prediction has no truth, or names do not match at all.
    """
    if predicted.is_file() and truth.is_file():
        return [LabelPair(truth.stem, predicted, truth)], 0
    if (truth / "labels").is_dir() and (truth / "images").is_dir():
        truth = truth / "labels"
    true = _by_name(truth, find_images(truth))
    found = _by_name(predicted, label_files(predicted))
    without = sorted(set(found) - set(true))
    if without:
        raise DataError(
            f"{len(without)} predictions of {predicted} have no truth in {truth}, the first is "
            f"{without[0]}; truth has for instance {next(iter(sorted(true)))}"
        )
    pairs = [LabelPair(name, found[name], true[name]) for name in found]
    return pairs, len(set(true) - set(found))


def _by_name(source: Path, files: Sequence[ImageFile]) -> dict[str, Path]:
    """Label files by the name of their image."""
    names: dict[str, Path] = {}
    for image in files:
        name = image.name
        for suffix in LABEL_SUFFIXES:
            name = name.removesuffix(suffix)
        if name in names:
            raise DataError(f"{source}: two label files for {name}: {names[name]}, {image.path}")
        names[name] = image.path
    return names


def evaluate_folder(
    predicted: str | Path,
    truth: str | Path,
    out: str | Path,
    *,
    min_size: int = 0,
    tolerance: float = 2.0,
    seed: int = 0,
    listener: Listener | None = None,
) -> Evaluation:
    """Score labels and write scores.csv, summary.csv and scores.png into `out`.

    Parameters
    ----------
    predicted : run folder, folder of label files, or one label file.
    truth : folder of label files of the same names, or one file.
    min_size : objects of fewer pixels are left out on both sides.
    tolerance : of the boundary F score, in pixels.
    seed : of the bootstrap.

    Raises
    ------
    DataError : files do not pair.
    LabelError : shapes differ, or a file holds no labels; the message names the files.
    """
    from delineate.review.figures import evaluation_figure

    pairs, missing = pair_labels(Path(predicted), Path(truth))
    scores: dict[str, ObjectScores] = {}
    for number, (name, found, true) in enumerate(pairs):
        if listener:
            listener.image(name, number, len(pairs))
        try:
            scores[name] = score_objects(
                read_labels(true), read_labels(found), min_size=min_size, tolerance=tolerance
            )
        except LabelError as error:
            raise LabelError(f"{found} against {true}: {error}") from error
        if listener:
            listener.finished(name, f"AP50 {scores[name].ap[0]:.3f}")
    tables = score_table(scores, np.random.default_rng(seed))
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / "scores.csv", tables.images)
    write_table(out / "summary.csv", tables.summary)
    evaluation_figure(
        np.stack([s.ap for s in scores.values()]), out / "scores.png", names=list(scores)
    )
    return Evaluation(scores, tables, missing)
