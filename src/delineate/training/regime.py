"""The contract of a regime: how weights are found. No torch: its module is made when one trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from delineate.methods.outside import Importable

if TYPE_CHECKING:
    import lightning

    from delineate.training.setting import Setting


class Regime(Importable, ABC):
    """What every regime must offer; its fields are its parameters, as a recipe gives them."""

    unpaired: ClassVar[bool] = False
    """Whether it can learn from images and truth that do not belong together."""
    needs_truth: ClassVar[bool] = True
    """Whether it learns from anything but the images."""

    @abstractmethod
    def module(self, setting: Setting) -> lightning.LightningModule:
        """The module that trains so, a subclass of `Supervised` (`supervised.py`)."""
