"""The curves that a training leaves in metrics.csv."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ReadError
from delineate.review.run_tables import csv_rows, finite


class Curve(NamedTuple):
    """Points of one line: steps, and the values that were measured there."""

    steps: NDArray[np.float64]
    values: NDArray[np.float64]


def read_curves(path: Path) -> dict[str, Curve]:
    """Columns with at least one value, by name, in the order of the table.

    Raises
    ------
    ReadError : the table is missing, is broken or has no column step.
    """
    if not path.is_file():
        raise ReadError(f"{path}: no such table; it is written by a training after each validation")
    rows = list(csv_rows(path))
    if rows and "step" not in rows[0]:
        raise ReadError(f"{path}: no column step; found {', '.join(rows[0])}")
    steps = np.asarray([finite(row["step"]) for row in rows])
    curves = {}
    for name in rows[0] if rows else ():
        values = np.asarray([finite(row[name]) for row in rows])
        known = np.isfinite(values) & np.isfinite(steps)
        if known.any():
            curves[name] = Curve(steps[known], values[known])
    return curves
