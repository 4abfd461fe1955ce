"""From when on the pixels of results that are images are too uncertain to be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from delineate.data.normalise import grid_sample
from delineate.data.truth_files import at_time
from delineate.io import read

if TYPE_CHECKING:
    from delineate.data.layouts import Pair
    from delineate.inference.prediction import Prediction
    from delineate.inference.runner import RunOptions
    from delineate.model import Model

DOUBTFUL = 0.05
"""Share of the pixels of known images that are too uncertain to be measured."""
MOST = 50
"""Training images predicted at most, where no others are known; they are taken evenly from all."""
_PIXELS = 100_000


@dataclass
class Doubts:
    """Pixels of known images: predictive variances, and errors of there and back."""

    variances: list[NDArray[np.float32]] = field(default_factory=list)
    cycles: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, found: Prediction) -> None:
        """Take pixels of an image, predicted with its uncertainty."""
        assert found.predictive is not None
        self.variances.append(grid_sample(found.predictive[None], _PIXELS).ravel())
        if found.cycle is not None:
            self.cycles.append(grid_sample(found.cycle[None], _PIXELS).ravel())

    def levels(self) -> dict[str, float]:
        """What `DOUBTFUL` of the pixels exceed, by the fields of `Target`; empty without pixels."""
        known = {"doubt": self.variances, "cycle": self.cycles}
        return {
            name: float(np.quantile(np.concatenate(pixels), 1 - DOUBTFUL))
            for name, pixels in known.items()
            if pixels
        }


def doubts_of_training(
    model: Model,
    pairs: Sequence[Pair],
    options: RunOptions,
    turned: RunOptions,
    each: Callable[[Iterable[Pair]], Iterable[Pair]] = iter,
) -> Doubts:
    """Doubts of the training images, where no image was left out.

    A model is surer of these than of new ones, of which more than `DOUBTFUL` will be in doubt.

    Parameters
    ----------
    pairs : what trained; targets that belong to no image are passed over.
    options, turned : how images are predicted, once and with several turns.
    each : hears of the pairs as they are predicted.
    """
    doubts = Doubts()
    known = [pair for pair in pairs if pair.only != "target"]
    for pair in each(known[:: max(1, -(-len(known) // MOST))]):
        image = at_time(read(pair.image, axes=model.recipe.data.axes), pair.time)
        planes = None if pair.plane is None else (pair.plane,)
        found = model.predict(image, planes=planes, options=options)
        if found.predictive is None:
            found = model.predict(image, planes=planes, options=turned)
        doubts.add(found)
    return doubts
