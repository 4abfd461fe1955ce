"""What a person should know of a whole consensus, in sentences, beside the notes of its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.consensus.masks import Mask
from delineate.consensus.settings import MOST_CLASSES
from delineate.consensus.tables import ImageConsensus

Values = dict[int, list[str]]
"""Values that masks have inside, and the experts of whom."""


def inside_values(masks: Mapping[str, Mask]) -> Values:
    """Values that the masks of one image have inside; not those of objects, which are ids."""
    found: Values = {}
    for expert, mask in masks.items():
        if mask.kind == "mask" and mask.inside:
            found.setdefault(mask.inside, []).append(expert)
    return found


def values_note(values: Values) -> str:
    """A note where masks of one image have different values inside, or ""."""
    if len(values) < 2:
        return ""
    told = ", ".join(f"{value} ({', '.join(values[value])})" for value in sorted(values))
    return f"masks have different values inside, which count as one: {told}"


def values_remark(each: Sequence[Values]) -> str:
    """A remark where masks have different values inside, of one image or of several, or ""."""
    values = sorted({value for of in each for value in of})
    if len(values) < 2:
        return ""
    told = ", ".join(str(v) for v in values[:4]) + (" …" if len(values) > 4 else "")
    classes = values[-1] + 1
    then = f"if they are classes, add --classes {classes}" if classes <= MOST_CLASSES else ""
    told = f"masks have different values inside ({told}), which count as one"
    return f"{told}; {then}" if then else told


def remarks(
    images: Sequence[ImageConsensus], experts: Sequence[str], hint: str, values: Sequence[Values]
) -> tuple[str, ...]:
    """Remarks for command, record and report.

    Parameters
    ----------
    images : those with a result.
    experts : in the order of the remarks.
    hint : what looks wrong about their names, or "".
    values : `inside_values` of each image, where they may be classes.
    """
    found = [hint]
    for expert in experts:
        drew = [i for i in images if expert in i.experts]
        n = sum(expert in i.inverted for i in drew)
        if n:
            found.append(
                f"masks of {expert} look inverted in {n} of {len(drew)} images; mend them before "
                "you use the result"
            )
    found.append(values_remark(values))
    return tuple(filter(None, found))
