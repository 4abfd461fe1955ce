"""Which images train and which validate: as a table says, or drawn at random."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
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

    Unpaired images and targets all train, since a score takes both of one name; a table can give
    such pairs. All time points of a movie are drawn together; of a single movie, the last ones
    validate.

    Raises
    ------
    DataError : no image is left to train on, or all of them have the weight 0.
    """
    split = _split(pairs, fraction, seed)
    check_train(split, pairs)
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
    chosen: set[str] = set()
    if fraction and any(p.only for p in pairs):
        log.info(
            "unpaired images and targets all train: only files of one name to which a table gives "
            "the split val can validate"
        )
    for own in sides(pairs):
        if own[0].only:
            continue
        units = films(own)
        n_val = 0 if fraction == 0 else max(1, round(fraction * len(units)))
        n_val = min(n_val, len(units) - 1)
        order = np.random.default_rng(seed).permutation(len(units))
        if len(own) > 1 and len({p.image for p in own}) == 1:
            order = order.size - 1 - np.arange(order.size)  # the end of a single movie
        chosen |= {p.name for i in order[:n_val] for p in units[i]}
    return Split([p for p in pairs if p.name not in chosen], [p for p in pairs if p.name in chosen])


def sides(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Pairs, unpaired images and unpaired targets, each by themselves; those that there are."""
    every = ([p for p in pairs if p.only == side] for side in ("", "image", "target"))
    return [own for own in every if own]


def films(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Pairs by file, since time points of a movie are alike; each for itself, if it is one movie.

    They are in the order of their first pair.
    """
    found: dict[Path, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.image, []).append(pair)
    return list(found.values()) if len(found) > 1 else [[p] for p in pairs]


def check_train(split: Split, pairs: Sequence[Pair], whose: str = "") -> None:
    """Raise where nothing is left to train on.

    Raises
    ------
    DataError : no image, or no image of one side, or all of them have the weight 0.
    """
    for own in sides(pairs):
        side = own[0].only
        if side and not any(p.weight for p in split.train if p.only == side):
            raise DataError(
                f"no {'image' if side == 'image' else 'target'}{whose} is left to train on: "
                "unpaired training takes images and targets"
            )
    if not any(p.weight for p in split.train):
        raise DataError(f"every training image{whose} has the weight 0: none would ever be drawn")
