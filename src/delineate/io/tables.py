"""Tables as CSV: full precision in the shortest digits, a missing value is an empty cell."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ReadError, WriteError
from delineate.io.atomic import atomic_path


def write_table(path: str | Path, table: Mapping[str, Any]) -> None:
    """Write columns of equal length as CSV (UTF-8, comma, a header line).

    Floating-point numbers have the fewest digits that give back the same number; NaN and None
    become empty cells; truth values ``true`` and ``false``.

    Parameters
    ----------
    path : file to write.
    table : one-dimensional columns by name, in the order of writing.

    Raises
    ------
    WriteError : columns of unequal length or of more than one dimension, or no room to write.
    """
    path = Path(path)
    columns = {str(name): np.asarray(column) for name, column in table.items()}
    wrong = {name: column.shape for name, column in columns.items() if column.ndim != 1}
    if wrong:
        raise WriteError(f"{path}: columns must have one dimension, found {wrong}")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise WriteError(f"{path}: columns have different lengths: {lengths}")
    texts = [_texts(column) for column in columns.values()]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        for row in ([_quoted(name) for name in columns], *zip(*texts, strict=True)):
            # A row of one empty cell must not look like an empty line.
            file.write((",".join(row) or '""') + "\n")


def _texts(column: NDArray[Any]) -> list[str]:
    if column.dtype.kind == "f":
        return ["" if value != value else str(value) for value in column]
    return [_quoted(_text(value)) for value in column.tolist()]


def _quoted(text: str) -> str:
    """Cell as RFC 4180 has it; Python's writer does not quote a lone carriage return."""
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def read_table(path: str | Path) -> dict[str, NDArray[Any]]:
    """Columns of a CSV file with a header line.

    A column of whole numbers comes back as int64 (uint64 where too large), of numbers as float64
    with NaN where cells are empty, of ``true`` and ``false`` as bool, anything else as str.
    Numbers with leading zeros are names, and stay text.

    Raises
    ------
    ReadError : missing, empty, not text, or rows of unequal length.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except FileNotFoundError as error:
        raise ReadError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReadError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    if not rows:
        raise ReadError(f"{path}: is empty; expected a header line and one line for each row")
    header, *body = rows
    if len(set(header)) != len(header):
        raise ReadError(f"{path}: two columns have the same name; header: {', '.join(header)}")
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise ReadError(
                f"{path}: row {number} has {len(row)} cells, the header has {len(header)}"
            )
    return {name: _column([row[i] for row in body]) for i, name in enumerate(header)}


def _column(cells: list[str]) -> NDArray[Any]:
    filled = [cell for cell in cells if cell]
    if filled and all(cell in ("true", "false") for cell in cells):
        return np.array([cell == "true" for cell in cells])
    if not filled or not all(_is_number(cell) for cell in filled):
        return np.array(cells, dtype=str)
    if len(filled) == len(cells) and all(cell.lstrip("-").isdecimal() for cell in cells):
        numbers = [int(cell) for cell in cells]
        low, high = min(numbers), max(numbers)
        if low >= -(2**63) and high < 2**63:
            return np.array(numbers, dtype=np.int64)
        if low >= 0 and high < 2**64:
            return np.array(numbers, dtype=np.uint64)
        return np.array(cells, dtype=str)
    return np.array([float(cell) if cell else np.nan for cell in cells], dtype=np.float64)


def _is_number(cell: str) -> bool:
    digits = cell.lstrip("-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdecimal():
        return False
    if "_" in cell or cell != cell.strip():
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return True
