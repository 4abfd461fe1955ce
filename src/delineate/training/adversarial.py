"""Losses between generators and discriminators, over every scale and every image of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Adversarial = Literal["least-squares", "hinge", "vanilla"]
"""Mao et al. 2017 (eq. 9); Lim & Ye 2017 (eq. 3, 4); Goodfellow et al. 2014 (§3, its generator
maximising log D)."""

Judged = Sequence[Sequence[Tensor]]
"""What a discriminator puts out: for every scale the features of every layer, the last of which
are the scores, (B, 1, …)."""


def discriminator_loss(kind: Adversarial, real: Judged, fake: Judged) -> Tensor:
    """How badly real and fake images are told apart: the mean over both, and over the scales.

    Parameters
    ----------
    real, fake : the discriminator's answers to real images and to fakes that carry no gradient.
    """
    losses = []
    for genuine, made in zip(_scores(real), _scores(fake), strict=True):
        if kind == "least-squares":
            terms = (genuine - 1).square().mean() + made.square().mean()
        elif kind == "hinge":
            terms = F.relu(1 - genuine).mean() + F.relu(1 + made).mean()
        else:
            terms = F.softplus(-genuine).mean() + F.softplus(made).mean()
        losses.append(0.5 * terms)
    return torch.stack(losses).mean()


def generator_loss(kind: Adversarial, fake: Judged) -> Tensor:
    """How far fakes are from being taken for real: the mean over scores, images and scales."""
    losses = []
    for made in _scores(fake):
        if kind == "least-squares":
            losses.append((made - 1).square().mean())
        elif kind == "hinge":
            losses.append(-made.mean())
        else:
            losses.append(F.softplus(-made).mean())
    return torch.stack(losses).mean()


def feature_matching(real: Judged, fake: Judged) -> Tensor:
    """Mean absolute difference of the features that a discriminator has of real and fake images.

    Wang et al. 2018, eq. 4, as the mean over layers and scales. The scores, which are the answer
    and no features, do not count; no gradient flows to the real images' side.
    """
    losses = [
        F.l1_loss(made.float(), genuine.detach().float())
        for genuine_layers, made_layers in zip(real, fake, strict=True)
        for genuine, made in zip(genuine_layers[:-1], made_layers[:-1], strict=True)
    ]
    return torch.stack(losses).mean()


def shown(picture: Tensor, valid: Tensor) -> Tensor:
    """A picture (B, P, …) as a discriminator sees it: 0 where `valid` (B, 1, …) is.

    Real and fake pictures end alike at the border of an image, which cannot tell them apart.
    """
    return torch.where(valid > 0, picture, 0.0)


@contextmanager
def held(*modules: nn.Module) -> Iterator[None]:
    """Within it the weights of modules take no gradient, which passes through them all the same."""
    weights = [w for module in modules for w in module.parameters() if w.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def _scores(judged: Judged) -> list[Tensor]:
    return [layers[-1].float() for layers in judged]
