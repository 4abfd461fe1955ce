"""Past fakes, which a discriminator is shown again so that it does not forget them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class ImageBuffer:
    """Keeps fakes, and hands out past ones in the place of half of the new ones.

    Shrivastava et al. 2017, "Learning from simulated and unsupervised images through adversarial
    training", §2.3, in the form of Zhu et al. 2017, §4: until it is full every new image is kept
    and handed out; from then on, with a probability of a half, a random image of those kept is
    handed out and the new one takes its place.

    Parameters
    ----------
    size : images kept; 0 hands out new ones only.
    seed : of its draws. They and the images are its state, so that a training resumes exactly.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.images: list[Tensor] = []
        self.generator = torch.Generator().manual_seed(seed)

    def exchange(self, images: Tensor) -> Tensor:
        """Hand in new images (B, C, …), detached; returns as many, new and past ones."""
        given: list[Tensor] = []
        for new in images.detach():
            if len(self.images) < self.size:
                self.images.append(new.clone())
                given.append(new)
            elif self.size and float(torch.rand((), generator=self.generator)) < 0.5:
                place = int(torch.randint(self.size, (), generator=self.generator))
                given.append(self.images[place].to(new.device))
                self.images[place] = new.clone()
            else:
                given.append(new)
        return torch.stack(given)

    def state_dict(self) -> dict[str, Any]:
        """Images and the state of the draws, as tensors on the CPU."""
        return {
            "images": [image.cpu() for image in self.images],
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.images = list(state["images"])
        self.generator.set_state(state["generator"].cpu())
