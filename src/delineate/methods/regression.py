"""Image to image: the intensity of each pixel (label-free prediction, restoration, modalities)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from delineate.errors import LabelError
from delineate.methods.base import Decoded, Maps, Method, Truth

if TYPE_CHECKING:
    from torch import Tensor

    from delineate.uncertainty import Spread

LOG_VARIANCE = (-9.0, 4.0)
"""Log of the variance of the normalised intensity: within it, it is what the network puts out."""


class Regression(Method):
    """Intensities of one or more channels, normalised as the recipe says.

    Maps are the intensities and, with `noise`, the variance that the network expects of each. The
    loss is the weighted sum of its terms.
    """

    monitor: ClassVar[str] = "pearson"
    truth: ClassVar[Truth] = "image"
    unencoded: ClassVar[frozenset[str]] = frozenset(
        {"l1", "l2", "huber", "huber_delta", "ssim", "noise"}
    )

    name: Literal["regression"] = "regression"
    channels: int = Field(1, ge=1, description="channels of the image that is wanted")
    l1: float = Field(1.0, ge=0, description="weight of the mean absolute error")
    l2: float = Field(0.0, ge=0, description="weight of the mean squared error")
    huber: float = Field(0.0, ge=0, description="weight of the Huber loss")
    huber_delta: float = Field(0.1, gt=0, description="where the Huber loss becomes linear")
    ssim: float = Field(0.0, ge=0, description="weight of 1 − SSIM")
    noise: bool = Field(
        False,
        description="the network also puts out the noise that it expects in each pixel, learned by "
        "the Gaussian likelihood, which then stands in place of the other terms but SSIM",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not (self.noise or self.l1 or self.l2 or self.huber or self.ssim):
            raise ValueError("the loss has no term: set l1, l2, huber or ssim above 0")
        return self

    @property
    def n_moments(self) -> int:
        """One for each channel."""
        return self.channels

    def out_channels(self, ndim: int) -> int:
        """One for each channel; with noise, two."""
        return self.channels * (2 if self.noise else 1)

    def encode(self, labels: NDArray[Any], classes: NDArray[Any] | None = None) -> Maps:
        """The normalised image itself.

        Raises
        ------
        LabelError : it has another number of channels.
        """
        if len(labels) != self.channels:
            raise LabelError(
                f"the image that is wanted has {len(labels)} channels, the method gives "
                f"{self.channels}: set method.channels to {len(labels)}"
            )
        return np.asarray(labels, np.float32)

    def loss(self, output: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        """Weighted sum of the terms."""
        from delineate.methods import image_losses as losses

        output = output.float()
        mean = output[:, : self.channels]
        terms: list[Tensor] = []
        if self.noise:
            spread = _bounded(output[:, self.channels :])
            terms.append(losses.gaussian_likelihood(mean, spread, targets, valid))
        else:
            if self.l1:
                terms.append(self.l1 * losses.l1(mean, targets, valid))
            if self.l2:
                terms.append(self.l2 * losses.l2(mean, targets, valid))
            if self.huber:
                term = losses.huber(mean, targets, valid, self.huber_delta)
                terms.append(self.huber * term)
        if self.ssim:
            terms.append(self.ssim * losses.ssim(mean, targets, valid))
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def activate(self, output: Tensor) -> Tensor:
        """Intensities and, with noise, their variances."""
        import torch

        output = output.float()
        if not self.noise:
            return output
        mean, spread = output[:, : self.channels], output[:, self.channels :]
        return torch.cat([mean, _bounded(spread).exp()], dim=1)

    def moments(self, maps: Tensor) -> Tensor:
        """The square of each intensity."""
        return maps[:, : self.channels] ** 2

    def spread(self, maps: Tensor, moments: Tensor | None) -> Spread | None:
        """Means over the channels: aleatoric, the expected noise; epistemic, the variance of draws.

        Without noise a single draw tells nothing. Lakshminarayanan et al. 2017, equation 3 and
        text; Kendall & Gal 2017, equation 9.
        """
        from delineate.uncertainty import Spread

        if moments is None and not self.noise:
            return None
        mean = maps[:, : self.channels]
        none = np.broadcast_to(np.float32(0), (mean.shape[0], *mean.shape[2:]))
        aleatoric = maps[:, self.channels :].mean(dim=1).numpy() if self.noise else none
        if moments is None:
            return Spread(aleatoric, none, limit=float("inf"))
        between = (moments - mean**2).clamp(min=0).mean(dim=1).numpy()
        return Spread(aleatoric, between, limit=float("inf"))

    def decode(self, maps: Maps) -> Decoded:
        """The intensities."""
        return Decoded(None, {}, image=maps[: self.channels])

    def score(
        self, maps: Maps, truth: NDArray[Any], counted: NDArray[np.bool_] | None = None
    ) -> dict[str, float]:
        """Pearson correlation, SSIM and scale-invariant PSNR, means over the channels.

        A channel whose truth is constant has no structure to be found, and does not count; where
        all are so, the score is NaN. In the windows of SSIM, pixels that do not count are taken for
        right.
        """
        from delineate.metrics import image_scores

        own = maps[: self.channels]
        if counted is not None:
            truth = np.where(counted, truth, own)
        found = [
            image_scores(image, wanted, valid=counted)
            for image, wanted in zip(own, truth, strict=True)
        ]
        names = ("pearson", "ssim", "si_psnr")
        means = {}
        for name in names:
            values = [getattr(scores, name) for scores in found]
            means[name] = float(np.mean([v for v in values if np.isfinite(v)] or values))
        return means

    def picture_channels(self, ndim: int) -> int:
        """The channels of the image."""
        return self.channels

    def picture(self, maps: Tensor) -> Tensor:
        """The intensities."""
        return maps[:, : self.channels]

    def true_picture(self, targets: Tensor) -> Tensor:
        """The targets."""
        return targets

    def channel_maps(self, number: int) -> tuple[int, ...]:
        """Which of the maps are of one channel."""
        return (number, number + self.channels) if self.noise else (number,)


def _bounded(log_variance: Tensor) -> Tensor:
    """Within `LOG_VARIANCE` the same, beyond it at most 1 more: v / (1 + |v|) of what is beyond.

    The slope is 1 at the ends and nowhere 0, so that no pixel is lost to the loss.
    """
    from torch.nn import functional as F

    inside = log_variance.clamp(*LOG_VARIANCE)
    return inside + F.softsign(log_variance - inside)
