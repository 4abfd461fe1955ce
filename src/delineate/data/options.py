"""`DataOptions`: which images train, and what of them the network sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

FILES = ("images", "labels", "classes", "soft", "targets", "cost", "table")
"""Settings that are paths of the training data."""

PATHS = (*FILES, "cache")
"""Settings that are paths; relative ones in a recipe count from its folder."""


class DataOptions(BaseModel):
    """Which images, and what of them the network sees."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: Path | None = Field(
        None,
        description="folder with images/ and labels/ (or targets/), folder of images with labels "
        "beside them (_masks, _labels …; _target; or X_IM, X_GT, X_CM), or a CSV table with the "
        "columns image and labels (or target)",
    )
    labels: Path | None = Field(None, description="folder of labels, where it is another one")
    classes: Path | None = Field(None, description="folder of images of classes")
    soft: Path | None = Field(
        None, description="folder of soft labels: probabilities of classes, for method semantic"
    )
    targets: Path | None = Field(
        None,
        description="folder of the images wanted, for methods that make images; it may be that of "
        "the images, where target_channels tells them apart",
    )
    cost: Path | None = Field(
        None,
        description="folder of cost maps: how much each pixel counts in the loss, 0 or more; of "
        "pairs alone",
    )
    table: Path | None = Field(
        None, description="CSV with columns image and split (train, val, …) and perhaps weight"
    )
    unpaired: bool = Field(
        False,
        description="images and targets (or labels) do not belong together, as regime cyclegan "
        "takes them; those of the same name that the table gives the split val stay together",
    )
    validation: float = Field(
        0.15, ge=0, lt=1, description="share of images that validates where no split is given"
    )
    axes: str | None = Field(
        None,
        description="axes of the files where they do not say, e.g. ZYX; with a ! (ZYX!) also where "
        "they say something else",
    )
    times: tuple[int, ...] | None = Field(
        None, description="time points that train of files with an axis T, from 0; null: all"
    )
    channels: tuple[int, ...] | None = Field(
        None, description="channels of the files to use, from 0; null: all"
    )
    target_channels: tuple[int, ...] | None = Field(
        None, description="channels of the target files to use, from 0; null: all"
    )
    planes: tuple[int, ...] | None = Field(
        None,
        description="planes of Z to use, from 0, of images and what belongs to them; for 2D "
        "networks each is an image of its own; null: all",
    )
    z_channels: bool = Field(
        False, description="planes of Z become channels of a 2D network, as many in every file"
    )
    in_channels: int | None = Field(
        None, ge=1, description="channels of the network; null: as many as the images have"
    )
    ndim: Literal[2, 3] | None = Field(None, description="2 or 3; null: 3 where images have Z")
    diameter: float | None = Field(
        30.0,
        gt=0,
        description="diameter in pixels to which the objects of every image are brought; null: "
        "images keep their scale, as they do with methods semantic and regression unless it is set",
    )
    cache: Path | None = Field(
        None,
        description="folder that keeps prepared images for further trainings, and may be shared by "
        "them; null: in the run, removed at its end",
    )
    part: int | None = Field(
        None,
        ge=1,
        description="at most so many images are drawn from in one round, others in the next, so "
        "that those fit into the memory of the system; null: all",
    )

    @field_validator("times", "channels", "target_channels", "planes", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """One number, or numbers with commas, as the command line gives them."""
        if isinstance(value, int):
            return (value,)
        return [v.strip() for v in value.split(",")] if isinstance(value, str) else value

    @property
    def flat(self) -> bool:
        """Whether each plane that is chosen is an image of its own, without Z.

        So it is of 2D networks, and with a single plane where nothing says that they are not.
        """
        if self.planes is None or self.z_channels:
            return False
        return self.ndim == 2 or (self.ndim is None and len(self.planes) == 1)

    @model_validator(mode="after")
    def _without_z(self) -> Self:
        """Planes that become channels leave no Z."""
        if self.z_channels and self.ndim == 3:
            raise ValueError(
                "data.z_channels turns planes into channels of a 2D network, but data.ndim is 3: "
                "leave one of them out"
            )
        return self
