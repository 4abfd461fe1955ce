"""Which images train and which validate: as a table says, or drawn at random."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from delineate.data.layouts import Pair
from delineate.errors import DataError

log = logging.getLogger("delineate")


class Split(NamedTuple):
    """Images to train on and images to validate on; they share none."""

    train: list[Pair]
    val: list[Pair]


def split_pairs(pairs: Sequence[Pair], fraction: float, seed: int) -> Split:
    """Split pairs: by their own ``split`` where any has one, else at random.

    Parameters
    ----------
    fraction : share of images that validates when drawn at random; at least one image does where
        the fraction is above 0, and at least one trains. A single image trains, which the log
        says.
    seed : seed of the draw; the same seed and names give the same split.

    Raises
    ------
    DataError : no image is left to train on, or all of them have the weight 0.
    """
    split = _split(pairs, fraction, seed)
    if not any(p.weight for p in split.train):
        raise DataError("every training image has the weight 0: none would ever be drawn")
    if len(pairs) == 1 and fraction:
        log.warning(
            "%s is the only labelled image: it trains and nothing validates, so that the last "
            "weights are kept and no score is known",
            split.train[0].name,
        )
    return split


def _split(pairs: Sequence[Pair], fraction: float, seed: int) -> Split:
    if any(p.split for p in pairs):
        split = Split(
            [p for p in pairs if p.split == "train"], [p for p in pairs if p.split == "val"]
        )
        if not split.train:
            words = sorted({p.split for p in pairs})
            raise DataError(f"no image has the split 'train'; found {', '.join(map(repr, words))}")
        return split
    n_val = 0 if fraction == 0 else max(1, round(fraction * len(pairs)))
    n_val = min(n_val, len(pairs) - 1)
    order = np.random.default_rng(seed).permutation(len(pairs))
    chosen = set(order[:n_val].tolist())
    return Split(
        [p for i, p in enumerate(pairs) if i not in chosen],
        [p for i, p in enumerate(pairs) if i in chosen],
    )
