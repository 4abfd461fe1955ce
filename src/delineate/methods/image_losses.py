"""Losses of images: plain functions of tensors, each a weighted mean over pixels and channels.

All take ``output`` and ``target`` (B, C, [Z,] Y, X) and ``weight`` (B, 1, …), 0 where a pixel
counts for nothing, and give a scalar.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from delineate.methods.losses import weight_sum

_TINY = 1e-6
_C1, _C2 = 0.01**2, 0.03**2
"""Constants of SSIM, for intensities that span 1."""


def weighted(each: Tensor, weight: Tensor) -> Tensor:
    """Mean of (B, C, …) over the channels and, by weight (B, 1, …), the pixels."""
    return (each * weight).sum() / (weight_sum(weight) * each.shape[1]).clamp(min=_TINY)


def l1(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error: its best answer is the median."""
    return weighted((output - target).abs(), weight)


def l2(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error: its best answer is the mean, as noisy targets ask for."""
    return weighted((output - target) ** 2, weight)


def huber(output: Tensor, target: Tensor, weight: Tensor, delta: float) -> Tensor:
    """Half the square up to `delta`, δ(|e| − δ/2) beyond (Huber 1964)."""
    return weighted(F.huber_loss(output, target, reduction="none", delta=delta), weight)


def gaussian_likelihood(
    mean: Tensor, log_variance: Tensor, target: Tensor, weight: Tensor
) -> Tensor:
    """½(e² exp(−s) + s), with s the log of the variance (Kendall & Gal 2017, equation 8)."""
    each = 0.5 * ((mean - target) ** 2 * torch.exp(-log_variance) + log_variance)
    return weighted(each, weight)


def ssim(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 − SSIM (Wang et al. 2004, equation 13), over pixels whose window lies within the patch.

    Windows are Gaussian, of σ 1.5 and 11 pixels, fewer along sides below that; the constants are
    those of intensities that span 1. Means and variances are of the pixels of a window that have a
    weight (normalised convolution, Knutsson & Westin 1993): what the others hold is of no account,
    and a pixel that is alone in its window has a level and no structure.

    With a = (μx − μy)² / (μx² + μy² + c1) and b = var(x − y) / (var x + var y + c2) it is
    a + b − ab, the same in other words, in which no digits are lost where images are alike.
    Variances are of what remains without each patch's mean: of intensities far from 0 nothing but
    rounding would remain in them.
    """
    kernels = [_window(n) for n in output.shape[2:]]
    counted = weight > 0
    share = _blur(counted.float(), kernels).clamp(min=_TINY)
    x, level_x = _centred(output, counted)
    y, level_y = _centred(target, counted)
    mx, my = _blur(x, kernels) / share, _blur(y, kernels) / share

    def variance(image: Tensor, mean: Tensor) -> Tensor:
        return (_blur(image * image, kernels) / share - mean * mean).clamp(min=0)

    structure = variance(x - y, mx - my) / (variance(x, mx) + variance(y, my) + _C2)
    apart = mx - my + (level_x - level_y)
    luminance = apart**2 / ((mx + level_x) ** 2 + (my + level_y) ** 2 + _C1)
    for axis, (kernel, n) in enumerate(zip(kernels, output.shape[2:], strict=True), 2):
        weight = weight.narrow(axis, len(kernel) // 2, n - len(kernel) + 1)
    return weighted(luminance + structure - luminance * structure, weight)


def _centred(image: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """An image less the mean of what counts of each patch and channel, 0 elsewhere; the mean."""
    axes = list(range(2, image.ndim))
    image = torch.where(counted, image.float(), 0.0)
    total = counted.sum(axes, keepdim=True).clamp(min=1)
    level = image.detach().sum(axes, keepdim=True) / total
    return torch.where(counted, image - level, 0.0), level


def _window(n: int, sigma: float = 1.5) -> list[float]:
    """Gaussian weights of at most 11 pixels, an odd number that fits into n."""
    half = min(5, (n - 1) // 2)
    weights = [math.exp(-0.5 * (at / sigma) ** 2) for at in range(-half, half + 1)]
    return [weight / sum(weights) for weight in weights]


def _blur(image: Tensor, kernels: Sequence[Sequence[float]]) -> Tensor:
    """Weighted means over the window, axis by axis, where it lies within the image.

    Sums, and no convolution: those are computed in fewer digits where training is in bfloat16 or,
    on GPUs, in TF32, too few for a variance.
    """
    for axis, kernel in enumerate(kernels, 2):
        n = image.shape[axis] - len(kernel) + 1
        blurred = kernel[0] * image.narrow(axis, 0, n)
        for at, weight in enumerate(kernel[1:], 1):
            blurred = torch.add(blurred, image.narrow(axis, at, n), alpha=weight)
        image = blurred
    return image
