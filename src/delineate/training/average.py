"""Weight averaging: the mean of the weights along a training, which validates and is kept."""

from __future__ import annotations

from typing import Any, Literal

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from delineate.training.norms import networks_of, refresh_norms

BATCHES = 32
"""Training batches from which the statistics of batch norms are computed anew."""


class Average(Callback):
    """Keeps a mean of the weights of a module's networks beside those that are trained.

    "ema": exponential moving average, mean ← d·mean + (1 − d)·weights with
    d = min(decay, (1 + n) / (10 + n)) after n updates, so that a short training forgets its first
    weights too (Polyak & Juditsky 1992; the warm start is that of TensorFlow's average).
    "swa": stochastic weight averaging, the plain mean of the weights after each step beyond
    `first`; batch norms then have no statistics of their own that fit, so these are computed anew
    on training batches (Izmailov et al. 2018, "Averaging weights leads to wider optima").

    Validation sees the mean, and in checkpoints it stands where the weights do; the weights that
    training goes on with are beside it, so that a killed run resumes exactly. Networks averaged are
    ``module.network`` and, where there is one, ``module.back``; discriminators are not.

    Lightning's own `WeightAveraging` copies the whole module, its validation images and
    discriminators included; validates and keeps the untrained first weights until averaging begins;
    has no warm start; and leaves batch norms to the user. So this one is ours.

    Parameters
    ----------
    kind, decay : see above.
    first : steps that are taken before the mean begins.
    """

    def __init__(self, kind: Literal["ema", "swa"], decay: float, first: int) -> None:
        self.kind = kind
        self.decay = decay
        self.first = first
        self.mean: dict[str, Tensor] = {}
        self.updates = 0
        self.step = 0
        self.fresh = 0

    def state_dict(self) -> dict[str, Any]:
        """How many weights are in the mean, and the steps at which it grew and was made ready."""
        return {"updates": self.updates, "step": self.step, "fresh": self.fresh}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """State of the run that goes on."""
        self.updates, self.step, self.fresh = state["updates"], state["step"], state["fresh"]

    def on_save_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        """Put the mean where the weights stand, and those beside it."""
        if self.mean:
            weights = checkpoint["state_dict"]
            checkpoint["trained"] = {name: weights[name] for name in self.mean}
            checkpoint["state_dict"] = {**weights, **self.mean}

    def on_load_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        """Read back the mean, and give the module the weights to go on with."""
        trained = checkpoint.get("trained", {})
        self.mean = {name: checkpoint["state_dict"][name].clone() for name in trained}
        for name, value in _weights(module).items():
            if name in trained:
                value.copy_(trained[name])

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        """Keep the mean where the weights are."""
        weights = _weights(module)
        self.mean = {name: value.to(weights[name].device) for name, value in self.mean.items()}

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """Let the mean follow where a step was taken."""
        if trainer.global_step == self.step:
            return
        self.step = trainer.global_step
        if self.step > self.first:
            self._update(_weights(module))

    def _update(self, weights: dict[str, Tensor]) -> None:
        if not self.mean:
            self.mean = {name: value.clone() for name, value in weights.items()}
        n = self.updates
        share = 1 / (n + 1)
        if self.kind == "ema" and n:
            share = 1 - min(self.decay, (1 + n) / (10 + n))
        self.updates += 1
        pairs = [(self.mean[name], value) for name, value in weights.items()]
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in floats], [value for _, value in floats], share)
        for mean, value in pairs:
            if not mean.is_floating_point():
                mean.copy_(value)

    def on_validation_start(self, trainer: Any, module: Any) -> None:
        """Validate the mean."""
        if self.mean:
            self._swap(module)
            self._refresh(trainer, module)

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Train on with the weights."""
        if self.mean:
            self._swap(module)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Make the mean ready to be kept where nothing validated it."""
        if self.mean and self.fresh != self.step:
            self._swap(module)
            self._refresh(trainer, module)
            self._swap(module)

    def _swap(self, module: Any) -> None:
        for name, value in _weights(module).items():
            kept = value.clone()
            value.copy_(self.mean[name])
            self.mean[name].copy_(kept)

    def _refresh(self, trainer: Any, module: Any) -> None:
        """Compute the statistics of batch norms anew, for the weights that the module now has."""
        self.fresh = self.step
        if self.kind == "swa":
            refresh_norms(trainer, module, BATCHES)


def _weights(module: Any) -> dict[str, Tensor]:
    """Parameters and buffers of the networks, in place, by their names in the module's state."""
    return {
        f"{part}.{name}": value.detach()
        for part, network in networks_of(module).items()
        for name, value in network.state_dict().items()
    }
