"""What pix2pix and CycleGAN share: two sides, each with its optimiser and schedule."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from delineate.errors import RecipeError
from delineate.networks.discriminators import Discriminator
from delineate.training.gan_options import CycleGANOptions, Pix2PixOptions, Schedule
from delineate.training.options import TrainOptions
from delineate.training.setting import Setting
from delineate.training.supervised import Supervised

DECAY = 0.999
"""Second beta of AdamW."""


class Game(Supervised):
    """Generators against discriminators, validated as a supervised training is.

    In each step both sides learn from the same fakes, before either has moved: batches whose
    gradients are accumulated thus count as one larger batch. The number of a step counts the
    generators' steps alone.

    The last weights are kept, whatever they score, and no training stops early: a score that asks
    for agreement pixel by pixel is best where a result is blurred, before discriminators have
    taught it detail, and would choose the weights of a warm-up in which they had no part. Scores
    are logged all the same.
    """

    monitor = None

    def __init__(self, setting: Setting, regime: Pix2PixOptions | CycleGANOptions) -> None:
        super().__init__(setting)
        self.automatic_optimization = False
        self.kind = regime.adversarial
        self._regime = regime

    @abstractmethod
    def sides(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """Generators and discriminators."""

    def late(self) -> int:
        """Steps that the generators take before the discriminators."""
        return 0

    def discriminator(self, channels: int, ndim: int) -> Discriminator:
        """A discriminator of images of so many channels, with fresh weights.

        Raises
        ------
        RecipeError : the patches of this training are too small for it.
        """
        options = self._regime.discriminator
        judge = Discriminator(
            channels,
            ndim,
            options.scales,
            options.layers,
            options.features,
            options.norm,
            options.spectral,
        )
        judge.check(self.options.patch_shape(ndim))
        return judge

    def picture(self, output: Tensor) -> Tensor:
        """What the network's output shows, (B, P, …)."""
        return self.method.picture(self.method.activate(output.float()))

    def on_fit_start(self) -> None:
        """Refuse numbers that two losses would have to be scaled for.

        Raises
        ------
        RecipeError : training is in fp16.
        """
        if str(self.trainer.precision).startswith("16"):
            raise RecipeError(
                f"regime {self._regime.name} trains in fp32 or bf16, not in fp16: set "
                "train.precision to auto, fp32 or bf16"
            )

    def learn(self, loss: Tensor) -> Tensor:
        """Add the gradients of one batch; returns the loss, detached.

        Raises
        ------
        RecipeError : it is infinite or NaN.
        """
        self.manual_backward(self.checked(loss) / self.options.accumulate)
        return loss.detach()

    def advance(self, index: int, *, both: bool = True) -> None:
        """Take a step on both sides, or the generators' alone, once enough batches were seen."""
        if (index + 1) % self.options.accumulate:
            return
        # Lightning counts the steps of the optimisers that it wraps.
        counted, plain = self.optimizers(), self.optimizers(use_pl_optimizer=False)
        steppers = (counted[0], plain[1])
        for i, (side, schedule) in enumerate(zip(self.sides(), self.lr_schedulers(), strict=True)):
            if i == 0 or both:
                self._clip([w for module in side for w in module.parameters()])
                steppers[i].step()
                schedule.step()
            steppers[i].zero_grad()

    def _clip(self, weights: list[nn.Parameter]) -> None:
        """Bound the gradient; one without bounds counts as zero, and is told as gan_skipped.

        The step is still taken, so that steps and schedules go on: momentum and decay alone move.

        Under instance norm the gradient of a patch without structure grows layer by layer, by up
        to the inverse root of its epsilon, until it is infinite.
        """
        size = nn.utils.clip_grad_norm_(weights, self.options.clip or float("inf"))
        lost = not bool(torch.isfinite(size))
        if lost:
            for weight in weights:
                weight.grad = None if weight.grad is None else torch.zeros_like(weight)
        self.log(
            "gan_skipped", float(lost), on_step=False, on_epoch=True, batch_size=1, sync_dist=True
        )

    def tell(self, batch: int, **losses: Tensor) -> None:
        """Log the mean over the round of parts of the losses, as gan_NAME."""
        for name, value in losses.items():
            self.log(
                f"gan_{name}",
                value.detach(),
                on_step=False,
                on_epoch=True,
                batch_size=batch,
                sync_dist=True,
            )

    def configure_optimizers(self) -> Any:
        """The optimiser and schedule of the generators, and those of the discriminators."""
        options, regime = self.options, self._regime
        first = regime.generator_schedule or options.schedule
        second = regime.discriminator_schedule or first
        generators, discriminators = self.sides()
        later = options.model_copy(
            update={
                "learning_rate": options.learning_rate * regime.discriminator_rate,
                "frozen_steps": 0,
            }
        )
        return [
            _optimiser(generators, options, regime.beta, first, self.total_steps),
            _optimiser(
                discriminators, later, regime.beta, second, max(1, self.total_steps - self.late())
            ),
        ]


def _optimiser(
    modules: Sequence[nn.Module], options: TrainOptions, beta: float, kind: Schedule, total: int
) -> dict[str, Any]:
    weights = [w for module in modules for w in module.parameters()]
    make: Any
    rate, decay = options.learning_rate, options.weight_decay
    if options.optimizer == "adamw":
        make = torch.optim.AdamW(weights, lr=rate, betas=(beta, DECAY), weight_decay=decay)
    else:
        make = torch.optim.SGD(weights, lr=rate, momentum=0.9, weight_decay=decay)
    follow = options.model_copy(update={"schedule": kind})

    def share(step: int) -> float:
        if kind == "constant":
            return 1.0
        if kind == "linear":
            last = options.average_from if options.average == "swa" else 1.0
            return min(1.0, 2 * (1 - min(step / total, last)))
        return follow.rate(step, total)

    schedule = torch.optim.lr_scheduler.LambdaLR(make, share)
    return {"optimizer": make, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
