"""Where training images and their labels lie: two folders, one folder with suffixes, or a table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from delineate.errors import DataError

LABEL_SUFFIXES = ("_cp_masks", "_masks", "_mask", "_labels", "_label", "_seg")
"""Endings of the stem that tell a label image from its image in one folder, the first first."""


@dataclass(frozen=True)
class Pair:
    """An image with what is known of it.

    Parameters
    ----------
    name : relative path of the image without its ending; unique in a data set.
    image, labels, classes : files; None where there is none.
    soft : file of the probabilities of classes that stand beside the labels; None: there is none.
    split : "train", "val" or "" (to be drawn).
    weight : how often the image is drawn relative to others.
    """

    name: str
    image: Path
    labels: Path | None = None
    classes: Path | None = None
    split: str = ""
    weight: float = 1.0
    soft: Path | None = None


def find_pairs(
    images: Path,
    labels: Path | None = None,
    classes: Path | None = None,
    table: Path | None = None,
    soft: Path | None = None,
) -> list[Pair]:
    """Find the training pairs of a layout, sorted by name.

    Parameters
    ----------
    images : one of: a CSV table; a folder with ``images/`` and ``labels/`` (and ``classes/``,
        ``soft/``); a folder of images beside `labels`; a folder of images with labels under the
        same stem and one of `LABEL_SUFFIXES`.
    labels, classes, soft : folders whose files have the stems of the images.
    table : CSV with a column ``image`` (a stem) and ``split`` (train, val or another word, which
        leaves the image out) and perhaps ``weight``; images that it does not name are left out.

    A CSV given as `images` has the columns ``image`` and ``labels`` (paths, relative to the table)
    and perhaps ``classes``, ``soft``, ``split``, ``weight``.

    Raises
    ------
    DataError : no labels are found, an image lacks its own, names collide, or a table is wrong.
    ReadError : a folder holds no images.
    """
    images = Path(images)
    if not images.exists():
        raise DataError(f"{images}: there is no such file or folder")
    if images.is_file():
        if images.suffix.lower() != ".csv":
            raise DataError(f"{images}: expected a folder or a CSV table of images and labels")
        pairs = _from_table(images)
    elif labels is not None:
        pairs = _by_stem(images, Path(labels), classes, soft)
    elif (images / "images").is_dir() and (images / "labels").is_dir():
        given = (classes or images / "classes", soft or images / "soft")
        found = [f if f in (classes, soft) or f.is_dir() else None for f in given]
        pairs = _by_stem(images / "images", images / "labels", *found)
    else:
        pairs = _by_suffix(images)
    if table is not None:
        pairs = _split_by_table(pairs, Path(table))
    names = [p.name for p in pairs]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise DataError(f"two images are called {twice!r}: rename one of them")
    return sorted(pairs, key=lambda p: p.name)


def _files(folder: Path) -> list[tuple[str, Path]]:
    from delineate.io import find_images

    return [(f.name, f.path) for f in find_images(folder)]


def _by_stem(images: Path, labels: Path, classes: Path | None, soft: Path | None) -> list[Pair]:
    extra = {"image of classes": classes, "soft labels": soft}
    for folder in (images, labels, classes, soft):
        if folder is not None and not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder")
    label_of = _index(labels)
    others = {what: _index(folder) for what, folder in extra.items() if folder}
    pairs, without = [], []
    for name, path in _files(images):
        if name not in label_of:
            without.append(path.name)
            continue
        for what, files in others.items():
            if name not in files:
                raise DataError(f"{path}: no {what} of this name in {extra[what]}")
        class_file, soft_file = (others.get(what, {}).get(name) for what in extra)
        pairs.append(Pair(name, path, label_of[name], class_file, soft=soft_file))
    if without:
        raise DataError(
            f"{len(without)} images of {images} have no labels of the same name in {labels}, the "
            f"first is {without[0]}: add its labels or move the image away"
        )
    return pairs


def _index(folder: Path) -> dict[str, Path]:
    """Label files by the name of their image: the same stem, or the stem with a suffix."""
    found: dict[str, Path] = {}
    for name, path in _files(folder):
        found[name] = path
        for suffix in LABEL_SUFFIXES:
            if name.endswith(suffix):
                found.setdefault(name.removesuffix(suffix), path)
    return found


def _by_suffix(folder: Path) -> list[Pair]:
    files = dict(_files(folder))
    pairs, labels = [], set()
    for name, path in files.items():
        beside = [name + suffix for suffix in LABEL_SUFFIXES if name + suffix in files]
        if beside:
            labels.update(beside)
            pairs.append(Pair(name, path, files[beside[0]]))
    alone = [n for n in files if n not in labels and n not in {p.name for p in pairs}]
    if not pairs:
        raise DataError(
            f"{folder}: no labels found. Expected folders images/ and labels/ with equal names, or "
            f"beside each image a file whose name ends in one of {', '.join(LABEL_SUFFIXES)}, or "
            "a CSV table with the columns image and labels"
        )
    if alone:
        raise DataError(
            f"{folder}: {len(alone)} images have no labels, the first is {files[alone[0]].name}: "
            "add its labels or move the image away"
        )
    return pairs


def _rows(table: Path, needed: Iterable[str]) -> list[dict[str, str]]:
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
        if empty:
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


def _from_table(table: Path) -> list[Pair]:
    pairs = []
    for row in _rows(table, ["image", "labels"]):
        paths = {
            key: table.parent / row[key]
            for key in ("image", "labels", "classes", "soft")
            if row.get(key)
        }
        for path in paths.values():
            if not path.exists():
                raise DataError(f"{table}: {path} does not exist")
        pairs.append(
            Pair(
                Path(row["image"]).with_suffix("").as_posix(),
                paths["image"],
                paths.get("labels"),
                paths.get("classes"),
                row.get("split") or "",
                _weight(row, table),
                paths.get("soft"),
            )
        )
    return pairs


def _split_by_table(pairs: Sequence[Pair], table: Path) -> list[Pair]:
    by_name = {p.name: p for p in pairs}
    chosen = []
    for row in _rows(table, ["image", "split"]):
        pair = by_name.get(row["image"])
        if pair is None:
            raise DataError(
                f"{table}: image {row['image']!r} is not among the images; they are named without "
                f"ending, such as {pairs[0].name!r}"
            )
        chosen.append(replace(pair, split=row["split"] or "", weight=_weight(row, table)))
    return chosen
