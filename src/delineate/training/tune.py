"""Choosing the parameters of decoding, such as thresholds, on the validation images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from delineate.data.samples import Sample
from delineate.inference.runner import Runner
from delineate.methods.base import Method

FEWEST = 3
"""Fewer validation images decide nothing: the method stays as it is."""


class Tuned(NamedTuple):
    """The best of the candidates, and the mean of its monitored score over the images."""

    method: Method
    score: float


def tune(runner: Runner, samples: Sequence[Sample], most: int = 48) -> Tuned | None:
    """Decode the maps of validation images by every candidate of the method; the best wins.

    The network runs once an image. Candidates are few, so that the choice does not follow the
    images too closely (thresholds tuned on validation data: Schmidt et al. 2018, StarDist).

    Parameters
    ----------
    runner : the trained network with its method.
    samples : validation images, at the common scale; None is returned for fewer than `FEWEST`.
    most : images looked at, at most.
    """
    step = max(1, len(samples) // most)
    chosen = [s for s in samples[::step] if len(s.centres)][:most]
    if len(chosen) < FEWEST:
        return None
    candidates = runner.method.candidates()
    scores = np.zeros((len(candidates), len(chosen)))
    for j, sample in enumerate(chosen):
        maps = runner.maps(sample.image)
        labels = np.array(sample.labels)
        for i, method in enumerate(candidates):
            scores[i, j] = method.score(maps, labels)[method.monitor]
    best = int(scores.mean(axis=1).argmax())  # the first of equals: the method as it is
    return Tuned(candidates[best], float(scores[best].mean()))
