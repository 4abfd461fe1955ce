"""Rows of the table of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from delineate.inference.prediction import Prediction
    from delineate.labels import Table


def image_row(name: str, prediction: Prediction, objects: Table, seconds: float) -> dict[str, Any]:
    """The row of an image that was predicted."""
    scores = prediction.scores
    if prediction.result is not None:
        return _transformed_row(name, prediction, seconds)
    size = next((objects[k] for k in ("equivalent_diameter",) if k in objects), np.array([]))
    row: dict[str, Any] = {
        "image": name,
        "status": "done",
        "objects": prediction.count,
        "median_diameter": float(np.median(size)) if len(size) else np.nan,
        "foreground": float(prediction.foreground.mean()) if prediction.foreground.size else 0.0,
        "diameter_used": np.nan if prediction.diameter is None else prediction.diameter,
    }
    for key in ("probability", "flow_error"):
        values = objects.get(key, np.array([]))
        row[f"mean_{key}"] = float(np.mean(values)) if len(values) else np.nan
    row |= scores._asdict()
    return row | _rest(prediction, seconds)


def _transformed_row(name: str, prediction: Prediction, seconds: float) -> dict[str, Any]:
    """The row of an image that was turned into another."""
    result, scores = prediction.result, prediction.scores
    assert result is not None
    doubtful, pixels = prediction.doubtful, np.asarray(result.data)
    row = {
        "image": name,
        "status": "done",
        "channels": result.n_channels,
        "mean": float(pixels.mean(dtype=np.float64)),
        "std": float(pixels.std(dtype=np.float64)),
        "uncertainty": scores.uncertainty,
        "aleatoric": scores.aleatoric,
        "epistemic": scores.epistemic,
        "image_uncertainty": scores.image_uncertainty,
        "not_measurable": np.nan if doubtful is None else float(doubtful.mean()),
    }
    return row | _rest(prediction, seconds)


def _rest(prediction: Prediction, seconds: float) -> dict[str, Any]:
    """What the rows of all images end with."""
    cycle = prediction.cycle
    return {
        **({} if cycle is None else {"cycle_error": float(cycle.mean(dtype=np.float64))}),
        "novelty": prediction.novelty,
        "seconds": round(seconds, 3),
        "error": "",
    }


def failed_row(name: str, error: str) -> dict[str, Any]:
    """The row of an image that could not be predicted."""
    return {"image": name, "status": "failed", "error": error}


def most_uncertain_first(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of images in the order in which a person should look at them.

    Images unlike the training images come before the most uncertain ones.
    """
    from delineate.uncertainty import rank

    values = [
        [number(row, key) for row in rows]
        for key in ("uncertainty", "image_uncertainty", "novelty")
    ]
    return [rows[i] for i in rank(*values)]


def number(row: Mapping[str, Any], key: str) -> float:
    """A cell of the row of an image as number; NaN where there is none."""
    value = row.get(key)
    return float(value) if isinstance(value, int | float) else np.nan
