"""Cross validation: every image validates once, for a member that never saw it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.data.layouts import Pair
from delineate.data.pairs import USED
from delineate.data.splits import Split, check_train, films, sides
from delineate.errors import DataError


def fold_pairs(pairs: Sequence[Pair], folds: int, member: int, seed: int) -> Split:
    """The images that train and validate a member of an ensemble.

    Unpaired images and targets are divided each for themselves, and all time points of a movie
    stay together. Members 0 … folds − 1 validate on one fold each; further ones go through other
    random folds.

    Parameters
    ----------
    pairs : all images; those whose table gives a split other than train or val are left out.
    folds : into how many nearly equal parts they are divided at random.
    member : number of the member, from 0.
    seed : of the division; the same seed and names give the same folds.

    Raises
    ------
    DataError : there are fewer images than folds.
    """
    if any(p.split for p in pairs):
        pairs = [p for p in pairs if p.split in USED]
    chosen: set[str] = set()
    unpaired = any(p.only for p in pairs)
    for own in sides(pairs):
        units = films(own)
        if unpaired and not own[0].only:  # pairs among unpaired images are there to validate
            chosen |= {p.name for p in own}
            continue
        if len(units) < folds:
            raise DataError(
                f"{len(units)} labelled images cannot be divided into {folds} folds: set "
                f"ensemble.folds to {max(2, len(units))} or less, or add images"
            )
        order = np.random.default_rng([seed, member // folds]).permutation(len(units))
        chosen |= {p.name for i in order[member % folds :: folds] for p in units[i]}
    split = Split(
        [p for p in pairs if p.name not in chosen], [p for p in pairs if p.name in chosen]
    )
    check_train(split, pairs, f" of member {member}")
    return split
