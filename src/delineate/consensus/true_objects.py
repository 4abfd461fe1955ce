"""The objects of a file of truth: the ids of a label image, or the connected parts of a mask.

Training, evaluation and review ask here, so that one file is the same truth to all of them.
"""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.errors import LabelError
from delineate.labels.masks import INSIDE, connected_parts, mask_value

log = logging.getLogger("delineate")

RECORD = "consensus.json"
"""What a consensus says of itself, beside its ``labels/``."""

Pixels = NDArray[Any]


class TrueObjects(NamedTuple):
    """How the numbers of a file of truth are understood.

    Parameters
    ----------
    inside : the value of a mask, whose connected parts are objects; None: numbers are ids.
    undecided : value of pixels that count for nothing, as a consensus marked them; None: there is
        none such.
    """

    inside: int | None = None
    undecided: int | None = None

    def objects(self, pixels: Pixels) -> Pixels:
        """Label image of pixels of the file: over its spatial axes, all of them or of one time."""
        return pixels if self.inside is None else connected_parts(pixels == self.inside)

    def left_out(self, pixels: Pixels) -> NDArray[np.bool_]:
        """Where pixels of the file are undecided."""
        if self.undecided is None:
            return np.zeros(pixels.shape, bool)
        return np.asarray(pixels == self.undecided)

    def beside(
        self, truth: Pixels, found: Pixels, other: TrueObjects | None = None
    ) -> tuple[Pixels, Pixels]:
        """True objects and found ones, both background where either is undecided.

        Parameters
        ----------
        truth, found : pixels of two files, the first of them this one. Where the shapes differ, no
            undecided pixels are taken out: those who compare them say so.
        other : how the second is understood; None: its numbers are ids, as of a prediction.
        """
        other = other or TrueObjects()
        pair = self.objects(truth), other.objects(found)
        if truth.shape == found.shape:
            left_out = self.left_out(truth) | other.left_out(found)
            if left_out.any():
                return np.where(left_out, 0, pair[0]), np.where(left_out, 0, pair[1])
        return pair


def true_objects(pixels: Pixels, path: Path) -> TrueObjects:
    """How the numbers of a file are understood where objects are the truth.

    A file whose only value above 0 is 1, 255 or 65535 holds a mask: its objects are the connected
    parts, pixels that meet at a corner included. So a label image with the single object 1 is this
    object still, unless it is in several parts. Any other numbers are ids. Pixels that a consensus
    marked as undecided are none, which its ``consensus.json`` tells, beside the file or its folder.

    Parameters
    ----------
    pixels : all integers of the file, of all its times and planes.
    path : the file, for messages and to look for ``consensus.json``.

    Raises
    ------
    LabelError : a mask with a third value of which nothing tells what it means, or the classes of a
        consensus.
    """
    fused = _fused(path)
    if fused is not None:
        given = (pixels > 0) & (pixels != fused.undecided)
        own = not (given & (pixels >= fused.classes)).any()
        if own and fused.classes > 2 and given.any():
            raise _of_classes(path, fused)
        if own and fused.undecided is not None and fused.classes == 2:
            _tell(path)
            return TrueObjects(1, fused.undecided)
    inside = mask_value(pixels)
    if inside is not None:
        _tell(path)
    elif (third := _third(pixels)) is not None:
        raise LabelError(
            f"{path}: holds 0, 1 and {third}, as a mask does in which {third} marks undecided "
            f"pixels, and those are no object. Keep it in labels/ beside the {RECORD} of its "
            "consensus; or run the consensus without --undecided; or take a method of classes, "
            f"which leaves them out (delineate train semantic … --method.ignore {third}). If they "
            "are two objects, number them 1 and 2"
        )
    return TrueObjects(inside)


def _third(pixels: Pixels) -> int | None:
    """The value beside 0 and 1 that may stand for undecided pixels; None where there are others."""
    top = int(pixels.max(initial=0))
    alike = top in INSIDE[1:] and not ((pixels > 1) & (pixels != top)).any()
    return top if alike else None


def _tell(path: Path) -> None:
    log.info("%s: a mask, whose connected parts are the objects", path.name)


class _Fused(NamedTuple):
    """What a consensus of pixels wrote: so many classes, and a value where it is undecided."""

    classes: int
    undecided: int | None


def _fused(path: Path) -> _Fused | None:
    """What the consensus says that wrote a file; None where none of pixels did."""
    folders = path.resolve().parents
    rooms = [room.parent for room in folders if room.name == "labels"]
    for folder in [*folders[:2], *rooms[:1]]:
        try:
            return _recorded(folder / RECORD, (folder / RECORD).stat().st_mtime_ns)
        except OSError:
            continue
    return None


@lru_cache(maxsize=8)
def _recorded(path: Path, changed: int) -> _Fused | None:
    """The settings in a record; None where it tells of objects, or nothing."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
        classes, undecided = int(settings["classes"] or 2), int(settings["undecided"])
        return (
            None
            if settings["objects"]
            else _Fused(classes, undecided if undecided >= classes else None)
        )
    except (ValueError, KeyError, TypeError):
        return None


def _of_classes(path: Path, fused: _Fused) -> LabelError:
    ignore = "" if fused.undecided is None else f" --method.ignore {fused.undecided}"
    return LabelError(
        f"{path}: holds the classes 0 … {fused.classes - 1} of a consensus, where ids of objects "
        "are expected. Take a method of classes (delineate train semantic … --method.classes "
        f"{fused.classes}{ignore}; delineate evaluate --classes {fused.classes}), or run the "
        "consensus with --objects"
    )
