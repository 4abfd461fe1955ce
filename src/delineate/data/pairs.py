"""`Pair`: an image with what is known of it, as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Side = Literal["", "image", "target"]
"""What an unpaired file is; empty where image and truth belong together."""

USED = ("train", "val")
"""Splits whose images are used; where a table gives any, all other images are left out."""


@dataclass(frozen=True)
class Pair:
    """An image with what is known of it.

    Parameters
    ----------
    name : relative path of the image without its ending; unique in a data set.
    image, labels, classes : files; None where there is none.
    split : one of `USED`, or "" (to be drawn); any other word leaves the image out.
    weight : how often the image is drawn relative to others.
    soft : file of the probabilities of classes that stand beside the labels; None: there is none.
    target : file of the image wanted.
    cost : file of the weight of each pixel, 0 or more; None: all count alike.
    time : time point of the files, from 0; None where they have no axis T.
    plane : plane of the files, from 0; None where they have no axis Z, or it stays whole.
    only : of unpaired data, which side the file is; with "target", `image` is the file of the
        target or of the labels.
    """

    name: str
    image: Path
    labels: Path | None = None
    classes: Path | None = None
    split: str = ""
    weight: float = 1.0
    soft: Path | None = None
    target: Path | None = None
    cost: Path | None = None
    time: int | None = None
    plane: int | None = None
    only: Side = ""

    def truth(self, kind: str) -> Path | None:
        """File that a method learns from, whose truth is "objects", "classes" or "image"."""
        if self.only:
            return self.image if self.only == "target" else None
        return self.target if kind == "image" else self.labels

    @property
    def drawn(self) -> tuple[Path, ...]:
        """Files of what is known of the image; that of an unpaired target is one."""
        known = (self.labels, self.classes, self.soft, self.target, self.cost)
        own = (self.image,) if self.only == "target" else ()
        return own + tuple(f for f in known if f is not None)


def short_names(pairs: Sequence[Pair]) -> dict[str, str]:
    """Names for others to read, by the names of the pairs: without the folders of this machine.

    A table may name files by their whole paths. Then as many of the last folders stay as tell all
    of the pairs apart; other names stay as they are.
    """
    whole = [pair for pair in pairs if Path(pair.name).is_absolute()]
    other = {pair.name: pair.name for pair in pairs if not Path(pair.name).is_absolute()}
    kept = 0
    while True:
        short = {pair.name: _from_folder(pair, kept) for pair in whole}
        if len({*short.values(), *other.values()}) == len(pairs):
            return other | short
        kept += 1


def _from_folder(pair: Pair, kept: int) -> str:
    """Name of a pair from the last `kept` folders of its image on."""
    first = max(0, len(pair.image.parent.parts) - kept)
    return "/".join(Path(pair.name).parts[first:])
