"""The residual generator of image translation (Johnson et al. 2016; Zhu et al. 2017)."""

from __future__ import annotations

import copy
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from delineate.networks.layers import (
    ConvNorm,
    Norm,
    Padded,
    convolution,
    fold_all,
    normalisation,
)

SCALE = 0.02
"""Standard deviation of the first weights (Zhu et al. 2017, §4)."""


class _Residual(nn.Module):
    """Two convolutions beside a path that changes nothing, without a ReLU after the sum."""

    def __init__(self, first: ConvNorm, second: ConvNorm) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.second(self.first(x)))


class ResNetGenerator(Padded):
    """Down to a quarter of the resolution, residual blocks there, and up again; linear output.

    Johnson, Alahi & Fei-Fei 2016, "Perceptual losses for real-time style transfer and
    super-resolution", supplement; Zhu, Park, Isola & Efros 2017, "Unpaired image-to-image
    translation using cycle-consistent adversarial networks", §4 and §7.2. Two things differ:
    sizes grow by repeating pixels before a 3^n convolution, where transposed convolutions leave
    checkerboards (Odena et al. 2016, "Deconvolution and checkerboard artifacts"); and edges are
    repeated instead of reflected, which a tile of any size allows.

    Parameters
    ----------
    in_channels, out_channels : numbers of channels of image and maps.
    ndim : 2 or 3 spatial axes.
    features : features at full resolution; each halving doubles them.
    halvings : of the resolution.
    blocks : residual blocks; 9 as published for 256², 6 for 128².
    norm : "instance", as published; "batch", "group" or "none".
    size : side of the first and last kernel; null: 7 in 2D, as published, and 5 in 3D.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ndim: int = 2,
        features: int = 64,
        halvings: int = 2,
        blocks: int = 9,
        norm: Norm = "instance",
        size: int | None = None,
    ) -> None:
        super().__init__()
        if features < 1 or halvings < 0 or blocks < 1:
            raise ValueError(
                f"features {features}, halvings {halvings}, blocks {blocks}: expected at least 1, "
                "0 and 1"
            )
        edge = size if size is not None else {2: 7, 3: 5}[ndim]
        if edge < 1 or edge % 2 == 0:
            raise ValueError(f"size {edge}: expected an odd number")
        self.divisor = 2**halvings
        widths = [features * 2**i for i in range(halvings + 1)]

        def conv(
            n_in: int, n_out: int, size: int, stride: int = 1, *, bias: bool = True
        ) -> nn.Conv2d:
            return convolution(
                ndim,
                n_in,
                n_out,
                size,
                stride=stride,
                padding=size // 2,
                padding_mode="replicate",
                bias=bias,
            )

        def normed(
            n_in: int, n_out: int, size: int = 3, stride: int = 1, relu: bool = True
        ) -> ConvNorm:
            layer = conv(n_in, n_out, size, stride, bias=norm in ("none", "group"))
            return ConvNorm(layer, normalisation(ndim, norm, n_out), relu=relu)

        self.stem = normed(in_channels, features, edge)
        self.down = nn.ModuleList(normed(n, 2 * n, stride=2) for n in widths[:-1])
        deepest = widths[-1]
        self.blocks = nn.Sequential(
            *(
                _Residual(normed(deepest, deepest), normed(deepest, deepest, relu=False))
                for _ in range(blocks)
            )
        )
        self.up = nn.ModuleList(normed(2 * n, n) for n in reversed(widths[:-1]))
        self.head = conv(features, out_channels, edge)
        self.apply(_start)

    @property
    def feature_layer(self) -> nn.Module:
        """The layer that puts out the deepest map."""
        return self.blocks

    def encoder_parts(self) -> list[nn.Module]:
        """The way down and the residual blocks, which a frozen stage keeps still."""
        return [self.stem, self.down, self.blocks]

    def encode(self, x: Tensor) -> list[Tensor]:
        """The deepest map of an input whose sizes `divisor` divides: there are no skips."""
        x = self.stem(x)
        for block in self.down:
            x = block(x)
        return [self.blocks(x)]

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, [Z,] Y, X) → (B, out_channels, [Z,] Y, X), of any size."""
        shape = x.shape[2:]
        x = self.encode(self.pad(x))[-1]
        for block in self.up:
            x = block(F.interpolate(x, scale_factor=2, mode="nearest"))
        return cast(Tensor, self.head(x)[(..., *(slice(0, n) for n in shape))])

    def folded(self) -> ResNetGenerator:
        """A copy for evaluation in which every batch norm is part of its convolution.

        Norms over the image itself stay. It cannot be trained.
        """
        return cast(ResNetGenerator, fold_all(copy.deepcopy(self).eval()))


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Conv3d):
        nn.init.normal_(module.weight, 0.0, SCALE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
