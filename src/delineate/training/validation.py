"""Which images validate, and whether they can tell which weights are best: before any step."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from delineate.data.samples import Sample
from delineate.errors import DataError, RecipeError
from delineate.training.regimes import AnyRegime
from delineate.training.supervised import VALIDATION_CROP, middle

log = logging.getLogger("delineate")


def validating(samples: Sequence[Sample], regime: AnyRegime, most: int) -> list[Sample]:
    """The images to validate on that can, `most` at most, evenly over all.

    They have their truth where the regime asks for one, and a pixel that counts where validation
    looks; a warning tells how many have none.

    Raises
    ------
    DataError : of some that have their truth, none has a pixel that counts.
    """
    known = [s for s in samples if scores_with(s, regime)]
    scored = [s for s in known if _counts(s)]
    if lost := len(known) - len(scored):
        ndim = len(known[0].shape)
        what = f"cost maps are 0 in the middle {VALIDATION_CROP[ndim]} pixels of each axis, where "
        if not scored:
            raise DataError(
                f"no validation image can be scored: their {what}validation looks (the first is "
                f"{known[0].name}); name others in data.table, or set data.validation to 0"
            )
        first = next(s.name for s in known if not _counts(s))
        log.warning(
            "%d of %d validation images are not scored: their %svalidation looks, the first is %s",
            lost, len(known), what, first,
        )  # fmt: skip
    every = max(1, len(scored) / most)
    return [scored[int(i * every)] for i in range(min(len(scored), most))]


def scores_with(sample: Sample, regime: AnyRegime) -> bool:
    """Whether an image can validate: it has its truth, where the regime asks for one."""
    return bool(len(sample.image)) and (bool(len(sample.targets)) or not regime.needs_truth)


def check_structure(module: Any) -> None:
    """Refuse images to validate on whose truth has no structure, where a score of it decides.

    Raises
    ------
    RecipeError : the truth itself has no score in any of them.
    """
    method, samples = module.method, module.samples
    if method.truth != "image" or module.monitor != f"val_{method.monitor}":
        return
    for sample in samples:
        seen = middle(sample.shape)
        truth = np.array(sample.truth[(slice(None), *seen)])
        counted = None if sample.cost is None else np.asarray(sample.cost[seen]) > 0
        if not math.isnan(method.score(truth, truth, counted)[method.monitor]):
            return
    raise RecipeError(
        f"no validation image has structure to be compared with: the targets of all of the "
        f"{len(samples)} are constant, where they count, in the middle "
        f"{VALIDATION_CROP[len(samples[0].shape)]} pixels of each axis, where validation looks "
        f"(the first is {samples[0].name}); name others in data.table, or set data.validation to 0"
    )


def _counts(sample: Sample) -> bool:
    return sample.cost is None or bool(np.asarray(sample.cost[middle(sample.shape)]).any())
