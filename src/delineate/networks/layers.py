"""What fnet, the ResNet generator and the discriminators share: norms, padding, full digits."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

Norm = Literal["batch", "instance", "group", "none"]
"""Over what features are normalised: batch and space, space, groups of features and space."""

GROUPS = 8
"""Groups of a group norm, or as many as divide the number of features."""


def convolution(ndim: int, n_in: int, n_out: int, size: int, **options: Any) -> nn.Conv2d:
    """A convolution over 2 or 3 spatial axes (of which `nn.Conv3d` has the same attributes)."""
    layer = nn.Conv2d if ndim == 2 else nn.Conv3d
    return cast(nn.Conv2d, layer(n_in, n_out, size, **options))


def normalisation(ndim: int, kind: Norm, n: int, *, affine: bool = True) -> nn.Module:
    """A norm of `n` features over 2 or 3 spatial axes.

    Raises
    ------
    ValueError : there is no such norm.
    """
    if kind not in get_args(Norm):
        raise ValueError(f"norm {kind!r}: expected one of {', '.join(get_args(Norm))}")
    if kind == "none":
        return nn.Identity()
    if kind == "group":
        groups = next(g for g in range(min(GROUPS, n), 0, -1) if n % g == 0)
        return nn.GroupNorm(groups, n, affine=affine)
    if kind == "instance":
        instance = nn.InstanceNorm2d if ndim == 2 else nn.InstanceNorm3d
        return instance(n, affine=affine)
    batch = nn.BatchNorm2d if ndim == 2 else nn.BatchNorm3d
    return batch(n, affine=affine)


class ConvNorm(nn.Module):
    """A convolution, its norm and, unless left out, a ReLU."""

    def __init__(self, conv: nn.Module, norm: nn.Module, *, relu: bool = True) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, …) → (B, n_out, …)."""
        x = self.norm(self.conv(x))
        return F.relu(x, inplace=True) if self.relu else x

    def fold(self) -> None:
        """Make a batch norm part of the convolution; for evaluation only."""
        if isinstance(self.norm, nn.BatchNorm2d | nn.BatchNorm3d):
            transposed = isinstance(self.conv, nn.ConvTranspose2d | nn.ConvTranspose3d)
            self.conv = fuse_conv_bn_eval(cast(Any, self.conv), self.norm, transposed)
            self.norm = nn.Identity()


def padded(x: Tensor, divisor: int) -> Tensor:
    """(B, C, …) with sizes that are multiples of `divisor`, more than one in all; edges repeat."""
    sizes = [n + -n % divisor for n in x.shape[2:]]
    if all(n == divisor for n in sizes):
        sizes[-1] *= 2  # a deepest map of one pixel cannot be normalised
    pad: list[int] = []
    for old, new in zip(reversed(x.shape[2:]), reversed(sizes), strict=True):
        pad += [0, new - old]
    return F.pad(x, pad, mode="replicate") if any(pad) else x


def in_full(layer: nn.Module, x: Tensor) -> Tensor:
    """What a layer puts out: in evaluation in single precision, also where autocast is on.

    Training needs no such digits of single pixels, and is a fifth faster without.
    """
    if layer.training:
        return cast(Tensor, layer(x))
    with torch.autocast(x.device.type, enabled=False):
        return cast(Tensor, layer(x.float()))


class Padded(nn.Module):
    """A network whose input is padded to multiples of `divisor`, by repeating the edge.

    It offers what the package asks of a network (`delineate.networks.adapter`), given `encode`.
    """

    divisor: int

    @abstractmethod
    def encode(self, x: Tensor) -> list[Tensor]:
        """Maps of each scale, from fine to coarse, of an input whose sizes `divisor` divides."""

    def pad(self, x: Tensor) -> Tensor:
        """The input with sizes that are multiples of `divisor`, more than one in all."""
        return padded(x, self.divisor)

    def features(self, x: Tensor) -> Tensor:
        """Global average of the deepest map, (B, F), of (B, in_channels, …), without the way up."""
        deepest = self.encode(self.pad(x))[-1]
        return deepest.float().mean(dim=tuple(range(2, x.ndim)))

    def style_vector(self, x: Tensor) -> Tensor:
        """`features` at unit length, (B, F)."""
        return F.normalize(self.features(x), dim=1)


def fold_all(network: nn.Module) -> nn.Module:
    """Fold the batch norms of all `ConvNorm` of a network in evaluation, in place."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, ConvNorm):
                module.fold()
    return network
