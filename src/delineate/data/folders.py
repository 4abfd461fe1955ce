"""Files of folders by the name of their image: what they are, their place or their name tells."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from delineate.errors import DataError

log = logging.getLogger("delineate")

LABEL_SUFFIXES = ("_cp_masks", "_masks", "_mask", "_labels", "_label", "_seg")
"""Endings of the stem that tell a label image from its image in one folder, the first first."""

TARGET_SUFFIXES = ("_target", "_gt", "_GT")
"""The same of the image that is wanted."""

COST_SUFFIXES = ("_cost", "_CM")
"""The same of the weight of each pixel."""

TAGS = ("_IM", "_GT", "_CM")
"""Endings of images, of what is known of them, and of costs, where all three lie in one folder."""


class Names(NamedTuple):
    """How what is known of images is called.

    Parameters
    ----------
    what : in messages.
    folder : beside ``images/``.
    suffixes : of files beside the images.
    column : of a table.
    """

    what: str
    folder: str
    suffixes: tuple[str, ...]
    column: str


LABELS = Names("labels", "labels", LABEL_SUFFIXES, "labels")
TARGETS = Names("target", "targets", TARGET_SUFFIXES, "target")


class Beside(NamedTuple):
    """Folders of what else there may be of images; None where none is given."""

    classes: Path | None = None
    soft: Path | None = None
    cost: Path | None = None


@dataclass(frozen=True)
class Found:
    """Files by the name of their image.

    Parameters
    ----------
    images, truth : images, and what is known of them.
    others : "classes", "soft" and "cost", those that are there.
    folder : of the images.
    place : where their truth was looked for; None: in the same folder.
    beside : where the others were looked for; None: in the same folder.
    """

    images: dict[str, Path]
    truth: dict[str, Path]
    others: dict[str, dict[str, Path]]
    folder: Path
    place: Path | None
    beside: Beside

    def expected(self, key: str, image: Path) -> str:
        """Where one of the others of an image was looked for, for messages."""
        folder = getattr(self.beside, key)
        if folder is not None:
            return f"in {folder}"
        stem = image.stem.removesuffix(TAGS[0])
        ending = TAGS[2] if image.stem.endswith(TAGS[0]) else COST_SUFFIXES[0]
        return f"beside it: expected {image.with_name(stem + ending + image.suffix).name}"


def search(
    images: Path,
    truth: Path | None,
    beside: Beside,
    names: Names,
    needs_truth: bool,
    unpaired: bool = False,
) -> Found:
    """Files of a folder of one of the layouts of `find_pairs`, and of the folders given beside it.

    A warning tells which files of a folder of tags are not used.

    Raises
    ------
    DataError : a folder is missing, or nothing is known of any image.
    ReadError : a folder holds no images.
    """
    inner = images / "images"
    if truth is None and inner.is_dir() and (not needs_truth or (images / names.folder).is_dir()):
        own = (_existing(images / key) for key in Beside._fields)
        beside = Beside(*(given or found for given, found in zip(beside, own, strict=True)))
        return _by_stem(inner, _existing(images / names.folder), beside, names)
    if truth is not None:
        return _by_stem(images, truth, beside, names)
    return _in_one(images, beside, names, needs_truth, unpaired)


def same_name(name: str, files: dict[str, Path]) -> Path | None:
    """What belongs to an image; the image may bear its tag."""
    return files.get(name) or files.get(name.removesuffix(TAGS[0]))


def _existing(folder: Path) -> Path | None:
    return folder if folder.is_dir() else None


def _files(folder: Path) -> dict[str, Path]:
    from delineate.io import find_images

    return {f.name: f.path for f in find_images(folder)}


def _by_stem(images: Path, truth: Path | None, beside: Beside, names: Names) -> Found:
    for folder in (images, truth, *beside):
        if folder is not None and not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder")
    known = {} if truth is None else _index(truth, (*names.suffixes, TAGS[1]))
    return Found(_files(images), known, _others(beside), images, truth, beside)


def _others(beside: Beside) -> dict[str, dict[str, Path]]:
    suffixes = {"cost": COST_SUFFIXES}
    return {
        key: _index(folder, suffixes.get(key, LABEL_SUFFIXES))
        for key, folder in beside._asdict().items()
        if folder is not None
    }


def _index(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Files by the name of their image: the same stem, or the stem with a suffix."""
    found: dict[str, Path] = {}
    for name, path in _files(folder).items():
        found[name] = path
        for suffix in suffixes:
            if name.endswith(suffix):
                found.setdefault(name.removesuffix(suffix), path)
    return found


def _in_one(folder: Path, beside: Beside, names: Names, needs_truth: bool, unpaired: bool) -> Found:
    """Files of one folder, told apart by tags, else by suffixes."""
    files = _files(folder)
    image, known, cost = (_ending(files, tag) for tag in TAGS)
    if image:
        _tell_unused(folder, files, None if unpaired else image)
    else:
        known, cost = (_suffixed(files, s) for s in (names.suffixes, COST_SUFFIXES))
        every = (*LABEL_SUFFIXES, *TARGET_SUFFIXES, *COST_SUFFIXES)
        belonging = {name + suffix for name in files for suffix in every}
        image = {name: path for name, path in files.items() if name not in belonging}
    if needs_truth and not known:
        raise DataError(
            f"{folder}: no {names.what} found. Expected folders images/ and {names.folder}/ with "
            "equal names, or beside each image a file whose name ends in one of "
            f"{', '.join(names.suffixes)}, or names that end in {TAGS[0]} and {TAGS[1]}, or "
            f"a CSV table with the columns image and {names.column}"
        )
    others = {**({"cost": cost} if cost else {}), **_others(beside)}
    return Found(image, known, others, folder, None, beside)


def _tell_unused(folder: Path, files: dict[str, Path], images: dict[str, Path] | None) -> None:
    """Warn of files of a folder of tags without one, and of those that belong to none of `images`.

    None: they need not belong to any.
    """
    plain = [path for name, path in files.items() if not name.endswith(TAGS)]
    belonging = ((n, path) for tag in TAGS[1:] for n, path in _ending(files, tag).items())
    alone = [path for name, path in belonging if images is not None and name not in images]
    for what, lost in (
        (f"without {' or '.join(TAGS)}", plain),
        (f"of no image (which would end in {TAGS[0]})", alone),
    ):
        if lost:
            log.warning(
                "%s: not used are files %s: %d, the first is %s",
                folder, what, len(lost), lost[0].name,
            )  # fmt: skip


def _ending(files: dict[str, Path], tag: str) -> dict[str, Path]:
    return {n.removesuffix(tag): path for n, path in files.items() if n.endswith(tag)}


def _suffixed(files: dict[str, Path], suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Files that lie beside one of the same stem, by this stem; the first suffix wins."""
    found: dict[str, Path] = {}
    for suffix in suffixes:
        for name, path in _ending(files, suffix).items():
            if name in files:
                found.setdefault(name, path)
    return found
