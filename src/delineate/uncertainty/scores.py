"""Uncertainty of an image and of each object in it, and the order in which to look at images."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.labels import Table, compact, object_sizes
from delineate.uncertainty._slabs import slabs
from delineate.uncertainty.decompose import Spread
from delineate.uncertainty.novelty import NOVEL


class ImageScores(NamedTuple):
    """Means of the maps of one image; all but the last are over the predicted foreground.

    Without foreground these are NaN: there is nothing to score. Tables show an empty cell. Of an
    image method all pixels are foreground, entropies are NaN, and variances are those of the
    normalised intensity.
    """

    uncertainty: float
    """U: mean of the predictive map, in [0, 0.25] (Griebel et al., deepflash2, equation 5)."""
    aleatoric: float
    epistemic: float
    entropy: float
    mutual_information: float
    image_uncertainty: float
    """Mean of the predictive map over the whole image; it exists without foreground too."""

    @property
    def ratio(self) -> float:
        """Epistemic over aleatoric: high asks for more labels, low for better images.

        NaN without foreground or uncertainty, infinite where all of it is epistemic.
        """
        return float(_ratio(np.array(self.epistemic), np.array(self.aleatoric)))


def image_scores(spread: Spread, foreground: ArrayLike) -> ImageScores:
    """Mean uncertainties of an image.

    Parameters
    ----------
    spread : maps of the image.
    foreground : the pixels that were predicted foreground, True or not 0 (a mask, classes or a
        label image), of the shape of the maps.

    Raises
    ------
    ValueError : the shapes differ.
    """
    mask = np.asarray(foreground)
    _check_shape(spread, mask, "the foreground")
    maps = spread.fields()
    sums, whole, pixels = dict.fromkeys(maps, 0.0), 0.0, 0
    for slab in slabs(mask.shape):
        inside = mask[slab] != 0
        pixels += int(np.count_nonzero(inside))
        for name, values in maps.items():
            sums[name] += float(values[slab][inside].sum(dtype=np.float64))
        whole += sum(float(maps[n][slab].sum(dtype=np.float64)) for n in ("aleatoric", "epistemic"))
    mean = {name: s / pixels if pixels else math.nan for name, s in sums.items()}
    return ImageScores(
        mean["aleatoric"] + mean["epistemic"],
        mean["aleatoric"],
        mean["epistemic"],
        mean.get("entropy", math.nan),
        mean.get("mutual_information", math.nan),
        whole / mask.size if mask.size else math.nan,
    )


def object_scores(spread: Spread, labels: ArrayLike) -> Table:
    """Mean uncertainties over the pixels of each object.

    Parameters
    ----------
    spread : maps of the image.
    labels : label image of the shape of the maps; ids may have gaps.

    Returns
    -------
    Columns ``label``, ``uncertainty`` (predictive), ``aleatoric``, ``epistemic`` and
    ``epistemic_over_aleatoric`` (NaN where both are 0), a row an object in the order of the ids.

    Raises
    ------
    LabelError : `labels` is not a label image.
    ValueError : the shapes differ.
    """
    array: NDArray[Any] = np.asarray(labels)
    _check_shape(spread, array, "the label image")
    ids, sizes = object_sizes(array)
    places = np.asarray(ids, np.uint64)
    if ids.size and int(ids[-1]) > 4 * ids.size + 1024:  # the sums must not grow with the ids
        array, _ = compact(array)
        places = np.arange(1, ids.size + 1, dtype=np.uint64)
    length = int(places[-1]) + 1 if ids.size else 1
    sums = np.zeros((2, length))
    for slab in slabs(array.shape):
        part = array[slab].astype(np.intp).reshape(-1)
        for total, values in zip(sums, (spread.aleatoric, spread.epistemic), strict=True):
            total += np.bincount(part, weights=values[slab].reshape(-1), minlength=length)
    aleatoric, epistemic = sums[:, places.astype(np.intp)] / np.maximum(sizes, 1)
    return {
        "label": ids,
        "uncertainty": aleatoric + epistemic,
        "aleatoric": aleatoric,
        "epistemic": epistemic,
        "epistemic_over_aleatoric": _ratio(epistemic, aleatoric),
    }


def rank(
    uncertainty: ArrayLike, image_uncertainty: ArrayLike, novelty: ArrayLike | None = None
) -> NDArray[np.intp]:
    """Order in which a person should look at the images of a run.

    1. Images unlike the training images, of a novelty above `NOVEL`, the most novel first: how
       uncertain they are tells nothing, since a network may be sure of what it never saw.
    2. Images in which nothing was found: they have no U to accept them by, and one look is enough
       for each. The one with the highest uncertainty over the whole image comes first.
    3. All others by decreasing U.
    4. Images that failed: they have none of these.

    Equal images keep their order.

    Parameters
    ----------
    uncertainty : (images,) U; NaN where there is no foreground.
    image_uncertainty : (images,) mean over the whole image; NaN where the image failed.
    novelty : (images,) NaN where it is not known; None: of no image.

    Returns
    -------
    (images,) indices, the first to look at first.

    Raises
    ------
    ValueError : the lengths differ.

    Examples
    --------
    >>> rank([0.1, 0.2, float("nan"), float("nan")], [0.01, 0.02, float("nan"), 0.001])
    array([3, 1, 0, 2])
    >>> rank([0.1, 0.2, 0.02], [0.01, 0.02, 0.001], [1.0, 0.8, 12.0])
    array([2, 1, 0])
    """
    u, whole = (np.asarray(x, np.float64) for x in (uncertainty, image_uncertainty))
    far = np.full(u.shape, np.nan) if novelty is None else np.asarray(novelty, np.float64)
    if u.ndim != 1 or u.shape != whole.shape or u.shape != far.shape:
        raise ValueError(
            f"shapes {u.shape}, {whole.shape} and {far.shape}: expected one value an image"
        )
    group = np.select([far > NOVEL, np.isfinite(u), np.isfinite(whole)], [0, 2, 1], 3)
    key = np.select([group == 0, group == 1, group == 2], [-far, -whole, -u], 0.0)
    return np.lexsort((key, group)).astype(np.intp)


def _ratio(epistemic: NDArray[Any], aleatoric: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(epistemic / aleatoric, np.float64)


def _check_shape(spread: Spread, array: NDArray[Any], name: str) -> None:
    if array.shape != spread.aleatoric.shape:
        raise ValueError(
            f"{name} has the shape {array.shape}, the uncertainty {spread.aleatoric.shape}: "
            "they must be of the same pixels"
        )
