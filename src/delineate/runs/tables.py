"""Rows of the table of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from delineate.inference.predict import Prediction
    from delineate.labels import Table


def image_row(name: str, prediction: Prediction, objects: Table, seconds: float) -> dict[str, Any]:
    """The row of an image that was predicted."""
    labels = prediction.labels
    size = next((objects[k] for k in ("equivalent_diameter",) if k in objects), np.array([]))
    row: dict[str, Any] = {
        "image": name,
        "status": "done",
        "objects": int(labels.max(initial=0)),
        "median_diameter": float(np.median(size)) if len(size) else np.nan,
        "foreground": float(np.count_nonzero(labels) / max(labels.size, 1)),
        "diameter_used": np.nan if prediction.diameter is None else prediction.diameter,
    }
    for key in ("probability", "flow_error"):
        values = objects.get(key, np.array([]))
        row[f"mean_{key}"] = float(np.mean(values)) if len(values) else np.nan
    row["seconds"] = round(seconds, 3)
    row["error"] = ""
    return row


def failed_row(name: str, error: str) -> dict[str, Any]:
    """The row of an image that could not be predicted."""
    return {"image": name, "status": "failed", "objects": "", "error": error}
