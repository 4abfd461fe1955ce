"""The tables of a run folder, read row by row: objects.csv may have millions of rows."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite, nan, pi
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ReadError


@dataclass(frozen=True, eq=False)
class ObjectSizes:
    """Sizes in objects.csv, by image name.

    `diameters` are those of the disk or ball with as many pixels, float32, in pixels;
    `pixel_size` is how many `unit` a pixel is wide (geometric mean of the axes), NaN if unknown.
    """

    diameters: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    pixel_size: dict[str, float] = field(default_factory=dict)
    unit: str = "µm"


class _Measure(NamedTuple):
    """A column that gives the size of an object: its diameter is (factor × size)^(1 / power)."""

    column: str
    power: int
    factor: float


_MEASURES = (
    _Measure("diameter", 1, 1.0),
    _Measure("equivalent_diameter", 1, 1.0),
    _Measure("area", 2, 4 / pi),
    _Measure("volume", 3, 6 / pi),
)
_ONLY_UNITS_FOLLOW = ("diameter", "equivalent_diameter")  # area_convex is no area in "convex"
_UNITS = {"um": "µm", "µm": "µm", "μm": "µm", "nm": "nm", "mm": "mm", "cm": "cm"}


def read_object_sizes(path: Path) -> ObjectSizes:
    """Sizes of all objects; none where the file or a column with a size is missing.

    Raises
    ------
    ReadError : the file is not a readable table.
    """
    rows = _lines(path)
    head = next(rows, [])
    measure = next((m for m in _MEASURES if m.column in head), None)
    if measure is None or "image" not in head:
        return ObjectSizes()
    image, pixels = head.index("image"), head.index(measure.column)
    physical, unit = _physical_column(head, measure.column)
    sizes: dict[str, array[float]] = {}
    pixel_size: dict[str, float] = {}
    for row in rows:
        name, size = row[image], finite(row[pixels])
        sizes.setdefault(name, array("d")).append(size)
        if physical >= 0 and name not in pixel_size and size > 0:
            pixel_size[name] = (finite(row[physical]) / size) ** (1 / measure.power)
    diameters = {}
    for name, values in sizes.items():
        found = np.frombuffer(values, np.float64)
        diameter = (measure.factor * found[np.isfinite(found)]) ** (1 / measure.power)
        diameters[name] = diameter.astype(np.float32)
    return ObjectSizes(diameters, pixel_size, unit)


def csv_rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file by column name, none where the file is missing.

    Raises
    ------
    ReadError : the file is not a readable table.
    """
    rows = _lines(path)
    head = next(rows, [])
    for row in rows:
        yield dict(zip(head, row, strict=True))


def finite(value: Any) -> float:
    """A finite number, or NaN for what is missing or is none."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        return nan
    return result if isfinite(result) else nan


def _lines(path: Path) -> Iterator[list[str]]:
    """Lines of a CSV file, none where it is missing; every line as long as the first."""
    if not path.is_file():
        return
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            length = 0
            for number, row in enumerate(csv.reader(file), 1):
                length = length or len(row)
                if row and len(row) != length:
                    raise ReadError(
                        f"{path}: line {number} has {len(row)} cells, the header {length}; "
                        "run predict again to write it anew"
                    )
                if row:
                    yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReadError(f"{path}: not a readable table in UTF-8 ({error})") from error


def _physical_column(head: list[str], column: str) -> tuple[int, str]:
    """Index of the same measure in physical units, such as area_um2, and the unit; or -1."""
    for index, name in enumerate(head):
        stem, _, unit = name.rpartition("_")
        unit = unit.rstrip("23²³^")
        if stem == column and (unit in _UNITS or column in _ONLY_UNITS_FOLLOW):
            return index, _UNITS.get(unit, unit)
    return -1, "µm"
