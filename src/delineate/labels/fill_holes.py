"""Fill the holes of objects without erasing what lies in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.labels._check import check_labels
from delineate.labels.relabel import compact


def fill_holes(labels: ArrayLike) -> NDArray[np.integer[Any]]:
    """Give the background that one object alone encloses to that object.

    A hole of A is a face-connected part of the background that does not reach the border of the
    image and whose face neighbours all belong to A. An object inside A keeps its pixels, and so
    does the background between the two, since it adjoins both. All holes are found in one pass
    over the image. Ids and type are those of the input.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integer, 0 background.

    Raises
    ------
    LabelError : the array is not of integers, holds negative ones, or has other axes.

    Examples
    --------
    >>> fill_holes([[5, 5, 5], [5, 0, 5], [5, 5, 5]])[1]
    array([5, 5, 5])
    """
    from scipy import ndimage

    from delineate.labels._kernels import hole_owners

    array = check_labels(labels, (2, 3))
    numbered, ids = compact(array)
    parts, n_parts = ndimage.label(numbered == 0)
    owners = np.zeros(n_parts + 1, np.int64)
    volume = (1,) * (3 - array.ndim) + array.shape
    hole_owners(numbered.reshape(volume), parts.reshape(volume), array.ndim == 2, owners)
    # A background that meets no label at all fills the whole image and keeps owner 0.
    values = np.concatenate([np.zeros(1, array.dtype), ids])[np.maximum(owners, 0)]
    result = np.array(array)
    for row, part in zip(result, parts, strict=True):
        np.copyto(row, values[part], where=values[part] != 0)
    return result
