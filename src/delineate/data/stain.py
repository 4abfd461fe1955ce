"""Normalisation of the stains of histology: two stain vectors of an image, and those wanted."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from delineate.data.grid import grid_sample
from delineate.data.intensity import Intensity
from delineate.errors import ImageError
from delineate.image import LazyArray

TRANSPARENT = 0.15
"""Pixels whose optical density (length over the three colours) is below it hold no stain (β)."""
ROBUST = 1.0
"""Percentile from each end at which the extreme angles are taken (α)."""
STRONG = 99.0
"""Percentile of its concentrations that is taken for the largest of a stain."""
FEWEST = 100
"""Fewer stained pixels tell no stain vectors."""
NARROWEST = 3.0
"""Stains whose vectors are closer than this angle, in degrees, are one stain."""
FARTHEST = 16.0
"""Eosin that lies farther from that of the reference, in degrees, is to be doubted.

It is up to 13° in images of H&E that were looked at, and 19° and more in those of one stain.
"""

log = logging.getLogger("delineate")

Colour = tuple[float, float, float]


class StainReference(BaseModel):
    """What stains are brought to.

    The default is the reference that the public implementation of the method by M. Veta (2013,
    staining normalisation, MATLAB) made known, and most others use.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    haematoxylin: Colour = Field(
        (0.5626, 0.7201, 0.4062), description="optical density of red, green and blue, length 1"
    )
    eosin: Colour = Field(
        (0.2159, 0.8012, 0.5581), description="optical density of red, green and blue, length 1"
    )
    maxima: tuple[PositiveFloat, PositiveFloat] = Field(
        (1.9705, 1.0308), description="99th percentiles of the concentrations of both stains"
    )
    white: PositiveFloat = Field(240.0, description="8-bit intensity of no stain")


class Stains(NamedTuple):
    """Stains of an image: unit vectors (3, 2) of optical density, haematoxylin first, and maxima.

    `maxima` (2,) are the 99th percentiles of their concentrations.
    """

    vectors: NDArray[np.float64]
    maxima: NDArray[np.float64]


class StainIntensity(Intensity):
    """Colours of an image with its stains exchanged for those of a reference, 0 … 1.

    Parameters
    ----------
    stains : of the image.
    reference : wanted.
    top : largest value that a pixel of the image can have.
    """

    def __init__(self, stains: Stains, reference: StainReference, top: float) -> None:
        super().__init__(np.zeros(3, np.float32), np.full(3, top, np.float32))
        # A frozen class of numbers, and not yet anyone else's.
        object.__setattr__(self, "stains", stains)
        object.__setattr__(self, "reference", reference)
        object.__setattr__(self, "top", top)

    stains: Stains
    reference: StainReference
    top: float

    def apply(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Normalise an image (3, …): float32, 0 … 1."""
        if len(pixels) != 3:
            raise ImageError(_no_colour(pixels.shape))
        wanted = self.reference
        density = optical_density(pixels, wanted.white, self.top).reshape(3, -1)
        amounts = np.linalg.pinv(self.stains.vectors).astype(np.float32) @ density
        ratio = np.array(wanted.maxima) / self.stains.maxima
        vectors = np.stack([wanted.haematoxylin, wanted.eosin], axis=1) * ratio
        result = np.exp(-(vectors.astype(np.float32) @ amounts))
        result *= np.float32(wanted.white)
        result -= 1
        np.clip(result, 0, 255, out=result)
        result /= 255
        return np.asarray(result, np.float32).reshape(pixels.shape)

    def for_channels(self, n: int) -> Intensity:
        """Itself.

        Raises
        ------
        ImageError : n is not 3.
        """
        if n != 3:
            raise ImageError(
                f"stains of the input cannot normalise a target of {n} channels: set "
                "normalise_target"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers and lists."""
        return {
            "kind": "stain",
            "vectors": self.stains.vectors.tolist(),
            "maxima": self.stains.maxima.tolist(),
            "reference": self.reference.model_dump(mode="json"),
            "top": self.top,
        }


def optical_density(pixels: NDArray[Any], white: float, top: float) -> NDArray[np.float32]:
    """−ln((I + 1) / white) of pixels I of 0 … 255, to which those of 0 … top are brought first."""
    scaled = pixels.astype(np.float32)
    scaled *= np.float32(255 / top)
    scaled += 1
    density: NDArray[np.float32] = -np.log(scaled / np.float32(white))
    return density


def largest_value(data: LazyArray) -> float:
    """Largest value that a pixel can have, by its type: 255, 65,535, or 1 for fractions.

    Raises
    ------
    ImageError : another type, or fractions beyond 0 … 1.
    """
    dtype = np.dtype(data.dtype)
    if dtype in (np.uint8, np.uint16):
        return float(np.iinfo(dtype).max)
    sample = grid_sample(data)
    low, high = float(sample.min()), float(sample.max())
    if dtype.kind == "f" and low >= 0 and high <= 1:
        return 1.0
    raise ImageError(
        f"stains are told by the colours of 8- or 16-bit images, or of fractions 0 … 1; this image "
        f"is of type {dtype} with values {low:g} … {high:g}"
    )


def find_stains(data: LazyArray, white: float = 240.0) -> Stains:
    """Stain vectors of an image (3, spatial axes) of haematoxylin and eosin.

    Macenko et al. 2009 (ISBI, p. 1107): the plane that holds most of the optical density (singular
    value decomposition), and in it the robust extreme angles of the stained pixels. Haematoxylin
    is the stain that absorbs more of the red.

    Raises
    ------
    ImageError : no colour image, no stained tissue, or a single stain.
    """
    if data.shape[0] != 3:
        raise ImageError(_no_colour(data.shape))
    top = largest_value(data)
    density = optical_density(grid_sample(data), white, top).reshape(3, -1).astype(np.float64)
    density = density[:, np.sqrt((density**2).sum(axis=0)) >= TRANSPARENT]
    density = density[:, density.sum(axis=0) > 0]
    if density.shape[1] < FEWEST:
        raise ImageError(
            f"holds no stained tissue: {density.shape[1]} of the pixels looked at are darker than "
            "the background; leave it out, or choose another normalisation than macenko"
        )
    _, vectors = np.linalg.eigh(density @ density.T)
    plane = vectors[:, [2, 1]]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    along, across = plane.T @ density
    angles = np.percentile(np.arctan2(across, along), [ROBUST, 100 - ROBUST])
    if np.rad2deg(angles[1] - angles[0]) < NARROWEST:
        raise ImageError(
            "shows one stain only, or is grey: its colours lie within "
            f"{np.rad2deg(angles[1] - angles[0]):.1f}° of each other; stain normalisation takes "
            "haematoxylin and eosin"
        )
    found = plane @ np.stack([np.cos(angles), np.sin(angles)])
    found = found[:, np.argsort(-found[0])]
    amounts = np.linalg.pinv(found) @ density
    maxima = np.maximum(np.percentile(amounts, STRONG, axis=1), 1e-3)
    return Stains(found, maxima)


def doubt_stains(stains: Stains, reference: StainReference) -> None:
    """Warn where the second stain found is hardly that of the reference.

    An image of one stain has a second one found in its background or its noise, and is made worse
    by what is taken for eosin.
    """
    wanted = np.array(reference.eosin) / np.linalg.norm(reference.eosin)
    found = stains.vectors[:, 1] / np.linalg.norm(stains.vectors[:, 1])
    apart = float(np.rad2deg(np.arccos(np.clip(wanted @ found, -1, 1))))
    if apart > FARTHEST:
        log.warning(
            "an image's second stain is %.0f° from the reference's eosin: if it shows one stain "
            "only, as images without eosin do, macenko makes it worse",
            apart,
        )


def _no_colour(shape: tuple[int, ...]) -> str:
    return (
        f"stain normalisation takes colour pictures of three channels, this image has {shape[0]}: "
        "choose another normalisation than macenko"
    )
