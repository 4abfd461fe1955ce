"""What a run folder says of images that a model made, and of their scores against true ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from delineate.metrics import Interval, bootstrap_interval
from delineate.review.run_tables import csv_rows, finite
from delineate.review.run_trust import ImageTrust, Quality, Ranked, Truth
from delineate.uncertainty import auroc_interval, spearman_interval

SCORE = "pearson"
"""The score of an image that counts, where the reference of the model names no other."""


@dataclass(frozen=True)
class Made:
    """What a row of images.csv says of an image that a model made; NaN where nothing.

    `mean` and `std` are those of its pixels, `not_measurable` is the share of pixels that are not
    to be measured, `cycle_error` how far the way back misses the image.
    """

    channels: float = nan
    mean: float = nan
    std: float = nan
    not_measurable: float = nan
    cycle_error: float = nan


def read_made(row: Mapping[str, str]) -> Made:
    """Read a row of images.csv."""
    return Made(*(finite(row.get(name)) for name in Made.__dataclass_fields__))


class Score(NamedTuple):
    """A row of summary.csv: a score of a channel, how it was averaged, and over how many images."""

    channel: str
    score: str
    averaging: str
    value: float
    low: float
    high: float
    level: float
    images: int


@dataclass(frozen=True, eq=False)
class ImageEvaluation:
    """What `delineate evaluate` left: scores by image and name (means over channels), a summary."""

    images: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    summary: tuple[Score, ...] = ()


def read_evaluation(folder: Path, names: Iterable[str]) -> ImageEvaluation:
    """Scores of images in a run folder; none where they are missing or older than its results.

    Parameters
    ----------
    folder : of the run.
    names : of its images. Scores of time points, NAME-t0000 …, are averaged to those of NAME.

    Raises
    ------
    ReadError : a table is not readable.
    """
    table = folder / "scores.csv"
    known = set(names)
    if not table.is_file() or _changed_since(folder, known, table.stat().st_mtime):
        return ImageEvaluation()
    found: dict[str, dict[str, list[float]]] = {}
    for row in csv_rows(table):
        if "channel" not in row:  # scores of labels
            return ImageEvaluation()
        name = row.get("image", "")
        if name not in known:
            name = re.sub(r"-t\d+$", "", name)
        if name in known:
            own = found.setdefault(name, {})
            for score, value in row.items():
                if score not in ("image", "channel") and isfinite(finite(value)):
                    own.setdefault(score, []).append(finite(value))
    means = {
        name: {score: float(np.mean(values)) for score, values in own.items()}
        for name, own in found.items()
    }
    return ImageEvaluation(means, tuple(_summary(folder / "summary.csv")) if means else ())


def _changed_since(folder: Path, names: Iterable[str], moment: float) -> bool:
    """Whether a result was written after that moment."""
    paths = (folder / "results" / f"{n}{end}" for n in names for end in (".tif", ".ome.zarr"))
    try:
        return any(path.stat().st_mtime > moment for path in paths if path.exists())
    except (OSError, ValueError):  # a name that this file system cannot have
        return True


def _summary(path: Path) -> Iterable[Score]:
    for row in csv_rows(path):
        value, low, high, level = (finite(row.get(k)) for k in ("value", "low", "high", "level"))
        images = finite(row.get("images"))
        if isfinite(value) and isfinite(images):
            channel, score, averaging = (row.get(k, "") for k in ("channel", "score", "averaging"))
            yield Score(channel, score, averaging, value, low, high, level, int(images))


def relative_units(recipe: Mapping[str, Any]) -> bool:
    """Whether results have the units of the images that they were made from, not of true ones.

    So it is where the recipe of the model matched each target to its image.
    """
    rule = recipe.get("normalise_target")
    return isinstance(rule, Mapping) and rule.get("kind") == "match"


def score_that_counts(quality: Quality | None) -> str:
    """The score by which a run is held against true images."""
    return SCORE if quality is None else quality.reference.metric


def truth_of(images: Mapping[str, ImageTrust], quality: Quality | None, seed: int) -> Truth | None:
    """The run held against true images; None where no image has a score.

    Parameters
    ----------
    images : those with a result, by name; `score` is that which counts.
    quality : the reference of the model.
    seed : of the bootstrap.
    """
    measure: Final = "predictive"  # that by which the queue is sorted
    required = None if quality is None else quality.required
    scored = [i for i in images.values() if isfinite(i.score)]
    if not scored:
        return None
    rng = np.random.default_rng(seed)
    scores = np.array([i.score for i in scored])
    mean = bootstrap_interval(scores, rng)
    ranked = [i for i in scored if isfinite(i.by(measure))]
    u, s = np.array([i.by(measure) for i in ranked]), np.array([i.score for i in ranked])
    failed = s < (-np.inf if required is None else required)
    auroc: Interval | None = None
    if required is not None and len(ranked):
        auroc = auroc_interval(u, failed, rng)
    order = Ranked(spearman_interval(u, s, rng), auroc, int(failed.sum()))
    n = len(scored)
    return Truth(
        "", score_that_counts(quality), measure, required, n, len(images) - n, n - len(ranked),
        mean, order,
    )  # fmt: skip
