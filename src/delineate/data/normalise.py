"""Intensity normalisation: one linear map a channel, found on an image, applied tile by tile."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from delineate.image import LazyArray

SAMPLE = 4_000_000
"""Statistics of larger images are taken from a regular grid of about this many pixels."""


class Intensity(NamedTuple):
    """The map of each channel: (pixel − offset) / scale; float32 arrays (channels,)."""

    offset: NDArray[np.float32]
    scale: NDArray[np.float32]

    def apply(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Normalise the first channels of an image, (channels, …), as float32."""
        shape = (-1, *([1] * (pixels.ndim - 1)))
        offset, scale = self.offset[: pixels.shape[0]], self.scale[: pixels.shape[0]]
        result = pixels.astype(np.float32)
        result -= offset.reshape(shape)
        result /= scale.reshape(shape)
        return result


def grid_sample(data: LazyArray, limit: int = SAMPLE) -> NDArray[Any]:
    """Pixels of (channels, spatial axes) on a regular grid of at most about `limit` a channel."""
    spatial = data.shape[1:]
    step = max(1, round((np.prod(spatial, dtype=float) / limit) ** (1 / len(spatial))))
    return np.asarray(data[(slice(None), *(slice(None, None, step) for _ in spatial))])


class Normalise(BaseModel):
    """How intensities are brought to the range that the network was trained with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["percentile", "mean-std", "range", "none"] = "percentile"
    low: float = Field(1.0, description="percentile, or value of the range, that becomes 0")
    high: float = Field(99.0, description="percentile, or value of the range, that becomes 1")

    @model_validator(mode="after")
    def _in_order(self) -> Normalise:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        if self.kind == "percentile" and not 0 <= self.low < self.high <= 100:
            raise ValueError(f"percentiles lie in 0…100, got {self.low} and {self.high}")
        return self

    def fit(self, data: LazyArray) -> Intensity:
        """Find the map for an image (channels, spatial axes).

        A channel whose two percentiles coincide (most of it is one value) is scaled by its extremes
        instead; a constant channel becomes 0.
        """
        n = data.shape[0]
        if self.kind == "none":
            return Intensity(np.zeros(n, np.float32), np.ones(n, np.float32))
        if self.kind == "range":
            return Intensity(
                np.full(n, self.low, np.float32), np.full(n, self.high - self.low, np.float32)
            )
        sample = grid_sample(data).reshape(n, -1)
        if sample.dtype.kind == "b" or sample.dtype == np.float16:
            # Truth values cannot be subtracted, and half precision overflows.
            sample = sample.astype(np.float32)
        if self.kind == "mean-std":
            offset = sample.mean(axis=1, dtype=np.float64)
            scale = sample.std(axis=1, dtype=np.float64)
        else:
            low, high = np.percentile(sample, [self.low, self.high], axis=1)
            flat = high <= low
            low = np.where(flat, sample.min(axis=1), low)
            high = np.where(flat, sample.max(axis=1), high)
            offset, scale = low, high - low
        scale = np.where(scale > 0, scale, 1.0)
        return Intensity(offset.astype(np.float32), scale.astype(np.float32))
