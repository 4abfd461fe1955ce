"""Patches for training, each a function of (seed, epoch, number): a resumed run repeats them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, from_numpy
from torch.utils.data import Dataset

from delineate.data.augment import MARGIN, Augment, change_intensity, random_pose, warp
from delineate.data.samples import Sample
from delineate.methods.base import Method


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
    centred : share of patches that lie around a random object; the rest lies anywhere.
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
    ) -> None:
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

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        number = int(np.searchsorted(self.cumulative, rng.random(), side="right"))
        sample = self.samples[min(number, len(self.samples) - 1)]
        pose = random_pose(self.augment, self._centre(sample, rng), self.patch, rng)
        image, targets, valid = warp(sample.image, sample.targets, sample.labels, pose, self.patch)
        targets = self.method.reorient(targets, np.linalg.inv(pose.matrix).astype(float))
        image = change_intensity(self.augment, image, rng) * valid  # 0 outside the image
        return Batch(from_numpy(image), from_numpy(targets), from_numpy(valid))

    def _centre(self, sample: Sample, rng: Generator) -> NDArray[np.float64]:
        shape = np.array(sample.labels.shape, float)
        half = np.array(self.patch) / 2
        if len(sample.centres) and rng.random() < self.centred:
            centre = sample.centres[rng.integers(len(sample.centres))].astype(float)
            centre += rng.uniform(-0.5, 0.5, len(shape)) * half
        else:
            centre = rng.random(len(shape)) * shape - 0.5
        reach = half - MARGIN[len(shape)]
        low, high = np.minimum(reach, shape / 2), np.maximum(shape - reach, shape / 2)
        return np.clip(centre, low - 0.5, high - 0.5)
