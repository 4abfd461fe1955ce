"""Batch norms whose statistics are computed anew over many training batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from delineate.training.adversarial import shown


class FreshNorms(Callback):
    """Computes the statistics of batch norms anew before each validation.

    The moving averages that batch norms keep remember some twenty batches, so that a few patches
    with outliers, such as a bright speck in a dark image, spoil them for whatever is validated and
    kept just then. Precise statistics are the mean over many batches with fixed weights (Wu &
    Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3.1). Training itself takes the
    statistics of its batches and is not changed.

    Parameters
    ----------
    batches : training batches that they are computed from.
    """

    def __init__(self, batches: int) -> None:
        self.batches = batches
        self.step = -1

    def on_validation_start(self, trainer: Any, module: Any) -> None:
        """Compute them before anything is validated and kept."""
        self.step = trainer.global_step
        refresh_norms(trainer, module, self.batches)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Compute them for what is kept without validation."""
        if self.step != trainer.global_step:
            refresh_norms(trainer, module, self.batches)


def refresh_norms(trainer: Any, module: Any, batches: int) -> None:
    """Compute the statistics of the batch norms of a module's networks for its present weights.

    Parameters
    ----------
    batches : of this round, from its first, that they are the mean over; each process has its own.
    """
    for name, network in networks_of(module).items():
        norms = [m for m in network.modules() if isinstance(m, _BatchNorm)]
        if not norms:
            continue
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            update_bn(_inputs(trainer, module, name, batches), network)
        for norm in norms:
            for value in (norm.running_mean, norm.running_var):
                if value is not None:  # each process saw other batches
                    value.copy_(trainer.strategy.reduce(value, reduce_op="mean"))


def networks_of(module: Any) -> dict[str, nn.Module]:
    """The networks of a module that a model is made of, by the names of its attributes."""
    parts = {name: getattr(module, name, None) for name in ("network", "back")}
    return {name: part for name, part in parts.items() if part is not None}


def _inputs(trainer: Any, module: Any, name: str, batches: int) -> Iterator[Tensor]:
    """What a network is given in the first training batches of this round."""
    for batch in islice(trainer.train_dataloader, batches):
        forth, back = batch if isinstance(batch[0], tuple) else (batch, batch)
        image = forth.image
        if name == "back":
            image = shown(module.method.true_picture(back.targets), back.inside)
        yield image.to(module.device)
