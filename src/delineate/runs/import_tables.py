"""What an import writes when all images are done: classes, the table for training, the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.errors import DelineateError, LabelError
from delineate.io import write_labels, write_table
from delineate.io.reading import read_label_image
from delineate.runs.corrections import Changes
from delineate.runs.layout import remove

Kind = int | str | None
LEFT_OUT = "left out"
"""Status of an image that is as it was exported, where such images were not wanted."""


@dataclass(frozen=True)
class ImportSummary:
    """What became of an import.

    `changes` are summed over images, None where there was nothing to compare with; `unreviewed`
    are images without a file of outlines; `table` is the table to train on, None where no image is
    known; `contested` and `left_out` are pixels and areas; `joined` are objects of several pieces,
    since outlines of one id are one object, and `replaced` outlines that a later one of the same id
    took the place of. Of the images whose objects are exactly as they were exported, which perhaps
    nobody looked at, `untouched` were imported, and `skipped` were not, as was asked for.
    """

    done: int
    failed: int
    objects: int
    changes: Changes | None
    contested: int
    left_out: int
    unclassified: int
    unreviewed: int
    table: Path | None
    joined: int
    replaced: int
    untouched: int
    skipped: int


@dataclass(frozen=True)
class Target:
    """An image whose outlines were corrected: its file, and the labels and classes it had.

    `scene` is its number in a file of several images.
    """

    name: str
    image: Path | None = None
    labels: Path | None = None
    kinds: dict[int, Kind] = field(default_factory=dict)
    scene: int | str | None = None


class Imported(NamedTuple):
    """Result of one image: its row of import.csv and the class of each object by id."""

    target: Target
    row: dict[str, Any]
    changes: Changes | None
    kinds: dict[int, Kind]


_COLUMNS = (
    "image", "status", "file", "objects", "added", "removed", "changed", "unchanged",
    "changed_iou", "untouched", "joined", "replaced", "contested_pixels", "left_out",
    "unclassified", "notes", "error",
)  # fmt: skip


def finish(imported: Sequence[Imported], out: Path, run: Any, unreviewed: int) -> ImportSummary:
    """Write classes and tables of all images.

    Raises
    ------
    LabelError : more classes than a class image holds.
    WriteError : a file cannot be written.
    """
    done = [found for found in imported if found.row["status"] == "done"]
    classes = _write_classes(done, out)
    has_classes = any(kind is not None for own in classes.values() for kind in own.values())
    for found in done if has_classes else ():
        own = classes[found.target.name]
        found.row["unclassified"] = sum(kind is None for kind in own.values())
    write_table(
        out / "import.csv",
        {name: np.array([_cell(f.row.get(name)) for f in imported], str) for name in _COLUMNS},
    )
    table = _write_data(done, out, has_classes, has_classes and _is_semantic(run))
    compared = [found.changes for found in done if found.changes is not None]
    return ImportSummary(
        len(done),
        sum(found.row["status"] == "failed" for found in imported),
        sum(found.row["objects"] for found in done),
        _sum(compared),
        sum(found.row["contested_pixels"] for found in done),
        sum(found.row["left_out"] for found in done),
        sum(found.row.get("unclassified", 0) for found in done),
        unreviewed,
        table,
        sum(found.row["joined"] for found in done),
        sum(found.row["replaced"] for found in done),
        sum(found.row.get("untouched", 0) for found in done),
        sum(found.row["status"] == LEFT_OUT for found in imported),
    )


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _sum(changes: Sequence[Changes]) -> Changes | None:
    if not changes:
        return None
    changed = sum(each.changed for each in changes)
    ious = sum(each.changed * each.changed_iou for each in changes if each.changed)
    return Changes(
        sum(each.added for each in changes),
        sum(each.removed for each in changes),
        changed,
        sum(each.unchanged for each in changes),
        ious / changed if changed else float("nan"),
    )


def _write_classes(done: Sequence[Imported], out: Path) -> dict[str, dict[int, Kind]]:
    """Write class images, where any object has a class; the classes of all objects by image.

    Classes that are numbers keep them; those with names are numbered above them, in the order of
    the names, and listed in classes.csv. Where there is one class only, objects without one are of
    it too.

    Raises
    ------
    LabelError : more classes than a class image holds.
    """
    known = {kind for found in done for kind in found.kinds.values() if kind is not None}
    names = sorted(kind for kind in known if isinstance(kind, str))
    first = max((kind for kind in known if isinstance(kind, int)), default=0) + 1
    number_of: dict[Kind, int] = {kind: kind for kind in known if isinstance(kind, int)}
    number_of |= {name: first + k for k, name in enumerate(names)}
    if any(number > 255 for number in number_of.values()):
        raise LabelError(f"classes go up to {max(number_of.values())}, 255 at most are possible")
    only = next(iter(known)) if len(known) == 1 else None
    classes = {
        found.target.name: {
            label: only if kind is None else kind for label, kind in found.kinds.items()
        }
        for found in done
    }
    for found in done:
        name = found.target.name
        if known:
            _write_class_image(out, name, classes[name], number_of)
        else:
            remove(out / "classes" / f"{name}.tif")
    if names:
        numbers = sorted((number_of[name], name) for name in names)
        write_table(
            out / "classes.csv", {"class": [n for n, _ in numbers], "name": [t for _, t in numbers]}
        )
    else:
        remove(out / "classes.csv")
    return classes


def _write_class_image(
    out: Path, name: str, kinds: dict[int, Kind], number_of: dict[Kind, int]
) -> None:
    image = read_label_image(out / "labels" / f"{name}.tif")
    labels = image.numpy()
    ids = np.array([0, *sorted(kinds)], np.uint64)
    numbers = np.array([0, *(number_of.get(kinds[label], 0) for label in sorted(kinds))], np.uint8)
    found = numbers[np.searchsorted(ids, labels.astype(np.uint64))]
    write_labels(out / "classes" / f"{name}.tif", found, image, image.axes)


def _is_semantic(run: Any) -> bool:
    """Whether the method of a run learns classes of pixels, not objects.

    The run has noted what its method learns from, so that a method from outside the package need
    not be imported; without a note, its recipe tells.
    """
    from delineate.recipe import Recipe

    if not isinstance(run, dict):
        return False
    if "truth" in run:
        return bool(run["truth"] == "classes")
    if "recipe" not in run:
        return False
    try:
        return Recipe.build(run["recipe"]).method.truth == "classes"
    except DelineateError:
        return False


def _write_data(
    done: Sequence[Imported], out: Path, has_classes: bool, semantic: bool
) -> Path | None:
    """Write the table that training takes: each image where it lies, and its labels."""
    path = out / "data.csv"
    rows = [found.target for found in done if found.target.image is not None]
    if not rows:
        remove(path)
        return None
    room = "classes" if semantic else "labels"
    table: dict[str, NDArray[Any]] = {
        "image": np.array([str(target.image.resolve()) for target in rows if target.image]),
        "labels": np.array([f"{room}/{target.name}.tif" for target in rows]),
    }
    if has_classes and not semantic:
        table["classes"] = np.array([f"classes/{target.name}.tif" for target in rows])
    write_table(path, table)
    return path
