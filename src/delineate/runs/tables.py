"""Tables of objects and of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from delineate.inference.predict import Prediction
    from delineate.labels import Table


def object_table(prediction: Prediction) -> Table:
    """One row an object: time point (where there are any), measurements, and the method's columns.

    Lengths are in pixels and, where the image knows its pixel size, in its unit too.
    """
    from delineate.labels import measure

    image = prediction.image
    if "T" not in image.axes:
        table = measure(prediction.labels, image)
    else:
        parts: list[Table] = []
        for t in range(image.sizes["T"]):
            part = measure(prediction.labels[t], image.select(T=t))
            n = len(part["label"])
            parts.append({"label": part["label"], "t": np.full(n, t), **part})
        table = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    for name, values in prediction.objects.items():
        if name != "label":
            table[name] = values
    return table


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
