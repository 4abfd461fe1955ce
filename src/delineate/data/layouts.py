"""Where training images and what is known of them lie: folders, tags or suffixes, or a table."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Set
from dataclasses import replace
from pathlib import Path

from delineate.data.folders import (
    LABEL_SUFFIXES,
    LABELS,
    TARGETS,
    Beside,
    Found,
    Names,
    same_name,
    search,
)
from delineate.data.options import DataOptions
from delineate.data.pairs import USED, Pair
from delineate.data.tables import (
    pairs_of_table,
    sides_of_table,
    split_by_table,
    splits_of_table,
    unknown_name,
    used_by_table,
    used_rows,
)
from delineate.data.times import single_images
from delineate.errors import DataError

__all__ = ["LABEL_SUFFIXES", "Pair", "find_pairs", "training_pairs"]

log = logging.getLogger("delineate")

_MISSING = {"classes": "image of classes", "soft": "soft labels", "cost": "cost map"}


def training_pairs(options: DataOptions, truth: str, needs_truth: bool = True) -> list[Pair]:
    """The pairs that a recipe's data name, one for each time point or plane that trains.

    Parameters
    ----------
    truth, needs_truth : see `find_pairs`.

    Raises
    ------
    DataError, ReadError, AxesError : as for `find_pairs` and `single_images`, no images are named,
        or soft labels to a method that does not learn classes.
    """
    if options.images is None:
        raise DataError("data.images is not set: which folder holds the training images?")
    if options.soft is not None and truth != "classes":
        raise DataError(
            f"data.soft: {options.soft} holds probabilities of classes, from which methods that "
            f"learn {'images' if truth == 'image' else 'objects'} do not learn: set method.name to "
            "semantic, or leave data.soft out"
        )
    pairs = find_pairs(
        options.images,
        options.labels,
        options.classes,
        options.table,
        options.soft,
        options.targets,
        options.cost,
        truth,
        options.unpaired,
        needs_truth,
    )
    _tell_left_out(pairs)
    return single_images(pairs, options)


def _tell_left_out(pairs: list[Pair]) -> None:
    """Tell which words of a table leave images out: it may be misspelt, unless it is "test"."""
    if not any(p.split for p in pairs):
        return
    for word, count in Counter(p.split for p in pairs if p.split not in USED).items():
        log.log(
            logging.INFO if word.lower() == "test" else logging.WARNING,
            "%s left out: %s (the splits that are used are train and val)",
            "1 image is" if count == 1 else f"{count} images are",
            f"split {word!r}" if word else "no split",
        )


def find_pairs(
    images: Path,
    labels: Path | None = None,
    classes: Path | None = None,
    table: Path | None = None,
    soft: Path | None = None,
    targets: Path | None = None,
    cost: Path | None = None,
    truth: str = "objects",
    unpaired: bool = False,
    needs_truth: bool = True,
) -> list[Pair]:
    """Find the training pairs of a layout, sorted by name.

    Parameters
    ----------
    images : one of: a CSV table; a folder with ``images/`` and ``labels/`` (and ``classes/``,
        ``soft/``, ``cost/``), or ``targets/`` in place of labels; a folder of images beside
        `labels` or `targets`; one folder of images and what is known of them, told apart by the
        tags ``X_IM``, ``X_GT``, ``X_CM``, or by the same stem and a suffix: one of
        `LABEL_SUFFIXES`, or ``_target``, and ``_cost``.
    labels, classes, soft, targets, cost : folders whose files have the stems of the images.
    table : CSV with a column ``image`` (a stem) and ``split`` (train, val or another word, which
        leaves the image out) and perhaps ``weight``; images that it does not name are left out.
        Of images that are left out nothing need be known.
    truth : what the method learns from: "objects" or "classes" of labels, or "image", a target.
    unpaired : images and what is known belong to different images: each file is a pair of one side
        (`Pair.only`), called ``images/NAME`` or ``targets/NAME``. Files of both sides whose common
        name the table gives the split val stay together. Of a side of which the table names
        nothing, all trains.
    needs_truth : whether every image that is used must have labels, or a target; else they have
        them where all of these do.

    A CSV given as `images` has the columns ``image`` and ``labels`` or ``target`` (paths, relative
    to the table) and perhaps ``classes``, ``soft``, ``cost``, ``split``, ``weight``. Rows that its
    splits, or those of `table`, leave out need no more than the name of the image.

    Raises
    ------
    DataError : no labels (targets) are found, an image lacks what it needs, names collide, a table
        is wrong, or folders are given beside a table that names the files.
    ReadError : a folder holds no images.
    """
    images = Path(images)
    if not images.exists():
        raise DataError(f"{images}: there is no such file or folder")
    names = TARGETS if truth == "image" else LABELS
    used = None if table is None or unpaired else used_by_table(Path(table))
    if images.is_file():
        if images.suffix.lower() != ".csv":
            raise DataError(f"{images}: expected a folder or a CSV table of images and labels")
        aside = {
            "labels": labels,
            "classes": classes,
            "soft": soft,
            "targets": targets,
            "cost": cost,
        }
        for setting, folder in aside.items():
            if folder is not None:
                raise DataError(
                    f"data.{setting} is {folder}, but {images} is a table, which names the files "
                    f"itself: leave data.{setting} out, and give the table a column "
                    f"{'target' if setting == 'targets' else setting}"
                )
        if unpaired:
            pairs = sides_of_table(images, names.column)
        else:
            needed = names.column if needs_truth else None
            if used is None:
                used = used_rows(images, ["image", needed] if needed else ["image"])
            pairs = pairs_of_table(images, needed, used)
            pairs = _all_or_none(pairs, names, used)
        pairs = pairs if table is None else split_by_table(pairs, Path(table))
    else:
        given = targets if truth == "image" else labels
        beside = Beside(classes, soft, cost)
        # Unpaired images may lie by themselves; a missing side is told below.
        found = search(images, given and Path(given), beside, names, needs_truth, unpaired)
        if unpaired:
            pairs = _sides(found, table and Path(table), names)
        else:
            pairs = _joined(found, names, needs_truth, used)
            pairs = pairs if table is None else split_by_table(pairs, Path(table))
    twice = [name for name, n in Counter(p.name for p in pairs).items() if n > 1]
    if twice:
        raise DataError(f"two images are called {twice[0]!r}: rename one of them")
    return sorted(pairs, key=lambda p: p.name)


def _joined(found: Found, names: Names, needs_truth: bool, used: Set[str] | None) -> list[Pair]:
    """Each image with what has its name; only those `used` must have all (None: every image)."""
    pairs, without = [], []
    for name, path in found.images.items():
        needed = used is None or name in used
        other = {key: same_name(name, files) for key, files in found.others.items()}
        for key, file in other.items():
            if file is None and needed:
                where = found.expected(key, path)
                raise DataError(f"{path}: no {_MISSING[key]} of this name {where}")
        wanted = same_name(name, found.truth)
        if wanted is None and needed:
            without.append(path)
        pair = Pair(
            name,
            path,
            classes=other.get("classes"),
            soft=other.get("soft"),
            cost=other.get("cost"),
        )
        pairs.append(_with_truth(pair, wanted, names))
    if without and needs_truth:
        where = f"{found.folder}: {len(without)} images have no {names.what}"
        if found.place is not None:
            where = (
                f"{len(without)} images of {found.folder} have no {names.what} of the same name "
                f"in {found.place}"
            )
        raise DataError(
            f"{where}, the first is {without[0].name}: add its {names.what} or move the image away"
        )
    return _all_or_none(pairs, names, used)


def _with_truth(pair: Pair, file: Path | None, names: Names) -> Pair:
    return replace(pair, target=file) if names is TARGETS else replace(pair, labels=file)


def _all_or_none(pairs: list[Pair], names: Names, used: Set[str] | None) -> list[Pair]:
    """Without what is known of some images, where it is not known of all that are used."""
    own = [p for p in pairs if used is None or p.name in used]
    have = sum((p.target if names is TARGETS else p.labels) is not None for p in own)
    if not 0 < have < len(own):
        return pairs
    log.info("%d of %d images have a %s: it is not used", have, len(own), names.what)
    return [_with_truth(p, None, names) for p in pairs]


def _sides(found: Found, table: Path | None, names: Names) -> list[Pair]:
    """Each file by itself, but for those of one name that validate.

    Raises
    ------
    DataError : there is more than images and truth, which only pairs have, or a table is wrong.
    """
    for key, files in found.others.items():
        if files:
            raise DataError(
                f"{next(iter(files.values()))}: unpaired training has no use for the "
                f"{_MISSING[key]} of an image: move such files away, leave data.{key} out if it is "
                "set, or train with pairs"
            )
    targets: dict[Path, str] = {}
    for name, path in sorted(found.truth.items(), key=lambda item: -len(item[0])):
        # A file of several names has that of an image, else its shortest.
        if path not in targets or name in found.images or targets[path] not in found.images:
            targets[path] = name
    listed = {} if table is None else splits_of_table(table)
    known = {*found.images, *targets.values()}
    for name in listed:
        if name not in known:
            raise unknown_name(table or Path(), name, min(known))
    pairs = []
    for path, name in targets.items():
        pair = Pair(f"targets/{name}", path, only="target")
        if name not in found.images or listed.get(name, ("",))[0] != "val":
            pairs.append(pair)
    own = dict(zip(targets.values(), targets, strict=True))
    for name, path in found.images.items():
        pair = Pair(f"images/{name}", path, only="image")
        if name in own and listed.get(name, ("",))[0] == "val":
            pair = _with_truth(replace(pair, name=name, only=""), own[name], names)
        pairs.append(pair)
    return _listed(pairs, listed) if listed else pairs


def _listed(pairs: list[Pair], listed: dict[str, tuple[str, float]]) -> list[Pair]:
    """With the splits of a table; a side that it does not name trains."""
    chosen = []
    for side in ("", "image", "target"):
        own = [(p, p.name.partition("/")[2] if side else p.name) for p in pairs if p.only == side]
        if side and not any(name in listed for _, name in own):
            chosen += [replace(p, split="train") for p, _ in own]
        for pair, name in own:
            if name in listed:
                split, weight = listed[name]
                chosen.append(replace(pair, split=split, weight=weight))
    return chosen
