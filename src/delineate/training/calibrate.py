"""The temperature that makes a model as sure as it is right, fitted on images it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from delineate.methods.segmentation import Segmentation
from delineate.training.tune import FEWEST, Case, chosen_samples
from delineate.uncertainty import Temperature, fit_temperature, join_samples, sample_pixels

PIXELS = 20_000
"""Pixels of each image that the temperature is fitted to."""


def calibrate(cases: Sequence[Case], seed: int, most: int = 48) -> Temperature | None:
    """Fit the temperature of a method on the validation images of each member; images have none.

    Guo et al. 2017, "On calibration of modern neural networks"; see `fit_temperature`. Members
    are calibrated together, each on the images that it left out; a mixture of calibrated members
    is less sure than each of them.

    Parameters
    ----------
    cases : the trained members, each with its validation images; None is returned for fewer
        than `FEWEST` images.
    seed : of the draw of pixels.
    most : images looked at, at most.
    """
    chosen = chosen_samples(cases, most)
    if len(chosen) < FEWEST or not isinstance(chosen[0][0].method, Segmentation):
        return None
    rng = np.random.default_rng(seed)
    parts = []
    for runner, sample in chosen:
        method = runner.method
        assert isinstance(method, Segmentation)
        maps = torch.from_numpy(runner.maps(sample.image))
        probabilities = method.distribution(maps[None])[0].numpy()
        truth = method.true_classes(np.asarray(sample.targets))
        parts.append(sample_pixels(probabilities, truth, rng, PIXELS, ignore=-1))
    return fit_temperature(*join_samples(*parts))
