"""What `model.yaml` holds, and what the images that a model gives are like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from delineate.data.normalise import Intensity
from delineate.errors import ModelError
from delineate.recipe import Recipe

if TYPE_CHECKING:
    from delineate.image import Image

SCHEMA = 1

ResultType = Literal["auto", "float32", "target"]
"""Type of the pixels of a result; auto: that of the targets for colour pictures, else float32."""


class Target(BaseModel):
    """What the images that a model gives are like; one entry a channel.

    Parameters
    ----------
    offset, scale : turn normalised intensities into those of the files, the median over the
        training targets; None: the result has the units of the image that it is made from.
    channels : their names, where the training files had some.
    dtype : type of pixels of the training targets.
    doubt : predictive variance, of normalised intensities, that 5 % of the pixels of the images
        left out (of the training images, where none was) exceed: above it nothing is to be
        measured. None: no uncertainty was known.
    cycle : the same for the error of there and back. None: there was no way back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    offset: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    channels: tuple[str, ...] = ()
    dtype: str = ""
    doubt: float | None = None
    cycle: float | None = None

    def intensity(self) -> Intensity | None:
        """Normalised intensities in the units of the files; None: those of the image."""
        if self.offset is None or self.scale is None:
            return None
        return Intensity(np.array(self.offset, np.float32), np.array(self.scale, np.float32))

    def result_type(self, image: Image, asked: ResultType = "auto") -> np.dtype[Any] | None:
        """Type of the pixels of the result for an image; None: float32, whose digits are all kept.

        Results in the units of the image have its type, others that of the targets.

        Raises
        ------
        ModelError : the type of the targets is asked for, but there was not one alone.
        """
        if asked == "float32":
            return None
        own = str(image.dtype) if self.intensity() is None else self.dtype
        if asked == "target":
            if not own:
                raise ModelError(
                    "the targets that the model was trained on were not of one type of pixels: "
                    "leave --dtype target out, so that results are float32"
                )
            return np.dtype(own)
        colours = self.channels == ("red", "green", "blue")
        return np.dtype(own) if colours and own.startswith("uint") else None


class Description(BaseModel):
    """What `model.yaml` holds.

    Parameters
    ----------
    recipe : what the model was trained by; its method holds the tuned thresholds.
    in_channels, ndim : of the network.
    diameter : diameter in pixels of the objects at the scale of the network; None: none is set.
    target : of a model that gives images, what they are like.
    scores : validation scores of each member.
    reference : uncertainty and score of images that no member, or not the one that predicted them,
        was trained on: what uncertainty means for this model.
    calibration : reliability of the pixels of these images before and after the temperature.
    provenance : numbers and hashes of the training images, versions, command, licence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: int = Field(SCHEMA, alias="schema")
    recipe: Recipe
    in_channels: int = Field(ge=1)
    ndim: int = Field(ge=2, le=3)
    diameter: float | None = None
    target: Target | None = None
    scores: tuple[dict[str, float], ...] = ()
    reference: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
