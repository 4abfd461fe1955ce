"""Options of the blind-spot regime."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from delineate.training.regime import Regime

if TYPE_CHECKING:
    import lightning

    from delineate.training.setting import Setting


class BlindSpotOptions(Regime):
    """Noisy images alone: the network tells hidden pixels from those around them."""

    needs_truth: ClassVar[bool] = False

    name: Literal["blind-spot"] = "blind-spot"
    share: float = Field(0.02, gt=0, le=0.2, description="share of pixels hidden in a patch")
    reach: int = Field(2, ge=1, le=8, description="pixels from which a hidden one is replaced")
    fill: Literal["median", "neighbour"] = Field(
        "median", description="hidden pixels take the median of those around, or one of them"
    )
    line: int = Field(
        0,
        ge=0,
        description="pixels hidden to both sides along X too, for noise that goes along lines; "
        "above 0 it needs augment.quarter_turns false",
    )

    def module(self, setting: Setting) -> lightning.LightningModule:
        """The module that trains so."""
        from delineate.training.blind_spot import BlindSpot

        return BlindSpot(setting, self)
