"""Statistics of an image's pixels under the objects of a label image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import AxesError, LabelError
from delineate.image import Image

_PIXELS = 1 << 24
_STATISTICS = ("mean", "sd", "min", "max", "median")


def measure_intensity(
    labels: NDArray[np.uint32], sizes: NDArray[np.int64], image: Image
) -> dict[str, NDArray[Any]]:
    """Mean, standard deviation (of the pixels, not of a sample), min, max and median per channel.

    The image is read in slabs, so lazy ones of any size will do; memory is that of the pixels of
    all objects in one channel.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X) with the ids 1..N.
    sizes : (N,) number of pixels of each object.
    image : image of the same spatial shape without a time axis.

    Raises
    ------
    AxesError : the image has a time axis.
    LabelError : the shapes differ.
    """
    from delineate.labels._measure_kernels import gather, statistics

    if "T" in image.axes:
        raise AxesError("the image has a time axis: select one time point, e.g. select(T=0)")
    if image.spatial_shape != labels.shape:
        raise LabelError(
            f"the label image has the shape {labels.shape}, the image {image.spatial_shape} "
            f"along {image.spatial_axes}: they must have the same pixels"
        )
    exact = np.float32 if image.dtype.itemsize <= 2 or image.dtype == np.float32 else np.float64
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    step = max(1, _PIXELS * labels.shape[0] // max(labels.size, 1))
    columns: dict[str, NDArray[Any]] = {}
    for channel, name in enumerate(_names(image)):
        values = np.empty(int(starts[-1]), exact)
        cursor = np.concatenate([np.zeros(1, np.int64), starts[:-1]])
        for first in range(0, labels.shape[0], step):
            slab = slice(first, first + step)
            key = (channel, slab) if "C" in image.axes else slab
            pixels = np.asarray(image.data[key], exact)
            gather(labels[slab].reshape(-1), pixels.reshape(-1), cursor, values)
        out = np.zeros((sizes.size, len(_STATISTICS)))
        statistics(values, starts, out)
        for k, kind in enumerate(_STATISTICS):
            columns[f"intensity_{kind}{name}"] = out[:, k]
    return columns


def _names(image: Image) -> list[str]:
    """What is appended to the columns of each channel; never the same twice."""
    if not image.channels:
        return [""] if image.n_channels == 1 else [f"_{c}" for c in range(image.n_channels)]
    several = {name for name in image.channels if image.channels.count(name) > 1}
    return [
        f"_{name}_{c}" if name in several else f"_{name}" for c, name in enumerate(image.channels)
    ]
