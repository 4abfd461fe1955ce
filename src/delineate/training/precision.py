"""The floating type that a training computes in."""

from __future__ import annotations

import logging

import torch
from torch import nn

from delineate.errors import RecipeError
from delineate.inference.device import resolve_device, resolve_precision
from delineate.training.options import TrainOptions

log = logging.getLogger("delineate")

THIN = 2
"""Gradients of 3D kernels over maps so many pixels deep are wrong in bfloat16 on processors."""


def sound_precision(options: TrainOptions, network: nn.Module, ndim: int) -> TrainOptions:
    """The options with a precision in which gradients are right.

    On processors, oneDNN's bfloat16 gradients of the weights of 3³ kernels are garbage (NaN, 1e36)
    where the maps are 2 pixels deep (seen with torch 2.13; depths 1, 3 and above are right, as are
    float32 and the way forward). Patches meet that depth where the deepest map is 1 or 2 pixels
    along an axis: then "auto" becomes float32.

    Raises
    ------
    RecipeError : bfloat16 is asked for by name where it would be wrong.
    """
    device = resolve_device(options.device)
    half = resolve_precision(options.precision, device) == torch.bfloat16
    divisor = int(getattr(network, "divisor", 1))
    deepest = [-(-n // divisor) for n in options.patch_shape(ndim)]
    if not (half and device.type == "cpu" and ndim == 3 and min(deepest) <= THIN):
        return options
    shape = " × ".join(map(str, options.patch_shape(ndim)))
    if options.precision != "auto":
        raise RecipeError(
            f"train.precision {options.precision}: patches of {shape} become {min(deepest)} pixels "
            "thin in this network, where processors compute wrong gradients in bf16; set it to "
            f"auto or fp32, or train.patch to {(THIN + 1) * divisor} or more along every axis"
        )
    log.info("patches of %s train in fp32: bf16 gradients of maps so thin are wrong", shape)
    return options.model_copy(update={"precision": "fp32"})
