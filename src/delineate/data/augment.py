"""Augmentation: similarity transforms that turn vectors with the image, bends, and intensities."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

from delineate.data.bend import elastic_shift, grid_shift

Array = NDArray[np.float32]

MARGIN = {2: 16, 3: 8}
"""Pixels, in 2D and 3D, by which patches of training and tiles of prediction reach beyond an image.

They are 0 there, so that a network learns where an image ends: what the end cuts has its centre
inside, whereas what the edge of a patch cuts has it where the whole object has it.
"""


class Augment(BaseModel):
    """Random changes of each training patch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotate: float = Field(360.0, ge=0, le=360, description="range of rotation in YX, degrees")
    quarter_turns: bool = Field(
        False,
        description="turn by 0, 90, 180 or 270 degrees in YX instead, which mixes no pixels; "
        "rotate must be 0",
    )
    flip: bool = Field(True, description="mirror each spatial axis with probability ½")
    scale: tuple[PositiveFloat, PositiveFloat] = Field(
        (0.75, 1.25), description="range of the change of scale"
    )
    brightness: float = Field(0.1, ge=0, description="largest shift of the normalised intensity")
    contrast: float = Field(0.2, ge=0, lt=1, description="largest relative change of contrast")
    gamma: float = Field(0.25, ge=0, lt=1, description="largest change of the exponent")
    noise: float = Field(0.05, ge=0, description="largest standard deviation of added noise")
    blur: float = Field(0.0, ge=0, description="largest sigma of a Gaussian blur, pixels")
    invert: float = Field(0.0, ge=0, le=1, description="probability of inverted intensities")
    channel_gain: float = Field(0.1, ge=0, lt=1, description="largest relative gain of a channel")
    clahe: float = Field(
        0.0, ge=0, le=1, description="probability of contrast-limited adaptive equalisation"
    )
    elastic: float = Field(
        0.0,
        ge=0,
        le=0.4,
        description="largest shift of the control points of a smooth random deformation, as a "
        "share of their distance; not for vectors such as flows",
    )
    elastic_distance: float = Field(
        32.0, ge=4, description="distance of those control points, pixels of the patch"
    )
    grid: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="largest relative stretch of a row or column of the cells into which grid "
        "distortion divides a patch; not for vectors such as flows",
    )
    grid_cells: int = Field(5, ge=2, description="cells along each axis for grid distortion")

    @model_validator(mode="after")
    def _one_rotation(self) -> Augment:
        if self.quarter_turns and self.rotate:
            raise ValueError(
                f"augment.quarter_turns and augment.rotate ({self.rotate:g}) exclude each other: "
                "set augment.rotate to 0"
            )
        return self

    @property
    def bends(self) -> bool:
        """Whether space is bent, under which vectors do not simply turn."""
        return bool(self.elastic or self.grid)


class Pose(NamedTuple):
    """Where a patch lies in its image: voxel = matrix·(voxel of the patch + shift) + offset.

    `shift` is float32 (ndim, patch), or None where space is not bent.
    """

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]
    shift: Array | None = None


def random_pose(
    augment: Augment, centre: NDArray[np.float64], patch: tuple[int, ...], rng: Generator
) -> Pose:
    """Draw rotation in YX, flips, scale and bends of a patch around `centre` (image voxels).

    A pose that only permutes and mirrors axes is moved by less than a voxel so that voxels fall on
    voxels: nothing is interpolated then, noise keeps its statistics and pixels stay independent.
    """
    ndim = len(patch)
    linear = np.eye(ndim)
    angle = np.deg2rad(rng.uniform(-0.5, 0.5) * augment.rotate)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    if augment.quarter_turns:
        cos, sin = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[rng.integers(4)]
    linear[-2:, -2:] = [[cos, -sin], [sin, cos]]
    if augment.flip:
        linear = linear * np.where(rng.random(ndim) < 0.5, -1.0, 1.0)
    linear = linear / rng.uniform(*augment.scale)
    middle = (np.asarray(patch) - 1) / 2
    shift: Array | None = None
    if augment.elastic:
        shift = elastic_shift(patch, augment.elastic, augment.elastic_distance, rng)
    if augment.grid:
        cells = grid_shift(patch, augment.grid, augment.grid_cells, rng)
        shift = cells if shift is None else shift + cells
    offset = centre - linear @ middle
    if np.isin(linear, (-1.0, 0.0, 1.0)).all() and not augment.bends:
        offset = np.floor(offset + 0.5)
    return Pose(linear, offset, shift)


class Warped(NamedTuple):
    """A patch: image (C, …), targets (K, …), inside and weight (1, …), float32.

    `inside` is 1 within the image and 0 beyond; `weight` is there the cost map, 1 without one.
    """

    image: Array
    targets: Array
    inside: Array
    weight: Array


def warp(
    image: Array,
    targets: Array,
    labels: NDArray[np.int32] | None,
    pose: Pose,
    patch: tuple[int, ...],
    soft: bool = False,
    cost: Array | None = None,
) -> Warped:
    """Sample a patch of spatial shape `patch` from an image and its targets.

    Targets are interpolated within objects only, so that classes are those of the nearest pixel;
    `soft` ones everywhere but where labels are negative; without labels, everywhere. Vectors are
    not turned here: `Method.reorient` does it with the inverse of ``pose.matrix``.

    Parameters
    ----------
    image, targets : (C, spatial axes) and (K, spatial axes); one of them may have no channels.
    labels, cost : (spatial axes).
    """
    from delineate.data._kernels import warp as kernel

    ndim = len(patch)
    lift = (slice(None), None) if ndim == 2 else (slice(None),)
    matrix, offset = np.eye(3), np.zeros(3)
    matrix[3 - ndim :, 3 - ndim :] = pose.matrix
    offset[3 - ndim :] = pose.offset
    shape = (1,) * (3 - ndim) + tuple(patch)
    shift = np.zeros((3, *((0, 0, 0) if pose.shift is None else shape)), np.float32)
    if pose.shift is not None:
        shift[3 - ndim :] = pose.shift.reshape(ndim, *shape)
    out = Warped(
        np.empty((image.shape[0], *shape), np.float32),
        np.empty((targets.shape[0], *shape), np.float32),
        np.empty(shape, np.float32),
        np.empty(shape, np.float32),
    )
    full = (1,) * (3 - ndim) + (image if len(image) else targets).shape[1:]
    planes = np.zeros((0, 0, 0), np.int32) if labels is None else labels.reshape(full)
    weights = np.zeros((0, 0, 0), np.float32) if cost is None else cost.reshape(full)
    kernel(image[lift], targets[lift], planes, weights, full, matrix, offset, shift, soft, *out)
    drop = (slice(None), 0) if ndim == 2 else (slice(None),)
    flat = (1, *patch)
    return Warped(
        out.image[drop], out.targets[drop], out.inside.reshape(flat), out.weight.reshape(flat)
    )


def change_intensity(augment: Augment, image: Array, rng: Generator) -> Array:
    """Random equalisation, inversion, gamma, contrast, brightness, gains, blur and noise."""
    channels = (image.shape[0], *([1] * (image.ndim - 1)))
    result: NDArray[Any] = image
    if augment.clahe and rng.random() < augment.clahe:
        result = equalise(image, rng.uniform(0.002, 0.02))
    if augment.invert and rng.random() < augment.invert:
        result = 1 - result
    if augment.gamma:
        exponent = np.exp(rng.uniform(-1, 1) * np.log1p(augment.gamma))
        clipped = np.clip(result, 0, 1)
        result = clipped**exponent + (result - clipped)
    gain = 1 + rng.uniform(-1, 1) * augment.contrast
    gains = gain * (1 + rng.uniform(-1, 1, channels) * augment.channel_gain)
    result = result * gains + rng.uniform(-1, 1) * augment.brightness
    if augment.blur and rng.random() < 0.5:
        from scipy.ndimage import gaussian_filter

        sigma = rng.uniform(0, augment.blur)
        result = gaussian_filter(result, [0.0, *([sigma] * (image.ndim - 1))])
    if augment.noise:
        sigma = rng.uniform(0, augment.noise)
        result = result + sigma * rng.standard_normal(image.shape, np.float32)
    return result.astype(np.float32)


def equalise(image: Array, limit: float) -> Array:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of each plane.

    Parameters
    ----------
    image : (channels, [Z,] Y, X); each plane of each channel keeps its range.
    limit : of the slope, 0 … 1; larger gives more contrast.
    """
    from skimage.exposure import equalize_adapthist

    result = np.array(image, np.float32)
    for plane in result.reshape(-1, *image.shape[-2:]):
        low, high = float(plane.min()), float(plane.max())
        if high > low:
            unit = (plane.astype(np.float64) - low) / (high - low)
            plane[...] = low + (high - low) * equalize_adapthist(unit, clip_limit=limit)
    return result
