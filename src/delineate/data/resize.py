"""Change of scale of images (anti-aliased), maps (linear) and labels (nearest), in 2D and 3D."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def scaled_shape(shape: Sequence[int], scale: float) -> tuple[int, ...]:
    """Spatial shape after scaling, at least one pixel an axis."""
    return tuple(max(1, round(n * scale)) for n in shape)


def resize_linear(
    pixels: NDArray[Any], shape: Sequence[int], *, antialias: bool = True
) -> NDArray[np.float32]:
    """Resize the spatial axes of (channels, spatial axes) to `shape`, axis by axis, linearly.

    Pixel centres correspond as in `torch.nn.functional.interpolate(align_corners=False)`;
    where an axis shrinks, `antialias` widens the triangle filter accordingly. float32.
    """
    import torch
    from torch.nn import functional as F

    if tuple(pixels.shape[1:]) == tuple(shape):
        return np.asarray(pixels, dtype=np.float32)
    result = np.empty((pixels.shape[0], *shape), np.float32)
    for channel, out in zip(pixels, result, strict=True):
        x = torch.from_numpy(np.array(channel, dtype=np.float32, order="C"))
        planes = x.reshape(1, -1, *x.shape[-2:])
        if tuple(planes.shape[-2:]) != tuple(shape[-2:]):
            planes = F.interpolate(planes, tuple(shape[-2:]), mode="bilinear", antialias=antialias)
        x = planes.reshape(*x.shape[:-2], *shape[-2:])
        if len(shape) == 3 and x.shape[0] != shape[0]:
            columns = x.reshape(1, 1, x.shape[0], -1)
            columns = F.interpolate(
                columns, (shape[0], columns.shape[-1]), mode="bilinear", antialias=antialias
            )
            x = columns.reshape(*shape)
        out[...] = x.numpy()
    return result


def resize_nearest(labels: NDArray[T], shape: Sequence[int]) -> NDArray[T]:
    """Resize a label image (spatial axes): each new pixel takes the old pixel at its centre."""
    for axis, (old, new) in enumerate(zip(labels.shape, shape, strict=True)):
        if old != new:
            index = np.minimum((np.arange(new) + 0.5) * (old / new), old - 0.5).astype(np.intp)
            labels = np.take(labels, index, axis=axis)
    return labels
