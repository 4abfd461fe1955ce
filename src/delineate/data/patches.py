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
from delineate.errors import DataError, RecipeError
from delineate.methods.base import Method

Centres = Literal["objects", "classes", "anywhere"]


class Batch(NamedTuple):
    """A training patch, or a batch of them: image (C, …), targets (K, …), valid and inside (1, …).

    `inside` is 1 within the image and 0 outside; `valid` is there the weight of the cost map, 1
    without one.
    """

    image: Tensor
    targets: Tensor
    valid: Tensor
    inside: Tensor


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
    part : at most so many samples are drawn from in an epoch, others in the next: each is one of
        them once before any is twice. None: all.

    Raises
    ------
    RecipeError : space is to be bent, but the method has vectors.
    DataError : the costs are 0 everywhere in all samples that are drawn.
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
        part: int | None = None,
    ) -> None:
        check_bends(augment, method, len(patch))
        self.samples = list(samples)
        drawn = [s for s in self.samples if s.weight > 0]
        if drawn and not any(s.counts for s in drawn):
            raise DataError(
                f"the cost maps of all {len(drawn)} images to train on are 0 everywhere, so that "
                "nothing would be learnt: give the pixels that count a cost above 0, or train "
                "without cost maps"
            )
        self.method = method
        self.augment = augment
        self.patch = patch
        self.length = length
        self.seed = seed
        self.centred = centred
        self.epoch = 0
        self.centres = centres
        self.part = part
        self._round: tuple[int, _Round] | None = None

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        now = self._now()
        if now.classes and rng.random() < self.centred:
            sample, centre = self._on_class(rng)
        else:
            number = int(np.searchsorted(now.cumulative, rng.random(), side="right"))
            sample = now.samples[min(number, len(now.samples) - 1)]
            centre = self._centre(sample, rng)
        pose = random_pose(self.augment, self._inside(centre, sample), self.patch, rng)
        labels = None if sample.kind == "image" else sample.labels
        image, targets, inside, weight = warp(
            sample.image, sample.targets, labels, pose, self.patch, sample.soft, sample.cost
        )
        if len(targets):
            targets = self.method.reorient(targets, np.linalg.inv(pose.matrix).astype(float))
        if len(image):
            image = change_intensity(self.augment, image, rng) * inside  # 0 outside the image
        return Batch(*map(from_numpy, (image, targets, weight, inside)))

    def _now(self) -> _Round:
        """What is drawn from in this epoch."""
        if self._round is None or (self.part is not None and self._round[0] != self.epoch):
            samples = drawn_part(self.samples, self.part, self.seed, self.epoch)
            self._round = self.epoch, _round_of(samples, self.centres)
        return self._round[1]

    def _on_class(self, rng: Generator) -> tuple[Sample, NDArray[np.float64]]:
        """A sample, and a pixel of it, so that each class is equally likely."""
        now = self._now()
        chosen = now.classes[rng.integers(len(now.classes))]
        number = int(np.searchsorted(chosen.cumulative, rng.random(), side="right"))
        sample = now.samples[chosen.samples[min(number, len(chosen.samples) - 1)]]
        assert sample.points is not None
        pixels = sample.points.of(chosen.number)
        return sample, pixels[rng.integers(len(pixels))].astype(float)

    def _centre(self, sample: Sample, rng: Generator) -> NDArray[np.float64]:
        shape = np.array(sample.shape, float)
        around = self.centres == "objects" and len(sample.centres) > 0
        if around and rng.random() < self.centred:
            centre = sample.centres[rng.integers(len(sample.centres))].astype(float)
            half = np.array(self.patch) / 2
            return centre + rng.uniform(-0.5, 0.5, len(shape)) * half
        return rng.random(len(shape)) * shape - 0.5

    def _inside(self, centre: NDArray[np.float64], sample: Sample) -> NDArray[np.float64]:
        """The centre, moved so that the patch reaches beyond the image by the margin at most."""
        shape = np.array(sample.shape, float)
        reach = np.array(self.patch) / 2 - MARGIN[len(shape)]
        low, high = np.minimum(reach, shape / 2), np.maximum(shape - reach, shape / 2)
        return np.clip(centre, low - 0.5, high - 0.5)


def drawn_part(
    samples: Sequence[Sample], part: int | None, seed: int, epoch: int
) -> Sequence[Sample]:
    """The samples of an epoch: nearly equal parts of a random order, a new one after all were in.

    Samples of the weight 0 are in none.
    """
    used = [s for s in samples if s.weight > 0]
    if part is None or len(used) <= part:
        return samples
    parts = -(-len(used) // part)
    order = np.random.default_rng([seed, epoch // parts, 1]).permutation(len(used))
    return [used[i] for i in np.sort(np.array_split(order, parts)[epoch % parts])]


class _Round(NamedTuple):
    """Samples that are drawn from, their cumulative weights, and the classes that occur in them."""

    samples: Sequence[Sample]
    cumulative: NDArray[np.float64]
    classes: list[_Class]


def _round_of(samples: Sequence[Sample], centres: Centres) -> _Round:
    weights = np.array([s.weight for s in samples], float)
    classes = _class_tables(samples, weights) if centres == "classes" else []
    return _Round(samples, np.cumsum(weights) / weights.sum(), classes)


class _Class(NamedTuple):
    """A class that occurs: its number, the samples that hold it, and their cumulative weights."""

    number: int
    samples: list[int]
    cumulative: NDArray[np.float64]


def _class_tables(samples: Sequence[Sample], weights: NDArray[np.float64]) -> list[_Class]:
    held = (s.points for s in samples)  # each opened once
    found = [() if p is None else tuple(np.diff(p.starts).tolist()) for p in held]
    most = max(map(len, found), default=0)
    tables = []
    for k in range(most):
        holding = [i for i, n in enumerate(found) if weights[i] > 0 and k < len(n) and n[k]]
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
