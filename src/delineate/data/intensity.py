"""The map of intensities of one image, found on the whole of it and applied tile by tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Intensity:
    """A linear map of each channel: (pixel − offset) / scale.

    Parameters
    ----------
    offset, scale : float32 (channels,).
    limits : the result is clipped to them; None: it is not.
    """

    offset: NDArray[np.float32]
    scale: NDArray[np.float32]
    limits: tuple[float, float] | None = None

    def apply(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Normalise the first channels of an image, (channels, …), as float32."""
        offset, scale = self._columns(pixels)
        result = pixels.astype(np.float32)
        result -= offset
        result /= scale
        if self.limits is not None:
            np.clip(result, *self.limits, out=result)
        return result

    def invert(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Normalised values (channels, …) in the units of the file, float32.

        What was clipped stays so.
        """
        offset, scale = self._columns(values)
        result = values.astype(np.float32)
        result *= scale
        result += offset
        return result

    def for_channels(self, n: int) -> Intensity:
        """The map for an image of n channels: that of the first where the numbers differ."""
        if n == len(self.offset):
            return self
        return Intensity(np.repeat(self.offset[:1], n), np.repeat(self.scale[:1], n), self.limits)

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers and lists, which `intensity_from_dict` reads."""
        limits = None if self.limits is None else list(self.limits)
        return {
            "kind": "linear",
            "offset": self.offset.tolist(),
            "scale": self.scale.tolist(),
            "limits": limits,
        }

    def _columns(self, pixels: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        shape = (-1, *([1] * (pixels.ndim - 1)))
        n = pixels.shape[0]
        return self.offset[:n].reshape(shape), self.scale[:n].reshape(shape)


class MaskIntensity(Intensity):
    """1 where a pixel is above 0, else 0; backwards, values stay as they are."""

    def __init__(self, channels: int) -> None:
        super().__init__(np.zeros(channels, np.float32), np.ones(channels, np.float32))

    def apply(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """The mask, float32."""
        return (pixels > 0).astype(np.float32)

    def for_channels(self, n: int) -> Intensity:
        """The same for any number."""
        return MaskIntensity(n)

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers."""
        return {"kind": "mask", "channels": len(self.offset)}
