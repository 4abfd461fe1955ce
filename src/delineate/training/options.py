"""How long and by which steps weights are sought."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from delineate.errors import RecipeError

if TYPE_CHECKING:
    from torch import nn


class Placing(NamedTuple):
    """Where patches lie: around what, and which share of them does."""

    centres: Literal["objects", "classes", "anywhere"]
    share: float


class TrainOptions(BaseModel):
    """Length, optimiser and schedule of a training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(
        800, ge=1, description="optimiser steps of all weights; rounded up to equal rounds"
    )
    frozen_steps: int = Field(
        0,
        ge=0,
        description="steps before them that keep the encoder as it is, for pretrained weights",
    )
    batch: int = Field(8, ge=1, description="patches in a step, of each process")
    patch: Annotated[int, Field(ge=8)] | tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None,
        description="side of a patch in pixels, or one for each axis, such as 16,96,96; null: 192 "
        "in 2D, 64 in 3D",
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw", description="sgd is Cellpose's published choice, with learning_rate 0.2"
    )
    schedule: Literal["one-cycle", "cellpose"] = Field(
        "one-cycle",
        description="one-cycle; or Cellpose's: warm-up, constant, halved ten times at the end",
    )
    learning_rate: float = Field(2e-3, gt=0, description="largest learning rate")
    weight_decay: float = Field(1e-4, ge=0)
    clip: float | None = Field(10.0, gt=0, description="largest norm of the gradient")
    accumulate: int = Field(
        1,
        ge=1,
        description="batches whose gradients make one step, each of the same say: where unequal "
        "numbers of pixels count in them this is not quite the larger batch",
    )
    precision: str = Field(
        "auto", pattern="^(auto|fp32|bf16|fp16)$", description="auto, fp32, bf16 or fp16"
    )
    device: str = Field("auto", description="auto, cpu, cuda, mps")
    validate_every: int = Field(100, ge=1, description="steps between validations and checkpoints")
    patience: int | None = Field(
        10,
        ge=1,
        description="validations without a better score, or an equal one of lower loss, after "
        "which training stops",
    )
    validation_images: int = Field(24, ge=1, description="at most so many images validate")
    centres: Literal["objects", "classes", "anywhere"] | None = Field(
        None,
        description="what patches lie around: objects; classes: pixels of each class equally "
        "often; anywhere; null: what the method learns, and anywhere where that is an image",
    )
    centred: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of patches that lie around it, the rest anywhere; null: 1 with classes, "
        "else 0.5",
    )
    average: Literal["ema", "swa"] | None = Field(
        None,
        description="what is validated and kept in place of the weights: ema, their moving "
        "average; swa, their mean over the end of the training, through which the learning rate "
        "stays as it is",
    )
    average_decay: float = Field(
        0.999, ge=0, lt=1, description="ema: share of the average that each step leaves as it is"
    )
    average_from: float = Field(
        0.75, ge=0, lt=1, description="swa: share of the steps after which the mean begins"
    )
    norm_batches: int = Field(
        0,
        ge=0,
        description="batches over which the statistics of batch norms are computed anew before "
        "each validation; 0: their moving averages, which a few images with outliers can spoil",
    )
    processes: int = Field(
        1,
        ge=1,
        description="processes that train together on each machine, on a GPU each or on shares of "
        "the processor; each takes a batch of its own, and together they learn what one with the "
        "batches joined would, but for what looks at a whole batch: batch norms (sync_batch_norm), "
        "and the losses dice, tversky and lovasz",
    )
    nodes: int = Field(
        1, ge=1, description="machines that train together; torchrun or srun starts the command"
    )
    strategy: Literal["auto", "ddp"] = Field(
        "auto",
        description="how processes share gradients: ddp is faster, and fails where a step leaves "
        "weights out, as with frozen_steps; auto allows for it",
    )
    sync_batch_norm: bool = Field(
        False, description="batch norms see the batches of all processes; on GPUs"
    )
    workers: int = Field(0, ge=0, description="processes that make patches; 0: a thread beside")
    tensorboard: bool = Field(False, description="also write TensorBoard's event files")

    @property
    def epochs(self) -> int:
        """Rounds, each of which ends with a validation and a checkpoint."""
        return max(1, round((self.frozen_steps + self.steps) / self.validate_every))

    @property
    def steps_per_epoch(self) -> int:
        """Steps in each round."""
        return math.ceil((self.frozen_steps + self.steps) / self.epochs)

    @property
    def total(self) -> int:
        """Optimiser steps that are taken: rounds of equal length, so hardly more than asked for."""
        return self.epochs * self.steps_per_epoch

    @property
    def average_first(self) -> int:
        """Steps before the mean of "swa" begins."""
        return int(self.average_from * self.total)

    def placing(self, truth: Literal["objects", "classes", "image"]) -> Placing:
        """Where patches lie, for a method that learns objects, classes or images."""
        centres = self.centres or ("anywhere" if truth == "image" else truth)
        default = 1.0 if centres == "classes" else 0.5
        return Placing(centres, default if self.centred is None else self.centred)

    @field_validator("patch", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Numbers with commas, as the command line gives them."""
        return tuple(value.split(",")) if isinstance(value, str) and "," in value else value

    @model_validator(mode="after")
    def _one_way(self) -> TrainOptions:
        if self.average and self.norm_batches:
            raise ValueError(
                f"train.norm_batches ({self.norm_batches}) and train.average ({self.average}) "
                "exclude each other: an average has statistics of its own. Set norm_batches to 0"
            )
        return self

    def patch_shape(self, ndim: int) -> tuple[int, ...]:
        """Spatial shape of a patch.

        Raises
        ------
        RecipeError : the recipe gives a side for each of other axes.
        """
        if isinstance(self.patch, tuple):
            if len(self.patch) != ndim:
                raise RecipeError(
                    f"train.patch has {len(self.patch)} sides, {', '.join(map(str, self.patch))}, "
                    f"for {ndim} axes: give {ndim}, or one for all"
                )
            return self.patch
        return (self.patch or (192 if ndim == 2 else 64),) * ndim

    def optimiser(self, parameters: Iterable[nn.Parameter], total: int) -> dict[str, Any]:
        """Optimiser and schedule of `total` steps, as Lightning takes them.

        Parameters of one dimension (norms, biases) decay too, as in the published training.
        """
        import torch

        make: Any
        if self.optimizer == "adamw":
            make = torch.optim.AdamW(
                parameters, lr=self.learning_rate, weight_decay=self.weight_decay
            )
        else:
            make = torch.optim.SGD(
                parameters,
                lr=self.learning_rate,
                momentum=0.9,
                weight_decay=self.weight_decay,
            )
        schedule = torch.optim.lr_scheduler.LambdaLR(make, lambda step: self.rate(step, total))
        return {"optimizer": make, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def rate(self, step: int, total: int) -> float:
        """Learning rate at a step of `total`, as a share of the largest.

        The frozen steps have a schedule of their own, those after them too (Smith & Topin 2019).
        "one-cycle": cosine from 1/25 up over the first 15 % and down to 0 (Smith & Topin 2019).
        "cellpose": 0 → 1 over the first 2 %, constant, then halved every 2 % from 80 % on
        (Stringer et al. 2021: 10, 400 and 10 of 500 epochs).
        With weights averaged by "swa" it stays constant from there on (Izmailov et al. 2018, §3.1).
        """
        if self.average == "swa":
            step = min(step, max(self.frozen_steps, int(self.average_from * total)))
        if step < self.frozen_steps:
            total = min(self.frozen_steps, total)
        else:
            step, total = step - self.frozen_steps, max(1, total - self.frozen_steps)
        done = min(step / total, 1.0)
        if self.schedule == "cellpose":
            if done < 0.02:
                return done / 0.02
            halvings = 50 * min(step, total) // total - 39
            return 0.5 ** max(0, halvings)
        warm = 0.15
        if done < warm:
            return 0.04 + 0.96 * (1 - math.cos(math.pi * done / warm)) / 2
        return (1 + math.cos(math.pi * (done - warm) / (1 - warm))) / 2
