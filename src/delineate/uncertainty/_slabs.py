"""Walk over large images piece by piece, so that temporary arrays stay small."""

from __future__ import annotations

import math
from collections.abc import Iterator

PIXELS = 1 << 18
"""Pixels of a piece: a few of its arrays in double precision fit a processor's cache."""


def slabs(shape: tuple[int, ...], pixels: int = PIXELS) -> Iterator[tuple[slice, ...]]:
    """Index expressions that cover an array of this shape once, at most `pixels` at a time.

    Pieces are views: arrays need not be contiguous, and nothing is copied.

    Examples
    --------
    >>> list(slabs((5, 10), 20))
    [(slice(0, 2, None),), (slice(2, 4, None),), (slice(4, 6, None),)]
    """
    if not shape:
        yield ()
        return
    row = math.prod(shape[1:])
    if row > pixels and len(shape) > 1:
        for index in range(shape[0]):
            for rest in slabs(shape[1:], pixels):
                yield (slice(index, index + 1), *rest)
        return
    step = max(1, pixels // max(row, 1))
    for start in range(0, shape[0], step):
        yield (slice(start, start + step),)
