"""The contract of a method: what the maps of a network mean.

A method owns the channels of the network's output, turns labels into targets, scores maps against
targets, says how maps change under flips and rotations, and turns maps into a result. Nothing else
in the package knows more of a method than this page.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import Tensor

Maps = NDArray[np.float32]
"""Maps of one image, (channels, [Z,] Y, X)."""


@dataclass(frozen=True)
class Decoded:
    """Result of decoding.

    Parameters
    ----------
    labels : uint32 label image, ids 1…N.
    columns : further properties of each object in the order of its id, for the table of objects.
    classes : uint8 image of classes, 0 background; None where the method gives objects alone.
    """

    labels: NDArray[np.uint32]
    columns: dict[str, NDArray[Any]]
    classes: NDArray[np.uint8] | None = None


class Method(BaseModel, ABC):
    """What every method must offer; its fields are its parameters, as a recipe gives them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    monitor: ClassVar[str] = "map"
    """The score that decides which weights are best."""
    truth: ClassVar[Literal["objects", "classes"]] = "objects"
    """What label files hold, and `encode` is given: ids of objects, or the class of each pixel."""

    temperature: float = Field(
        1.0, gt=0, description="divides logits, so that probabilities are as sure as they are right"
    )

    @abstractmethod
    def out_channels(self, ndim: int) -> int:
        """Channels that the network must put out for `ndim` spatial axes."""

    @abstractmethod
    def vectors(self, ndim: int) -> tuple[slice, ...]:
        """Channels, of targets and of maps, that hold the components of a vector field.

        Components are in the order of the spatial axes. They turn with the image; all other
        channels are scalars.
        """

    @abstractmethod
    def encode(self, labels: NDArray[Any], classes: NDArray[Any] | None = None) -> Maps:
        """Targets of a label image (spatial axes), as (channels, spatial axes) float32.

        Parameters
        ----------
        labels : what `truth` says: ids of objects, or the class of each pixel.
        classes : beside objects, the class of each pixel; beside classes, soft truth
            (K, spatial axes).
        """

    @abstractmethod
    def loss(self, output: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        """Loss of the network's output (B, C, …) against targets, where valid (B, 1, …) is 1."""

    @abstractmethod
    def activate(self, output: Tensor) -> Tensor:
        """Turn the network's output (B, C, …) into maps whose averages over draws make sense."""

    @abstractmethod
    def distribution(self, maps: Tensor) -> Tensor:
        """Class probabilities (B, K, …) in maps (B, C, …): their spread tells the uncertainty."""

    @abstractmethod
    def true_classes(self, targets: Maps) -> NDArray[np.int64]:
        """Class of each pixel in encoded targets, as `distribution` counts them; −1: not known."""

    @abstractmethod
    def decode(self, maps: Maps) -> Decoded:
        """Turn maps into a result."""

    def score(self, maps: Maps, labels: NDArray[Any]) -> dict[str, float]:
        """Scores of an image's maps against its labels, for validation; higher is better.

        `monitor` decides which weights are best. Here: mean AP over 0.50…0.95 and AP at
        0.50 of the decoded objects.
        """
        from delineate.metrics import average_precision

        ap = average_precision(labels, self.decode(maps).labels)
        return {"map": float(ap.mean()), "ap50": float(ap[0])}

    def candidates(self) -> tuple[Self, ...]:
        """Methods that differ in their decoding, from which training chooses; this one first."""
        return (self,)

    def reorient(self, maps: Maps, linear: NDArray[np.float64]) -> Maps:
        """Turn the vectors of maps whose pixels were moved by a linear map of the coordinates.

        Parameters
        ----------
        maps : (channels, spatial axes), already resampled; vectors are changed in place.
        linear : (ndim, ndim), from old to new coordinates; the length of vectors is kept.
        """
        for channels in self.vectors(maps.ndim - 1):
            old = maps[channels]
            new = np.tensordot(linear.astype(np.float32), old, axes=1)
            length = np.sqrt((new**2).sum(axis=0))
            scale = np.sqrt((old**2).sum(axis=0)) / np.maximum(length, 1e-12)
            maps[channels] = new * scale
        return maps

    def flip(self, maps: Tensor, axes: Sequence[int]) -> Tensor:
        """Mirror maps (B, C, spatial axes) along spatial axes, vectors included."""
        import torch

        ndim = maps.ndim - 2
        flipped = torch.flip(maps, [2 + a for a in axes])
        for channels in self.vectors(ndim):
            for axis in axes:
                flipped[:, channels.start + axis] *= -1
        return flipped

    def transpose(self, maps: Tensor) -> Tensor:
        """Swap Y and X of maps (B, C, spatial axes), vectors included."""
        ndim = maps.ndim - 2
        swapped = maps.transpose(-1, -2).clone()
        for channels in self.vectors(ndim):
            y, x = channels.stop - 2, channels.stop - 1
            swapped[:, [y, x]] = swapped[:, [x, y]]
        return swapped
