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


Case = tuple[Runner, Sequence[Sample]]
"""A member of a model, and the images that it has not seen."""


def chosen_samples(cases: Sequence[Case], most: int) -> list[tuple[Runner, Sample]]:
    """At most `most` images, evenly over all members, each with its member."""
    every = [(runner, s) for runner, samples in cases for s in samples]
    n = min(len(every), most)
    return [every[i * len(every) // n] for i in range(n)]


def tune(cases: Sequence[Case], most: int = 48) -> Tuned | None:
    """Decode the maps of validation images by every candidate of the method; the best wins.

    The network runs once an image. Candidates are few, so that the choice does not follow the
    images too closely (thresholds tuned on validation data: Schmidt et al. 2018, StarDist). Images
    without objects are not looked at: their AP is 0 for a single object and 1 for none. Pixels
    whose cost is 0 do not count.

    Parameters
    ----------
    cases : the trained members, each with its validation images at the common scale; None is
        returned for fewer than `FEWEST` images, and where there is nothing to choose.
    most : images looked at, at most.
    """
    filled = [(runner, [s for s in own if len(s.centres) and s.counts]) for runner, own in cases]
    chosen = chosen_samples(filled, most)
    if len(chosen) < FEWEST:
        return None
    candidates = chosen[0][0].method.candidates()
    if len(candidates) == 1:
        return None
    scores = np.zeros((len(candidates), len(chosen)))
    for j, (runner, sample) in enumerate(chosen):
        maps = runner.maps(sample.image)
        labels = np.array(sample.labels)
        counted = None if sample.cost is None else np.asarray(sample.cost) > 0
        for i, method in enumerate(candidates):
            scores[i, j] = method.score(maps, labels, counted)[method.monitor]
    best = int(scores.mean(axis=1).argmax())  # the first of equals: the method as it is
    return Tuned(candidates[best], float(scores[best].mean()))
