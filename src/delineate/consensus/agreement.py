"""Agreement of experts with the estimate and with each other: Dice, AP of objects, counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import LabelError
from delineate.labels import compact
from delineate.metrics import THRESHOLDS, match_overlaps, overlap_table

ALONE = "one expert alone: the estimate is their mask, agreement with it is not counted"
UNDECIDED = "undecided pixels leave no foreground in the estimate: agreement with it is not counted"
TWO_VOTES = (
    "of two equal votes only what both said is decided: agreement with the estimate is not counted"
)
"""Why agreement with the estimate would be perfect whatever was drawn, so that it is left out."""


class Annotation(NamedTuple):
    """Objects of one annotated image: ids 1…N over its pixels, and the class of each (from 1)."""

    labels: NDArray[np.uint32]
    classes: NDArray[np.int64]

    @property
    def n_objects(self) -> int:
        """Number of objects."""
        return int(self.classes.size)


class Comparison(NamedTuple):
    """One annotation (the second) against another (the first).

    `tp`, `fp`, `fn` (int64) have one entry for each IoU threshold 0.50, 0.55 … 0.95: objects of
    both, of the second alone, of the first alone. `pixels` (int64) are the common pixels of equal
    class, those of the first and those of the second, whatever their class.
    """

    dice: float
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    pixels: tuple[int, int, int]

    @property
    def ap(self) -> NDArray[np.float64]:
        """TP / (TP + FP + FN) at each threshold; nothing against nothing is 1."""
        total = self.tp + self.fp + self.fn
        return np.where(total > 0, self.tp / np.maximum(total, 1), 1.0)

    @property
    def ap50(self) -> float:
        """AP at IoU 0.5."""
        return float(self.ap[0])

    @property
    def map(self) -> float:
        """Mean of the AP over IoU 0.50:0.05:0.95."""
        return float(self.ap.mean())

    @property
    def n_first(self) -> int:
        """Objects of the first."""
        return int(self.tp[0] + self.fn[0])

    @property
    def n_second(self) -> int:
        """Objects of the second."""
        return int(self.tp[0] + self.fp[0])


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement in one image: of each expert with the estimate, and of each pair of experts.

    Parameters
    ----------
    with_estimate : comparison of each expert with the estimate, undecided pixels left out.
    pairs : by the places of two experts, the lower first.
    drawn : number of objects that each expert drew, in all pixels.
    uncounted : why agreement with the estimate is not counted in this image, or "".
    """

    with_estimate: tuple[Comparison, ...]
    pairs: Mapping[tuple[int, int], Comparison]
    drawn: tuple[int, ...]
    uncounted: str = ""

    def score(self, expert: int, measure: Callable[[Comparison], float]) -> float:
        """Score of an expert with the estimate; NaN where agreement is not counted."""
        return float("nan") if self.uncounted else measure(self.with_estimate[expert])

    def mean(self, measure: Callable[[Comparison], float]) -> float:
        """Mean score of the experts with the estimate; NaN where agreement is not counted."""
        return float(np.mean([self.score(k, measure) for k in range(len(self.with_estimate))]))

    @property
    def mean_dice(self) -> float:
        """Mean Dice of the experts with the estimate; NaN where it is not counted."""
        return self.mean(lambda c: c.dice)

    @property
    def mean_pair_dice(self) -> float:
        """Mean Dice over the pairs of experts; NaN for a single expert."""
        each = [c.dice for c in self.pairs.values()]
        return float(np.mean(each)) if each else float("nan")

    @property
    def mean_pair_ap50(self) -> float:
        """Mean AP50 over the pairs of experts; NaN for a single expert."""
        each = [c.ap50 for c in self.pairs.values()]
        return float(np.mean(each)) if each else float("nan")

    @property
    def strangers(self) -> tuple[int, ...]:
        """Experts whose mask fits that of no other, while the others fit each other.

        Such a mask often belongs to another image. Fit is the share of the smaller mask that lies
        in the larger one, so that who draws few or small objects is no stranger: one is whose best
        fit is below a third of the mean fit of the others, of whom there are two or more.
        """
        fits = {
            pair: c.pixels[0] / min(c.pixels[1:]) for pair, c in self.pairs.items()
            if min(c.pixels[1:]) > 0
        }  # fmt: skip
        found = []
        for expert in {e for pair in fits for e in pair}:
            own = [fit for pair, fit in fits.items() if expert in pair]
            rest = [fit for pair, fit in fits.items() if expert not in pair]
            if len(own) > 1 and rest and max(own) < np.mean(rest) / 3:
                found.append(expert)
        return tuple(sorted(found))

    @property
    def disjoint(self) -> bool:
        """Whether several experts drew something, and no two of them share one pixel."""
        drew = {e for pair, c in self.pairs.items() for e, n in zip(pair, c.pixels[1:], strict=True)
                if n}  # fmt: skip
        return len(drew) > 1 and not any(c.pixels[0] for c in self.pairs.values())


def annotation(mask: ArrayLike, *, objects: bool = False) -> Annotation:
    """Objects of a mask, of an image of classes, or of a label image.

    Parameters
    ----------
    mask : bool or integer array, 0 is background. Objects are the connected parts of each class;
        pixels that meet at a corner are connected.
    objects : whether the numbers are objects instead of classes: then they are kept as they are.

    Raises
    ------
    LabelError : neither bool nor integers from 0.
    """
    array = np.asarray(mask)
    if array.dtype == bool:
        array = array.view(np.uint8)
    if objects:
        labels, ids = compact(array)
        return Annotation(labels, np.ones(ids.size, np.int64))
    if array.dtype.kind not in "iu" or (array.size and array.min() < 0):
        raise LabelError(f"a mask of the type {array.dtype}: expected bool or integers from 0")
    from skimage.measure import label

    parts, n = label(array, background=0, return_num=True, connectivity=array.ndim)
    classes = np.zeros(n + 1, np.int64)
    classes[parts.reshape(-1)] = array.reshape(-1)
    return Annotation(parts.astype(np.uint32), classes[1:])


def compare(first: Annotation, second: Annotation) -> Comparison:
    """Compare two annotations of the same pixels; objects of different classes never match.

    Dice is the unweighted mean over the foreground classes that occur in one of them, nothing
    against nothing is 1.

    Raises
    ------
    LabelError : the shapes differ.
    """
    table = overlap_table(first.labels, second.labels)
    kinds = first.classes[table.truth_ids.astype(np.int64) - 1]
    other = second.classes[table.pred_ids.astype(np.int64) - 1]
    same = kinds[table.truth_index] == other[table.pred_index]
    table = table._replace(
        truth_index=table.truth_index[same],
        pred_index=table.pred_index[same],
        counts=table.counts[same],
    )
    n = int(max(kinds.max(initial=0), other.max(initial=0))) + 1
    common = np.bincount(kinds[table.truth_index], table.counts, n)
    both = np.bincount(kinds, table.truth_sizes, n) + np.bincount(other, table.pred_sizes, n)
    occurs = both > 0
    dice = float((2 * common[occurs] / both[occurs]).mean()) if occurs.any() else 1.0
    found = [match_overlaps(table, t) for t in THRESHOLDS]
    return Comparison(
        dice,
        np.array([m.tp for m in found]),
        np.array([m.fp for m in found]),
        np.array([m.fn for m in found]),
        (int(common.sum()), int(table.truth_sizes.sum()), int(table.pred_sizes.sum())),
    )


def agreement(
    experts: Sequence[Annotation],
    estimate: Annotation,
    ignore: NDArray[np.bool_] | None = None,
) -> Agreement:
    """Compare every expert with the estimate, and every two experts.

    Parameters
    ----------
    experts : `annotation` of each expert, of one shape.
    estimate : `annotation` of the ground truth; the first of each comparison.
    ignore : pixels that belong to nobody when the estimate is compared, such as undecided ones.

    Returns
    -------
    agreement : that with the estimate is not counted where it could only be perfect: with a single
        expert, and where somebody drew, but `ignore` leaves no foreground in the estimate.

    Raises
    ------
    LabelError : the shapes differ.
    """
    shape = estimate.labels.shape
    for number, expert in enumerate(experts, 1):
        if expert.labels.shape != shape:
            raise LabelError(
                f"expert {number} has the shape {expert.labels.shape}, the estimate {shape}"
            )
    # Most pixels are background for all: the others alone are compared.
    drawn = np.logical_or.reduce([a.labels.reshape(-1) > 0 for a in (*experts, estimate)])
    inside = np.flatnonzero(drawn)
    short = [a._replace(labels=a.labels.reshape(-1)[inside]) for a in experts]
    truth = estimate._replace(labels=estimate.labels.reshape(-1)[inside])
    scored = short
    uncounted = ALONE if len(experts) == 1 else ""
    if ignore is not None and ignore.any():
        use = ~ignore.reshape(-1)[inside]
        truth = truth._replace(labels=truth.labels[use])
        scored = [a._replace(labels=a.labels[use]) for a in short]
        if inside.size and not truth.labels.any():
            uncounted = uncounted or UNDECIDED
    pairs: dict[tuple[int, int], Any] = {
        (a, b): compare(short[a], short[b]) for a, b in combinations(range(len(short)), 2)
    }
    drawn = tuple(expert.n_objects for expert in experts)
    return Agreement(tuple(compare(truth, expert) for expert in scored), pairs, drawn, uncounted)
