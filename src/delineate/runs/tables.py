"""Rows of the table of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from delineate.inference.prediction import Prediction
    from delineate.labels import Table


def image_row(name: str, prediction: Prediction, objects: Table, seconds: float) -> dict[str, Any]:
    """The row of an image that was predicted."""
    labels, scores = prediction.labels, prediction.scores
    size = next((objects[k] for k in ("equivalent_diameter",) if k in objects), np.array([]))
    row: dict[str, Any] = {
        "image": name,
        "status": "done",
        "objects": int(labels.max(initial=0)),
        "median_diameter": float(np.median(size)) if len(size) else np.nan,
        "foreground": float(np.count_nonzero(prediction.foreground) / max(labels.size, 1)),
        "diameter_used": np.nan if prediction.diameter is None else prediction.diameter,
    }
    for key in ("probability", "flow_error"):
        values = objects.get(key, np.array([]))
        row[f"mean_{key}"] = float(np.mean(values)) if len(values) else np.nan
    row |= scores._asdict()
    row["novelty"] = prediction.novelty
    row["seconds"] = round(seconds, 3)
    row["error"] = ""
    return row


def failed_row(name: str, error: str) -> dict[str, Any]:
    """The row of an image that could not be predicted."""
    return {"image": name, "status": "failed", "objects": "", "error": error}


def most_uncertain_first(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of images in the order in which a person should look at them."""
    from delineate.uncertainty import rank

    values = [
        [row[key] if isinstance(row.get(key), float) else np.nan for row in rows]
        for key in ("uncertainty", "image_uncertainty")
    ]
    return [rows[i] for i in rank(*values)]
