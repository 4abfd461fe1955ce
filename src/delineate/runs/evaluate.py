"""Score a folder of predicted labels against true ones: tables and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from delineate.data.layouts import LABEL_SUFFIXES
from delineate.errors import DataError, LabelError
from delineate.io import find_images, read_labels, write_table
from delineate.metrics import ObjectScores, ScoreTables, score_objects, score_table
from delineate.runs.predict import Listener


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of every image and their tables."""

    scores: Mapping[str, ObjectScores]
    tables: ScoreTables

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
        return lines


def pair_labels(predicted: Path, truth: Path) -> list[tuple[str, Path, Path]]:
    """Label files of a prediction and a truth with the same name: (name, predicted, true).

    Raises
    ------
    DataError : a prediction has no truth, or names do not match at all.
    """
    if predicted.is_file() and truth.is_file():
        return [(truth.stem, predicted, truth)]
    if (predicted / "labels").is_dir() and (predicted / "run.json").exists():
        predicted = predicted / "labels"
    if (truth / "labels").is_dir() and (truth / "images").is_dir():
        truth = truth / "labels"
    true = _by_name(truth)
    found = _by_name(predicted)
    without = sorted(set(found) - set(true))
    if without:
        raise DataError(
            f"{len(without)} predictions of {predicted} have no truth in {truth}, the first is "
            f"{without[0]}; truth has for instance {next(iter(sorted(true)))}"
        )
    return [(name, found[name], true[name]) for name in found]


def _by_name(folder: Path) -> dict[str, Path]:
    """Label files of a folder by the name of their image."""
    names: dict[str, Path] = {}
    for image in find_images(folder):
        name = image.name
        for suffix in LABEL_SUFFIXES:
            name = name.removesuffix(suffix)
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

    pairs = pair_labels(Path(predicted), Path(truth))
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
    return Evaluation(scores, tables)
