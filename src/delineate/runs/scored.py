"""Images that are scored one by one: those that cannot be are told, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from delineate.data.layouts import LABEL_SUFFIXES
from delineate.errors import AxesError, DataError, ImageError, LabelError, ReadError
from delineate.io import ImageFile
from delineate.runs.predict import Listener

Pair = TypeVar("Pair")
Result = TypeVar("Result")

_OF_ONE_IMAGE = (AxesError, DataError, ImageError, LabelError, ReadError)
"""Errors that concern the files of one image."""


def labels_by_image(source: Path, files: Iterable[ImageFile]) -> dict[str, Path]:
    """Label files by the name of their image, which theirs is but for endings such as ``_masks``.

    Raises
    ------
    DataError : two of them, of the folder `source`, belong to one image.
    """
    names: dict[str, Path] = {}
    for file in files:
        name = file.name
        for ending in LABEL_SUFFIXES:
            name = name.removesuffix(ending)
        if name in names:
            raise DataError(f"{source}: two label files for {name}: {names[name]}, {file.path}")
        names[name] = file.path
    return names


class Paired(NamedTuple, Generic[Pair]):
    """Predictions with their truth, and what has no counterpart.

    `missing` true files have no prediction; of `without`, names of predictions, there is no truth.
    """

    pairs: list[Pair]
    missing: int
    without: tuple[str, ...] = ()


def nothing_pairs(predicted: Path, names: Sequence[str], truth: Path, known: Sequence[str]) -> str:
    """What to say where no prediction has a truth, and what to do.

    Parameters
    ----------
    names, known : of the predictions and of the true files; one of each at least.
    """
    return (
        f"none of the predictions of {predicted} has a truth in {truth}: they are called "
        f"{', '.join(names[:2])}{' …' if len(names) > 2 else ''}, the true files "
        f"{', '.join(known[:2])}{' …' if len(known) > 2 else ''}; give files of the same image the "
        "same name, but for their ending"
    )


def without_truth(names: Sequence[str]) -> list[str]:
    """The line that tells which predictions have no truth; none where all have one."""
    if not names:
        return []
    first = names[0] if len(names) == 1 else f"the first is {names[0]}"
    return [f"not scored, without truth: {len(names)} of the predictions ({first})"]


class NotScored(NamedTuple):
    """An image whose files cannot be scored, and why."""

    image: str
    error: str


def score_each(
    pairs: Mapping[str, Pair],
    score: Callable[[Pair], tuple[Result, str]],
    listener: Listener | None,
) -> tuple[dict[str, Result], tuple[NotScored, ...]]:
    """Score images; what is wrong with the files of one does not stop the others.

    Parameters
    ----------
    pairs : by the name of their image; at least one.
    score : gives the result of a pair, and what to tell of it.

    Raises
    ------
    DelineateError : none can be scored; the error of the first.
    """
    found: dict[str, Result] = {}
    failed: list[NotScored] = []
    first: Exception | None = None
    for number, (name, pair) in enumerate(pairs.items()):
        if listener:
            listener.image(name, number, len(pairs))
        try:
            found[name], told = score(pair)
        except _OF_ONE_IMAGE as error:
            first = first or error
            failed.append(NotScored(name, str(error)))
            told = f"failed: {error}"
        if listener:
            listener.finished(name, told)
    if first is not None and not found:
        others = f" (nor can any other of {len(pairs)} images be scored)" if len(pairs) > 1 else ""
        raise type(first)(f"{first}{others}") from first
    return found, tuple(failed)


def scores_table(
    images: Mapping[str, NDArray[Any]], failed: Iterable[NotScored]
) -> dict[str, NDArray[Any]]:
    """scores.csv: the scored images with the status done, then the others, failed by their error.

    Parameters
    ----------
    images : columns of the scored ones, image among them.
    """
    lost = list(failed)
    n = len(images["image"])
    own = {"image": [f.image for f in lost]}
    columns = {
        name: np.array([*values.tolist(), *own.get(name, [None] * len(lost))], dtype=object)
        if lost
        else values
        for name, values in images.items()
    }
    status = np.array(["done"] * n + ["failed"] * len(lost), dtype=object)
    errors = np.array([""] * n + [f.error for f in lost], dtype=object)
    return {"image": columns.pop("image"), "status": status, **columns, "error": errors}


def told(failed: Sequence[NotScored], what: str) -> list[str]:
    """Lines that name what could not be scored; none where all could.

    Parameters
    ----------
    what : the files are, in the plural.
    """
    if not failed:
        return []
    return [
        f"not scored, since they cannot be: {len(failed)} of the {what}",
        *(f"  {name}: {error}" for name, error in failed),
    ]
