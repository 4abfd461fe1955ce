"""Join the objects of adjoining planes into objects of a volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import LabelError
from delineate.labels._check import check_labels
from delineate.labels.relabel import compact


def stitch(planes: Sequence[ArrayLike] | NDArray[Any], threshold: float = 0.25) -> NDArray[Any]:
    """Volume of objects from label images of its planes, each plane numbered on its own.

    An object goes on as the object of the next plane with which it has the best IoU, if that is
    at least `threshold`; pairs are formed from the best IoU downwards and one to one, so that
    two objects of a plane never become one. What has no partner gets a number of its own, never
    used before, whatever lies between (also an empty plane).

    Parameters
    ----------
    planes : label images (Y, X) of one shape, or an array (Z, Y, X); integer, 0 background.
    threshold : smallest IoU of objects that are joined, in (0, 1].

    Returns
    -------
    uint32 array (Z, Y, X) with the ids 1..N.

    Raises
    ------
    LabelError : a plane is not a label image with two axes, or the shapes differ.
    ValueError : the threshold is outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the IoU threshold is {threshold}; expected 0 < threshold <= 1")
    checked = [check_labels(p, (2,), f"plane {z}") for z, p in enumerate(planes)]
    shape = checked[0].shape if checked else (0, 0)
    for z, plane in enumerate(checked):
        if plane.shape != shape:
            raise LabelError(f"plane {z} has the shape {plane.shape}, plane 0 has {shape}")
    volume = np.zeros((len(checked), *shape), np.uint32)
    used = 0
    for z, plane in enumerate(checked):
        local, ids = compact(plane)
        names = np.zeros(ids.size + 1, np.uint32)
        if z:
            partners, here = _partners(volume[z - 1], local, threshold)
            names[here] = partners
        new = np.flatnonzero(names[1:] == 0) + 1
        names[new] = used + 1 + np.arange(new.size, dtype=np.uint32)
        used += new.size
        volume[z] = names[local]
    return volume


def _partners(
    below: NDArray[np.uint32], above: NDArray[np.uint32], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids of `below` and of `above` that belong together, one to one, best IoU first."""
    size_below, size_above = np.bincount(below.ravel()), np.bincount(above.ravel())
    both = (below > 0) & (above > 0)
    n = size_above.size
    keys, counts = np.unique(below[both].astype(np.int64) * n + above[both], return_counts=True)
    first, second = np.divmod(keys, n)
    iou = counts / (size_below[first] + size_above[second] - counts)
    taken_below, taken_above = np.zeros(size_below.size, bool), np.zeros(n, bool)
    chosen = []
    for pair in np.argsort(-iou, kind="stable"):
        a, b = first[pair], second[pair]
        if iou[pair] >= threshold and not (taken_below[a] or taken_above[b]):
            taken_below[a] = taken_above[b] = True
            chosen.append(pair)
    return first[chosen], second[chosen]
