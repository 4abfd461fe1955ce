"""Tables of training images: which files belong together, and which of them validate."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from delineate.data.pairs import Pair
from delineate.errors import DataError

COLUMNS = ("image", "labels", "classes", "soft", "target", "cost")
"""Columns that are paths, relative to the table."""


def pairs_of_table(table: Path, truth: str | None) -> list[Pair]:
    """Pairs of a table with a column ``image`` and perhaps others of `COLUMNS`, split and weight.

    Parameters
    ----------
    truth : column that must be there and filled, "labels" or "target"; None: none.

    Raises
    ------
    DataError : a column or a file is missing, or a weight is none.
    """
    pairs = []
    for row in _rows(table, ["image", truth] if truth else ["image"]):
        paths = _paths(row, table)
        pairs.append(
            Pair(
                _name(row["image"]),
                paths["image"],
                paths.get("labels"),
                paths.get("classes"),
                row.get("split") or "",
                _weight(row, table),
                paths.get("soft"),
                paths.get("target"),
                paths.get("cost"),
            )
        )
    return pairs


def sides_of_table(table: Path, truth: str) -> list[Pair]:
    """Unpaired files of a table: each row has an image, a truth, or both, which are taken apart.

    A row of both whose split is val stays together.

    Raises
    ------
    DataError : as for `pairs_of_table`, or a row has neither, or more than these.
    """
    pairs = []
    for number, row in enumerate(_rows(table, ["image", truth], may_lack=True), 2):
        paths = _paths(row, table)
        spare = [c for c in ("classes", "soft", "cost") if c in paths]
        if spare:
            raise DataError(
                f"{table}: row {number} has {' and '.join(spare)}, for which unpaired training has "
                "no use: empty the column, or train with a regime that takes pairs"
            )
        split, weight = row.get("split") or "", _weight(row, table)
        image, wanted = paths.get("image"), paths.get(truth)
        if image is None and wanted is None:
            raise DataError(f"{table}: row {number} has neither image nor {truth}")
        if image is not None and wanted is not None and split == "val":
            labels, target = (None, wanted) if truth == "target" else (wanted, None)
            both = Pair(_name(row["image"]), image, labels, split=split, weight=weight)
            pairs.append(replace(both, target=target))
            continue
        if image is not None:
            name = f"images/{_name(row['image'])}"
            pairs.append(Pair(name, image, split=split, weight=weight, only="image"))
        if wanted is not None:
            name = f"targets/{_name(row[truth])}"
            pairs.append(Pair(name, wanted, split=split, weight=weight, only="target"))
    return list(dict.fromkeys(pairs))


def splits_of_table(table: Path) -> dict[str, tuple[str, float]]:
    """Split and weight of each image that a table names, in its order.

    Raises
    ------
    DataError : a column is missing, or a weight is none.
    """
    rows = _rows(table, ["image", "split"])
    return {row["image"]: (row["split"] or "", _weight(row, table)) for row in rows}


def used_by_table(table: Path) -> frozenset[str]:
    """Names of the images that train or validate: all of a table without splits, else those.

    Raises
    ------
    DataError : as for `splits_of_table`.
    """
    splits = {name: split for name, (split, _) in splits_of_table(table).items()}
    if not any(splits.values()):
        return frozenset(splits)
    return frozenset(name for name, split in splits.items() if split in ("train", "val"))


def split_by_table(pairs: Sequence[Pair], table: Path) -> list[Pair]:
    """Give pairs the splits and weights of a table; those that it does not name are left out.

    Raises
    ------
    DataError : a name is not among the pairs, or the table is wrong.
    """
    by_name = {p.name: p for p in pairs}
    chosen = []
    for name, (split, weight) in splits_of_table(table).items():
        if name not in by_name:
            raise unknown_name(table, name, pairs[0].name)
        chosen.append(replace(by_name[name], split=split, weight=weight))
    return chosen


def unknown_name(table: Path, name: str, example: str) -> DataError:
    """What to say of a name that no file has."""
    return DataError(
        f"{table}: image {name!r} is not among the images; they are named without ending, such as "
        f"{example!r}"
    )


def _name(text: str) -> str:
    return Path(text).with_suffix("").as_posix()


def _paths(row: dict[str, str], table: Path) -> dict[str, Path]:
    paths = {key: table.parent / row[key] for key in COLUMNS if row.get(key)}
    for path in paths.values():
        if not path.exists():
            raise DataError(f"{table}: {path} does not exist")
    return paths


def _rows(table: Path, needed: Iterable[str], may_lack: bool = False) -> list[dict[str, str]]:
    """Rows of a table; the columns needed are there, and filled unless they may lack."""
    needed = list(needed)
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or ()
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read as a CSV table: {error}") from error
    missing = [c for c in needed if c not in names]
    if missing:
        raise DataError(
            f"{table}: no column {', '.join(missing)}; it has {', '.join(names) or 'no columns'}"
        )
    if not rows:
        raise DataError(f"{table}: the table has no rows")
    for number, row in enumerate(rows, 2):
        empty = [c for c in needed if c != "split" and not row[c]]
        if empty and not may_lack:
            raise DataError(f"{table}: row {number} has nothing in column {', '.join(empty)}")
    return rows


def _weight(row: dict[str, str], table: Path) -> float:
    text = row.get("weight") or "1"
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise DataError(f"{table}: weight {text!r} of {row['image']} is not a number of 0 or more")
    return weight
