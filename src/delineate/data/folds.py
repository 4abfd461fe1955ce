"""Cross validation: every image validates once, for a member that never saw it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.data.layouts import Pair
from delineate.data.splits import Split
from delineate.errors import DataError


def fold_pairs(pairs: Sequence[Pair], folds: int, member: int, seed: int) -> Split:
    """The images that train and validate a member of an ensemble.

    Members 0 … folds − 1 validate on one fold each; further ones go through other random folds.

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
        pairs = [p for p in pairs if p.split in ("train", "val")]
    if len(pairs) < folds:
        raise DataError(
            f"{len(pairs)} labelled images cannot be divided into {folds} folds: set "
            f"ensemble.folds to {max(2, len(pairs))} or less, or add images"
        )
    order = np.random.default_rng([seed, member // folds]).permutation(len(pairs))
    chosen = set(order[member % folds :: folds].tolist())
    split = Split(
        [p for i, p in enumerate(pairs) if i not in chosen],
        [p for i, p in enumerate(pairs) if i in chosen],
    )
    if not any(p.weight for p in split.train):
        raise DataError(
            f"every training image of member {member} has the weight 0: none would ever be drawn"
        )
    return split
