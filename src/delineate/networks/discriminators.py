"""Discriminators that judge patches of an image at several scales, in 2D and 3D."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from delineate.errors import RecipeError
from delineate.networks.layers import Norm, convolution, normalisation
from delineate.networks.scales import too_small

SCALE = 0.02
"""Standard deviation of the first weights (Isola et al. 2017, §6.2)."""

WIDEST = 8
"""Layers have at most so many times the features of the first."""


class PatchDiscriminator(nn.Module):
    """A score for every patch of an image (PatchGAN).

    Isola, Zhu, Zhou & Efros 2017, "Image-to-image translation with conditional adversarial
    networks", §3.2.2 and §6.1.2: `layers` convolutions of 4^n pixels and stride 2, one of
    stride 1, and one that puts out the scores; leaky ReLUs of slope 0.2; no norm on the first.
    With three layers a score sees 70 pixels along each axis.

    Parameters
    ----------
    channels : of the images that are judged.
    ndim : 2 or 3 spatial axes.
    layers : convolutions that halve the resolution.
    features : of the first; each next one has twice as many, up to eight times.
    norm : "instance" or "none".
    spectral : whether every convolution has a spectral norm of 1 (Miyato et al. 2018).
    """

    def __init__(
        self, channels: int, ndim: int, layers: int, features: int, norm: Norm, spectral: bool
    ) -> None:
        super().__init__()
        if channels < 1 or layers < 1 or features < 1:
            raise ValueError(
                f"channels {channels}, layers {layers}, features {features}: expected 1 or more"
            )
        widths = [channels, *(features * min(2**i, WIDEST) for i in range(layers + 1)), 1]
        self.layers = nn.ModuleList()
        for i, (n_in, n_out) in enumerate(pairwise(widths)):
            first, last = i == 0, i == layers + 1
            plain = first or last or norm == "none"
            conv: nn.Module = convolution(
                ndim, n_in, n_out, 4, stride=2 if i < layers else 1, padding=1, bias=plain
            )
            nn.init.normal_(cast(nn.Conv2d, conv).weight, 0.0, SCALE)
            steps = [spectral_norm(conv) if spectral else conv]
            if not plain:
                steps.append(normalisation(ndim, norm, n_out, affine=False))
            if not last:
                steps.append(nn.LeakyReLU(0.2, inplace=True))
            self.layers.append(nn.Sequential(*steps))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, channels, …) → the features of every layer; the last are scores (B, 1, …)."""
        found: list[Tensor] = []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return found


class Discriminator(nn.Module):
    """Patch discriminators of an image and of smaller copies of it.

    Wang, Liu, Zhu, Tao, Kautz & Catanzaro 2018, "High-resolution image synthesis and semantic
    manipulation with conditional GANs", §3.2: the same architecture, with weights of its own, at
    each scale; each scale has half the resolution of the one before, by averages.

    Parameters
    ----------
    scales : discriminators, all of which judge every image.
    others : see `PatchDiscriminator`.
    """

    def __init__(
        self,
        channels: int,
        ndim: int,
        scales: int = 2,
        layers: int = 3,
        features: int = 64,
        norm: Norm = "instance",
        spectral: bool = False,
    ) -> None:
        super().__init__()
        if scales < 1:
            raise ValueError(f"scales {scales}: expected 1 or more")
        self.ndim, self.layers = ndim, layers
        self.scales = nn.ModuleList(
            PatchDiscriminator(channels, ndim, layers, features, norm, spectral)
            for _ in range(scales)
        )

    def check(self, shape: Sequence[int]) -> None:
        """Whether images of a spatial shape can be judged at every scale.

        Raises
        ------
        RecipeError : they are too small, for the last scale or for any.
        """
        wrong = too_small(min(shape), self.layers, len(self.scales))
        if wrong:
            raise RecipeError(f"patches of {' × '.join(map(str, shape))} pixels are {wrong}")

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """(B, channels, …) → for every scale the features of every layer, of which the last are
        scores (B, 1, …).

        Raises
        ------
        RecipeError : the image is too small for a scale.
        """
        self.check(x.shape[2:])
        found: list[list[Tensor]] = []
        for number, scale in enumerate(self.scales):
            x = self._smaller(x) if number else x
            found.append(scale(x))
        return found

    def _smaller(self, x: Tensor) -> Tensor:
        pool = F.avg_pool2d if self.ndim == 2 else F.avg_pool3d
        return pool(x, 3, stride=2, padding=1, count_include_pad=False)
