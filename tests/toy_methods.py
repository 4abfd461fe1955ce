"""Methods as somebody else would write them, against the contract alone."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from delineate.methods.base import Decoded, Maps, Method
from delineate.methods.segmentation import Classes, Segmentation


def masked(output: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Binary cross-entropy of the pixels that count."""
    each = F.binary_cross_entropy_with_logits(output, targets, reduction="none")
    return (each * valid).sum() / valid.sum().clamp(min=1)


def parts(inside: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Connected parts, ids 1…N."""
    from scipy.ndimage import label

    return np.asarray(label(inside)[0], np.uint32)


class Blobs(Method):
    """Connected parts of what is bright on the only map; it says nothing of its uncertainty."""

    name: Literal["blobs"] = "blobs"
    threshold: float = Field(0.5, ge=0, le=1, description="what is inside")

    def out_channels(self, ndim: int) -> int:
        return 1

    def encode(self, labels: NDArray[Any], classes: NDArray[Any] | None = None) -> Maps:
        return (labels > 0)[None].astype(np.float32)

    def loss(self, output: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        return masked(output, targets, valid)

    def activate(self, output: Tensor) -> Tensor:
        return output.sigmoid()

    def decode(self, maps: Maps) -> Decoded:
        return Decoded(parts(maps[0] > self.threshold), {})


class SureBlobs(Segmentation):
    """The same, whose map is a probability."""

    name: Literal["sure-blobs"] = "sure-blobs"

    def out_channels(self, ndim: int) -> int:
        return 1

    def encode(self, labels: NDArray[Any], classes: NDArray[Any] | None = None) -> Maps:
        return (labels > 0)[None].astype(np.float32)

    def loss(self, output: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        return masked(output, targets, valid)

    def activate(self, output: Tensor) -> Tensor:
        return (output / self.temperature).sigmoid()

    def distribution(self, maps: Tensor) -> Tensor:
        import torch

        return torch.cat([1 - maps, maps], dim=1)

    def true_classes(self, targets: Maps) -> NDArray[np.int64]:
        return targets[0].astype(np.int64)

    def decode(self, maps: Maps) -> Decoded:
        return Decoded(parts(maps[0] > 0.5), {})


class Ground(Classes):
    """Background or foreground of each pixel."""

    name: Literal["ground"] = "ground"

    def out_channels(self, ndim: int) -> int:
        return 2

    def encode(self, labels: NDArray[Any], classes: NDArray[Any] | None = None) -> Maps:
        return self.class_image(labels)[None].astype(np.float32)

    def loss(self, output: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        return masked(output[:, 1:] - output[:, :1], targets, valid)

    def activate(self, output: Tensor) -> Tensor:
        return (output / self.temperature).softmax(dim=1)

    def distribution(self, maps: Tensor) -> Tensor:
        return maps

    def true_classes(self, targets: Maps) -> NDArray[np.int64]:
        return targets[0].astype(np.int64)

    def class_image(self, labels: NDArray[Any]) -> NDArray[np.int32]:
        return (labels > 0).astype(np.int32)

    def compare(self, found: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
        from delineate.metrics import dice, iou

        pair = self.class_image(labels), self.class_image(found)
        return {"dice": dice(*pair), "iou": iou(*pair), "map": 0.25, "ap50": 0.5}

    def decode(self, maps: Maps) -> Decoded:
        classes = maps.argmax(axis=0).astype(np.uint8)
        return Decoded(parts(classes > 0), {}, classes)
