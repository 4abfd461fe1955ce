"""The U-Net of label-free prediction, fnet (Ounkomol et al. 2018), in 2D and 3D."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from delineate.networks.layers import (
    ConvNorm,
    Norm,
    Padded,
    convolution,
    fold_all,
    in_full,
    normalisation,
)


class FNet(Padded):
    """U-Net with strided convolutions for pooling, concatenated skips and a linear output.

    Ounkomol, Seshamani, Maleckar, Collman & Johnson 2018, "Label-free prediction of
    three-dimensional fluorescence images from transmitted-light microscopy", Nature Methods 15,
    Fig. 1 and Methods: twice a 3^n convolution, norm and ReLU a level; a 2^n convolution of
    stride 2 leads down, a transposed one up, each with norm and ReLU.

    Parameters
    ----------
    in_channels, out_channels : numbers of channels of image and maps.
    ndim : 2 or 3 spatial axes.
    features : features at full resolution; each level has twice as many as the one above.
    depth : levels below the first, each of half the resolution.
    norm : "batch", as published; "instance", "group" or "none".

    Layers at full resolution, which hand on intensities, compute in single precision also under
    autocast: bfloat16 has eight binary digits, and would leave an image some hundred intensities.

    With the defaults, one channel in and out, it has 23.3 million parameters in 3D and 8.1 million
    in 2D.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ndim: int = 2,
        features: int = 32,
        depth: int = 4,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.keeps_intensities = True
        if features < 1 or depth < 1:
            raise ValueError(f"features {features}, depth {depth}: expected 1 or more of each")
        self.divisor = 2**depth
        widths = [features * 2**i for i in range(depth + 1)]

        def conv(n_in: int, n_out: int, size: int = 3, stride: int = 1) -> ConvNorm:
            layer = convolution(
                ndim,
                n_in,
                n_out,
                size,
                stride=stride,
                padding=size // 2 if stride == 1 else 0,
                bias=norm in ("none", "group"),
            )
            return ConvNorm(layer, normalisation(ndim, norm, n_out))

        def back(n_in: int, n_out: int) -> ConvNorm:
            kind = nn.ConvTranspose2d if ndim == 2 else nn.ConvTranspose3d
            layer = kind(n_in, n_out, 2, stride=2, bias=norm in ("none", "group"))
            return ConvNorm(layer, normalisation(ndim, norm, n_out))

        def twice(n_in: int, n_out: int) -> nn.Sequential:
            return nn.Sequential(conv(n_in, n_out), conv(n_out, n_out))

        self.down = nn.ModuleList(
            twice(in_channels if i == 0 else widths[i - 1], n) for i, n in enumerate(widths)
        )
        self.shrink = nn.ModuleList(conv(n, n, 2, 2) for n in widths[:-1])
        self.grow = nn.ModuleList(back(2 * n, n) for n in widths[:-1])
        self.up = nn.ModuleList(twice(2 * n, n) for n in widths[:-1])
        self.head = convolution(ndim, features, out_channels, 3, padding=1)

    @property
    def feature_layer(self) -> nn.Module:
        """The layer that puts out the deepest map."""
        return self.down[-1]

    def encoder_parts(self) -> list[nn.Module]:
        """The way down, which a frozen stage keeps still."""
        return [self.down, self.shrink]

    def encode(self, x: Tensor) -> list[Tensor]:
        """Maps of each scale, from fine to coarse, of an input whose sizes `divisor` divides."""
        maps = [in_full(self.down[0], x)]
        for shrink, block in zip(self.shrink, list(self.down)[1:], strict=True):
            maps.append(block(shrink(maps[-1])))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, [Z,] Y, X) → (B, out_channels, [Z,] Y, X), of any size."""
        shape = x.shape[2:]
        maps = self.encode(self.pad(x))
        x = maps.pop()
        for grow, block in zip(reversed(self.grow), reversed(self.up), strict=True):
            x = torch.cat([maps.pop(), grow(x)], dim=1)
            x = block(x) if maps else in_full(block, x)
        x = in_full(self.head, x)
        return x[(slice(None), slice(None), *(slice(0, n) for n in shape))]

    def folded(self) -> FNet:
        """A copy for evaluation in which every batch norm is part of its convolution.

        Its output is the same up to rounding; it cannot be trained.
        """
        return cast(FNet, fold_all(copy.deepcopy(self).eval()))
