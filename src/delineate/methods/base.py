"""The contract of a method: what the maps of a network mean.

A method owns the channels of the network's output, turns labels or images into targets, scores maps
against them, says how maps change under flips and rotations, how their draws are told apart, and
turns maps into a result. Five members must be written: `out_channels`, `encode`, `loss`, `activate`
and `decode`; the others have defaults, of a method of objects whose maps are scalars that say
nothing of their uncertainty. Methods whose maps hold probabilities are a `Segmentation`, those that
learn the class of each pixel a `Classes` (`segmentation.py`), those that make images a
`Regression`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from delineate.errors import RecipeError
from delineate.methods.outside import Importable

if TYPE_CHECKING:
    from torch import Tensor

    from delineate.uncertainty import Spread

Truth = Literal["objects", "classes", "image"]
"""What the files hold that a method learns from: ids of objects, classes of pixels, or an image."""

Maps = NDArray[np.float32]
"""Maps of one image, (channels, [Z,] Y, X)."""


@dataclass(frozen=True)
class Decoded:
    """Result of decoding.

    Parameters
    ----------
    labels : uint32 label image, ids 1…N; None where the method gives an image.
    columns : further properties of each object in the order of its id, for the table of objects.
    classes : uint8 image of classes, 0 background; None where the method gives objects alone.
    image : float32 (channels, spatial axes), normalised as its targets were; None where the method
        gives labels.
    """

    labels: NDArray[np.uint32] | None
    columns: dict[str, NDArray[Any]]
    classes: NDArray[np.uint8] | None = None
    image: Maps | None = None


class Method(Importable, ABC):
    """What every method must offer; its fields are its parameters, as a recipe gives them."""

    monitor: ClassVar[str] = "map"
    """The score that decides which weights are best."""
    truth: ClassVar[Truth] = "objects"
    """What `encode` is given: ids of objects, the class of each pixel, or a normalised image."""
    unencoded: ClassVar[frozenset[str]] = frozenset()
    """Fields that `encode` does not depend on, neither in what it gives nor in what it refuses:
    where they alone differ, prepared images are shared. A subclass that lets `encode` depend on one
    of them takes it out."""

    @abstractmethod
    def out_channels(self, ndim: int) -> int:
        """Channels that the network must put out for `ndim` spatial axes."""

    def vectors(self, ndim: int) -> tuple[slice, ...]:
        """Channels, of targets and of maps, that hold the components of a vector field: none.

        Components are in the order of the spatial axes. They turn with the image; all other
        channels are scalars.
        """
        return ()

    @abstractmethod
    def encode(self, labels: NDArray[Any], classes: NDArray[Any] | None = None) -> Maps:
        """Targets (channels, spatial axes), float32, of what is known of an image.

        Parameters
        ----------
        labels : what `truth` says: ids of objects or the class of each pixel (spatial axes), or a
            normalised image (channels, spatial axes).
        classes : beside objects, the class of each pixel; beside classes, soft truth
            (K, spatial axes).
        """

    @property
    def encoding(self) -> tuple[str, tuple[tuple[str, Any], ...]]:
        """What targets depend on: the class of the method, and its fields but `unencoded`."""
        kind = type(self)
        own = ((name, getattr(self, name)) for name in kind.model_fields)
        kept = tuple((name, value) for name, value in own if name not in self.unencoded)
        return f"{kind.__module__}.{kind.__qualname__}", kept

    @abstractmethod
    def loss(self, output: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        """Loss of the network's output (B, C, …) against targets, weighted by valid (B, 1, …).

        A mean over pixels divides by `losses.weight_sum`, which several processes have in common.
        """

    @abstractmethod
    def activate(self, output: Tensor) -> Tensor:
        """Turn the network's output (B, C, …) into maps whose averages over draws make sense."""

    @property
    def n_moments(self) -> int:
        """Channels of `moments`: none."""
        return 0

    def moments(self, maps: Tensor) -> Tensor:
        """What is averaged over draws beside the maps (B, C, …): (B, `n_moments`, …)."""
        return maps[:, :0]

    def spread(self, maps: Tensor, moments: Tensor | None) -> Spread | None:
        """Uncertainty (B, …) from the means over draws of maps (B, C, …) and of their moments.

        Parameters
        ----------
        moments : None for a single draw, and where the method has none.

        Returns
        -------
        None where nothing is known of it.
        """
        return None

    @abstractmethod
    def decode(self, maps: Maps) -> Decoded:
        """Turn maps into a result."""

    def score(
        self, maps: Maps, truth: NDArray[Any], counted: NDArray[np.bool_] | None = None
    ) -> dict[str, float]:
        """Scores of an image's maps, for validation; higher is better, `monitor` among them.

        Of objects mean AP over 0.50…0.95 and AP at 0.50. Pixels that do not count are background in
        both: of an object the rest is compared.

        Parameters
        ----------
        truth : what `encode` is given.
        counted : the pixels (spatial axes) of which something is known; None: all. Scores are NaN
            where there is none.
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
        """Channels of `picture`.

        Raises
        ------
        RecipeError : the method gives nothing that a discriminator could be shown.
        """
        raise self._no_picture()

    def picture(self, maps: Tensor) -> Tensor:
        """Maps (B, C, …) as the image that a discriminator is shown and a way back starts from.

        Raises
        ------
        RecipeError : as for `picture_channels`.
        """
        raise self._no_picture()

    def true_picture(self, targets: Tensor) -> Tensor:
        """`picture` of the maps that targets (B, K, …) ask for.

        Raises
        ------
        RecipeError : as for `picture_channels`.
        """
        raise self._no_picture()

    def _no_picture(self) -> RecipeError:
        return RecipeError(
            f"method {self.title} serves no discriminator, since it does not say what its maps "
            "show: choose regime.name supervised, or method.name regression or semantic"
        )

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
