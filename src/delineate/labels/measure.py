"""Measure objects: size, place, shape and intensity, in pixels and in physical units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import AxesError
from delineate.image import Image
from delineate.labels._check import check_labels
from delineate.labels._crofton import count_entries, measure_of_entries
from delineate.labels.diameters import equivalent_diameter
from delineate.labels.hull import hull_sizes
from delineate.labels.intensity import measure_intensity
from delineate.labels.relabel import compact

Table = dict[str, NDArray[Any]]
"""Columns of equal length by their names, in the order in which they are shown."""


class _Moments(NamedTuple):
    """Pixels, centroid (N, axes), box (N, 2, axes; half open) and covariance of coordinates."""

    sizes: NDArray[np.int64]
    centroid: NDArray[np.float64]
    box: NDArray[np.int64]
    covariance: NDArray[np.float64]


def measure(
    labels: ArrayLike,
    image: Image | None = None,
    pixel_size: Mapping[str, float] | None = None,
    unit: str | None = None,
) -> Table:
    """Measure every object of a label image, and the pixels of an image under it.

    Columns, in this order (in 3D those in brackets instead):

    - ``label``: the object's id;
    - ``area`` [``volume``]: number of pixels;
    - ``centroid_y``, ``centroid_x`` [``centroid_z`` first]: in pixels, pixel centres are integers;
    - ``box_y0``, ``box_x0``, ``box_y1``, ``box_x1``: the object's pixels are ``[y0:y1, x0:x1]``;
    - ``equivalent_diameter``: of the disk (ball) of equal area (volume);
    - ``perimeter`` [``surface``]: by Crofton's formula in 4 [13] directions;
    - ``major_axis``, [``middle_axis``,] ``minor_axis``: full axes of the ellipse (ellipsoid) with
      the object's second moments;
    - ``eccentricity`` (2D): of that ellipse, 0 for a circle;
    - ``orientation`` (2D): angle in radians from the Y axis to the major axis, turning towards X,
      in (-π/2, π/2], 0 where there is no longer axis;
    - ``solidity`` (2D): area / number of pixels with their centre in the convex hull;
    - with `image`, for each channel: ``intensity_mean``, ``_sd``, ``_min``, ``_max`` and
      ``_median``, followed by ``_`` and the channel's name (its number where it has none, nothing
      where there is one channel without a name);
    - with a pixel size: lengths, areas and volumes again in physical units, with the unit in
      their names (``area_um2``, ``centroid_y_um``, ``major_axis_um`` …). Axes and perimeter are
      computed anew from the physical shape, so pixels need not be square.

    Definitions equal those of scikit-image's `regionprops` (perimeter: its `perimeter_crofton`),
    except for orientation, which scikit-image sets to ±π/4 where the axes are equal.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integer, 0 background.
    image : image with the spatial shape of `labels`, without a time axis; pixels must be finite.
    pixel_size : size of a pixel along "Z", "Y", "X"; by default that of the image. Physical
        columns need all spatial axes.
    unit : unit of `pixel_size`; by default that of the image, else "µm".

    Raises
    ------
    LabelError : `labels` is not a label image, or its shape is not that of the image.
    AxesError : the image has a time axis, or the pixel size given lacks an axis or is not positive.
    """
    array = check_labels(labels, (2, 3))
    axes = "zyx"[-array.ndim :]
    spacing = _spacing(axes, image, pixel_size)
    numbered, ids = compact(array)
    found = _moments(numbered, ids.size)
    crossings = count_entries(numbered, ids.size)
    ones = np.ones(array.ndim)
    table: Table = {"label": ids}
    _add_shape(table, found, crossings, ones, "")
    for side, end in enumerate("01"):
        for k, axis in enumerate(axes):
            table[f"box_{axis}{end}"] = found.box[:, side, k]
    if array.ndim == 2:
        major, minor = table["major_axis"], table["minor_axis"]
        shorter = np.divide(minor, major, out=np.ones_like(major), where=major > 0)
        table["eccentricity"] = np.sqrt(np.clip(1 - shorter**2, 0, 1))
        yy, yx, xx = (found.covariance[:, i, k] for i, k in ((0, 0), (0, 1), (1, 1)))
        table["orientation"] = np.arctan2(2 * yx, yy - xx) / 2
        table["solidity"] = found.sizes / np.maximum(hull_sizes(numbered, found.box), 1)
    if image is not None:
        table |= measure_intensity(numbered, found.sizes, image)
    if spacing is not None:
        name = unit or (image.unit if image is not None else "µm")
        suffix = "_" + name.replace("µ", "u").replace("μ", "u")
        _add_shape(table, found, crossings, spacing, suffix)
    return table


def _spacing(
    axes: str, image: Image | None, pixel_size: Mapping[str, float] | None
) -> NDArray[np.float64] | None:
    """Size of a pixel along each spatial axis, where all are known."""
    known = pixel_size if pixel_size is not None else (image.pixel_size if image else {})
    sizes = [known.get(axis.upper(), 0.0) for axis in axes]
    if all(math.isfinite(size) and size > 0 for size in sizes):
        return np.array(sizes, np.float64)
    if pixel_size is not None:
        raise AxesError(
            f"pixel size {dict(pixel_size)} is not usable: expected positive numbers for "
            f"{', '.join(axes.upper())}"
        )
    return None


def _moments(labels: NDArray[np.uint32], n: int) -> _Moments:
    """Sums over the pixels of the objects 1..n, from one pass."""
    from delineate.labels._measure_kernels import moments

    ndim = labels.ndim
    volume = labels.reshape((1,) * (3 - ndim) + labels.shape)
    origin, sums = np.zeros((n + 1, 3), np.int64), np.zeros((n + 1, 4), np.int64)
    box, products = np.zeros((n + 1, 6), np.int64), np.zeros((n + 1, 6), np.int64)
    moments(volume, origin, box, sums, products)
    sizes = sums[1:, 0]
    mean = sums[1:, 1:] / sizes[:, None]
    second = np.zeros((n, 3, 3))
    upper = np.triu_indices(3)
    second[:, upper[0], upper[1]] = products[1:] / sizes[:, None]
    second[:, upper[1], upper[0]] = second[:, upper[0], upper[1]]
    covariance = second - mean[:, :, None] * mean[:, None, :]
    corners = box[1:].reshape(n, 2, 3)
    corners[:, 1] += 1
    spatial = slice(3 - ndim, None)
    return _Moments(
        sizes,
        (origin[1:] + mean)[:, spatial],
        corners[:, :, spatial],
        covariance[:, spatial, spatial],
    )


def _add_shape(
    table: Table,
    found: _Moments,
    crossings: NDArray[np.int64],
    spacing: NDArray[np.float64],
    suffix: str,
) -> None:
    """Add the columns that have a unit: `suffix` is empty for pixels, such as "_um" otherwise."""
    ndim = spacing.size
    axes = "zyx"[-ndim:]
    size, border = ("area", "perimeter") if ndim == 2 else ("volume", "surface")
    physical = bool(suffix)
    sizes = found.sizes * spacing.prod()
    table[size + (f"{suffix}{ndim}" if physical else "")] = sizes if physical else found.sizes
    for k, axis in enumerate(axes):
        table[f"centroid_{axis}{suffix}"] = found.centroid[:, k] * spacing[k]
    table[f"equivalent_diameter{suffix}"] = equivalent_diameter(sizes.astype(np.float64), ndim)
    power = "2" if physical and ndim == 3 else ""
    table[f"{border}{suffix}{power}"] = measure_of_entries(crossings, spacing)
    scaled = found.covariance * np.outer(spacing, spacing)
    variances = np.clip(np.linalg.eigvalsh(scaled), 0, None)[:, ::-1]
    names = (
        ("major_axis", "minor_axis") if ndim == 2 else ("major_axis", "middle_axis", "minor_axis")
    )
    for k, name in enumerate(names):
        table[name + suffix] = 2 * np.sqrt((ndim + 2) * variances[:, k])
