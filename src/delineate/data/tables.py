"""Tables of training images: which files belong together, and which of them validate."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

from delineate.data.pairs import USED, Pair
from delineate.errors import DataError

COLUMNS = ("image", "labels", "classes", "soft", "target", "cost")
"""Columns that are paths, relative to the table."""


def pairs_of_table(table: Path, truth: str | None, used: Set[str] | None = None) -> list[Pair]:
    """Pairs of a table with a column ``image`` and perhaps others of `COLUMNS`, split and weight.

    Parameters
    ----------
    truth : column that must be there and filled, "labels" or "target"; None: none.
    used : names of the images that are used; None: all. In the rows of others, columns may be empty
        and files missing, but for the name of the image.

    Raises
    ------
    DataError : a column or a file is missing, or a weight is none.
    """
    pairs = []
    for number, row in enumerate(_rows(table, ["image", truth] if truth else ["image"]), 2):
        name = _name(row["image"])
        needed = used is None or name in used
        if needed and truth:
            _check_filled(row, number, [truth], table)
        paths = _paths(row, table, needed)
        pairs.append(
            Pair(
                name,
                paths["image"],
                paths.get("labels"),
                paths.get("classes"),
                _split(row),
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
    for number, row in enumerate(_rows(table, ["image", truth], filled=()), 2):
        paths = _paths(row, table)
        spare = [c for c in ("classes", "soft", "cost") if c in paths]
        if spare:
            raise DataError(
                f"{table}: row {number} has {' and '.join(spare)}, for which unpaired training has "
                "no use: empty the column, or train with a regime that takes pairs"
            )
        split, weight = _split(row), _weight(row, table)
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
    DataError : a column is missing, a weight is none, or an image is named twice.
    """
    found: dict[str, tuple[str, float]] = {}
    rows: dict[str, int] = {}
    for number, row in enumerate(_rows(table, ["image", "split"]), 2):
        name = row["image"]
        if name in found:
            raise DataError(
                f"{table}: rows {rows[name]} and {number} both name image {name!r}: take one out"
            )
        rows[name] = number
        found[name] = _split(row), _weight(row, table)
    return found


def used_by_table(table: Path) -> frozenset[str]:
    """Names of the images that train or validate: all of a table without splits, else those.

    Raises
    ------
    DataError : as for `splits_of_table`.
    """
    return _used({name: split for name, (split, _) in splits_of_table(table).items()})


def used_rows(table: Path, columns: Sequence[str]) -> frozenset[str]:
    """The same of a table of files with these columns, which need not have splits.

    Raises
    ------
    DataError : a column is missing, or a row names no image.
    """
    return _used({_name(row["image"]): _split(row) for row in _rows(table, columns)})


def _used(splits: Mapping[str, str]) -> frozenset[str]:
    if not any(splits.values()):
        return frozenset(splits)
    return frozenset(name for name, split in splits.items() if split in USED)


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


def _paths(row: dict[str, str], table: Path, needed: bool = True) -> dict[str, Path]:
    paths = {key: table.parent / row[key] for key in COLUMNS if row.get(key)}
    for path in paths.values():
        if needed and not path.exists():
            raise DataError(f"{table}: {path} does not exist")
    return paths


def _rows(
    table: Path, needed: Sequence[str], filled: Sequence[str] = ("image",)
) -> list[dict[str, str]]:
    """Rows of a table; the columns needed are there, and those `filled` have text in every row."""
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
        _check_filled(row, number, filled, table)
    return rows


def _check_filled(row: dict[str, str], number: int, columns: Sequence[str], table: Path) -> None:
    empty = [c for c in columns if not row[c]]
    if empty:
        raise DataError(f"{table}: row {number} has nothing in column {', '.join(empty)}")


def _split(row: dict[str, str]) -> str:
    """The word of a row: "train" and "val" however they are written, any other as it stands."""
    word = (row.get("split") or "").strip()
    return word.lower() if word.lower() in USED else word


def _weight(row: dict[str, str], table: Path) -> float:
    text = row.get("weight") or "1"
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise DataError(f"{table}: weight {text!r} of {row['image']} is not a number of 0 or more")
    return weight
