"""Fuse the objects of several experts: who drew which, one shape each, with its support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.consensus.em import fit_binary
from delineate.consensus.groups import group_objects
from delineate.errors import LabelError
from delineate.labels import compact

_TIE = 1e-9
_TOLERANCE, _ITERATIONS = 1e-5, 1000
_MOST_EXPERTS = 62  # votes are bits of an integer


@dataclass(frozen=True, eq=False)
class FusedObjects:
    """One label image of several, and how many experts stand behind each object.

    Parameters
    ----------
    labels : uint32 label image; ids 1…N in the order in which rows of pixels meet their boxes.
    probability : float32 image of [0, 1]: support of an object × probability of the pixel within
        it, the largest where several objects meet, left out objects included.
    support : (N,) share of the experts that drew the object.
    members : (N, experts) id that the object has in the label image of each expert, 0 where the
        expert did not draw it.
    shape_agreement : (N,) mean IoU of the members with the fused object.
    classes : (N,) class of each object, 1 where no classes were given.
    n_left_out : number of objects that too few experts drew, or that lost all pixels to others.
    n_undecided_objects : those of the left out that exactly half of the experts drew.
    undecided : number of pixels about which the votes for a shape are equal; they are outside.
    """

    labels: NDArray[np.uint32]
    probability: NDArray[np.float32]
    support: NDArray[np.float64]
    members: NDArray[np.int64]
    shape_agreement: NDArray[np.float64]
    classes: NDArray[np.int64]
    n_left_out: int
    n_undecided_objects: int
    undecided: int

    @property
    def drawn(self) -> NDArray[np.bool_]:
        """Which expert drew which object, (N, experts)."""
        return np.asarray(self.members > 0)


class _Shape(NamedTuple):
    """Pixels of a group within its box: pattern of votes of each, and the patterns that occur."""

    box: tuple[slice, ...]
    code: NDArray[np.int64]
    present: NDArray[np.int64]
    counts: NDArray[np.int64]


def fuse_objects(
    labels: Sequence[ArrayLike],
    *,
    method: Literal["staple", "majority"] = "staple",
    support: float | None = None,
    iou: float = 0.25,
    classes: Sequence[NDArray[Any]] | None = None,
) -> FusedObjects:
    """Fuse label images of the same pixels object by object, so that touching cells stay apart.

    Objects are grouped by overlap (see `group_objects`); groups that enough experts drew are kept;
    the shape of each is found from the experts who drew it, inside the box around their objects;
    a pixel that several objects claim goes to the one with the higher support, of equal ones to
    the one that is more probable there.

    Parameters
    ----------
    labels : one label image an expert, integer, 0 background, any ids, of one shape in 2D or 3D.
    method : "staple" (Warfield et al. 2004) or "majority", for the shapes.
    support : smallest share of the experts that must have drawn an object, in [0, 1]; by default
        more than half of them.
    iou : smallest mean IoU of objects that are taken for one, in (0, 1].
    classes : class of each object of each expert by its id (an array that is indexed by ids), where
        objects of different classes are never one.

    Raises
    ------
    LabelError : no label image, not integers from 0, or shapes that differ.
    ValueError : support or IoU are out of range.

    Examples
    --------
    >>> fused = fuse_objects([[0, 7, 7, 0, 9], [0, 3, 3, 0, 0], [5, 5, 5, 0, 0]])
    >>> fused.labels, fused.support
    (array([0, 1, 1, 0, 0], dtype=uint32), array([1.]))
    """
    if not 0 < iou <= 1 or (support is not None and not 0 <= support <= 1):
        raise ValueError(f"IoU {iou} and support {support}: expected 0 < IoU <= 1, support in 0…1")
    images, ids = _checked(labels)
    experts = len(images)
    kinds = [
        np.asarray(classes[e])[own.astype(np.int64)].astype(np.int64)
        if classes is not None
        else np.ones(own.size, np.int64)
        for e, own in enumerate(ids)
    ]
    groups = group_objects(images, iou, kinds)
    n_drawn = (groups > 0).sum(axis=1)
    share = n_drawn / experts
    shapes = _shapes(images, groups)
    weights = _weights(shapes, groups > 0, method)
    kept = 2 * n_drawn > experts if support is None else share >= support - _TIE
    undecided_objects = int((2 * n_drawn == experts).sum()) if support is None else 0
    order = _raster_order(shapes)
    painted, probability, undecided = _paint(images[0].shape, shapes, weights, share, kept, order)
    result, old = compact(painted)
    rows = order[old.astype(np.int64) - 1]
    return FusedObjects(
        result,
        probability,
        share[rows],
        _own_ids(groups[rows], ids),
        _shape_agreement(result, images, groups[rows], [shapes[r].box for r in rows]),
        _group_classes(groups[rows], kinds),
        len(groups) - len(rows),
        undecided_objects,
        undecided,
    )


def _checked(
    labels: Sequence[ArrayLike],
) -> tuple[list[NDArray[np.uint32]], list[NDArray[np.integer[Any]]]]:
    """Label images with ids 1…N, and the ids they had."""
    if not 0 < len(labels) <= _MOST_EXPERTS:
        raise LabelError(
            f"{len(labels)} label images, expected 1 to {_MOST_EXPERTS}: one an expert"
        )
    pairs = [compact(image) for image in labels]
    shape = pairs[0][0].shape
    for number, (image, _) in enumerate(pairs, 1):
        if image.shape != shape:
            raise LabelError(
                f"the label image of expert {number} has the shape {image.shape}, that of expert "
                f"1 {shape}: they must show the same pixels"
            )
    return [image for image, _ in pairs], [ids for _, ids in pairs]


def _shapes(images: Sequence[NDArray[np.uint32]], groups: NDArray[np.int64]) -> list[_Shape]:
    """Votes about each group: bit k of a code is the vote of the k-th expert who drew it."""
    from scipy.ndimage import find_objects

    boxes = [find_objects(image.astype(np.int32)) for image in images]
    shapes = []
    for row in groups:
        experts = np.flatnonzero(row)
        own = [boxes[e][row[e] - 1] for e in experts]
        box = tuple(
            slice(min(b.start for b in axis), max(b.stop for b in axis))
            for axis in zip(*own, strict=True)
        )
        code = np.zeros(tuple(s.stop - s.start for s in box), np.int64)
        for bit, expert in enumerate(experts.tolist()):
            code |= (images[expert][box] == row[expert]).astype(np.int64) << bit
        present, code, counts = _present(code, len(experts))
        shapes.append(_Shape(box, code, present, counts))
    return shapes


def _present(
    code: NDArray[np.int64], bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Codes that occur, the place of each pixel's code among them, and how often each occurs."""
    if bits > 12:
        present, index, counts = np.unique(code, return_inverse=True, return_counts=True)
        return present, index.reshape(code.shape), counts
    counts = np.bincount(code.reshape(-1), minlength=1 << bits)
    present = np.flatnonzero(counts)
    place = np.zeros(1 << bits, np.int64)
    place[present] = np.arange(present.size)
    return present, place[code], counts[present]


def _weights(
    shapes: Sequence[_Shape], drawn: NDArray[np.bool_], method: str
) -> list[NDArray[np.float64]]:
    """Probability that a pixel belongs to the object, for each pattern of each group."""
    if not shapes:
        return []
    rows = [len(shape.present) for shape in shapes]
    starts = np.concatenate([[0], np.cumsum(rows)[:-1]])
    votes = np.zeros((sum(rows), drawn.shape[1]), bool)
    for start, shape, who in zip(starts, shapes, drawn, strict=True):
        experts = np.flatnonzero(who)
        bits = shape.present[:, None] >> np.arange(experts.size) & 1
        votes[start : start + len(shape.present), experts] = bits > 0
    if method == "staple":
        counts = np.concatenate([shape.counts for shape in shapes])
        weights = fit_binary(votes, counts, starts, drawn, _TOLERANCE, _ITERATIONS).weights
    else:
        weights = votes.sum(axis=1) / np.repeat(drawn.sum(axis=1), rows)
    return np.split(weights, starts[1:])


def _raster_order(shapes: Sequence[_Shape]) -> NDArray[np.int64]:
    """Groups in the order of the first corners of their boxes."""
    corners = [tuple(s.start for s in shape.box) for shape in shapes]
    return np.asarray(sorted(range(len(shapes)), key=lambda g: corners[g]), np.int64)


def _paint(
    shape: tuple[int, ...],
    shapes: Sequence[_Shape],
    weights: Sequence[NDArray[np.float64]],
    share: NDArray[np.float64],
    kept: NDArray[np.bool_],
    order: NDArray[np.int64],
) -> tuple[NDArray[np.uint32], NDArray[np.float32], int]:
    """Label image of the kept groups, probability of all, and the number of undecided pixels."""
    labels = np.zeros(shape, np.uint32)
    probability = np.zeros(shape, np.float32)
    # Support before probability in one number: supports are multiples of 1 / experts.
    claim = np.zeros(shape, np.float64)
    undecided = 0
    for number, group in enumerate(order, 1):
        box, code, *_ = shapes[group]
        inside = weights[group][code]
        here = probability[box]
        np.maximum(here, share[group] * inside, out=here, casting="same_kind")
        if not kept[group]:
            continue
        undecided += int((np.abs(inside - 0.5) <= _TIE).sum())
        strength = np.where(inside > 0.5 + _TIE, 1e6 * share[group] + inside, 0)
        wins = strength > claim[box]
        labels[box][wins] = number
        claim[box][wins] = strength[wins]
    return labels, probability, undecided


def _own_ids(groups: NDArray[np.int64], ids: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """The ids that the members have in the files of the experts."""
    named = [np.concatenate([[0], own.astype(np.int64)])[groups[:, e]] for e, own in enumerate(ids)]
    return np.stack(named, axis=1)


def _group_classes(
    groups: NDArray[np.int64], kinds: Sequence[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Class of each group: that of its members."""
    each = [np.concatenate([[0], own])[groups[:, e]] for e, own in enumerate(kinds)]
    return np.stack(each, axis=1).max(axis=1, initial=0)


def _shape_agreement(
    result: NDArray[np.uint32],
    images: Sequence[NDArray[np.uint32]],
    groups: NDArray[np.int64],
    boxes: Sequence[tuple[slice, ...]],
) -> NDArray[np.float64]:
    """Mean IoU of the members of each group with the fused object."""
    means = np.zeros(len(groups))
    for number, (row, box) in enumerate(zip(groups, boxes, strict=True), 1):
        fused = result[box] == number
        members = [images[e][box] == row[e] for e in np.flatnonzero(row).tolist()]
        ious = [(fused & own).sum() / (fused | own).sum() for own in members]
        means[number - 1] = np.mean(ious)
    return means
