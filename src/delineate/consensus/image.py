"""Fuse the masks of one image: ground truth, soft truth, performance and agreement together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from delineate.consensus.agreement import (
    TWO_VOTES,
    Agreement,
    Annotation,
    agreement,
    annotation,
)
from delineate.consensus.estimate import confusion_with, sensitivity_of
from delineate.consensus.fuse import FusedObjects, fuse_objects
from delineate.consensus.inverted import Inverted, inverted
from delineate.consensus.majority import majority
from delineate.consensus.masks import Mask
from delineate.consensus.staple import staple
from delineate.consensus.tables import ImageConsensus


@dataclass(frozen=True, eq=False)
class Fusion:
    """One image with all that is known about it.

    Parameters
    ----------
    result : its numbers.
    labels : what is written: image of classes (uint8), or label image of fused objects.
    soft : float32 probability of the foreground; with classes (classes, …).
    annotations : objects of each expert.
    estimate : objects of the ground truth.
    fused : the fused objects; None where pixels were fused.
    """

    result: ImageConsensus
    labels: NDArray[Any]
    soft: NDArray[np.float32]
    annotations: Mapping[str, Annotation]
    estimate: Annotation
    fused: FusedObjects | None = None

    def object_rows(self) -> list[dict[str, Any]]:
        """Rows of objects.csv; none where pixels were fused."""
        if self.fused is None:
            return []
        from scipy.ndimage import center_of_mass

        fused, experts = self.fused, self.result.experts
        n = len(fused.support)
        sizes = np.bincount(fused.labels.reshape(-1), minlength=n + 1)
        numbers = np.arange(1, n + 1)
        centres = center_of_mass(fused.labels > 0, fused.labels, numbers) if n else []
        axes = "zyx"[3 - fused.labels.ndim :]
        rows = []
        for k, centre in zip(range(n), centres, strict=True):
            row: dict[str, Any] = {
                "image": self.result.name,
                "label": k + 1,
                "support": float(fused.support[k]),
                "drawn_by": int(fused.drawn[k].sum()),
                "experts": len(experts),
                "shape_agreement": float(fused.shape_agreement[k]),
                "class": int(fused.classes[k]),
                "area" if len(axes) == 2 else "volume": int(sizes[k + 1]),
            }
            row |= {f"centroid_{a}": float(c) for a, c in zip(axes, centre, strict=True)}
            names = [e for e, there in zip(experts, fused.drawn[k], strict=True) if there]
            rows.append(row | {"names": "; ".join(names)})
        return rows


def fuse_image(
    name: str,
    masks: Mapping[str, Mask],
    missing: Sequence[str],
    method: Literal["staple", "majority"],
    n_classes: int | None = None,
    objects: bool = False,
    support: float | None = None,
    iou: float = 0.25,
    undecided: int = 0,
    notes: Sequence[str] = (),
) -> Fusion:
    """Fuse the masks of one image.

    Parameters
    ----------
    name : of the image.
    masks : that of each expert who annotated it, of one shape.
    missing : experts who did not.
    method, n_classes, undecided : as in `staple` and `majority`.
    objects, support, iou : fuse objects, as in `fuse_objects`.
    notes : what is known already that a person should know.

    Notes
    -----
    `rules_of_agreement` tells the rules in words.
    """
    annotations = {expert: mask.annotation() for expert, mask in masks.items()}
    each = list(annotations.values())
    n = n_classes or 2
    pixels = [_classes(masks[e], a) for e, a in annotations.items()]
    if objects:
        fused = fuse_objects(
            [a.labels for a in each],
            method=method,
            support=support,
            iou=iou,
            classes=[np.concatenate([[0], a.classes]) for a in each],
        )
        estimate = Annotation(fused.labels, fused.classes)
        truth = np.concatenate([[0], fused.classes])[fused.labels]
        confusion = confusion_with(truth, pixels, n)
        found = agreement(each, estimate)
        result = _result(
            name, masks, missing, estimate, found, confusion, fused.undecided, 0, True,
            fused.n_left_out, notes,
        )  # fmt: skip
        return Fusion(result, fused.labels, fused.probability, annotations, estimate, fused)
    fuse = staple if method == "staple" else majority
    truth_of = fuse(pixels, n, undecided)
    if method == "staple" and undecided and truth_of.disjoint:
        truth_of = truth_of.without_winner()
    two_votes = method == "majority" and len(each) == 2
    ignore = truth_of.undecided_mask if undecided >= n and truth_of.undecided else None
    classes = truth_of.classes if ignore is None else np.where(ignore, 0, truth_of.classes)
    estimate = annotation(classes)
    found = agreement(each, estimate, ignore)
    if two_votes and undecided >= n:
        found = replace(found, uncounted=TWO_VOTES)
    confusion = truth_of.confusion
    if two_votes:  # it is known of decided pixels only
        confusion = np.full_like(confusion, np.nan)
    result = _result(
        name, masks, missing, estimate, found, confusion, truth_of.undecided,
        truth_of.iterations, truth_of.converged, None, notes,
    )  # fmt: skip
    soft = truth_of.foreground if n == 2 else truth_of.probability
    return Fusion(result, truth_of.classes, soft, annotations, estimate)


def _classes(mask: Mask, own: Annotation) -> NDArray[Any]:
    """Class of every pixel; objects of a label image are all of class 1."""
    return mask.pixels if mask.kind != "labels" else (own.labels > 0).view(np.uint8)


def _result(
    name: str,
    masks: Mapping[str, Mask],
    missing: Sequence[str],
    estimate: Annotation,
    found: Agreement,
    confusion: NDArray[np.float64],
    undecided: int,
    iterations: int,
    converged: bool,
    left_out: int | None,
    notes: Sequence[str],
) -> ImageConsensus:
    pixels, experts = estimate.labels.size, tuple(masks)
    turned = inverted(found, pixels) if confusion.shape[-1] == 2 else ()
    if found.uncounted:
        confusion = np.full_like(confusion, np.nan)
    return ImageConsensus(
        name=name,
        experts=experts,
        missing=tuple(missing),
        pixels=pixels,
        undecided=undecided,
        n_objects=estimate.n_objects,
        foreground=np.count_nonzero(estimate.labels) / max(pixels, 1),
        iterations=iterations,
        converged=converged,
        confusion=confusion,
        sensitivity=sensitivity_of(confusion),
        specificity=np.asarray(confusion[:, 0, 0]),
        agreement=found,
        left_out=left_out,
        inverted=tuple(experts[i.expert] for i in turned),
        note="; ".join([*notes, *_notes(experts, found, estimate, turned, undecided, converged)]),
    )


def _notes(
    experts: Sequence[str],
    found: Agreement,
    estimate: Annotation,
    turned: Sequence[Inverted],
    undecided: int,
    converged: bool,
) -> list[str]:
    """What a person should know about an image."""
    notes = [found.uncounted] if found.uncounted else []
    if not any(found.drawn):
        notes.append("nobody drew anything")
    elif found.disjoint:
        rest = _what_is_left(experts, found, estimate, undecided)
        notes.append(f"no two experts share a pixel: there is no agreement, and {rest}")
    elif not estimate.n_objects and not found.uncounted:
        notes.append("the estimate is empty, though experts drew something")
    notes += [i.note(experts[i.expert]) for i in turned]
    notes += [
        f"the mask of {experts[stranger]} fits that of nobody else: is it of another image?"
        for stranger in found.strangers
        if stranger not in [i.expert for i in turned]
    ]
    if not converged:
        notes.append("STAPLE did not come to rest")
    return notes


def _what_is_left(
    experts: Sequence[str], found: Agreement, estimate: Annotation, undecided: int
) -> str:
    """Whose mask the estimate is of experts who share no pixel."""
    if not estimate.n_objects:
        return "all that they drew is undecided" if undecided else "the estimate is empty"
    whole = [
        (name, c.pixels[2])
        for name, c in zip(experts, found.with_estimate, strict=True)
        if c.pixels[0] == c.pixels[2] > 0
    ]
    names = [name for name, _ in whole]
    if sum(size for _, size in whole) != found.with_estimate[0].pixels[1]:
        return "the estimate is nobody's mask"
    if len(names) == 1:
        return f"the estimate is the mask of {names[0]}"
    return f"the estimate is made of the masks of {', '.join(names[:-1])} and {names[-1]}"


def rules_of_agreement(
    method: Literal["staple", "majority"], objects: bool = False, undecided: int = 0
) -> list[str]:
    """The rules of `fuse_image` where experts do not agree, or cannot but agree, in words."""
    rules = []
    if method == "staple" and not objects:
        rules.append(
            "Of masks that share no pixel STAPLE mostly takes the largest for the truth, whole, "
            "though nothing tells who is right. "
            + (
                "Here all that was drawn in such an image is undecided instead."
                if undecided
                else "A note says whose mask it is; with --undecided all that was drawn in such an "
                "image is undecided instead."
            )
        )
    if method == "majority" and not objects:
        rules.append("Of two equal votes no sensitivity and specificity can be known.")
    rules.append(
        "Agreement with the estimate is empty, and in none of the means, where it would be perfect "
        "whatever was drawn: with a single expert"
        + (
            ", where undecided pixels leave no foreground in the estimate though somebody drew, "
            "and of two equal votes whose undecided pixels are left out."
            if undecided and not objects
            else "."
        )
    )
    return rules
