"""Supervised regime: images and labels, the method's own loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from delineate.data.augment import MARGIN
from delineate.data.patches import Batch
from delineate.data.samples import Sample
from delineate.errors import RecipeError
from delineate.inference.runner import channels_last
from delineate.methods.base import Method
from delineate.training.options import TrainOptions

VALIDATION_CROP = {2: 768, 3: 128}
"""Validation looks at the middle of larger images, so that it stays a small part of training."""


class Supervised(lightning.LightningModule):
    """Trains a network on patches and scores it on whole validation images.

    Parameters
    ----------
    network : its output has the channels of `method`.
    method : loss, activation and score.
    options : optimiser and schedule.
    total_steps : steps of the whole training, for the schedule.
    samples : images to validate on.
    """

    def __init__(
        self,
        network: nn.Module,
        method: Method,
        options: TrainOptions,
        total_steps: int,
        samples: Sequence[Sample],
    ) -> None:
        super().__init__()
        self.network = network
        self.method = method
        self.options = options
        self.total_steps = total_steps
        self.samples = list(samples)
        self.validation: list[dict[str, float]] = []

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Loss of a batch of patches."""
        memory = channels_last(batch.image.ndim - 2)
        output = self.network(batch.image.contiguous(memory_format=memory))
        loss = self.method.loss(output, batch.targets, batch.valid)
        if not torch.isfinite(loss):
            raise RecipeError(
                f"the loss became {loss.item()} at step {self.global_step}: lower "
                f"train.learning_rate ({self.options.learning_rate:g})"
            )
        return loss

    def validation_step(self, index: int, _: int) -> None:
        """Loss and scores of one whole image, its middle where it is large."""
        sample = self.samples[int(index)]
        ndim = sample.labels.ndim
        starts = [max(0, (n - VALIDATION_CROP[ndim]) // 2) for n in sample.labels.shape]
        crop = tuple(slice(s, s + VALIDATION_CROP[ndim]) for s in starts)
        full = (slice(None), *crop)
        image = torch.from_numpy(np.array(sample.image[full]))[None].to(self.device)
        targets = torch.from_numpy(np.array(sample.targets[full]))[None].to(self.device)
        margin, divisor = MARGIN[ndim], int(getattr(self.network, "divisor", 1))
        pad = [(margin, margin + -(n + 2 * margin) % divisor) for n in image.shape[2:]]
        padded = functional.pad(image, [n for both in reversed(pad) for n in both])
        output = self.network(padded.contiguous(memory_format=channels_last(ndim)))
        output = output[(..., *(slice(margin, margin + n) for n in image.shape[2:]))]
        loss = float(self.method.loss(output, targets, torch.ones_like(targets[:, :1])))
        maps = self.method.activate(output)[0].cpu().numpy()
        scores = self.method.score(maps, np.array(sample.labels[crop]))
        self.validation.append({"loss": loss, **scores})

    def on_validation_epoch_end(self) -> None:
        """Mean over the validation images of each score."""
        for name in self.validation[0] if self.validation else ():
            mean = float(np.mean([scores[name] for scores in self.validation]))
            self.log(f"val_{name}", mean)
        self.validation.clear()

    def configure_optimizers(self) -> Any:
        """The optimiser and schedule that the options name."""
        return self.options.optimiser(self.parameters(), self.total_steps)
