"""Intensity normalisation: a map found on an image by a rule, applied tile by tile."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from delineate.data.grid import SAMPLE, grid_sample
from delineate.data.intensity import Intensity, MaskIntensity
from delineate.data.stain import (
    StainIntensity,
    StainReference,
    Stains,
    doubt_stains,
    find_stains,
    largest_value,
)
from delineate.errors import DataError
from delineate.image import LazyArray

__all__ = ["SAMPLE", "Intensity", "Normalise", "grid_sample", "intensity_from_dict", "matched"]

Kind = Literal["percentile", "mean-std", "centre", "range", "mask", "macenko", "match", "none"]


class Normalise(BaseModel):
    """How intensities are brought to the range that the network was trained with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = Field(
        "percentile",
        description="percentile: two percentiles become the range; mean-std: mean 0 and deviation "
        "1; centre: the same by the middle planes of Z; range: fixed values; mask: 1 above 0; "
        "macenko: stains of H&E; match: of targets alone, each to the scale of its image; none",
    )
    low: float = Field(1.0, description="percentile, or value of the range, that becomes 0")
    high: float = Field(99.0, description="percentile, or value of the range, that becomes 1")
    onto: tuple[float, float] = Field(
        (0.0, 1.0), description="what low and high become, where it is not 0 and 1: e.g. (-1, 1)"
    )
    clip: bool = Field(False, description="cut what lies below low and above high")
    middle: float = Field(0.5, gt=0, le=1, description="share of the planes that centre looks at")
    reference: StainReference = StainReference()

    @model_validator(mode="after")
    def _in_order(self) -> Normalise:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        if self.kind == "percentile" and not 0 <= self.low < self.high <= 100:
            raise ValueError(f"percentiles lie in 0…100, got {self.low} and {self.high}")
        if self.onto[0] >= self.onto[1]:
            raise ValueError(f"onto must ascend, got {self.onto[0]:g} and {self.onto[1]:g}")
        if self.kind not in ("percentile", "range") and (self.clip or self.onto != (0, 1)):
            raise ValueError(
                f"onto and clip belong to the kinds percentile and range, the kind is {self.kind}"
            )
        return self

    @property
    def relative(self) -> bool:
        """Whether results have the units of the image that they are made from."""
        return self.kind == "match"

    @property
    def absolute(self) -> bool:
        """Whether the values of pixels count, rather than their place among the others."""
        return self.kind in ("range", "mask", "macenko", "none")

    def fit(self, data: LazyArray) -> Intensity:
        """Find the map for an image (channels, spatial axes).

        A channel whose two percentiles coincide (most of it is one value) is scaled by its extremes
        instead; a constant channel becomes 0, or the lower end of `onto`. ``centre``: mean and
        standard deviation of the middle planes of Z (Ounkomol et al. 2018), in 2D of the whole.

        Raises
        ------
        ImageError : of kind macenko, the image shows no two stains; see `find_stains`.
        """
        n = data.shape[0]
        if self.kind == "match":
            raise ValueError("kind match needs the image that a target belongs to: see `matched`")
        if self.kind == "none":
            return Intensity(np.zeros(n, np.float32), np.ones(n, np.float32))
        if self.kind == "mask":
            return MaskIntensity(n)
        if self.kind == "macenko":
            stains = find_stains(data, self.reference.white)
            doubt_stains(stains, self.reference)
            return StainIntensity(stains, self.reference, largest_value(data))
        if self.kind == "range":
            return self._between(np.full(n, self.low), np.full(n, self.high))
        sample = grid_sample(data, planes=self._planes(data)).reshape(n, -1)
        if sample.dtype.kind == "b" or sample.dtype == np.float16:
            # Truth values cannot be subtracted, and half precision overflows.
            sample = sample.astype(np.float32)
        if self.kind in ("mean-std", "centre"):
            offset = sample.mean(axis=1, dtype=np.float64)
            scale = sample.std(axis=1, dtype=np.float64)
            scale = np.where(scale > 0, scale, 1.0)
            return Intensity(offset.astype(np.float32), scale.astype(np.float32))
        low, high = np.percentile(sample, [self.low, self.high], axis=1)
        flat = high <= low
        low = np.where(flat, sample.min(axis=1), low)
        high = np.where(flat, sample.max(axis=1), high)
        return self._between(low, high)

    def _between(self, low: NDArray[Any], high: NDArray[Any]) -> Intensity:
        """The map that takes low and high onto `onto`."""
        first, last = self.onto
        scale = np.where(high > low, high - low, 1.0) / (last - first)
        offset = low - first * scale
        limits = self.onto if self.clip else None
        return Intensity(offset.astype(np.float32), scale.astype(np.float32), limits)

    def _planes(self, data: LazyArray) -> slice:
        if self.kind != "centre" or len(data.shape) < 4:
            return slice(None)
        n = data.shape[1]
        count = max(1, round(self.middle * n))
        start = (n - count) // 2
        return slice(start, start + count)


def matched(
    target: NDArray[Any],
    image: NDArray[Any],
    intensity: Intensity,
    name: str = "the target",
) -> Intensity:
    """The map of a target that brings it to the scale of its image, then as that is normalised.

    image ≈ α · target + β by least squares over the pixels, channel by channel (the first of the
    image for all where the numbers differ): the noise of the image does not bias α. For files that
    were stretched one by one, so that intensities of pairs do not correspond.

    Parameters
    ----------
    target, image : (channels, spatial axes).
    intensity : of the image.
    name : what messages call the target.

    Raises
    ------
    DataError : target and image do not resemble each other, or the image alone is constant.
    """
    wanted = grid_sample(target).reshape(len(target), -1).astype(np.float64)
    seen = grid_sample(image).reshape(len(image), -1).astype(np.float64)
    if len(seen) != len(wanted):
        seen = np.broadcast_to(seen[:1], wanted.shape)
    own = intensity.for_channels(len(wanted))
    centred = wanted - wanted.mean(axis=1, keepdims=True)
    variance = (centred**2).mean(axis=1)
    alpha = (centred * seen).mean(axis=1) / np.where(variance > 0, variance, 1.0)
    remedy = "leave this pair out, or choose another normalise_target.kind than match"
    flat = np.ptp(seen, axis=1) == 0
    if (flat & (variance > 0)).any():
        raise DataError(
            f"the image is constant, so that {name} cannot be brought to its scale: {remedy}"
        )
    if (alpha[variance > 0] <= 0).any():
        raise DataError(
            f"{name} does not look like its image (their correlation is not positive), so that it "
            f"cannot be brought to its scale: {remedy}"
        )
    alpha = np.where(variance > 0, alpha, 1.0)  # of a target without structure the mean remains
    beta = seen.mean(axis=1) - alpha * wanted.mean(axis=1)
    offset, scale = (own.offset - beta) / alpha, own.scale / alpha
    return Intensity(offset.astype(np.float32), scale.astype(np.float32))


def intensity_from_dict(values: dict[str, Any]) -> Intensity:
    """The map that `Intensity.to_dict` described."""
    if values["kind"] == "mask":
        return MaskIntensity(int(values["channels"]))
    if values["kind"] == "stain":
        stains = Stains(np.array(values["vectors"]), np.array(values["maxima"]))
        reference = StainReference.model_validate(values["reference"])
        return StainIntensity(stains, reference, float(values["top"]))
    limits = values["limits"]
    return Intensity(
        np.array(values["offset"], np.float32),
        np.array(values["scale"], np.float32),
        None if limits is None else (float(limits[0]), float(limits[1])),
    )
