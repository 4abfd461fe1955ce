"""The regimes by name: how weights are found. Their modules are imported when one trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, SerializeAsAny, Tag, ValidationInfo, WrapValidator

from delineate.methods.outside import OUTSIDE, imported_class
from delineate.training.blind_options import BlindSpotOptions
from delineate.training.gan_options import CycleGANOptions, Pix2PixOptions
from delineate.training.regime import Regime

if TYPE_CHECKING:
    import lightning

    from delineate.training.setting import Setting


class SupervisedOptions(Regime):
    """Images and their truth, the method's own loss."""

    name: Literal["supervised"] = "supervised"

    def module(self, setting: Setting) -> lightning.LightningModule:
        """The module that trains so."""
        from delineate.training.supervised import Supervised

        return Supervised(setting)


def _name(value: Any) -> str:
    """The name of a regime, which may be left out of a recipe: then it is supervised."""
    if isinstance(value, dict):
        name = str(value.get("name", "supervised"))
        return OUTSIDE if ":" in name else name
    if isinstance(value, Regime) and value.import_path() is not None:
        return OUTSIDE
    return str(getattr(value, "name", type(value).__name__))


def _from_outside(value: Any, _: Any, info: ValidationInfo) -> Regime:
    """A regime that is given as such, or by its import path where the user allows it."""
    if isinstance(value, Regime):
        return value
    allowed = bool((info.context or {}).get("allow_imports"))
    kind: type[Regime] = imported_class(str(value["name"]), Regime, allowed=allowed)
    return kind.model_validate(value)


AnyRegime = Annotated[
    Annotated[SupervisedOptions, Tag("supervised")]
    | Annotated[Pix2PixOptions, Tag("pix2pix")]
    | Annotated[CycleGANOptions, Tag("cyclegan")]
    | Annotated[BlindSpotOptions, Tag("blind-spot")]
    | Annotated[SerializeAsAny[Regime], WrapValidator(_from_outside), Tag(OUTSIDE)],
    Discriminator(_name),
]
"""The regimes, told apart by `name`; what follows it are the parameters of that regime. A name with
a colon is the import path of a class from outside the package."""
