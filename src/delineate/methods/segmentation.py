"""What methods share whose maps hold probabilities, and those that learn classes of pixels."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from delineate.methods.base import Maps, Method, Truth

if TYPE_CHECKING:
    from torch import Tensor

    from delineate.uncertainty import Spread


class Segmentation(Method):
    """A method whose maps hold the probabilities of classes, and whose result is labels."""

    unencoded: ClassVar[frozenset[str]] = frozenset({"temperature"})

    temperature: float = Field(
        1.0, gt=0, description="divides logits, so that probabilities are as sure as they are right"
    )

    @abstractmethod
    def distribution(self, maps: Tensor) -> Tensor:
        """Class probabilities (B, K, …) in maps (B, C, …): their spread tells the uncertainty."""

    @abstractmethod
    def true_classes(self, targets: Maps) -> NDArray[np.int64]:
        """Class of each pixel in encoded targets, as `distribution` counts them; −1: not known."""

    @property
    def n_moments(self) -> int:
        """Two."""
        return 2

    def moments(self, maps: Tensor) -> Tensor:
        """Σ_k p_k² and the entropy −Σ_k p_k ln p_k of the class probabilities."""
        import torch

        probabilities = self.distribution(maps)
        squares = (probabilities**2).sum(dim=1)
        entropies = torch.special.entr(probabilities).sum(dim=1)
        return torch.stack([squares, entropies], dim=1)

    def spread(self, maps: Tensor, moments: Tensor | None) -> Spread:
        """Aleatoric and epistemic variance of the class probabilities; see `decompose`."""
        from delineate.uncertainty import Spread, decompose

        mean = self.distribution(maps).transpose(0, 1).numpy()
        if moments is not None:
            return decompose(mean, moments[:, 0].numpy(), moments[:, 1].numpy())
        own = self.moments(maps).numpy()
        variance = np.maximum(1 - own[:, 0], 0) / np.float32(len(mean))
        none = np.broadcast_to(np.float32(0), variance.shape)
        return Spread(variance, none, own[:, 1], none)

    def picture_channels(self, ndim: int) -> int:
        """Classes without background."""
        import torch

        shape = (1, self.out_channels(ndim), *(1,) * ndim)
        return self.distribution(torch.zeros(shape)).shape[1] - 1

    def picture(self, maps: Tensor) -> Tensor:
        """The probability of each class but background."""
        return self.distribution(maps)[:, 1:]

    def true_picture(self, targets: Tensor) -> Tensor:
        """Each class but background: 1 where a pixel is of it, all 0 where that is not known."""
        import torch

        from delineate.methods.losses import one_hot

        own = np.stack([self.true_classes(t.cpu().numpy()) for t in targets])
        number = self.picture_channels(targets.ndim - 2) + 1
        return one_hot(torch.from_numpy(own).to(targets), number)[:, 1:]


class Classes(Segmentation):
    """A method that learns the class of each pixel; `Decoded.classes` is its result.

    Runs are scored by its own `compare`, in training as in reviews and evaluations.
    """

    monitor: ClassVar[str] = "dice"
    truth: ClassVar[Truth] = "classes"

    @abstractmethod
    def class_image(self, labels: NDArray[Any]) -> NDArray[np.int32]:
        """The class of each pixel of a label file, −1 where it is to be ignored.

        What it gives it also takes, and gives back.

        Raises
        ------
        LabelError : a value is no class.
        """

    @abstractmethod
    def compare(self, found: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
        """Scores of classes against true ones: `monitor`, dice, iou, map and ap50 among them.

        Parameters
        ----------
        found : predicted class of each pixel.
        labels : true class of each pixel, see `class_image`; what is ignored does not count.

        Raises
        ------
        LabelError : a value is no class, or the shapes differ.
        """

    def score(
        self, maps: Maps, truth: NDArray[Any], counted: NDArray[np.bool_] | None = None
    ) -> dict[str, float]:
        """`compare` of the decoded classes; pixels that do not count are ignored."""
        found = self.decode(maps).classes
        assert found is not None
        if counted is None:
            return self.compare(found, truth)
        known = np.where(counted, self.class_image(truth), -1)
        scores = self.compare(found, known)
        return scores if counted.any() else dict.fromkeys(scores, np.nan)
