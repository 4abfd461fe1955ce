"""The temperature that makes a model as sure as it is right, fitted on images it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from delineate.methods.segmentation import Segmentation
from delineate.training.tune import FEWEST, Case, chosen_samples
from delineate.uncertainty import (
    PixelSample,
    Temperature,
    fit_temperature,
    join_samples,
    sample_pixels,
)

PIXELS = 20_000
"""Pixels of each image that the temperature is fitted to."""


def calibrate(cases: Sequence[Case], seed: int, most: int = 48) -> Temperature | None:
    """Fit the temperature of a method on the validation images of each member; images have none.

    Guo et al. 2017, "On calibration of modern neural networks"; see `fit_temperature`. Members
    are calibrated together, each on the images that it left out; a mixture of calibrated members
    is less sure than each of them. Images without objects count as well: that nothing is there
    is stated with a probability, too. Pixels whose cost is 0 do not count.

    Parameters
    ----------
    cases : the trained members, each with its validation images; None is returned for fewer
        than `FEWEST` images of which a pixel is known.
    seed : of the draw of pixels.
    most : images looked at, at most.
    """
    chosen = chosen_samples(cases, most)
    if len(chosen) < FEWEST or not isinstance(chosen[0][0].method, Segmentation):
        return None
    rng = np.random.default_rng(seed)
    parts: list[PixelSample] = []
    for runner, sample in chosen:
        method = runner.method
        assert isinstance(method, Segmentation)
        maps = torch.from_numpy(runner.maps(sample.image))
        probabilities = method.distribution(maps[None])[0].numpy()
        truth = method.true_classes(np.asarray(sample.targets))
        if sample.cost is not None:
            truth = np.where(np.asarray(sample.cost) > 0, truth, -1)
        part = sample_pixels(probabilities, truth, rng, PIXELS, ignore=-1)
        parts += [part] if len(part.classes) else []
    if len(parts) < FEWEST:
        return None
    return fit_temperature(*join_samples(*parts))
