"""What a fitted temperature does to images that it was not fitted on: cross-fitting over images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from delineate.uncertainty.calibration import Reliability, pixel_reliability
from delineate.uncertainty.temperature import (
    PixelSample,
    apply_temperature,
    fit_temperature,
    join_samples,
)

FEWEST = 3
"""Images below which no temperature is fitted to some of them for the others."""


class CrossFit(NamedTuple):
    """Reliability of the same pixels as they are and with a temperature.

    `temperatures` are those of the folds, each fitted on the images of all other folds; empty
    where there were too few images, and `after` is of a temperature given instead.
    """

    before: Reliability
    after: Reliability
    temperatures: tuple[float, ...]

    @property
    def how(self) -> str:
        """Where the temperature of `after` comes from, for the legend of a diagram."""
        return "fitted on the other images" if self.temperatures else "that of the model"


def cross_fit(
    images: Sequence[PixelSample], fallback: float = 1.0, folds: int = 5, bins: int = 15
) -> CrossFit:
    """Reliability of each image with the temperature that other images ask for.

    A temperature looks better on the pixels that it was fitted on than it is. Here each fold of
    the images gets the one that was fitted on the rest, and all are pooled (Stone 1974,
    "Cross-validatory choice and assessment of statistical predictions"). Folds are runs of
    neighbours: what follows another, such as the times of a movie, is not told by it.

    Parameters
    ----------
    images : pixels of each image, with probabilities as they are without temperature; images
        without pixels are left out.
    fallback : temperature that stands in where fewer than `FEWEST` images have pixels.
    folds : parts of the images; as many as there are images, if those are fewer.
    bins : of the reliability.

    Raises
    ------
    ValueError : no image has a pixel, images have different classes, or there is but one fold.
    """
    seen = [image for image in images if len(image.classes)]
    if not seen or folds < 2:
        raise ValueError(
            f"{len(seen)} images with pixels in {folds} folds: expected some, and 2 folds or more"
        )
    before = _reliability(join_samples(*seen), 1.0, bins)
    if len(seen) < FEWEST:
        return CrossFit(before, _reliability(join_samples(*seen), fallback, bins), ())
    parts, temperatures = [], []
    for fold in np.array_split(np.arange(len(seen)), min(folds, len(seen))):
        own = [seen[i] for i in fold]
        others = [image for i, image in enumerate(seen) if i not in fold]
        temperatures.append(fit_temperature(*join_samples(*others)).value)
        parts.append(_reliability(join_samples(*own), temperatures[-1], bins))
    return CrossFit(before, sum(parts[1:], parts[0]), tuple(temperatures))


def _reliability(sample: PixelSample, temperature: float, bins: int) -> Reliability:
    scaled = apply_temperature(sample.probabilities.T, temperature)
    return pixel_reliability(scaled, sample.classes, bins=bins)
