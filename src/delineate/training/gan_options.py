"""Options of the adversarial regimes, pix2pix and CycleGAN."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from delineate.networks import NetworkOptions
from delineate.training.regime import Regime

if TYPE_CHECKING:
    import lightning

    from delineate.training.setting import Setting

Schedule = Literal["one-cycle", "cellpose", "linear", "constant"]
"""Those of `TrainOptions`, constant for the first half and then linearly to 0 (Zhu et al. 2017,
§7.1), and constant."""


class DiscriminatorOptions(BaseModel):
    """What tells real images from fakes: patch discriminators at several scales."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scales: int = Field(2, ge=1, description="discriminators, each at half the resolution")
    layers: int = Field(
        3, ge=1, description="halvings before a score, which sees 16, 34, 70 pixels with 1, 2, 3"
    )
    features: int = Field(64, ge=1, description="features of the first layer; the next have more")
    norm: Literal["instance", "none"] = Field("instance", description="instance or none")
    spectral: bool = Field(False, description="spectral norm of every convolution")


class _Adversarial(Regime):
    """What the adversarial regimes have in common."""

    adversarial: Literal["least-squares", "hinge", "vanilla"] = Field(
        "least-squares", description="loss between generators and discriminators"
    )
    discriminator: DiscriminatorOptions = DiscriminatorOptions()
    beta: float = Field(
        0.5, ge=0, lt=1, description="momentum of AdamW on both sides, its first beta"
    )
    discriminator_rate: float = Field(
        1.0, gt=0, description="learning rate of discriminators, as a multiple of the generators'"
    )
    generator_schedule: Schedule | None = Field(
        None,
        description="one-cycle, cellpose, linear (constant for a half, then down to 0), constant; "
        "null: train.schedule",
    )
    discriminator_schedule: Schedule | None = Field(
        None, description="the same of discriminators; null: as the generators'"
    )


class Pix2PixOptions(_Adversarial):
    """Pairs of images, and a discriminator that says what does not look real.

    The published ratio of reconstruction to adversarial loss is 100 (Isola et al. 2017, eq. 4).
    """

    name: Literal["pix2pix"] = "pix2pix"
    weight_reconstruction: float = Field(1.0, ge=0, description="weight of the method's own loss")
    weight_adversarial: float = Field(0.01, ge=0, description="weight of fooling discriminators")
    weight_features: float = Field(
        0.1, ge=0, description="weight of matching the discriminators' features of the real image"
    )
    warmup_steps: int = Field(
        0, ge=0, description="first steps by the method's own loss, without discriminators"
    )

    def module(self, setting: Setting) -> lightning.LightningModule:
        """The module that trains so."""
        from delineate.training.pix2pix import Pix2Pix

        return Pix2Pix(setting, self)


class CycleGANOptions(_Adversarial):
    """Images and targets that do not belong together: there and back must give the same again."""

    unpaired: ClassVar[bool] = True

    name: Literal["cyclegan"] = "cyclegan"
    back_network: NetworkOptions | None = Field(
        None,
        description="network of the way back, from targets to images; null: as network, of which "
        "it has the name where only its options are given",
    )
    weight_cycle: float = Field(10.0, ge=0, description="weight of there and back")
    weight_identity: float = Field(
        5.0,
        ge=0,
        description="weight of leaving alone what is already there; it counts where images and "
        "targets have as many channels",
    )
    weight_adversarial: float = Field(1.0, ge=0, description="weight of fooling discriminators")
    target_cycle: Literal["l1", "method"] = Field(
        "l1",
        description="what compares targets that went back and there: l1, or the method's own loss",
    )
    buffer: int = Field(50, ge=0, description="past fakes that discriminators are shown again")

    def module(self, setting: Setting) -> lightning.LightningModule:
        """The module that trains so."""
        from delineate.training.cyclegan import CycleGAN

        return CycleGAN(setting, self)


def with_back_named(regime: CycleGANOptions, network: NetworkOptions) -> CycleGANOptions:
    """The regime, whose network of the way back has the name of `network` unless given another.

    Where only its options were given, those of the network that was chosen are meant.
    """
    back = regime.back_network
    if back is None or "name" in back.model_fields_set:
        return regime
    named = back.model_copy(update={"name": network.name})
    return regime.model_copy(update={"back_network": named})
