"""Paired image translation with a discriminator (Isola et al. 2017; Wang et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from delineate.data.patches import Batch
from delineate.training.adversarial import (
    discriminator_loss,
    feature_matching,
    generator_loss,
    held,
    shown,
)
from delineate.training.gan import Game
from delineate.training.gan_options import Pix2PixOptions
from delineate.training.setting import Setting


class Pix2Pix(Game):
    """The method's own loss, beside a discriminator that sees image and result together.

    Isola et al. 2017, eq. 4, with the discriminators and the feature matching of Wang et al. 2018,
    §3.2 and eq. 4, 5. The generator minimises
    weight_reconstruction · loss of the method + weight_adversarial · adversarial loss
    + weight_features · feature matching. During `warmup_steps` it minimises the first term alone
    and there are no discriminators.
    """

    def __init__(self, setting: Setting, regime: Pix2PixOptions) -> None:
        super().__init__(setting, regime)
        self.regime = regime
        channels = setting.in_channels + setting.method.picture_channels(setting.ndim)
        self.judge = self.discriminator(channels, setting.ndim)

    def sides(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """The network, and its judge."""
        return [self.network], [self.judge]

    def late(self) -> int:
        """The steps of the warm-up."""
        return self.regime.warmup_steps

    def training_step(self, batch: Batch, index: int) -> dict[str, Tensor]:
        """Gradients of a batch of patches; after `accumulate` batches, a step of both sides."""
        regime = self.regime
        output = self.forward(batch.image)
        loss = regime.weight_reconstruction * self.method.loss(output, batch.targets, batch.valid)
        judging = self.global_step >= regime.warmup_steps
        if judging:
            image, valid = shown(batch.image, batch.valid), batch.valid
            made = torch.cat([image, shown(self.picture(output), valid)], dim=1)
            genuine = shown(self.method.true_picture(batch.targets), valid)
            real = self.judge(torch.cat([image, genuine], dim=1))
            with held(self.judge):
                fooled = self.judge(made)
            adversarial = generator_loss(self.kind, fooled)
            features = feature_matching(real, fooled)
            loss = loss + regime.weight_adversarial * adversarial
            loss = self.learn(loss + regime.weight_features * features)
            judged = self.learn(discriminator_loss(self.kind, real, self.judge(made.detach())))
            self.tell(len(image), g=adversarial, features=features, d=judged)
        else:
            loss = self.learn(loss)
        self.advance(index, both=judging)
        # Divided as Lightning divides the loss where it accumulates gradients itself.
        return {"loss": loss / self.options.accumulate}
