"""A regular sample of the pixels of an image, for statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.image import LazyArray

SAMPLE = 4_000_000
"""Statistics of larger images are taken from a regular grid of about this many pixels."""


def grid_sample(data: LazyArray, limit: int = SAMPLE, planes: slice = slice(None)) -> NDArray[Any]:
    """Pixels of (channels, spatial axes) on a regular grid of at most about `limit` a channel.

    Parameters
    ----------
    planes : of the first spatial axis, those to take.
    """
    start, stop, _ = planes.indices(data.shape[1])
    spatial = (stop - start, *data.shape[2:])
    step = max(1, round((np.prod(spatial, dtype=float) / limit) ** (1 / len(spatial))))
    rest = (slice(None, None, step) for _ in spatial[1:])
    return np.asarray(data[(slice(None), slice(start, stop, step), *rest)])
