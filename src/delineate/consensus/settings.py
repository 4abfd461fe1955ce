"""How experts are fused, and the rules that follow, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from delineate.errors import DataError

MOST_CLASSES = 64
"""With the background."""


@dataclass(frozen=True)
class ConsensusSettings:
    """How experts are fused.

    Parameters
    ----------
    method : "staple" or "majority".
    classes : number of classes with the background; None for binary masks.
    objects : fuse objects instead of pixels.
    support : smallest share of experts behind an object; None for more than half.
    iou : smallest mean IoU of objects that are taken for one.
    undecided : value of undecided pixels, 0 to 255.
    axes : axes of files that do not say.
    skip_odd_sizes : leave out masks of another size than most of their image.

    Raises
    ------
    DataError : a number is out of range, or undecided pixels get a value in a label image.
    """

    method: Literal["staple", "majority"] = "staple"
    classes: int | None = None
    objects: bool = False
    support: float | None = None
    iou: float = 0.25
    undecided: int = 0
    axes: str | None = None
    skip_odd_sizes: bool = False

    def __post_init__(self) -> None:
        if self.method not in ("staple", "majority"):
            raise DataError(f"method {self.method!r}: expected staple or majority")
        if self.classes is not None and not 2 <= self.classes <= MOST_CLASSES:
            raise DataError(
                f"{self.classes} classes: expected 2 (with the background) to {MOST_CLASSES}"
            )
        if not 0 < self.iou <= 1:
            raise DataError(f"IoU {self.iou}: expected more than 0, at most 1")
        if self.support is not None and not 0 <= self.support <= 1:
            raise DataError(f"support {self.support}: expected a share of the experts, 0 to 1")
        if not 0 <= self.undecided <= 255:
            raise DataError(f"value {self.undecided} of undecided pixels: expected 0 to 255")
        if self.objects and self.undecided:
            raise DataError(
                "undecided pixels of objects are background, since any other number would be an "
                "object: leave out --undecided"
            )

    @property
    def soft_performance(self) -> bool:
        """Whether sensitivity and specificity are of the soft truth: those of STAPLE of pixels."""
        return self.method == "staple" and not self.objects

    def rules(self) -> list[str]:
        """The rules by which masks are read and fused, in words."""
        kind = "STAPLE" if self.method == "staple" else "majority vote"
        rules = []
        if self.classes is not None:
            rules.append(f"Masks hold classes 0 (background) to {self.classes - 1}.")
        else:
            rules.append("A mask has 0 (background) and one other value, which is inside.")
        if self.objects:
            share = (
                "more than half of the experts"
                if self.support is None
                else f"at least {self.support:.0%} of the experts"
            )
            rules += [
                "Files of more values are label images; of masks the connected parts are objects, "
                "pixels that meet at a corner included."
                if self.classes is None
                else "Objects are the connected parts of each class, corners included.",
                f"Objects of several experts are one where their mean IoU is at least {self.iou}.",
                f"Those that {share} of an image drew are kept. Shapes by {kind} of those who drew "
                "them; contested pixels go to the higher support.",
            ]
        else:
            rules.append(
                f"Each image by {kind} of the experts who annotated it. Pixels whose best classes "
                f"are equally probable are undecided and get the value {self.undecided}."
            )
            rules.append("Objects are the connected parts of a class, corners included.")
        if self.soft_performance:
            rules.append(
                "Sensitivity and specificity are soft, as STAPLE estimates them: pixels weigh by "
                "their probability. Dice and AP are of the thresholded estimate."
            )
        if not self.objects and self.undecided >= (self.classes or 2):
            rules.append("Undecided pixels are left out of the agreement with the estimate.")
        if self.skip_odd_sizes:
            rules.append(
                "Masks of another size than most of an image (where no size has most, than the "
                "image) are left out, as if the expert had none; a note says whose."
            )
        return rules
