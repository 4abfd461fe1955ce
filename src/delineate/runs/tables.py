"""The tables of a run: rows of images in their order, and the objects of all images."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delineate.io import atomic_path
from delineate.runs.layout import remove

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


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people and JSON: six digits of a number, NaN becomes an empty cell."""
    return {
        k: v if not isinstance(v, float) else float(f"{v:.6g}") if v == v else ""
        for k, v in row.items()
    }


def write_images(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write images.csv; cells that a row lacks are empty.

    Raises
    ------
    WriteError : it cannot be written.
    """
    fullest_first = sorted(rows, key=len, reverse=True)
    columns = list(dict.fromkeys(k for row in fullest_first for k in row))
    with (
        atomic_path(folder / "images.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def join_objects(path: Path, parts: Sequence[tuple[str, Path]]) -> None:
    """One table of all objects; images whose tables have other columns leave cells empty.

    Parameters
    ----------
    parts : name of each image, and the table of its objects.

    Raises
    ------
    WriteError : it cannot be written.
    """
    columns: dict[str, None] = {"image": None}
    for _, part in parts:
        with part.open(newline="", encoding="utf-8") as file:
            columns.update(dict.fromkeys(next(csv.reader(file), [])))
    if parts and not set(columns) - {"image", ""}:  # of images there are no objects, not even 0
        remove(path)
        return
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as out,
    ):
        writer = csv.DictWriter(out, list(columns), restval="")
        writer.writeheader()
        for name, part in parts:
            with part.open(newline="", encoding="utf-8") as file:
                writer.writerows({"image": name, **row} for row in csv.DictReader(file))
