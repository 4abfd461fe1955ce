"""Pixels of every class of an image, a sample of them, so that patches can be centred on any."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST = 8192
"""At most so many pixels of each class are kept of an image; training draws from them."""


class Points(NamedTuple):
    """Pixels of each class.

    Parameters
    ----------
    places : int32 (P, ndim): coordinates, class after class.
    starts : int64 (K + 1,): ``places[starts[k]:starts[k + 1]]`` are of class k.
    """

    places: NDArray[np.int32]
    starts: NDArray[np.int64]

    def of(self, k: int) -> NDArray[np.int32]:
        """Pixels of class k: (n, ndim); none where the image has no such class."""
        if k + 1 >= len(self.starts):
            return self.places[:0]
        return self.places[self.starts[k] : self.starts[k + 1]]


def class_points(classes: NDArray[Any], most: int = MOST, seed: int = 0) -> Points:
    """Draw pixels of each class, evenly; all of them where there are few.

    The image is passed twice and no list of all its pixels is made.

    Parameters
    ----------
    classes : class of each pixel (spatial axes); negative ones are left out.
    most : pixels of each class, at most; they are drawn with replacement, and kept once.
    """
    from delineate.data._kernels import count_classes, pick_ranks

    flat = np.ascontiguousarray(classes, np.int32).reshape(-1)
    counts = np.zeros(int(flat.max(initial=0)) + 1, np.int64)
    count_classes(flat, counts)
    rng = np.random.default_rng(seed)
    ranks = [
        np.arange(n) if n <= most else np.unique(rng.integers(n, size=most))
        for n in counts.tolist()
    ]
    starts = np.concatenate([[0], np.cumsum([len(r) for r in ranks])]).astype(np.int64)
    found = np.empty(int(starts[-1]), np.int64)
    pick_ranks(flat, np.concatenate(ranks).astype(np.int64), starts, found)
    places = np.stack(np.unravel_index(found, classes.shape), axis=1)
    return Points(places.astype(np.int32), starts)
