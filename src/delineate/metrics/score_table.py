"""Tables of object scores: of each image, and over all, averaged and pooled, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.metrics.bootstrap import Interval, bootstrap_interval
from delineate.metrics.scores import SCORES, ObjectScores

MEAN, POOLED = "mean over images", "pooled over images"


class ScoreTables(NamedTuple):
    """Two tables (columns of equal length by name).

    `images` has a row an image: image, objects (true), predicted, TP50, FP50, FN50 and the scores.
    `summary` has two rows a score: score, averaging ("mean over images": every image weighs the
    same; "pooled over images": every object does), value, low, high (NaN of one image), level,
    images, objects.
    """

    images: dict[str, NDArray[Any]]
    summary: dict[str, NDArray[Any]]


def mean_table(
    scores: Mapping[str, Mapping[str, float]],
    rng: np.random.Generator,
    level: float = 0.95,
    n: int = 2000,
) -> ScoreTables:
    """Scores that do not add up: of each image, and their means with bootstrap intervals.

    Parameters
    ----------
    scores : the same scores of each image, by its name.
    rng : source of the bootstrap's resamples.
    level, n : coverage of the intervals and number of resamples.

    Raises
    ------
    ValueError : there are no images.
    """
    if not scores:
        raise ValueError("no images to tabulate: expected at least one")
    each = list(scores.values())
    images: dict[str, NDArray[Any]] = {"image": np.array(list(scores), dtype=object)}
    images |= {name: np.array([s[name] for s in each], np.float64) for name in each[0]}
    intervals = [bootstrap_interval(images[name], rng, level, n) for name in each[0]]
    rows = [(name, MEAN, i) for name, i in zip(each[0], intervals, strict=True)]
    return ScoreTables(images, _summary(rows))


def score_table(
    scores: Mapping[str, ObjectScores],
    rng: np.random.Generator,
    level: float = 0.95,
    n: int = 2000,
) -> ScoreTables:
    """Scores of images, their means and their pooled values with bootstrap intervals.

    Parameters
    ----------
    scores : `score_objects` of each image by its name.
    rng : source of the bootstrap's resamples.
    level, n : coverage of the intervals and number of resamples.

    Raises
    ------
    ValueError : there are no images.
    """
    if not scores:
        raise ValueError("no images to tabulate: expected at least one")
    each = list(scores.values())
    sums = np.stack([s.sums() for s in each])
    images: dict[str, NDArray[Any]] = {
        "image": np.array(list(scores), dtype=object),
        "objects": np.array([s.n_truth for s in each]),
        "predicted": np.array([s.n_pred for s in each]),
        "TP50": np.array([s.tp[0] for s in each]),
        "FP50": np.array([s.fp[0] for s in each]),
        "FN50": np.array([s.fn[0] for s in each]),
    }
    rows = []
    for name, score in SCORES.items():
        images[name] = np.asarray(score(sums), np.float64)
        rows.append((name, MEAN, bootstrap_interval(images[name], rng, level, n)))
        rows.append((name, POOLED, bootstrap_interval(sums, rng, level, n, score)))
    summary = _summary(rows)
    summary["objects"] = np.full(len(rows), images["objects"].sum())
    return ScoreTables(images, summary)


def _summary(rows: Sequence[tuple[str, str, Interval]]) -> dict[str, NDArray[Any]]:
    """Columns of a summary from the score, the averaging and the interval of each row."""
    intervals = [interval for _, _, interval in rows]
    return {
        "score": np.array([name for name, _, _ in rows], dtype=object),
        "averaging": np.array([averaging for _, averaging, _ in rows], dtype=object),
        "value": np.array([i.value for i in intervals]),
        "low": np.array([i.ends[0] for i in intervals]),
        "high": np.array([i.ends[1] for i in intervals]),
        "level": np.array([i.level for i in intervals]),
        "images": np.array([i.n for i in intervals]),
    }
