"""Which images train and which validate: as a table says, or drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from delineate.data.layouts import Pair
from delineate.errors import DataError


class Split(NamedTuple):
    """Images to train on and images to validate on; they share none."""

    train: list[Pair]
    val: list[Pair]


def split_pairs(pairs: Sequence[Pair], fraction: float, seed: int) -> Split:
    """Split pairs: by their own ``split`` where any has one, else at random.

    Parameters
    ----------
    fraction : share of images that validates when drawn at random; at least one image does where
        the fraction is above 0.
    seed : seed of the draw; the same seed and names give the same split.

    Raises
    ------
    DataError : no image is left to train on.
    """
    if any(p.split for p in pairs):
        split = Split(
            [p for p in pairs if p.split == "train"], [p for p in pairs if p.split == "val"]
        )
        if not split.train:
            words = sorted({p.split for p in pairs})
            raise DataError(f"no image has the split 'train'; found {', '.join(map(repr, words))}")
        return split
    n_val = 0 if fraction == 0 else max(1, round(fraction * len(pairs)))
    if n_val >= len(pairs):
        raise DataError(
            f"{len(pairs)} labelled images cannot be split into training and validation with "
            f"fraction {fraction}: give more images, or --data.validation 0"
        )
    order = np.random.default_rng(seed).permutation(len(pairs))
    chosen = set(order[:n_val].tolist())
    return Split(
        [p for i, p in enumerate(pairs) if i not in chosen],
        [p for i, p in enumerate(pairs) if i in chosen],
    )
