"""Supervised regime: images and their truth, the method's own loss."""

from __future__ import annotations

from typing import Any, Literal

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from delineate.data.augment import MARGIN
from delineate.errors import RecipeError
from delineate.inference.device import channels_last
from delineate.training.processes import gathered
from delineate.training.setting import Setting

VALIDATION_CROP = {2: 768, 3: 128}
"""Validation looks at the middle of larger images, so that it stays a small part of training."""


def middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """What validation looks at of an image of these spatial axes."""
    side = VALIDATION_CROP[len(shape)]
    starts = [max(0, (n - side) // 2) for n in shape]
    return tuple(slice(s, s + side) for s in starts)


class Supervised(lightning.LightningModule):
    """Trains a network on patches and scores it on whole validation images.

    `monitor` is the score that decides which weights are best, `mode` whether the largest or the
    smallest of it; None keeps the last weights.
    """

    monitor: str | None
    mode: Literal["max", "min"] = "max"

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.network = setting.network
        self.method = setting.method
        self.options = setting.options
        self.total_steps = setting.total
        self.samples = list(setting.samples)
        self.validation: list[dict[str, float]] = []
        if not hasattr(type(self), "monitor"):
            self.monitor = f"val_{self.method.monitor}"
        if not self.samples:
            self.monitor = None

    def forward(self, image: Tensor) -> Tensor:
        """The network's output for (B, C, …), in the memory format that convolutions like."""
        output: Tensor = self.network(image.contiguous(memory_format=channels_last(image.ndim - 2)))
        return output

    def checked(self, loss: Tensor) -> Tensor:
        """A loss that is finite.

        Raises
        ------
        RecipeError : it is not.
        """
        if not torch.isfinite(loss):
            raise RecipeError(
                f"the loss became {loss.item()} at step {self.global_step}: lower "
                f"train.learning_rate ({self.options.learning_rate:g})"
            )
        return loss

    def training_step(self, batch: Any, _: int) -> Any:
        """Loss of a `Batch` of patches."""
        output = self.forward(batch.image)
        return self.checked(self.method.loss(output, batch.targets, batch.valid))

    def validation_crop(self, index: int) -> tuple[Tensor, Tensor, Tensor, np.ndarray[Any, Any]]:
        """A validation image, its middle where it is large.

        Returns
        -------
        image (1, C, …), targets (1, K, …) and weights (1, 1, …) on the device; and the truth that
        the method scores against.
        """
        sample = self.samples[index]
        ndim = sample.image.ndim - 1
        crop = middle(sample.image.shape[1:])
        full = (slice(None), *crop)
        image = torch.from_numpy(np.array(sample.image[full]))[None].to(self.device)
        targets = torch.from_numpy(np.array(sample.targets[full]))[None].to(self.device)
        valid = torch.ones_like(image[:, :1])
        if sample.cost is not None:
            valid = torch.from_numpy(np.array(sample.cost[crop]))[None, None].to(self.device)
        truth = sample.truth[full if sample.truth.ndim > ndim else crop]
        return image, targets, valid, np.array(truth)

    def whole(self, image: Tensor) -> Tensor:
        """The network's output for a whole image (1, C, …), seen beyond its edges as in patches."""
        ndim = image.ndim - 2
        margin, divisor = MARGIN[ndim], int(getattr(self.network, "divisor", 1))
        pad = [(margin, margin + -(n + 2 * margin) % divisor) for n in image.shape[2:]]
        padded = functional.pad(image, [n for both in reversed(pad) for n in both])
        output = self.forward(padded)
        for axis, n in enumerate(image.shape[2:], 2):
            output = output.narrow(axis, margin, n)
        return output

    def validation_step(self, index: int, _: int) -> None:
        """Loss and scores of one whole image."""
        image, targets, valid, truth = self.validation_crop(int(index))
        output = self.whole(image)
        loss = float(self.method.loss(output, targets, valid))
        maps = self.method.activate(output)[0].float().cpu().numpy()
        counted = (valid[0, 0] > 0).cpu().numpy()
        self.validation.append({"loss": loss, **self.method.score(maps, truth, counted)})

    def on_validation_epoch_end(self) -> None:
        """Mean of each score over the validation images that have it.

        Raises
        ------
        RecipeError : none has the score that decides which weights are best.
        """
        rows = gathered(self.validation, len(self.samples))
        self.validation.clear()
        for name in rows[0] if rows else ():
            values = [row[name] for row in rows if not np.isnan(row[name])]
            if values:
                self.log(f"val_{name}", float(np.mean(values)))
            elif self.monitor == f"val_{name}":
                side = VALIDATION_CROP[self.samples[0].image.ndim - 1]
                raise RecipeError(
                    f"no validation image has structure to be compared with: {name} has no value "
                    f"in any of the {len(rows)}, of which the middle {side} pixels are looked at; "
                    "name others in data.table, or set data.validation to 0"
                )

    def configure_optimizers(self) -> Any:
        """The optimiser and schedule that the options name."""
        return self.options.optimiser(self.parameters(), self.total_steps)
