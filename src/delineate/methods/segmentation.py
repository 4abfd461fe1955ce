"""What methods share whose maps hold probabilities of classes: spread, calibration, scores."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from delineate.methods.base import Maps, Method

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

    def score(
        self, maps: Maps, truth: NDArray[Any], counted: NDArray[np.bool_] | None = None
    ) -> dict[str, float]:
        """Mean AP over 0.50…0.95 and AP at 0.50 of the decoded objects.

        Pixels that do not count are background in both: of an object the rest is compared.
        """
        from delineate.metrics import average_precision

        found: NDArray[Any] | None = self.decode(maps).labels
        assert found is not None
        if counted is not None:
            if not counted.any():
                return {"map": np.nan, "ap50": np.nan}
            truth, found = np.where(counted, truth, 0), np.where(counted, found, 0)
        ap = average_precision(truth, found)
        return {"map": float(ap.mean()), "ap50": float(ap[0])}

    def picture_channels(self, ndim: int) -> int:
        """Classes without background."""
        import torch

        shape = (1, self.out_channels(ndim), *(1,) * ndim)
        return self.distribution(torch.zeros(shape)).shape[1] - 1

    def picture(self, maps: Tensor) -> Tensor:
        """The probability of each class but background."""
        return self.distribution(maps)[:, 1:]
