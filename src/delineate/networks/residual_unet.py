"""Residual style U-Net of Cellpose (Stringer et al. 2021, "Deep neural network"), in 2D and 3D."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _convolution(ndim: int, n_in: int, n_out: int, size: int) -> nn.Module:
    layer: type[nn.Conv2d] | type[nn.Conv3d] = nn.Conv2d if ndim == 2 else nn.Conv3d
    return layer(n_in, n_out, size, padding=size // 2)


def _norm(ndim: int, n: int) -> nn.Module:
    return (
        nn.BatchNorm2d(n, eps=1e-5, momentum=0.05)
        if ndim == 2
        else nn.BatchNorm3d(n, eps=1e-5, momentum=0.05)
    )


class PreActivated(nn.Module):
    """Batch norm, ReLU and a 3^n convolution; a style vector may be added first."""

    def __init__(self, ndim: int, n_in: int, n_out: int, style: int = 0) -> None:
        super().__init__()
        self.norm = _norm(ndim, n_in)
        self.conv = _convolution(ndim, n_in, n_out, 3)
        self.style = nn.Linear(style, n_in) if style else None

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """(B, n_in, …) and (B, style) → (B, n_out, …)."""
        if self.style is not None and style is not None:
            shift = self.style(style)
            x = x + shift.reshape(*shift.shape, *([1] * (x.ndim - 2)))
        if not isinstance(self.norm, nn.Identity):
            return cast(Tensor, self.conv(F.relu(self.norm(x), inplace=True)))
        return cast(Tensor, self.conv(F.relu(x)))

    def fold_into(self, before: PreActivated) -> Tensor:
        """Fold the norm into the convolution whose output comes in; returns the norm's scale.

        What else is added to that output must be multiplied by the scale too.
        """
        scale, shift = _affine(self.norm)
        conv = cast(nn.Conv2d, before.conv)
        conv.weight.mul_(scale.reshape(-1, *([1] * (conv.weight.ndim - 1))))
        bias = scale * cast(Tensor, conv.bias)
        if self.style is None:
            bias = bias + shift
        else:
            self.style.weight.mul_(scale[:, None])
            self.style.bias.mul_(scale).add_(shift)
        conv.bias = nn.Parameter(bias)
        self.norm = nn.Identity()
        return scale


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """A batch norm in evaluation as scale·x + shift."""
    norm = cast(nn.BatchNorm2d, norm)
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    return scale, norm.bias - scale * mean


class Projection(nn.Module):
    """Batch norm and a 1^n convolution: the residual path where the number of features changes."""

    def __init__(self, ndim: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.norm = _norm(ndim, n_in)
        self.conv = _convolution(ndim, n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, …) → (B, n_out, …)."""
        return cast(Tensor, self.conv(self.norm(x)))

    def fold(self) -> None:
        """Fold the norm into the convolution."""
        scale, shift = _affine(self.norm)
        conv = cast(nn.Conv2d, self.conv)
        flat = conv.weight.flatten(1)
        conv.bias = nn.Parameter(cast(Tensor, conv.bias) + flat @ shift)
        conv.weight.mul_(scale.reshape(1, -1, *([1] * (conv.weight.ndim - 2))))
        self.norm = nn.Identity()


class DownBlock(nn.Module):
    """Two residual blocks of two convolutions each."""

    def __init__(self, ndim: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.project = Projection(ndim, n_in, n_out)
        self.convs = nn.ModuleList(
            PreActivated(ndim, n_in if i == 0 else n_out, n_out) for i in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, …) → (B, n_out, …)."""
        x = self.project(x) + self.convs[1](self.convs[0](x))
        return cast(Tensor, x + self.convs[3](self.convs[2](x)))

    def fold(self) -> None:
        """Fold the norms that can be folded; for evaluation only."""
        first, second, third, fourth = cast(list[PreActivated], list(self.convs))
        second.fold_into(first)
        fourth.fold_into(third)
        self.project.fold()


class UpBlock(nn.Module):
    """As `DownBlock`, with the skip joined at, and the style added from, the second convolution."""

    def __init__(self, ndim: int, n_in: int, n_out: int, style: int) -> None:
        super().__init__()
        self.ndim = ndim
        self.skip_scale: Tensor | None = None
        self.project = Projection(ndim, n_in, n_out)
        self.convs = nn.ModuleList(
            PreActivated(ndim, n_in if i == 0 else n_out, n_out, style if i else 0)
            for i in range(4)
        )

    def forward(self, x: Tensor, skip: Tensor, style: Tensor | None) -> Tensor:
        """(B, n_in, …), (B, n_out, …) and (B, style) → (B, n_out, …)."""
        joined = self.convs[0](x)
        if self.skip_scale is None:
            joined = joined + skip
        else:
            joined = torch.addcmul(joined, skip, self.skip_scale.to(joined.dtype))
        x = self.project(x) + self.convs[1](joined, style)
        return cast(Tensor, x + self.convs[3](self.convs[2](x, style), style))

    def fold(self) -> None:
        """Fold the norms that can be folded; for evaluation only."""
        first, second, third, fourth = cast(list[PreActivated], list(self.convs))
        scale = second.fold_into(first)
        self.skip_scale = scale.reshape(-1, *([1] * self.ndim))
        fourth.fold_into(third)
        self.project.fold()


class ResidualUNet(nn.Module):
    """Residual U-Net with additive skips and a style vector.

    Parameters
    ----------
    in_channels, out_channels : numbers of channels of image and maps.
    ndim : 2 or 3 spatial axes.
    features : features of each scale, from fine to coarse; each scale halves the resolution.
    style : whether the style vector (global average of the deepest map, L2-normalised) is added
        in the up blocks.

    With 2 input channels and the default features it has 6.6 million parameters, as published.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ndim: int = 2,
        features: Sequence[int] = (32, 64, 128, 256),
        style: bool = True,
    ) -> None:
        super().__init__()
        if not features or any(not isinstance(f, int) or f < 1 for f in features):
            raise ValueError(f"features {features!r}: expected positive integers, one a scale")
        self.ndim = ndim
        self.widths = tuple(features)
        self.use_style = style
        sizes = [in_channels, *features]
        self.down = nn.ModuleList(DownBlock(ndim, a, b) for a, b in pairwise(sizes))
        deep = [*features, features[-1]]
        self.up = nn.ModuleList(
            UpBlock(ndim, deep[i + 1], deep[i], features[-1] if style else 0)
            for i in range(len(features))
        )
        self.norm = _norm(ndim, features[0])
        self.head = _convolution(ndim, features[0], out_channels, 1)

    @property
    def divisor(self) -> int:
        """Sizes of inputs are padded to multiples of this."""
        return int(2 ** (len(self.widths) - 1))

    @property
    def feature_layer(self) -> nn.Module:
        """The layer that puts out the deepest map."""
        return self.down[-1]

    def encoder_parts(self) -> list[nn.Module]:
        """The way down, which a frozen stage keeps still."""
        return [self.down]

    def features(self, x: Tensor) -> Tensor:
        """Global average of the deepest map, (B, features[-1]), without the way up."""
        deepest = self.encode(self._pad(x))[-1]
        return deepest.float().mean(dim=tuple(range(2, x.ndim)))

    def encode(self, x: Tensor) -> list[Tensor]:
        """Maps of each scale, from fine to coarse, of an input whose sizes `divisor` divides."""
        pool = F.max_pool2d if self.ndim == 2 else F.max_pool3d
        maps: list[Tensor] = []
        for i, block in enumerate(self.down):
            x = block(pool(x, 2) if i else x)
            maps.append(x)
        return maps

    @staticmethod
    def style_of(deepest: Tensor) -> Tensor:
        """Global average of the deepest map, L2-normalised: (B, features[-1])."""
        mean = deepest.float().mean(dim=tuple(range(2, deepest.ndim)))
        return F.normalize(mean, dim=1)

    def style_vector(self, x: Tensor) -> Tensor:
        """Style of each image of the batch, (B, features[-1]), without the way up."""
        return self.style_of(self.encode(self._pad(x))[-1])

    def _pad(self, x: Tensor) -> Tensor:
        pad: list[int] = []
        for size in reversed(x.shape[2:]):
            pad += [0, -size % self.divisor]
        return F.pad(x, pad, mode="replicate") if any(pad) else x

    @torch.no_grad()
    def folded(self) -> ResidualUNet:
        """A copy for evaluation in which 24 of 41 batch norms are part of convolutions.

        Its output is the same up to rounding; it cannot be trained, nor moved to another device.
        """
        network = copy.deepcopy(self).eval()
        for block in (*network.down, *network.up):
            cast(DownBlock, block).fold()
        return network

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, [Z,] Y, X) → (B, out_channels, [Z,] Y, X), of any size."""
        shape = x.shape[2:]
        skips = self.encode(self._pad(x))
        x = skips[-1]
        style = self.style_of(x) if self.use_style else None
        for i in reversed(range(len(skips))):
            if i < len(skips) - 1:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.up[i](x, skips[i], style)
        x = self.head(F.relu(self.norm(x)))
        return x[(slice(None), slice(None), *(slice(0, s) for s in shape))]
