"""Networks of MONAI (Cardoso et al. 2022, arXiv 2211.02701; Apache-2.0) under names of our own.

This file is imported when one of them is built, since MONAI takes seconds to import. Defaults are
chosen so that each trains on a processor in reasonable time; batch norm is taken wherever MONAI
leaves a choice, as instance norm would erase from the features what an image looks like, and make
results depend on the tile. All options of MONAI's constructors can be given, under MONAI's names:
widths are its `channels`, `features` or `filters`. What docstrings here do not say of an option,
those of MONAI do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Annotated, Any

from monai.networks.layers.simplelayers import SkipConnection
from monai.networks.nets import (
    AttentionUnet,
    BasicUNetPlusPlus,
    DynUNet,
    FlexibleUNet,
    SegResNet,
    SwinUNETR,
    UNet,
)
from monai.networks.nets.attentionunet import AttentionLayer
from monai.networks.nets.resnet import ResNet
from torch import Tensor, nn

from delineate.networks.adapter import Adapted
from delineate.networks.layers import Norm, normalisation
from delineate.networks.options import Further

Strides = Sequence[int | Sequence[int]]


def _factor(strides: Strides) -> int:
    """By how much strides shrink an image along the axis that they shrink most."""
    axes = zip(*(s if isinstance(s, Sequence) else (s,) * 3 for s in strides), strict=False)
    return max(prod(axis) for axis in axes)


def unet(
    in_channels: int,
    out_channels: int,
    ndim: int,
    channels: Sequence[int] = (32, 64, 128, 256),
    strides: Strides | None = None,
    num_res_units: int = 2,
    norm: Any = "batch",
    **options: Annotated[Any, Further(UNet)],
) -> nn.Module:
    """U-Net with residual units (Kerfoot et al. 2019), its first layer at half the resolution.

    Parameters
    ----------
    channels : features of each level, from fine to coarse.
    strides : by how much each level shrinks the one above, perhaps along each axis; null: 2.
    """
    steps = strides if strides is not None else (2,) * (len(channels) - 1)
    inner = UNet(
        ndim,
        in_channels,
        out_channels,
        channels,
        steps,
        num_res_units=num_res_units,
        norm=norm,
        **options,
    )
    layer, down = inner.model, []
    while isinstance(layer, nn.Sequential) and len(layer) == 3 and _skips(layer[1]):
        down.append(layer[0])
        layer = layer[1].submodule
    return Adapted(inner, _factor(steps), layer, [*down, layer])


def _skips(module: nn.Module) -> bool:
    return isinstance(module, SkipConnection)


def unet_plus_plus(
    in_channels: int,
    out_channels: int,
    ndim: int,
    features: Sequence[int] = (32, 32, 64, 128, 256, 32),
    norm: Any = "batch",
    **options: Annotated[Any, Further(BasicUNetPlusPlus)],
) -> nn.Module:
    """U-Net++ (Zhou et al. 2018): nested skips, five scales."""
    inner = BasicUNetPlusPlus(ndim, in_channels, out_channels, features, norm=norm, **options)
    down = [getattr(inner, f"conv_{i}_0") for i in range(5)]
    return Adapted(inner, 16, down[-1], down)


def attention_unet(
    in_channels: int,
    out_channels: int,
    ndim: int,
    channels: Sequence[int] = (32, 64, 128, 256),
    strides: Strides | None = None,
    norm_up: Norm = "instance",
    **options: Annotated[Any, Further(AttentionUnet)],
) -> nn.Module:
    """Attention U-Net (Oktay et al. 2018): skips weighted by what lies deeper.

    Parameters
    ----------
    channels : features of each level, from fine to coarse.
    strides : by how much each level shrinks the one above, perhaps along each axis; null: 2.
    norm_up : norm after transposed convolutions: "instance", as MONAI has it, "batch", "group" or
        "none"; other norms are of batches.
    """
    steps = strides if strides is not None else (2,) * (len(channels) - 1)
    inner = AttentionUnet(ndim, in_channels, out_channels, channels, steps, **options)
    for module in list(inner.modules()):
        for name, norm in module.named_children():
            if isinstance(norm, nn.InstanceNorm2d | nn.InstanceNorm3d):
                affine = norm_up != "instance"  # as MONAI has it, without weights
                setattr(
                    module, name, normalisation(ndim, norm_up, norm.num_features, affine=affine)
                )
    down, layer = [inner.model[0]], inner.model[1]
    while isinstance(layer, AttentionLayer):
        below = layer.submodule
        first = below[0] if isinstance(below, nn.Sequential) else below
        layer = below[1] if isinstance(below, nn.Sequential) else None
        down.append(first)
    return Adapted(inner, _factor(steps), down[-1], down)


def segresnet(
    in_channels: int,
    out_channels: int,
    ndim: int,
    init_filters: int = 16,
    blocks_down: Sequence[int] = (1, 2, 2, 4),
    blocks_up: Sequence[int] | None = None,
    **options: Annotated[Any, Further(SegResNet)],
) -> nn.Module:
    """SegResNet (Myronenko 2018), group norm.

    Parameters
    ----------
    init_filters : features at full resolution; each level has twice as many as the one above.
    blocks_down : residual blocks of each level on the way down.
    blocks_up : residual blocks of each level on the way up; null: 1.
    """
    inner = SegResNet(
        ndim,
        init_filters,
        in_channels,
        out_channels,
        blocks_down=tuple(blocks_down),
        blocks_up=tuple(blocks_up if blocks_up is not None else (1,) * (len(blocks_down) - 1)),
        **options,
    )
    down = [inner.convInit, *inner.down_layers]
    return Adapted(inner, 2 ** (len(blocks_down) - 1), down[-1], down)


def dynunet(
    in_channels: int,
    out_channels: int,
    ndim: int,
    filters: Sequence[int] = (32, 64, 128, 256),
    strides: Strides | None = None,
    kernel_size: Strides | None = None,
    norm_name: Any = "batch",
    res_block: bool = True,
    **options: Annotated[
        Any, Further(DynUNet, ("upsample_kernel_size", "deep_supervision", "deep_supr_num"))
    ],
) -> nn.Module:
    """The U-Net of nnU-Net (Isensee et al. 2021) with residual blocks.

    Parameters
    ----------
    filters : features of each level, from fine to coarse.
    strides : by how much each level shrinks the one above, perhaps along each axis; null: 1, 2, 2 …
    kernel_size : of each level, perhaps along each axis; null: 3.
    """
    n = len(filters)
    steps = strides if strides is not None else (1, *(2,) * (n - 1))
    inner = DynUNet(
        ndim,
        in_channels,
        out_channels,
        kernel_size if kernel_size is not None else (3,) * n,
        steps,
        steps[1:],
        filters=filters,
        norm_name=norm_name,
        res_block=res_block,
        **options,
    )
    down = [inner.input_block, *inner.downsamples, inner.bottleneck]
    return Adapted(inner, _factor(steps), inner.bottleneck, down)


def swin_unetr(
    in_channels: int,
    out_channels: int,
    ndim: int,
    feature_size: int = 24,
    **options: Annotated[Any, Further(SwinUNETR)],
) -> nn.Module:
    """Swin UNETR (Hatamizadeh et al. 2022): a transformer as encoder."""
    inner = SwinUNETR(
        in_channels, out_channels, feature_size=feature_size, spatial_dims=ndim, **options
    )
    return Adapted(inner, 32, inner.swinViT, [inner.swinViT])


class _ResNetEncoder(ResNet):
    """ResNet (He et al. 2016) without its head: the maps of five scales, with torchvision's names.

    MONAI's own encoder pools and pads in the shortcuts of ResNet-18 and 34, through which no
    gradient passes; here they are convolutions, as published.
    """

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps from half to a thirty-second of the resolution."""
        maps = [self.act(self.bn1(self.conv1(x)))]
        x = self.maxpool(maps[0])
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return maps


_RESNETS = {
    "resnet18": ("basic", [2, 2, 2, 2]),
    "resnet34": ("basic", [3, 4, 6, 3]),
    "resnet50": ("bottleneck", [3, 4, 6, 3]),
}


def _encoder_unet(
    backbone: str,
    in_channels: int,
    out_channels: int,
    ndim: int,
    **options: Annotated[Any, Further(FlexibleUNet, ("backbone", "pretrained"))],
) -> nn.Module:
    """U-Net whose encoder is a network for classification."""
    if "decoder_channels" in options:
        options["decoder_channels"] = tuple(options["decoder_channels"])
    inner = FlexibleUNet(
        in_channels, out_channels, backbone, pretrained=False, spatial_dims=ndim, **options
    )
    if backbone in _RESNETS:
        block, layers = _RESNETS[backbone]
        inner.encoder = _ResNetEncoder(
            block,
            layers,
            [64, 128, 256, 512],
            ndim,
            in_channels,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )
        inner.encoder.avgpool = nn.Identity()  # of the head, which is not used
    else:
        for unused in ("_conv_head", "_bn1", "_avg_pooling", "_dropout", "_fc"):
            setattr(inner.encoder, unused, nn.Identity())
        for module in inner.encoder.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.momentum = 0.1  # published with 0.01, for trainings of 100,000s of steps
    return Adapted(inner, 32, inner.encoder, [inner.encoder])


def _named(backbone: str) -> Callable[..., nn.Module]:
    return partial(_encoder_unet, backbone)


resnet18_unet = _named("resnet18")
resnet34_unet = _named("resnet34")
resnet50_unet = _named("resnet50")
efficientnet_b0_unet = _named("efficientnet-b0")
efficientnet_b1_unet = _named("efficientnet-b1")
efficientnet_b2_unet = _named("efficientnet-b2")
efficientnet_b3_unet = _named("efficientnet-b3")
efficientnet_b4_unet = _named("efficientnet-b4")
