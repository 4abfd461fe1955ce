"""Objects by flows: every pixel points to the centre of its object (Stringer et al. 2021)."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from delineate.errors import LabelError
from delineate.methods.base import Decoded, Maps
from delineate.methods.segmentation import Segmentation

if TYPE_CHECKING:
    from torch import Tensor

FLOW_GAIN = 5.0
"""The network's flow channels are trained to this multiple of the unit vectors."""


class Flows(Segmentation):
    """Flow to the centre of each object, and the probability of being inside one.

    Maps are the flow along each spatial axis in units of the unit vector, the probability of being
    inside an object and, with classes, the probabilities of background and of each class.
    """

    unencoded: ClassVar[frozenset[str]] = Segmentation.unencoded | {
        "threshold",
        "flow_threshold",
        "min_size",
        "fill_holes",
    }

    name: Literal["flows"] = "flows"
    classes: int = Field(0, ge=0, description="classes of objects; 0: objects have no class")
    threshold: float = Field(0.5, ge=0, le=1, description="probability above which is inside")
    flow_threshold: float | None = Field(
        0.4, gt=0, description="objects whose flow error is larger are dropped; null: none are"
    )
    min_size: int = Field(15, ge=0, description="objects of fewer pixels are dropped")
    fill_holes: bool = Field(True, description="fill holes that hold no other object")

    def out_channels(self, ndim: int) -> int:
        """Flow components, inside, and background and classes where there are classes."""
        return ndim + 1 + (self.classes + 1 if self.classes else 0)

    def vectors(self, ndim: int) -> tuple[slice, ...]:
        """The flow is one vector field."""
        return (slice(0, ndim),)

    def candidates(self) -> tuple[Self, ...]:
        """Other thresholds of inside, and of the flow error where objects are filtered by it."""
        flows = (0.3, 0.4, 0.6, 0.9) if self.flow_threshold is not None else (None,)
        others = [
            self.model_copy(update={"threshold": t, "flow_threshold": f})
            for t, f in product((0.3, 0.4, 0.5, 0.6), flows)
        ]
        return (self, *(m for m in others if m != self))

    def encode(self, labels: NDArray[Any], classes: NDArray[Any] | None = None) -> Maps:
        """Flow components, inside (0 or 1) and, with classes, the class of each pixel.

        Parameters
        ----------
        labels : label image.
        classes : image of the classes 1…`self.classes` (0 outside objects); needed with classes.

        Raises
        ------
        LabelError : classes are needed and lack, or are larger than the method's number of them.
        """
        from delineate.methods.flows.targets import flow_targets

        targets = [*flow_targets(labels), (labels > 0).astype(np.float32)]
        if self.classes:
            if classes is None:
                raise LabelError(
                    f"the method has {self.classes} classes but no image of classes was given"
                )
            if classes.shape != labels.shape or classes.max(initial=0) > self.classes:
                raise LabelError(
                    f"the image of classes has shape {classes.shape} and classes up to "
                    f"{classes.max(initial=0)}; expected {labels.shape} and up to {self.classes}"
                )
            targets.append(np.where(labels > 0, classes, 0).astype(np.float32))
        return np.stack(targets)

    def loss(self, output: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        """½·MSE to 5·flow, plus binary cross-entropy, plus cross-entropy of classes if any."""
        from torch.nn import functional as F

        from delineate.methods.losses import weight_sum

        ndim = output.ndim - 2
        output = output.float()
        total = weight_sum(valid).clamp(min=1)
        square = (output[:, :ndim] - FLOW_GAIN * targets[:, :ndim]) ** 2
        loss = 0.5 * (square * valid).sum() / (total * ndim)
        logit = F.binary_cross_entropy_with_logits(
            output[:, ndim : ndim + 1], targets[:, ndim : ndim + 1], reduction="none"
        )
        loss = loss + (logit * valid).sum() / total
        if self.classes:
            entropy = F.cross_entropy(
                output[:, ndim + 1 :], targets[:, ndim + 1].round().long(), reduction="none"
            )
            loss = loss + (entropy[:, None] * valid).sum() / total
        return loss

    def activate(self, output: Tensor) -> Tensor:
        """Flow in units of the unit vector, probability of inside, probabilities of classes."""
        import torch

        ndim = output.ndim - 2
        output = output.float()
        inside = output[:, ndim : ndim + 1] / self.temperature
        parts = [output[:, :ndim] / FLOW_GAIN, inside.sigmoid()]
        if self.classes:
            parts.append((output[:, ndim + 1 :] / self.temperature).softmax(dim=1))
        return torch.cat(parts, dim=1)

    def distribution(self, maps: Tensor) -> Tensor:
        """Background and inside; with classes, background and each class."""
        import torch

        ndim = maps.ndim - 2
        if self.classes:
            return maps[:, ndim + 1 :]
        inside = maps[:, ndim : ndim + 1]
        return torch.cat([1 - inside, inside], dim=1)

    def true_classes(self, targets: Maps) -> NDArray[np.int64]:
        """Inside or not; with classes, the class."""
        return np.rint(targets[-1]).astype(np.int64)

    def true_picture(self, targets: Tensor) -> Tensor:
        """Inside or not; with classes, each class."""
        from delineate.methods.losses import one_hot

        if not self.classes:
            return targets[:, -1:]
        return one_hot(targets[:, -1].round(), self.classes + 1)[:, 1:]

    def decode(self, maps: Maps) -> Decoded:
        """Follow the flow of the pixels inside; those that end together are one object.

        Columns of the result: mean probability of inside, flow error and, with classes, the class
        and its mean probability.
        """
        from delineate.labels import compact, fill_holes, remove_small
        from delineate.methods.flows.dynamics import decode_flows
        from delineate.methods.flows.targets import flow_error

        ndim = maps.shape[0] - 1 - (self.classes + 1 if self.classes else 0)
        flow, inside = maps[:ndim], maps[ndim]
        found = decode_flows(flow, inside > self.threshold)
        errors = flow_error(found, flow)
        labels: NDArray[Any] = found
        if self.flow_threshold is not None:
            keep = np.concatenate([[False], errors <= self.flow_threshold])
            labels = np.where(keep[found], found, np.uint32(0))
        if self.fill_holes:
            labels = fill_holes(labels)
        labels, kept = compact(remove_small(labels, self.min_size))
        columns: dict[str, NDArray[Any]] = {
            "probability": _mean_over(labels, inside),
            "flow_error": errors[kept.astype(np.intp) - 1],
        }
        if self.classes:
            sums = np.stack([_mean_over(labels, m) for m in maps[ndim + 2 :]])
            columns["class"] = sums.argmax(axis=0) + 1
            columns["class_probability"] = sums.max(axis=0, initial=0.0)
        return Decoded(labels, columns)


def _mean_over(labels: NDArray[np.uint32], values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of values over each object 1…N, in pieces so that little memory is needed."""
    n = int(labels.max(initial=0)) + 1
    sums, counts = np.zeros(n), np.zeros(n, np.int64)
    flat, weights, piece = labels.reshape(-1), values.reshape(-1), 1 << 22
    for start in range(0, flat.size, piece):
        part = flat[start : start + piece]
        sums += np.bincount(part, weights=weights[start : start + piece], minlength=n)
        counts += np.bincount(part, minlength=n)
    return sums[1:] / np.maximum(counts[1:], 1)
