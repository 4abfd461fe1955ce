"""Tables of a review: scores, how well uncertainty ranks them, and the model beside experts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from delineate.consensus.tables import as_table
from delineate.labels import Table
from delineate.metrics import bootstrap_interval
from delineate.review.run_trust import MEASURES, MODEL
from delineate.runs.review_scores import Scores
from delineate.runs.review_state import Checked, Finished
from delineate.runs.tables import number
from delineate.uncertainty import (
    Ranking,
    Reference,
    comparison_table,
    ranking,
    risk_coverage,
    verification,
)


def rank_scores(run: Finished, checked: Checked) -> Ranking:
    """How well the uncertainty by which the images are sorted ranks their scores."""
    rows = [row for row in run.rows if row["image"] in checked.scores]
    points = Reference(
        tuple(row["image"] for row in rows),
        tuple(number(row, "uncertainty") for row in rows),
        tuple(checked.score(row["image"]) or 0.0 for row in rows),
        checked.metric,
    )
    return ranking(points, checked.required or 0.0, np.random.default_rng(run.seed))


def truth_facts(run: Finished, checked: Checked, order: Ranking) -> dict[str, Any]:
    """What run.json says of a run that was held against truth."""
    values = [checked.score(name) or 0.0 for name in checked.scores]
    mean = bootstrap_interval(values, np.random.default_rng(run.seed))
    return {
        "path": checked.path,
        "metric": checked.metric,
        "measure": "predictive",
        "required": checked.required,
        "images": len(values),
        "without": len(run.names) - len(values),
        "unranked": order.missing,
        "mean": list(mean),
        "failures": order.failures,
        "spearman": None if order.spearman is None else list(order.spearman),
        "auroc": None if order.auroc is None else list(order.auroc),
    }


def scores_table(run: Finished, checked: Checked) -> Table:
    """review-scores.csv: image, uncertainty, dice, ap50, map; a row an image with truth."""
    return as_table(
        [
            {
                "image": row["image"],
                "uncertainty": number(row, "uncertainty"),
                **checked.scores[row["image"]]._asdict(),
            }
            for row in run.rows
            if row["image"] in checked.scores
        ],
        ("image", "uncertainty", *MEASURES),
    )


def ranking_table(order: Ranking) -> Table:
    """review-ranking.csv: measure, value, low, high, level, n; empty cells where unknown."""
    rows: list[dict[str, Any]] = []
    for name, interval in (("spearman", order.spearman), ("auroc", order.auroc)):
        row: dict[str, Any] = {"measure": name, "n": order.n}
        if interval is not None:
            row |= {k: getattr(interval, k) for k in ("value", "low", "high", "level")}
        rows.append(row)
    curve = order.curve
    for name in ("area", "ideal", "excess"):
        value = None if curve is None else getattr(curve, name)
        rows.append({"measure": f"risk_coverage_{name}", "value": value, "n": order.n})
    rows.append({"measure": "failures", "value": float(order.failures), "n": order.n})
    rows.append({"measure": "images_without_uncertainty", "value": float(order.missing)})
    names = ("measure", "value", "low", "high", "level", "n")
    return as_table([{name: row.get(name) for name in names} for row in rows], names)


def curve_table(run: Finished, checked: Checked) -> Table:
    """review-curve.csv: a row for each number of images with truth that a person checked.

    The images are taken as they stand in the queue, those unlike the training images and those in
    which nothing was found among them. checked, failures_found (share of all), coverage (share
    left unchecked) and risk (mean of 1 − score of those left; empty where none is).
    """
    queue = [own for name in run.names if (own := checked.score(name)) is not None]
    score, n = np.array(queue), len(queue)
    place = -np.arange(float(n))  # falls along the queue, as uncertainty does within it
    failed = score < (checked.required or 0.0)
    found = verification(place, failed) if failed.any() else None
    risk = risk_coverage(place, 1 - score).risk
    rows = []
    for looked in range(n + 1):
        left = n - looked
        rows.append(
            {
                "checked": looked,
                "failures_found": None if found is None else float(found[looked]),
                "coverage": left / n,
                "risk": float(risk[left - 1]) if left else math.nan,
            }
        )
    return as_table(rows)


def experts_table(everyone: Mapping[str, Mapping[str, Scores]]) -> Table:
    """review-experts.csv: image, annotator ("model" is the model), dice, ap50, map."""
    rows = [
        {"image": image, "annotator": who, **scores._asdict()}
        for who, own in everyone.items()
        for image, scores in own.items()
    ]
    return as_table(rows, ("image", "annotator", *MEASURES))


def beside_table(everyone: Mapping[str, Mapping[str, Scores]], seed: int) -> Table:
    """review-comparison.csv: score, then the columns of `comparison_table`; all scores in turn."""
    images = list(everyone[MODEL])
    parts: list[Table] = []
    for metric in MEASURES:
        columns = {
            who: [float(getattr(own[i], metric)) if i in own else math.nan for i in images]
            for who, own in everyone.items()
        }
        model = columns.pop(MODEL)
        part = comparison_table(model, columns, np.random.default_rng(seed))
        scored = np.full(len(part["expert"]), metric, dtype=object)
        parts.append({"score": scored, **part})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def rows_of(table: Table, metric: str) -> Sequence[dict[str, Any]]:
    """Rows of `beside_table` of one score."""
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    return [row for row in rows if row["score"] == metric]
