"""Blind-spot regime: denoising learned from noisy images alone.

Krull, Buchholz & Jug 2019 (Noise2Void); Batson & Royer 2019 (Noise2Self); Höck et al. 2022 (N2V2),
whose median leaves no pattern in the result. Where the noise of a pixel is independent of its
neighbours', what they tell of it is its signal alone.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from delineate.errors import RecipeError
from delineate.methods.regression import Regression
from delineate.training.blind_options import BlindSpotOptions
from delineate.training.setting import Setting
from delineate.training.supervised import Supervised


class BlindSpot(Supervised):
    """Hides pixels of noisy patches and trains the network to tell them.

    Raises
    ------
    RecipeError : the method gives no image, or one of other channels, or has a loss that looks at
        whole windows.
    """

    monitor = "val_loss"
    mode = "min"

    def __init__(self, setting: Setting, regime: BlindSpotOptions) -> None:
        super().__init__(setting)
        method = setting.method
        if not isinstance(method, Regression):
            raise RecipeError("regime blind-spot restores images: set method.name to regression")
        if method.channels != setting.in_channels:
            raise RecipeError(
                f"regime blind-spot gives the channels of the images, {setting.in_channels}, the "
                f"method has {method.channels}: set method.channels to {setting.in_channels}"
            )
        if method.ssim:
            raise RecipeError(
                "regime blind-spot compares single pixels, SSIM whole windows, among them pixels "
                "that the network sees: set method.ssim to 0"
            )
        self.regime = regime

    def training_step(self, batch: Any, _: int) -> Tensor:
        """Loss of the hidden pixels of a `Batch` of patches."""
        hidden, seen = hide(batch.image, self.regime)
        return self._loss(self.forward(seen), batch.image, batch.valid * hidden)

    def validation_step(self, index: int, _: int) -> None:
        """Loss of hidden pixels of one whole image, always the same ones and at least one.

        An image none of whose pixels counts has no loss, which is not the best one: NaN.
        """
        image, _targets, valid, _truth = self.validation_crop(int(index))
        generator = torch.Generator(device=image.device).manual_seed(int(index))
        hidden, seen = hide(image, self.regime, generator, valid)
        told = bool((valid * hidden).any())
        loss = float(self._loss(self.whole(seen), image, valid * hidden)) if told else float("nan")
        self.validation.append({"loss": loss})

    def _loss(self, output: Tensor, image: Tensor, valid: Tensor) -> Tensor:
        return self.checked(self.method.loss(output, image, valid))


def hide(
    image: Tensor,
    regime: BlindSpotOptions,
    generator: torch.Generator | None = None,
    counting: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Choose pixels and replace them by what lies around them.

    Parameters
    ----------
    image : (B, C, [Z,] Y, X).
    generator : of the draw; None: torch's own.
    counting : (B, 1, …), the weight of each pixel: of every image that has pixels above 0, at least
        one of those is hidden; None: as many as are drawn, which may be none of a small image.

    Returns
    -------
    chosen : float (B, 1, …), 1 where a pixel is hidden and to be told.
    seen : `image` with these pixels, and those in line with them, replaced.
    """
    drawn = torch.rand(
        (image.shape[0], 1, *image.shape[2:]), generator=generator, device=image.device
    )
    chosen = drawn < regime.share
    if counting is not None:
        chosen = chosen | _nearest_to_be_drawn(drawn, counting > 0, regime.share)
    hidden = chosen
    if regime.line:
        window = [1] * (image.ndim - 3) + [2 * regime.line + 1]
        pool = F.max_pool2d if image.ndim == 4 else F.max_pool3d
        hidden = pool(chosen.float(), window, 1, [n // 2 for n in window]) > 0
    # No hidden pixel stands in for another: it would be seen there.
    around = _neighbours(torch.where(hidden, torch.nan, image), hidden, regime)
    if regime.fill == "median":
        values = around.nanmedian(dim=-1).values
    else:
        order = torch.rand(around.shape[1:], generator=generator, device=image.device)
        order = torch.where(around[0].isnan(), -1.0, order).argmax(dim=-1)
        values = around.gather(-1, order.expand(around.shape[0], -1)[..., None])[..., 0]
    values = torch.where(values.isnan(), image.mean(), values)
    seen = image.clone().transpose(0, 1)
    seen[:, hidden[:, 0]] = values
    return chosen.to(image.dtype), seen.transpose(0, 1).contiguous()


def _nearest_to_be_drawn(drawn: Tensor, counts: Tensor, share: float) -> Tensor:
    """The lowest draw among the pixels that count, of images in which none of these was drawn."""
    drawn = torch.where(counts, drawn, torch.inf).flatten(1)
    lowest = drawn.min(dim=1, keepdim=True).values
    lacks = (lowest >= share) & lowest.isfinite()
    first = torch.zeros_like(drawn, dtype=torch.bool)
    first.scatter_(1, drawn.argmin(dim=1, keepdim=True), lacks)
    return first.view(counts.shape)


def _neighbours(image: Tensor, hidden: Tensor, regime: BlindSpotOptions) -> Tensor:
    """Pixels around each hidden one, (C, hidden pixels, neighbours), but for its line."""
    reach, ndim = regime.reach, image.ndim - 2
    places = hidden[:, 0].nonzero()
    steps = [s for s in product(range(-reach, reach + 1), repeat=ndim) if not _in_line(s, regime)]
    offset = torch.tensor(steps, device=image.device)
    where = places[:, None, 1:] + offset[None]
    for axis, n in enumerate(image.shape[2:]):  # mirrored at the edge, so that none is itself
        at = where[..., axis].abs()
        where[..., axis] = torch.where(at > n - 1, 2 * (n - 1) - at, at).clamp(0, n - 1)
    batch = places[:, :1].expand(-1, len(steps))
    flat = batch
    for at, n in zip(where.unbind(-1), image.shape[2:], strict=True):
        flat = flat * n + at
    return image.transpose(0, 1).reshape(image.shape[1], -1)[:, flat]


def _in_line(step: tuple[int, ...], regime: BlindSpotOptions) -> bool:
    return not any(step[:-1]) and abs(step[-1]) <= regime.line
