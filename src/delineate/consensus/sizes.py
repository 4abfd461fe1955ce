"""Masks of one image whose sizes differ: whose is the odd one, and how to go on without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from delineate.consensus.masks import Mask
from delineate.errors import LabelError

Shape = tuple[int, ...]


class SameSize(NamedTuple):
    """Masks of one size by expert, those left out, and a note about them, or ""."""

    masks: dict[str, Mask]
    left_out: tuple[str, ...] = ()
    note: str = ""


def of_one_size(masks: Mapping[str, Mask], image: Shape | None, skip_odd: bool) -> SameSize:
    """Masks of one size.

    The right size is that of more than half of the masks, or, where no size has so many, that of
    the image. Where the image has another size than most masks, none is right.

    Parameters
    ----------
    masks : by expert.
    image : shape of the image; None where it is not known.
    skip_odd : leave out masks of another size than the right one.

    Raises
    ------
    LabelError : the sizes differ, and odd ones are not to be left out or nothing tells them.
    """
    shapes = {expert: mask.pixels.shape for expert, mask in masks.items()}
    if len(set(shapes.values())) < 2:
        return SameSize(dict(masks))
    right = _right(list(shapes.values()), image)
    odd = tuple(expert for expert, shape in shapes.items() if shape != right)
    if right is None or not skip_odd:
        raise LabelError(_told(shapes, image, right, odd))
    kept = {expert: mask for expert, mask in masks.items() if expert not in odd}
    masks_are = f"mask of {_all(odd)} is" if len(odd) == 1 else f"masks of {_all(odd)} are"
    why = f"left out for another size: {_listed(shapes, odd)}, not {_size(right)}"
    return SameSize(kept, odd, f"the {masks_are} {why}")


def _right(shapes: Sequence[Shape], image: Shape | None) -> Shape | None:
    """The size that masks should have; None where nothing tells it."""
    shape, count = Counter(shapes).most_common(1)[0]
    if 2 * count > len(shapes):
        return shape if image in (None, shape) else None
    return image if image in shapes else None


def _told(
    shapes: Mapping[str, Shape], image: Shape | None, right: Shape | None, odd: Sequence[str]
) -> str:
    """What is wrong with the sizes, and what helps."""
    text = "the masks of the experts have different sizes: "
    shape, count = Counter(shapes.values()).most_common(1)[0]
    if count > 1 and 2 * count > len(shapes):
        others = [expert for expert, own in shapes.items() if own == shape]
        rest = [expert for expert, own in shapes.items() if own != shape]
        text += f"{_listed(shapes, rest)}, but {_size(shape)} of {_all(others)}"
    else:
        text += _listed(shapes, list(shapes))
    if image is not None:
        fit = [expert for expert, own in shapes.items() if own == image]
        text += f"; the image has {_size(image)}, "
        text += f"as the mask{'s' * (len(fit) > 1)} of {_all(fit)}" if fit else "as no mask"
    if right is None:
        return f"{text}. Masks have the size of their image: mend those that have another"
    mask = f"mask{'s' * (len(odd) > 1)}"
    return (
        f"{text}. Mend the {mask} of {_all(odd)}, or add --skip-odd-sizes to go on without the "
        f"{mask}"
    )


def _listed(shapes: Mapping[str, Shape], experts: Sequence[str]) -> str:
    return ", ".join(f"{expert} {_size(shapes[expert])}" for expert in experts)


def _size(shape: Shape) -> str:
    return " × ".join(map(str, shape))


def _all(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
