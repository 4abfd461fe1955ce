"""Losses of images: plain functions of tensors, each a weighted mean over pixels and channels.

All take ``output`` and ``target`` (B, C, [Z,] Y, X) and ``weight`` (B, 1, …), 0 where a pixel
counts for nothing, and give a scalar.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_TINY = 1e-6


def weighted(each: Tensor, weight: Tensor) -> Tensor:
    """Mean of (B, C, …) over the channels and, by weight (B, 1, …), the pixels."""
    return (each * weight).sum() / (weight.sum() * each.shape[1]).clamp(min=_TINY)


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


def ssim(output: Tensor, target: Tensor, weight: Tensor, span: float = 1.0) -> Tensor:
    """1 − SSIM (Wang et al. 2004) with its Gaussian window of σ 1.5, over pixels in full windows.

    Parameters
    ----------
    span : range of intensities, for the two constants. Sides below the window shorten it.
    """
    kernels = [_window(n, output) for n in output.shape[2:]]
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    x, y = output.float(), target.float()
    mx, my = _blur(x, kernels), _blur(y, kernels)
    # Variances are of few pixels: rounding must not make them negative.
    vx = (_blur(x * x, kernels) - mx * mx).clamp(min=0)
    vy = (_blur(y * y, kernels) - my * my).clamp(min=0)
    cov = _blur(x * y, kernels) - mx * my
    similar = ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    for axis, (kernel, n) in enumerate(zip(kernels, output.shape[2:], strict=True), 2):
        weight = weight.narrow(axis, len(kernel) // 2, n - 2 * (len(kernel) // 2))
    return weighted(1 - similar, weight)


def _window(n: int, like: Tensor, sigma: float = 1.5) -> Tensor:
    """Gaussian weights of at most 11 pixels, an odd number that fits into n."""
    half = min(5, (n - 1) // 2)
    at = torch.arange(-half, half + 1, device=like.device, dtype=torch.float32)
    weights = torch.exp(-0.5 * (at / sigma) ** 2)
    return weights / weights.sum()


def _blur(image: Tensor, kernels: list[Tensor]) -> Tensor:
    """Weighted means over the window, axis by axis, where it lies within the image."""
    channels, ndim = image.shape[1], image.ndim - 2
    convolve = F.conv2d if ndim == 2 else F.conv3d
    for axis, kernel in enumerate(kernels):
        shape = [1] * ndim
        shape[axis] = len(kernel)
        weight = kernel.reshape(1, 1, *shape).expand(channels, 1, *shape)
        image = convolve(image, weight, groups=channels)
    return image
