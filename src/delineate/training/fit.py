"""Fitting: Lightning's Trainer, checkpoints that resume exactly, a log and progress."""

from __future__ import annotations

import csv
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader

from delineate.data.augment import Augment
from delineate.data.patches import Batch, Patches
from delineate.data.samples import Sample
from delineate.inference.runner import channels_last, resolve_device, resolve_precision
from delineate.io import atomic_path
from delineate.methods.base import Method
from delineate.training.options import TrainOptions
from delineate.training.supervised import Supervised


class Fitted(NamedTuple):
    """What fitting leaves: the best weights, its validation scores and the steps taken."""

    state: dict[str, Tensor]
    scores: dict[str, float]
    steps: int


class Progress(NamedTuple):
    """State of a training after a step."""

    step: int
    steps: int
    loss: float
    patches_per_second: float
    scores: dict[str, float]


class _Loader(DataLoader[Batch]):
    """Batches of one epoch; the next is made by a thread while the network works on this one."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self.num_workers:
            yield from super().__iter__()
            return
        from concurrent.futures import ThreadPoolExecutor

        batches = super().__iter__()
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(next, batches, None)
            while (batch := coming.result()) is not None:
                coming = pool.submit(next, batches, None)
                yield batch


class _Log(Callback):
    """Writes metrics.csv after each validation and tells the progress after each step."""

    def __init__(
        self,
        folder: Path,
        options: TrainOptions,
        tell: Callable[[Progress], None] | None,
        after: Callable[[Path], None] | None,
    ) -> None:
        self.file = folder / "metrics.csv"
        self.options = options
        self.tell = tell
        self.after = after
        self.rows: list[dict[str, Any]] = []
        self.losses: list[float] = []
        self.started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = state["rows"]

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        # All randomness of an epoch is a function of its number, so that a resumed run repeats it.
        torch.manual_seed(trainer.train_dataloader.dataset.seed * 1_000_003 + trainer.current_epoch)
        trainer.train_dataloader.dataset.epoch = trainer.current_epoch
        self.losses = []
        self.started = time.perf_counter()

    def _speed(self) -> float:
        made = len(self.losses) * self.options.batch
        return made * self.options.accumulate / max(time.perf_counter() - self.started, 1e-9)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        self.losses.append(float(outputs["loss"]))
        if self.tell:
            newest = self.rows[-1] if self.rows else {}
            kept = {k: v for k, v in newest.items() if k.startswith("val_") and v != ""}
            self.tell(
                Progress(
                    trainer.global_step, self.options.steps, self.losses[-1], self._speed(), kept
                )
            )

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        scores = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val_")}
        self.rows.append(
            {
                "step": trainer.global_step,
                "epoch": trainer.current_epoch + 1,
                "loss": sum(self.losses) / max(len(self.losses), 1),
                "val_loss": scores.pop("val_loss", ""),
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "patches_per_second": self.train_speed,
                **scores,
            }
        )
        columns = list(dict.fromkeys(k for row in self.rows for k in row))
        with atomic_path(self.file) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        if self.after:
            self.after(self.file)

    train_speed = 0.0

    def on_validation_start(self, trainer: Any, module: Any) -> None:
        self.train_speed = self._speed()


def fit(
    network: nn.Module,
    method: Method,
    train: Sequence[Sample],
    val: Sequence[Sample],
    options: TrainOptions,
    augment: Augment,
    *,
    ndim: int,
    seed: int,
    folder: Path,
    tell: Callable[[Progress], None] | None = None,
    after_validation: Callable[[Path], None] | None = None,
) -> Fitted:
    """Find weights; a run that was killed goes on where its last checkpoint stands.

    Parameters
    ----------
    network : with its first weights; left with the last ones.
    train, val : prepared samples; without `val` the last weights are the result.
    folder : receives ``checkpoints/``, ``metrics.csv``.
    tell : called after every step.
    after_validation : called with metrics.csv after each validation.

    Raises
    ------
    FloatingPointError : the loss became infinite or NaN.
    """
    device = resolve_device(options.device)
    steps = options.epochs * options.steps_per_epoch
    patches = Patches(
        train,
        method,
        augment,
        options.patch_shape(ndim),
        options.steps_per_epoch * options.batch * options.accumulate,
        seed,
        options.centred,
    )
    every = max(1, len(val) / options.validation_images)
    chosen = [val[int(i * every)] for i in range(min(len(val), options.validation_images))]
    module = Supervised(network, method, options, steps, chosen).to(
        memory_format=channels_last(ndim)
    )
    checkpoints = folder / "checkpoints"
    trainer = _trainer(folder, checkpoints, method, options, device, bool(chosen))
    trainer.callbacks.insert(0, _Log(folder, options, tell, after_validation))
    last = checkpoints / "last.ckpt"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        trainer.fit(
            module,
            _Loader(patches, options.batch, num_workers=options.workers),
            DataLoader(range(len(chosen)), batch_size=None) if chosen else None,  # type: ignore[arg-type]
            ckpt_path=last if last.exists() else None,
            weights_only=True,
        )
    best = checkpoints / "best.ckpt"
    found = torch.load(best if best.exists() else last, map_location="cpu", weights_only=True)
    prefix = "network."
    state = {
        k.removeprefix(prefix): v.contiguous()
        for k, v in found["state_dict"].items()
        if k.startswith(prefix)
    }
    rows = trainer.callbacks[0].rows
    step = int(found["global_step"])
    scores: dict[str, Any] = next((row for row in rows if row["step"] == step), {})
    return Fitted(
        state, {k: v for k, v in scores.items() if k.startswith("val_") and v != ""}, step
    )


def _trainer(
    folder: Path,
    checkpoints: Path,
    method: Method,
    options: TrainOptions,
    device: torch.device,
    validates: bool,
) -> lightning.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    names = {torch.float32: "32-true", torch.bfloat16: "bf16-mixed", torch.float16: "16-mixed"}
    callbacks: list[Callback] = []
    if validates:
        monitor = f"val_{method.monitor}"
        callbacks.append(_checkpoint(checkpoints, "best", monitor=monitor, mode="max"))
        if options.patience:
            callbacks.append(
                EarlyStopping(monitor, mode="max", patience=options.patience, verbose=False)
            )
    callbacks.append(_checkpoint(checkpoints, "last"))
    logger = False
    if options.tensorboard:
        from lightning.pytorch.loggers import TensorBoardLogger

        logger = TensorBoardLogger(folder, name="tensorboard", version="")
    return lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(device.type, device.type),
        devices=[device.index] if device.index is not None else 1,
        max_epochs=options.epochs,
        precision=names[resolve_precision(options.precision, device)],
        gradient_clip_val=options.clip,
        accumulate_grad_batches=options.accumulate,
        callbacks=callbacks,
        logger=logger,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _checkpoint(folder: Path, name: str, **monitor: str) -> ModelCheckpoint:
    return ModelCheckpoint(
        folder,
        filename=name,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
        **monitor,
    )
