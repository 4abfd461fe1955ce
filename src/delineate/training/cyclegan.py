"""Unpaired image translation: there and back again (Zhu et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from delineate.data.patches import Batch
from delineate.inference.device import channels_last
from delineate.methods.image_losses import l1
from delineate.training.adversarial import (
    discriminator_loss,
    generator_loss,
    held,
    shown,
)
from delineate.training.buffer import ImageBuffer
from delineate.training.gan import Game
from delineate.training.gan_options import CycleGANOptions
from delineate.training.processes import every, place
from delineate.training.setting import Setting


class CycleGAN(Game):
    """Two generators, `network` from images to maps and `back` from their pictures to images.

    Zhu, Park, Isola & Efros 2017, "Unpaired image-to-image translation using cycle-consistent
    adversarial networks", eq. 1 to 3 and §5.2. The generators minimise
    weight_adversarial · (adversarial losses of both) + weight_cycle · (L1 of images that went
    there and back, and of targets that went back and there) + weight_identity · (L1 of what each
    makes of that which is already on its other side). Where pictures and images have different
    numbers of channels the last term is left out, as a generator cannot be given its own side.

    A batch is a pair of batches that have nothing to do with each other: of the first the images
    are used, of the second the targets. What lies outside of an image is black in all that is
    compared or judged, and in what is judged so is what costs nothing, of real pictures and fakes;
    cost maps, which only pairs have, weigh what is compared.
    """

    def __init__(self, setting: Setting, regime: CycleGANOptions) -> None:
        super().__init__(setting, regime)
        self.regime = regime
        images, pictures = setting.in_channels, setting.method.picture_channels(setting.ndim)
        self.back = setting.build(regime.back_network, pictures, images)
        if setting.start_back is not None:
            setting.start_back(self.back)
        self.judge = self.discriminator(pictures, setting.ndim)
        self.back_judge = self.discriminator(images, setting.ndim)
        self.identity = images == pictures and regime.weight_identity > 0
        self.past = {name: _buffer(regime.buffer) for name in ("judge", "back_judge")}

    def sides(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """Both ways, and the judges of what they make."""
        return [self.network, self.back], [self.judge, self.back_judge]

    def way_back(self, picture: Tensor) -> Tensor:
        """The image (B, C, …) that a picture (B, P, …) may have come from."""
        memory = channels_last(picture.ndim - 2)
        image: Tensor = self.back(picture.contiguous(memory_format=memory))
        return image.float()

    def training_step(self, batch: Any, index: int) -> dict[str, Tensor]:
        """Gradients of a pair of batches; after `accumulate` pairs, a step of both sides."""
        regime = self.regime
        images: Batch
        targets: Batch
        images, targets = batch
        here, there = images.valid, targets.valid
        # Generators see all that is inside, whatever it costs, as they do when they predict.
        image = shown(images.image, images.inside)
        target = shown(self.method.true_picture(targets.targets), targets.inside)
        made = shown(self.picture(self.forward(image)), images.inside)
        made_image = shown(self.way_back(target), targets.inside)
        output = self.forward(made_image)
        cycle = l1(self.way_back(made), image, here)
        if regime.target_cycle == "method":
            cycle = cycle + self.method.loss(output, targets.targets, there)
        else:
            cycle = cycle + l1(self.picture(output), target, there)
        fakes = {"judge": shown(made, here), "back_judge": shown(made_image, there)}
        reals = {"judge": shown(target, there), "back_judge": shown(image, here)}
        judges = {"judge": self.judge, "back_judge": self.back_judge}
        with held(*judges.values()):
            fooled = [generator_loss(self.kind, judges[name](fakes[name])) for name in judges]
        adversarial = fooled[0] + fooled[1]
        loss = regime.weight_cycle * cycle + regime.weight_adversarial * adversarial
        parts = {"cycle": cycle, "g": adversarial}
        if self.identity:
            same = l1(self.picture(self.forward(target)), target, there)
            parts["identity"] = same + l1(self.way_back(image), image, here)
            loss = loss + regime.weight_identity * parts["identity"]
        loss = self.learn(loss)

        judged = [
            self.learn(
                discriminator_loss(
                    self.kind, judge(reals[name]), judge(self.past[name].exchange(fakes[name]))
                )
            )
            for name, judge in judges.items()
        ]
        self.tell(len(image), **parts, d=judged[0] + judged[1])
        self.advance(index)
        # Divided as Lightning divides the loss where it accumulates gradients itself.
        return {"loss": loss / self.options.accumulate}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Past fakes belong to the state of a training; each process has its own."""
        checkpoint["past"] = every({name: past.state_dict() for name, past in self.past.items()})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the past fakes."""
        known = checkpoint["past"]
        for name, past in self.past.items():
            past.load_state_dict(known[place().rank % len(known)][name])


def _buffer(size: int) -> ImageBuffer:
    """A buffer whose draws follow from the seed of the run."""
    return ImageBuffer(size, int(torch.randint(2**31, ())))
