"""Patches for training, each a function of (seed, epoch, number): a resumed run repeats them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, from_numpy
from torch.utils.data import Dataset

from delineate.data.augment import MARGIN, Augment, change_intensity, random_pose, warp
from delineate.data.samples import Sample
from delineate.errors import RecipeError
from delineate.methods.base import Method

Centres = Literal["objects", "classes", "anywhere"]


class Batch(NamedTuple):
    """A training patch, or a batch of them: image (C, …), targets (K, …) and valid (1, …)."""

    image: Tensor
    targets: Tensor
    valid: Tensor


class Patches(Dataset[Batch]):
    """Random augmented patches of samples.

    Parameters
    ----------
    samples : prepared images; each is drawn with a probability proportional to its weight.
    method : turns vectors with the patch.
    augment : random changes.
    patch : spatial shape of a patch.
    length : patches in an epoch.
    seed : seed of all draws.
    centred : share of patches that lie around what `centres` says; the rest lies anywhere.
    centres : "objects", around a random object of the image; "classes", on a pixel of a class that
        is drawn evenly among those that occur in any sample, then of an image that holds it;
        "anywhere".

    Raises
    ------
    RecipeError : space is to be bent, but the method has vectors.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        method: Method,
        augment: Augment,
        patch: tuple[int, ...],
        length: int,
        seed: int,
        centred: float = 0.5,
        centres: Centres = "objects",
    ) -> None:
        check_bends(augment, method, len(patch))
        self.samples = list(samples)
        self.method = method
        self.augment = augment
        self.patch = patch
        self.length = length
        self.seed = seed
        self.centred = centred
        self.epoch = 0
        weights = np.array([s.weight for s in samples], float)
        self.cumulative = np.cumsum(weights) / weights.sum()
        self.centres = centres
        self.classes = _class_tables(self.samples, weights) if centres == "classes" else []

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        if self.classes and rng.random() < self.centred:
            sample, centre = self._on_class(rng)
        else:
            number = int(np.searchsorted(self.cumulative, rng.random(), side="right"))
            sample = self.samples[min(number, len(self.samples) - 1)]
            centre = self._centre(sample, rng)
        pose = random_pose(self.augment, self._inside(centre, sample), self.patch, rng)
        image, targets, valid = warp(
            sample.image, sample.targets, sample.labels, pose, self.patch, sample.soft
        )
        targets = self.method.reorient(targets, np.linalg.inv(pose.matrix).astype(float))
        image = change_intensity(self.augment, image, rng) * valid  # 0 outside the image
        return Batch(from_numpy(image), from_numpy(targets), from_numpy(valid))

    def _on_class(self, rng: Generator) -> tuple[Sample, NDArray[np.float64]]:
        """A sample, and a pixel of it, so that each class is equally likely."""
        chosen = self.classes[rng.integers(len(self.classes))]
        number = int(np.searchsorted(chosen.cumulative, rng.random(), side="right"))
        sample = self.samples[chosen.samples[min(number, len(chosen.samples) - 1)]]
        assert sample.points is not None
        pixels = sample.points.of(chosen.number)
        return sample, pixels[rng.integers(len(pixels))].astype(float)

    def _centre(self, sample: Sample, rng: Generator) -> NDArray[np.float64]:
        shape = np.array(sample.labels.shape, float)
        around = self.centres == "objects" and len(sample.centres) > 0
        if around and rng.random() < self.centred:
            centre = sample.centres[rng.integers(len(sample.centres))].astype(float)
            half = np.array(self.patch) / 2
            return centre + rng.uniform(-0.5, 0.5, len(shape)) * half
        return rng.random(len(shape)) * shape - 0.5

    def _inside(self, centre: NDArray[np.float64], sample: Sample) -> NDArray[np.float64]:
        """The centre, moved so that the patch reaches beyond the image by the margin at most."""
        shape = np.array(sample.labels.shape, float)
        reach = np.array(self.patch) / 2 - MARGIN[len(shape)]
        low, high = np.minimum(reach, shape / 2), np.maximum(shape - reach, shape / 2)
        return np.clip(centre, low - 0.5, high - 0.5)


class _Class(NamedTuple):
    """A class that occurs: its number, the samples that hold it, and their cumulative weights."""

    number: int
    samples: list[int]
    cumulative: NDArray[np.float64]


def _class_tables(samples: Sequence[Sample], weights: NDArray[np.float64]) -> list[_Class]:
    most = max((len(s.points.starts) - 1 for s in samples if s.points is not None), default=0)
    tables = []
    for k in range(most):
        holding = [
            i
            for i, s in enumerate(samples)
            if s.points is not None and weights[i] > 0 and len(s.points.of(k))
        ]
        if holding:
            share = np.cumsum(weights[holding])
            tables.append(_Class(k, holding, share / share[-1]))
    return tables


def check_bends(augment: Augment, method: Method, ndim: int) -> None:
    """Refuse to bend space under vectors, whose new values are not their old ones turned.

    Raises
    ------
    RecipeError : says which setting to leave out.
    """
    if augment.bends and method.vectors(ndim):
        name = getattr(method, "name", type(method).__name__)
        raise RecipeError(
            f"augment.elastic and augment.grid bend space, and the vectors of method {name} have "
            "no exact value there: set both to 0, or choose a method without vectors"
        )
