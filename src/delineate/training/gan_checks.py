"""What the adversarial regimes ask of the rest of a recipe; no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.networks.scales import too_small
from delineate.training.gan_options import CycleGANOptions, Pix2PixOptions
from delineate.training.options import TrainOptions

if TYPE_CHECKING:
    from delineate.data.options import DataOptions
    from delineate.methods.base import Method
    from delineate.training.regimes import AnyRegime


def check_adversarial(
    regime: AnyRegime, method: Method, data: DataOptions, train: TrainOptions
) -> None:
    """Whether an adversarial regime can train so; other regimes are let pass.

    Parameters
    ----------
    regime, method, data, train : the sections of a recipe.

    Raises
    ------
    ValueError : they do not suit each other; the text names the settings to change.
    """
    if not isinstance(regime, Pix2PixOptions | CycleGANOptions):
        return
    if isinstance(regime, CycleGANOptions) and method.truth == "objects":
        raise ValueError(
            "regime cyclegan makes images, and masks of classes, not the maps that objects are "
            "found by: set method.name to regression or semantic"
        )
    if isinstance(regime, CycleGANOptions) and data.diameter is not None:
        raise ValueError("regime cyclegan keeps the scale of images: set data.diameter to null")
    if getattr(method, "noise", False):
        raise ValueError(f"regime {regime.title} learns no noise: set method.noise to false")
    if train.precision == "fp16":
        raise ValueError(f"regime {regime.title} trains in fp32 or bf16, not in fp16")


def check_judged(regime: AnyRegime, data: DataOptions, train: TrainOptions) -> None:
    """Whether every discriminator that is asked for would take part in the training.

    Raises
    ------
    ValueError : one would not; the text names the settings to change.
    """
    if not isinstance(regime, Pix2PixOptions | CycleGANOptions):
        return
    if isinstance(regime, Pix2PixOptions) and regime.warmup_steps >= train.total:
        raise ValueError(
            f"regime.warmup_steps {regime.warmup_steps} lasts as long as the training (train.steps "
            f"{train.steps}), which would never use its discriminators: for a short trial set "
            f"regime.warmup_steps to 0, otherwise train.steps to more than {regime.warmup_steps}"
        )
    judge, side = regime.discriminator, _shortest(train, data.ndim)
    wrong = None if side is None else too_small(side, judge.layers, judge.scales)
    if wrong:
        raise ValueError(f"patches of {side} pixels along their shortest axis are {wrong}")


def _shortest(train: TrainOptions, ndim: int | None) -> int | None:
    """The shortest side of a patch; None where the images will tell."""
    if isinstance(train.patch, tuple):
        return min(train.patch)
    if train.patch is None and ndim is None:
        return None
    return min(train.patch_shape(ndim or 2))
