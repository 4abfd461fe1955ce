"""Semantic segmentation: the class of each pixel (Griebel et al. 2023, deepflash2; any network)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from delineate.errors import LabelError
from delineate.methods.base import Decoded, Maps
from delineate.methods.segmentation import Classes, Segmentation

if TYPE_CHECKING:
    from torch import Tensor

MASKS = (255, 65535)
"""What stands for foreground in a two-valued mask, beside 1."""

SUM = 0.01
"""Probabilities of soft labels may miss a sum of 1, or their range, by this much."""


class Semantic(Classes):
    """A class for every pixel, 0 being background; objects are the connected parts of a class.

    Maps are the probabilities of the classes. Label files hold the class of each pixel, 0 … K − 1.
    With two classes a mask may also be written as 0 and 255 (or 65535): then the larger value is
    class 1. Soft labels, probabilities of classes that several experts gave, can stand beside them.
    """

    unencoded: ClassVar[frozenset[str]] = Segmentation.unencoded | {
        "focal_gamma",
        "tversky_alpha",
        "tversky_beta",
        "class_weights",
        "threshold",
        "connectivity",
        "min_size",
    }

    name: Literal["semantic"] = "semantic"
    classes: int = Field(2, ge=2, le=255, description="classes, background among them")
    ignore: int | None = Field(
        None, ge=1, description="value in label files that is neither trained on nor scored"
    )
    soft: bool = Field(True, description="train on soft labels where the data have them")
    criterion: Literal[
        "cross-entropy+dice", "cross-entropy", "dice", "focal", "tversky", "lovasz"
    ] = Field("cross-entropy+dice", description="the loss; cross-entropy+dice is their mean")
    focal_gamma: float = Field(2.0, ge=0, description="how much focal spares what is right")
    tversky_alpha: float = Field(0.3, ge=0, description="cost of a false positive in tversky")
    tversky_beta: float = Field(0.7, ge=0, description="cost of a false negative in tversky")
    class_weights: tuple[float, ...] | None = Field(
        None, description="weight of each class in cross-entropy and focal; null: all 1"
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="probability above which is foreground, for two classes; null: the likelier",
    )
    connectivity: Literal["faces", "corners"] = Field(
        "corners", description="whether pixels that touch at a corner only are one object"
    )
    min_size: int = Field(15, ge=0, description="objects of fewer pixels are not listed")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ignore is not None and self.ignore < self.classes:
            raise ValueError(
                f"ignore ({self.ignore}) is one of the classes 0 … {self.classes - 1}; choose "
                "another value, such as 255"
            )
        if self.class_weights is not None and (
            len(self.class_weights) != self.classes or min(self.class_weights) < 0
        ):
            raise ValueError(
                f"class_weights {list(self.class_weights)}: expected {self.classes} numbers of 0 "
                "or more, one a class, background first"
            )
        if self.threshold is not None and self.classes != 2:
            raise ValueError(
                f"a threshold is for two classes, not for {self.classes}: leave it out, and each "
                "pixel is given its likeliest class"
            )
        return self

    def out_channels(self, ndim: int) -> int:
        """One for each class."""
        return self.classes

    def candidates(self) -> tuple[Self, ...]:
        """Other thresholds, of two classes."""
        if self.classes != 2:
            return (self,)
        others = [self.model_copy(update={"threshold": t}) for t in (None, 0.3, 0.4, 0.6, 0.7)]
        return (self, *(m for m in others if m != self))

    def class_image(self, labels: NDArray[Any]) -> NDArray[np.int32]:
        """The class of each pixel of a label file, −1 where it is to be ignored.

        What it gives it also takes, and gives back.

        Raises
        ------
        LabelError : a value is no class.
        """
        labels = labels.view(np.uint8) if labels.dtype == bool else labels
        ignored = labels < 0
        if self.ignore is not None:
            ignored |= labels == self.ignore
        counted = np.where(ignored, 0, labels)
        top = int(counted.max(initial=0))
        if top >= self.classes:
            mask = self.classes == 2 and top in MASKS and ((counted == 0) | (counted == top)).all()
            if not mask:
                raise LabelError(self._strange(counted))
            counted = counted > 0
        result = counted.astype(np.int32)
        result[ignored] = -1
        return result

    def _strange(self, counted: NDArray[Any]) -> str:
        found = [int(v) for v in np.unique(counted)]
        text = ", ".join(map(str, found[:6])) + (" …" if len(found) > 6 else "")
        masks = " (or a mask of 0 and 255)" if self.classes == 2 else ""
        return (
            f"holds the values {text}; expected the classes 0 … {self.classes - 1}{masks}"
            + (f" and {self.ignore}, which is ignored" if self.ignore is not None else "")
            + ". Set method.classes to their number with background, method.ignore to a value that "
            "is to be left out; for ids of objects choose another method, such as flows"
        )

    def encode(self, labels: NDArray[Any], classes: NDArray[Any] | None = None) -> Maps:
        """The class of each pixel as (1, …), −1 where it is ignored; or its soft truth as (K, …).

        Parameters
        ----------
        labels : class of each pixel, see `class_image`.
        classes : soft truth where there is any: probabilities of the classes (K, spatial axes), or
            of the foreground alone (1, spatial axes) where there are two classes.

        Raises
        ------
        LabelError : a value is no class; probabilities that are none, or of other classes; soft
            truth for a loss that takes none.
        """
        hard = self.class_image(labels)
        if classes is None or not self.soft:
            return hard[None].astype(np.float32)
        if self.criterion == "lovasz":
            raise LabelError(
                "the Lovász loss takes no soft labels: choose another method.criterion, or set "
                "method.soft to false"
            )
        soft = np.asarray(classes, np.float32)
        if soft.shape[0] == 1 and self.classes == 2:
            soft = np.concatenate([1 - soft, soft])
        if soft.shape != (self.classes, *labels.shape):
            raise LabelError(
                f"soft labels of shape {classes.shape}; expected {(self.classes, *labels.shape)}, "
                "a channel for each class"
            )
        counted = hard >= 0
        soft = np.where(counted, soft, np.float32(1 / self.classes))
        low, high = float(soft.min(initial=0)), float(soft.max(initial=0))
        wrong = float(np.abs(soft.sum(axis=0) - 1).max(initial=0))
        if not (low >= -SUM and high <= 1 + SUM and wrong <= SUM):
            raise LabelError(
                f"soft labels from {low:g} to {high:g} that miss a sum of 1 by up to {wrong:g}; "
                "expected the probabilities of the classes of each pixel"
            )
        return np.where(counted, np.clip(soft, 0, 1), np.float32(-1))

    def loss(self, output: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        """The criterion, over the pixels that are valid and not ignored."""
        from delineate.methods import losses

        weight = valid * (targets[:, :1] >= 0)
        if targets.shape[1] == 1:
            truth = losses.one_hot(targets[:, 0].round(), self.classes)
        else:
            truth = targets.clamp(min=0)
        if self.criterion == "focal":
            return losses.focal(output, truth, weight, self.focal_gamma, self.class_weights)
        if self.criterion == "tversky":
            return losses.tversky(output, truth, weight, self.tversky_alpha, self.tversky_beta)
        if self.criterion == "lovasz":
            return losses.lovasz(output, truth, weight)
        if self.criterion == "dice":
            return losses.dice(output, truth, weight)
        entropy = losses.cross_entropy(output, truth, weight, self.class_weights)
        if self.criterion == "cross-entropy":
            return entropy
        return 0.5 * (entropy + losses.dice(output, truth, weight))

    def activate(self, output: Tensor) -> Tensor:
        """Probabilities of the classes."""
        return (output.float() / self.temperature).softmax(dim=1)

    def distribution(self, maps: Tensor) -> Tensor:
        """The maps themselves."""
        return maps

    def true_classes(self, targets: Maps) -> NDArray[np.int64]:
        """The class of each pixel, the likeliest of soft labels."""
        if len(targets) == 1:
            return np.rint(targets[0]).astype(np.int64)
        return np.where(targets[0] < 0, -1, targets.argmax(axis=0))

    def true_picture(self, targets: Tensor) -> Tensor:
        """Each class but background: 1 where a pixel is of it, or its soft truth."""
        from delineate.methods.losses import one_hot

        if targets.shape[1] == 1:
            return one_hot(targets[:, 0].round(), self.classes)[:, 1:]
        return targets[:, 1:].clamp(min=0)

    def decode(self, maps: Maps) -> Decoded:
        """The likeliest class of each pixel, and the connected parts of each class.

        With two classes and a threshold, foreground is what exceeds it. Small parts stay in the
        image of classes; they are not among the objects. Columns of the result: the class and its
        mean probability over the object.
        """
        classes = self._classes(maps)
        labels = self._objects(classes)
        n = int(labels.max(initial=0)) + 1
        flat, own = labels.reshape(-1), classes.reshape(-1)
        kinds = np.zeros(n, np.int64)
        kinds[flat] = own
        sums, counts, piece = np.zeros(n), np.zeros(n, np.int64), 1 << 22
        values = maps.reshape(len(maps), -1)
        for start in range(0, flat.size, piece):
            part = slice(start, start + piece)
            chosen = np.take_along_axis(values[:, part], own[None, part].astype(np.intp), axis=0)
            sums += np.bincount(flat[part], weights=chosen[0], minlength=n)
            counts += np.bincount(flat[part], minlength=n)
        columns = {"class": kinds[1:], "probability": sums[1:] / np.maximum(counts[1:], 1)}
        return Decoded(labels, columns, classes)

    def _classes(self, maps: Maps) -> NDArray[np.uint8]:
        if self.threshold is not None:
            return (maps[1] > self.threshold).astype(np.uint8)
        best, classes = maps[0].copy(), np.zeros(maps.shape[1:], np.uint8)
        for k in range(1, len(maps)):
            classes[maps[k] > best] = k
            np.maximum(best, maps[k], out=best)
        return classes

    def _objects(self, classes: NDArray[Any]) -> NDArray[np.uint32]:
        """Connected parts of each class, ids 1…N."""
        from skimage.measure import label

        from delineate.labels import relabel, remove_small

        reach = classes.ndim if self.connectivity == "corners" else 1
        found = label(classes, background=0, connectivity=reach)
        return relabel(remove_small(found, self.min_size))

    def score(
        self, maps: Maps, truth: NDArray[Any], counted: NDArray[np.bool_] | None = None
    ) -> dict[str, float]:
        """`compare` of the decoded classes; pixels that do not count are ignored."""
        if counted is None:
            return self.compare(self._classes(maps), truth)
        known = np.where(counted, self.class_image(truth), -1)
        scores = self.compare(self._classes(maps), known)
        return scores if counted.any() else dict.fromkeys(scores, np.nan)

    def compare(self, found: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
        """Dice and IoU, means over the foreground classes that occur, and mean AP of the objects.

        Objects are the connected parts of a class, in truth and prediction alike; mean AP over
        0.50…0.95, and AP at 0.50, are of each class that occurs, and then averaged. Pixels to be
        ignored are background in both.

        Parameters
        ----------
        found : predicted class of each pixel.
        labels : true class of each pixel, see `class_image`.

        Raises
        ------
        LabelError : a value is no class, or the shapes differ.
        """
        from delineate.metrics import average_precision, dice, iou

        truth, pred = self.class_image(labels), self.class_image(found)
        if truth.shape != pred.shape:
            raise LabelError(
                f"the truth has the shape {truth.shape}, the prediction {pred.shape}: they must "
                "be of the same image"
            )
        pred = np.where(truth < 0, 0, pred)
        truth = np.maximum(truth, 0)
        true_objects, own_objects = self._objects(truth), self._objects(pred)
        ap = []
        for k in range(1, self.classes):
            expected, got = (
                np.where(truth == k, true_objects, 0),
                np.where(pred == k, own_objects, 0),
            )
            if expected.any() or got.any():
                ap.append(average_precision(expected, got))
        mean = np.mean(ap, axis=0) if ap else np.ones(1)
        return {
            "dice": dice(truth, pred),
            "iou": iou(truth, pred),
            "map": float(mean.mean()),
            "ap50": float(mean[0]),
        }
