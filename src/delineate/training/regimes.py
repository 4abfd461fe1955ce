"""The regimes by name: how weights are found. Their modules are imported when one trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Tag

from delineate.training.blind_options import BlindSpotOptions
from delineate.training.gan_options import CycleGANOptions, Pix2PixOptions

if TYPE_CHECKING:
    import lightning

    from delineate.training.setting import Setting


class SupervisedOptions(BaseModel):
    """Images and their truth, the method's own loss."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unpaired: ClassVar[bool] = False
    needs_truth: ClassVar[bool] = True

    name: Literal["supervised"] = "supervised"

    def module(self, setting: Setting) -> lightning.LightningModule:
        """The module that trains so."""
        from delineate.training.supervised import Supervised

        return Supervised(setting)


def _name(value: Any) -> str:
    """The name of a regime, which may be left out of a recipe: then it is supervised."""
    if isinstance(value, dict):
        return str(value.get("name", "supervised"))
    return str(getattr(value, "name", type(value).__name__))


AnyRegime = Annotated[
    Annotated[SupervisedOptions, Tag("supervised")]
    | Annotated[Pix2PixOptions, Tag("pix2pix")]
    | Annotated[CycleGANOptions, Tag("cyclegan")]
    | Annotated[BlindSpotOptions, Tag("blind-spot")],
    Discriminator(_name),
]
"""The regimes, told apart by `name`; what follows it are the parameters of that regime."""
