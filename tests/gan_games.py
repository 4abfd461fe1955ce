"""Small games of pix2pix and CycleGAN, and what the tests read of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from delineate.data.patches import Batch
from delineate.methods.regression import Regression
from delineate.methods.semantic import Semantic
from delineate.training.gan_options import CycleGANOptions, DiscriminatorOptions, Pix2PixOptions
from delineate.training.options import TrainOptions
from delineate.training.setting import Setting

JUDGE = DiscriminatorOptions(scales=2, layers=1, features=4)
SIDE = {2: 16, 3: 12}
REGRESSION, SEMANTIC = Regression(), Semantic(criterion="cross-entropy")


def generator(n_in: int, n_out: int, ndim: int) -> nn.Module:
    conv = nn.Conv2d if ndim == 2 else nn.Conv3d
    return nn.Sequential(conv(n_in, 4, 3, padding=1), nn.ReLU(), conv(4, n_out, 1))


def setting(
    method: Any = REGRESSION, ndim: int = 2, channels: int = 1, samples: Any = (), **train: Any
) -> Setting:
    """Twelve small steps of a small generator, always from the same weights."""
    torch.manual_seed(0)
    values = {"steps": 12, "learning_rate": 0.02, "batch": 2, "weight_decay": 0.0, **train}
    options = TrainOptions(**values)
    return Setting(
        generator(channels, method.out_channels(ndim), ndim),
        method,
        options,
        options.steps,
        samples,
        ndim,
        channels,
        lambda network, n_in, n_out: generator(n_in, n_out, ndim),
    )


def batch(
    seed: int, method: Any = REGRESSION, ndim: int = 2, n: int = 2, channels: int = 1
) -> Batch:
    """Bright and dark stripes, of which the target is the inverse, or the bright class."""
    rng = np.random.default_rng(seed)
    shape = (n, 1, *[SIDE[ndim]] * ndim)
    wide = np.sin(np.arange(SIDE[ndim]) / 2 + rng.random((n, 1, *[1] * ndim)) * 6)
    pattern = np.broadcast_to(wide, shape)
    image = torch.tensor(pattern + 0.05 * rng.normal(size=shape)).float()
    target = torch.tensor(pattern > 0).float() if method is SEMANTIC else 0.5 - image
    every = torch.ones(shape)
    return Batch(image.repeat(1, channels, *[1] * ndim), target, every, every.clone())


def pairs(count: int, **options: Any) -> list[tuple[Batch, Batch]]:
    return [(batch(i, **options), batch(100 + i, **options)) for i in range(count)]


class Recorder(lightning.Callback):
    """Notes what happens after each batch."""

    def __init__(self, look: Callable[[Any], Any]) -> None:
        self.look = look
        self.seen: list[Any] = []
        self.losses: list[float] = []
        self.metrics: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        self.seen.append((trainer.global_step, self.look(module)))
        self.losses.append(float(outputs["loss"]))

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self.metrics.append({k: float(v) for k, v in trainer.callback_metrics.items()})


def run(
    module: lightning.LightningModule,
    batches: Sequence[Any],
    epochs: int = 1,
    look: Callable[[Any], Any] = lambda module: None,
    resume: Path | None = None,
    save: Path | None = None,
    validate: int = 0,
    precision: Any = "32-true",
) -> Recorder:
    """Train on these batches in this order."""
    recorder = Recorder(look)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        precision=precision,
        callbacks=[recorder],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    loader = DataLoader(list(batches), batch_size=None)
    scored = DataLoader(range(validate), batch_size=None) if validate else None
    trainer.fit(module, loader, scored, ckpt_path=resume, weights_only=True)
    if save is not None:
        trainer.save_checkpoint(save)
    return recorder


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor], prefix: str) -> bool:
    return any(not torch.equal(before[n], after[n]) for n in before if n.startswith(prefix))


def pix2pix(given: Setting, **options: Any) -> Any:
    return Pix2PixOptions(discriminator=JUDGE, **options).module(given)


def cyclegan(given: Setting, **options: Any) -> Any:
    return CycleGANOptions(discriminator=JUDGE, **options).module(given)
