"""How objects are marked for review: their order, names and colours; and how names give ids back.

A name such as ``0003_id17_z0005_class-tumour`` tells the rank of the object, the most uncertain
first, its id, plane and class. Its parts are joined by underscores, since ImageJ takes the numbers
of ``0003-0017-…`` for planes and places. It survives an edited outline, which ImageJ's properties
do not; these survive a new name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

UNCERTAIN = 0.25
"""Uncertainty at the end of the colour range: the largest that a mean over classes can have."""

_RAMP = ((0, 170, 255), (255, 225, 0), (255, 0, 60))
"""Colours of the uncertainties 0, 0.125 and 0.25: blue, yellow, red."""

_CLASSES = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167),
)  # fmt: skip
"""Colours that everyone can tell apart (Okabe and Ito 2008, Color Universal Design)."""

ColorBy = Literal["uncertainty", "class"]

EXACT = 2.0**53
"""Above it floats know not every whole number."""

_ID = re.compile(r"(?<![A-Za-z0-9])id(\d{1,20})(?![A-Za-z0-9])")
_NUMBER = re.compile(r"(\d{1,20})(?:-z\d+)?")
_PLACE = re.compile(r"_([zt])(\d+)(?=_|-|$)")
_CLASS = re.compile(r"_class-([^_-]+)")
_KIND = re.compile(r"(?:[Cc]lass[ _-]?)?(\d{1,9})")


class Mark(NamedTuple):
    """How an object is marked.

    `rank` counts from 1, the most uncertain first. `kind` is the class as text, empty where there
    is none, and `group` its number from 1; `color` is red, green and blue, None where nothing
    decides it.
    """

    label: int
    rank: int
    name: str
    kind: str
    group: int
    color: tuple[int, int, int] | None
    kind_color: tuple[int, int, int] | None
    uncertainty: float


def marks(
    labels: Iterable[int], table: Mapping[str, NDArray[Any]] | None, color: ColorBy
) -> dict[int, Mark]:
    """Mark of each object by its id, in the order of review.

    Parameters
    ----------
    labels : ids of the objects.
    table : with a column ``label``, and perhaps ``uncertainty`` (in 0…0.25) and ``class`` (a
        number from 1, or a name): objects come in the order of decreasing uncertainty, those
        without last, and by id among equals.
    color : what colours tell.
    """
    ids = sorted(set(labels))
    columns = {} if table is None else table
    known = [int(label) for label in columns.get("label", ())]
    uncertain = {
        label: float(value) if value not in (None, "") else math.nan
        for label, value in zip(known, columns.get("uncertainty", ()), strict=False)
    }
    texts = {
        label: _kind_text(value)
        for label, value in zip(known, columns.get("class", ()), strict=False)
    }
    number_of = _numbers(texts.values())
    score = {label: uncertain.get(label, math.nan) for label in ids}
    ordered = sorted(ids, key=lambda label: (-score[label] if score[label] >= 0 else 1.0, label))
    digits = max(4, len(str(len(ids))))
    found: dict[int, Mark] = {}
    for rank, label in enumerate(ordered, start=1):
        kind = texts.get(label, "")
        group = number_of.get(kind, 0)
        kind_color = _CLASSES[(group - 1) % len(_CLASSES)] if group else None
        chosen = uncertainty_color(score[label]) if color == "uncertainty" else kind_color
        found[label] = Mark(
            label, rank, f"{rank:0{digits}d}_id{label}", kind, group, chosen, kind_color,
            score[label],
        )  # fmt: skip
    return found


def uncertainty_color(value: float) -> tuple[int, int, int] | None:
    """Colour of an uncertainty in the fixed range [0, 0.25]; None for a missing one."""
    if math.isnan(value):
        return None
    place = min(max(value / UNCERTAIN, 0.0), 1.0) * (len(_RAMP) - 1)
    below = min(int(place), len(_RAMP) - 2)
    red, green, blue = (
        round(one + (place - below) * (other - one))
        for one, other in zip(_RAMP[below], _RAMP[below + 1], strict=True)
    )
    return red, green, blue


def full_name(mark: Mark, z: int | None, t: int | None) -> str:
    """Name of an object in one plane and time (from 0; None where there is one only)."""
    kind = re.sub(r"[\x00-\x1f/\\:*?\"<>|_-]+", " ", mark.kind).strip()
    return "".join(
        (
            mark.name,
            "" if z is None else f"_z{z + 1:04d}",
            "" if t is None else f"_t{t + 1:04d}",
            f"_class-{kind}" if kind else "",
        )
    )


def label_in(name: str) -> int | None:
    """Id that a name gives: ``…id17…``, or a name that is a number; None where it gives none."""
    found = _ID.search(name) or _NUMBER.fullmatch(name.strip())
    return positive(found[1]) if found else None


def places_in(name: str) -> dict[str, int]:
    """Plane ``z`` and time ``t`` in a name of ours, from 0."""
    if not _ID.search(name):
        return {}
    return {axis: int(number) - 1 for axis, number in _PLACE.findall(name) if int(number) > 0}


def kind_in(name: str) -> int | str | None:
    """Class in a name of ours."""
    found = _CLASS.search(name)
    return kind_of(found[1]) if found and _ID.search(name) else None


def kind_of(text: str) -> int | str | None:
    """A class as files have it: a number (``2``, ``Class 2``) or a name; None where empty."""
    text = text.strip()
    found = _KIND.fullmatch(text)
    return (int(found[1]) or None) if found else text or None


def positive(value: Any) -> int | None:
    """A whole number from 1 that 64 bits hold, whatever it is written as; else None.

    A float above `EXACT` is none: it may stand for its neighbours too.
    """
    try:
        number = Decimal(value) if isinstance(value, str) else value
        if not 0 < number < 2**64 or (isinstance(value, float) and value > EXACT):
            return None
        return int(number) if int(number) == number else None
    except (TypeError, ValueError, ArithmeticError):
        return None


def _kind_text(value: Any) -> str:
    """A class of a table as text; 0 and missing ones are none."""
    number = positive(value)
    if number is not None:
        return str(number)
    text = str(value).strip()
    return "" if text in ("0", "0.0", "nan", "None") else text


def _numbers(texts: Iterable[str]) -> dict[str, int]:
    """Number of each class: its own where it is one, else that in the order of the names."""
    named = sorted({text for text in texts if text})
    numeric = {text: int(text) for text in named if text.isdecimal()}
    first = max(numeric.values(), default=0) + 1
    others = [text for text in named if text not in numeric]
    return numeric | {text: first + k for k, text in enumerate(others)}
