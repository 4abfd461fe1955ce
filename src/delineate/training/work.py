"""The work of one process of a training: Lightning's Trainer, its callbacks, and its batches."""

from __future__ import annotations

import contextlib
import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader, Dataset

from delineate.data.patches import Batch
from delineate.inference.device import resolve_device, resolve_precision
from delineate.training.average import Average
from delineate.training.callbacks import Keep, Log
from delineate.training.freeze import FrozenEncoder
from delineate.training.norms import FreshNorms
from delineate.training.options import TrainOptions
from delineate.training.processes import Share, strategy


class Loader(DataLoader[Batch]):
    """Batches of one epoch; the next is made by a thread while the network works on this one.

    Of several processes each makes its share.
    """

    def __init__(self, patches: Dataset[Any], batch: int, workers: int = 0) -> None:
        count = len(patches)  # type: ignore[arg-type]
        super().__init__(patches, batch, sampler=Share(count), num_workers=workers)

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


@dataclass(frozen=True, eq=False)
class Work:
    """A training that begins, or goes on where its last checkpoint stands.

    Several processes may do it together, each with a copy of it.

    Parameters
    ----------
    module : the regime.
    patches : to train on.
    options : of the training.
    folder : receives ``checkpoints/``, ``metrics.csv``.
    """

    module: Any
    patches: Dataset[Any]
    options: TrainOptions
    folder: Path

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def kept(self) -> Path:
        """The checkpoint whose weights are the result."""
        return self.last.with_name("best.ckpt") if self.module.monitor else self.last

    def __call__(self, hear: Callable[[Any], None]) -> None:
        """Train; `hear` is given the progress after each step, and metrics.csv after each round."""
        log = Log(self.folder, self.options, hear)
        trainer = make_trainer(self.folder, self.options, [log, *self._callbacks()], self.module)
        count = len(self.module.samples)
        validation: Any = None
        if count:
            validation = DataLoader(range(count), batch_size=None, sampler=Share(count))  # type: ignore[arg-type]
        with quiet(trainer):
            trainer.fit(
                self.module,
                Loader(self.patches, self.options.batch, self.options.workers),
                validation,
                ckpt_path=self.last if self.last.exists() else None,
                weights_only=True,
            )

    def _callbacks(self) -> list[Callback]:
        """In the order in which they act after a round."""
        options, module = self.options, self.module
        callbacks: list[Callback] = []
        if options.frozen_steps:
            callbacks.append(FrozenEncoder(module.network, options.frozen_steps))
        if options.average is not None:
            first = options.average_first if options.average == "swa" else 0
            callbacks.append(Average(options.average, options.average_decay, first))
        if options.norm_batches:
            callbacks.append(FreshNorms(options.norm_batches))
        keep = Keep(self.last.parent, module.monitor, module.mode, options.patience)
        return [*callbacks, keep]


@contextlib.contextmanager
def quiet(trainer: lightning.Trainer) -> Iterator[None]:
    """Keeps Lightning's warnings back, and lets an interruption from the keyboard through.

    Lightning turns it into an exit.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    except SystemExit as error:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from error


def make_trainer(
    folder: Path,
    options: TrainOptions,
    callbacks: list[Callback],
    module: lightning.LightningModule,
) -> lightning.Trainer:
    """Lightning's Trainer for a regime, without callbacks of its own."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    device = resolve_device(options.device)
    names = {torch.float32: "32-true", torch.bfloat16: "bf16-mixed", torch.float16: "16-mixed"}
    logger = False
    if options.tensorboard:
        from lightning.pytorch.loggers import TensorBoardLogger

        logger = TensorBoardLogger(folder, name="tensorboard", version="")
    return lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(device.type, device.type),
        devices=[device.index] if device.index is not None else options.processes,
        num_nodes=options.nodes,
        strategy=strategy(options),
        sync_batchnorm=options.sync_batch_norm,
        use_distributed_sampler=False,
        max_epochs=options.epochs,
        precision=names[resolve_precision(options.precision, device)],
        # A regime with several optimisers clips and accumulates by itself.
        gradient_clip_val=options.clip if module.automatic_optimization else None,
        accumulate_grad_batches=options.accumulate if module.automatic_optimization else 1,
        callbacks=callbacks,
        logger=logger,
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
