"""How much training images are enlarged or shrunk, so that their objects have the common size.

The scale of an image is that of the median of its own objects, in every image that is not enlarged
much. What would be enlarged much may hold slips of annotation alone, so others have to agree.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from delineate.image import Image

log = logging.getLogger("delineate")

SCALES = (0.05, 20.0)
"""Smallest and largest change of scale that a sample is given."""
ENLARGE = 5.0
"""Images are enlarged by more than this only where other images have objects as small."""
UNLIKE = 4.0
"""Objects so many times smaller than is usual are specks."""
LONG = 1.5
"""Voxels so many times longer along Z than along X are worth a warning where they are scaled."""
VOUCH = 3
"""Images of at least so many objects tell what size is usual."""


class Size(NamedTuple):
    """Median diameter in pixels of the objects of an image, NaN without any, and their number."""

    diameter: float
    objects: int

    @classmethod
    def of(cls, labels: ArrayLike) -> Size:
        """Size of the objects of a label image.

        Raises
        ------
        LabelError : as `delineate.labels.diameters`.
        """
        from delineate.labels import diameters

        every = diameters(labels)
        return cls(float(np.median(every)) if every.size else float("nan"), every.size)


class Scaled(NamedTuple):
    """Scale of an image, and whether its objects are specks, which did not decide it."""

    scale: float
    specks: bool = False


def usual_diameter(sizes: Iterable[Size]) -> float:
    """Median diameter of the images with at least `VOUCH` objects; 0 without such images."""
    told = [size.diameter for size in sizes if size.objects >= VOUCH]
    return float(np.median(told)) if told else 0.0


def training_scale(common: float | None, size: Size, usual: float | None) -> Scaled | None:
    """By how much an image is enlarged for a training.

    Parameters
    ----------
    common : diameter to which objects are brought; None keeps the scale.
    size : of the objects of the image.
    usual : diameter of the objects of all images (`usual_diameter`); None: not known yet.

    Returns
    -------
    ``common / size.diameter`` within `SCALES`. Where that is more than `ENLARGE`, None until the
    usual diameter is known; then the scale of usual objects if those of the image are more than
    `UNLIKE` times smaller, and at most `ENLARGE` if no size is usual.
    """
    if common is None or not np.isfinite(size.diameter):
        return Scaled(1.0)
    scale = float(np.clip(common / size.diameter, *SCALES))
    if scale <= ENLARGE:
        return Scaled(scale)
    if usual is None:
        return None
    if usual == 0:
        return Scaled(ENLARGE)
    if size.diameter * UNLIKE >= usual:
        return Scaled(scale)
    return Scaled(float(np.clip(common / usual, *SCALES)), specks=True)


def z_over_x(image: Image) -> float:
    """How many times longer a voxel is along Z than along X; 1 where that is not known."""
    z, x = (image.pixel_size.get(axis) for axis in "ZX")
    return z / x if z and x else 1.0


def tell_of_long_voxels(
    images: Sequence[Path], longer: Sequence[float], scales: Sequence[float]
) -> None:
    """Warn of volumes that are scaled though their planes are far apart (`z_over_x`)."""
    far = [k for k, times in enumerate(longer) if times > LONG and scales[k] != 1]
    if far:
        log.warning(
            "%d of %d volumes have voxels that are longer along Z than along X, the first, %s, "
            "%.1f times: they are scaled along all axes alike (data.diameter null keeps the scale)",
            len(far), len(images), images[far[0]], longer[far[0]],
        )  # fmt: skip


def tell_of_specks(
    common: float, images: Sequence[Path], sizes: Sequence[Size], scales: Sequence[float]
) -> None:
    """Warn of images that are enlarged less than the median of their objects asks for."""
    wanted = [common / size.diameter for size in sizes]
    less = [k for k, scale in enumerate(scales) if wanted[k] > ENLARGE and scale < wanted[k]]
    if less:
        k = less[0]
        log.warning(
            "the objects of %d of %d images are so small that they are not brought to %g pixels: "
            "are these labels slips? The first is %s, whose median of %.1f pixels would enlarge it "
            "%.0f times (its scale is now %.3g)",
            len(less), len(images), common, images[k], sizes[k].diameter, wanted[k], scales[k],
        )  # fmt: skip
