"""Fitting: Lightning's Trainer, checkpoints that resume exactly, a log and progress."""

from __future__ import annotations

import contextlib
import logging
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import Tensor, nn
from torch.utils.data import DataLoader

from delineate.data.augment import Augment
from delineate.data.patches import Batch, Patches
from delineate.data.samples import Sample
from delineate.errors import RecipeError
from delineate.inference.runner import channels_last, resolve_device, resolve_precision
from delineate.methods.base import Method
from delineate.training.callbacks import Keep, Log, Progress
from delineate.training.freeze import FrozenEncoder
from delineate.training.options import TrainOptions
from delineate.training.supervised import Supervised

__all__ = ["Fitted", "Progress", "check_options", "fit"]


class Fitted(NamedTuple):
    """What fitting leaves: the best weights, its validation scores and the steps taken."""

    state: dict[str, Tensor]
    scores: dict[str, float]
    steps: int


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


def check_options(options: TrainOptions) -> None:
    """Whether this machine has what the options ask for, before any work is done.

    Raises
    ------
    ModelError : the device is not usable here.
    RecipeError : TensorBoard is asked for and not installed.
    """
    resolve_device(options.device)
    if options.tensorboard and find_spec("tensorboard") is None:
        raise RecipeError(
            "train.tensorboard needs a package that is not installed: "
            "pip install 'delineate[tensorboard]', or leave it out; metrics.csv and curves.png "
            "are written in any case"
        )


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
    RecipeError : the loss or the weights became infinite or NaN.
    ModelError : the device is not usable here, or the network names no encoder to freeze.
    """
    check_options(options)
    device = resolve_device(options.device)
    placing = options.placing(method.truth)
    patches = Patches(
        train,
        method,
        augment,
        options.patch_shape(ndim),
        options.steps_per_epoch * options.batch * options.accumulate,
        seed,
        placing.share,
        placing.centres,
    )
    every = max(1, len(val) / options.validation_images)
    chosen = [val[int(i * every)] for i in range(min(len(val), options.validation_images))]
    module = Supervised(network, method, options, options.total, chosen).to(
        memory_format=channels_last(ndim)
    )
    checkpoints = folder / "checkpoints"
    log = Log(folder, options, tell, after_validation)
    monitor = f"val_{method.monitor}" if chosen else None
    callbacks: list[Callback] = [log]
    if options.frozen_steps:
        callbacks.append(FrozenEncoder(network, options.frozen_steps))
    if monitor and options.patience:
        # It judges before the checkpoints of the round are written, so that they know of it.
        callbacks.append(
            EarlyStopping(
                monitor, mode="max", patience=options.patience, check_on_train_epoch_end=False
            )
        )
    keep = Keep(checkpoints, monitor)
    last = checkpoints / "last.ckpt"
    if last.exists():
        state = torch.load(last, map_location="cpu", weights_only=True)["callbacks"]
        log.load_state_dict(state[log.state_key])
        keep.load_state_dict(state[keep.state_key])
    # A training that had stopped early before it was interrupted is not continued.
    if not keep.stopped:
        trainer = _trainer(folder, options, device, [*callbacks, keep])
        with warnings.catch_warnings(), _interruptible(trainer):
            warnings.filterwarnings("ignore", module="lightning")
            trainer.fit(
                module,
                _Loader(patches, options.batch, num_workers=options.workers),
                DataLoader(range(len(chosen)), batch_size=None) if chosen else None,  # type: ignore[arg-type]
                ckpt_path=last if last.exists() else None,
                weights_only=True,
            )
    best = checkpoints / "best.ckpt"
    found = torch.load(best if chosen else last, map_location="cpu", weights_only=True)
    prefix = "network."
    state = {
        k.removeprefix(prefix): v.contiguous()
        for k, v in found["state_dict"].items()
        if k.startswith(prefix)
    }
    if not all(v.isfinite().all() for v in state.values()):
        raise RecipeError(
            f"the weights became infinite or NaN: lower train.learning_rate "
            f"({options.learning_rate:g})"
        )
    step = int(found["global_step"])
    scores: dict[str, Any] = next((row for row in log.rows if row["step"] == step), {})
    return Fitted(
        state, {k: v for k, v in scores.items() if k.startswith("val_") and v != ""}, step
    )


@contextlib.contextmanager
def _interruptible(trainer: lightning.Trainer) -> Iterator[None]:
    """Lets an interruption from the keyboard through, which Lightning turns into an exit."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from error


def _trainer(
    folder: Path, options: TrainOptions, device: torch.device, callbacks: list[Callback]
) -> lightning.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    names = {torch.float32: "32-true", torch.bfloat16: "bf16-mixed", torch.float16: "16-mixed"}
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
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
