"""The frozen stage of a training: for its first steps the encoder keeps every bit."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import Callback
from torch import nn

from delineate.networks.adapter import encoder_of


class FrozenEncoder(Callback):
    """Keeps the encoder still while the number of steps taken is below `steps`.

    Its weights take no gradient, so that neither optimiser nor weight decay moves them, and its
    layers are in evaluation, so that batch norms neither use nor learn the statistics of batches.
    Which stage it is follows from the number of the step alone: a training that goes on from a
    checkpoint is in the stage in which it was stopped.

    Raises
    ------
    ModelError : the network does not say what its encoder is.
    """

    def __init__(self, network: nn.Module, steps: int) -> None:
        self.parts = encoder_of(network)
        self.weights = [w for part in self.parts for w in part.parameters() if w.requires_grad]
        self.steps = steps
        self.frozen = False

    def on_train_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
        """Freeze, or thaw at the first step of the second stage."""
        wanted = trainer.global_step < self.steps
        if wanted:
            self._set(False)  # at every step: a validation leaves all layers in training
        elif self.frozen:
            self._set(True)
        self.frozen = wanted

    def _set(self, learns: bool) -> None:
        for part in self.parts:
            part.train(learns)
        for weight in self.weights:
            weight.requires_grad_(learns)
            if not learns:
                weight.grad = None
