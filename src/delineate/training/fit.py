"""Fitting: Lightning's Trainer, checkpoints that resume exactly, a log and progress."""

from __future__ import annotations

import contextlib
import logging
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from delineate.data.augment import Augment
from delineate.data.patches import Batch, Patches
from delineate.data.samples import Sample
from delineate.errors import RecipeError
from delineate.inference.runner import channels_last, resolve_device, resolve_precision
from delineate.training.callbacks import Keep, Log, Progress
from delineate.training.freeze import FrozenEncoder
from delineate.training.options import TrainOptions
from delineate.training.regimes import AnyRegime
from delineate.training.setting import Setting

__all__ = ["Fitted", "Progress", "check_options", "fit"]


class Fitted(NamedTuple):
    """What fitting leaves: the best weights, its validation scores and the steps taken.

    `back` are the weights of the way back, where the regime has one.
    """

    state: dict[str, Tensor]
    scores: dict[str, float]
    steps: int
    back: dict[str, Tensor]


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
    setting: Setting,
    regime: AnyRegime,
    train: Sequence[Sample],
    augment: Augment,
    *,
    seed: int,
    folder: Path,
    part: int | None = None,
    tell: Callable[[Progress], None] | None = None,
    after_validation: Callable[[Path], None] | None = None,
) -> Fitted:
    """Find weights; a run that was killed goes on where its last checkpoint stands.

    Parameters
    ----------
    setting : network with its first weights (left with the last ones), method, options, and the
        prepared images to validate on; without them the last weights are the result.
    regime : how weights are found.
    train : prepared images to train on.
    folder : receives ``checkpoints/``, ``metrics.csv``.
    part : at most so many images are drawn from in one round; None: all.
    tell : called after every step.
    after_validation : called with metrics.csv after each validation.

    Raises
    ------
    RecipeError : the loss or the weights became infinite or NaN, or the regime does not suit the
        method.
    ModelError : the device is not usable here, or the network names no encoder to freeze.
    """
    options, ndim = setting.options, setting.ndim
    check_options(options)
    device = resolve_device(options.device)
    patches = _patches(setting, regime, train, augment, seed, part)
    scored = [s for s in setting.samples if scores_with(s, regime)]
    every = max(1, len(scored) / options.validation_images)
    chosen = [scored[int(i * every)] for i in range(min(len(scored), options.validation_images))]
    module: Any = regime.module(setting._replace(samples=chosen))
    module = module.to(memory_format=channels_last(ndim))
    checkpoints = folder / "checkpoints"
    log = Log(folder, options, tell, after_validation)
    monitor, mode = module.monitor, module.mode
    callbacks: list[Callback] = [log]
    if options.frozen_steps:
        callbacks.append(FrozenEncoder(setting.network, options.frozen_steps))
    if monitor and options.patience:
        # It judges before the checkpoints of the round are written, so that they know of it.
        callbacks.append(
            EarlyStopping(
                monitor, mode=mode, patience=options.patience, check_on_train_epoch_end=False
            )
        )
    keep = Keep(checkpoints, monitor, mode)
    last = checkpoints / "last.ckpt"
    if last.exists():
        state = torch.load(last, map_location="cpu", weights_only=True)["callbacks"]
        log.load_state_dict(state[log.state_key])
        keep.load_state_dict(state[keep.state_key])
    # A training that had stopped early before it was interrupted is not continued.
    if not keep.stopped:
        trainer = _trainer(folder, options, device, [*callbacks, keep], module)
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
    found = torch.load(best if monitor else last, map_location="cpu", weights_only=True)
    state, back = (_part(found["state_dict"], prefix) for prefix in ("network.", "back."))
    if not all(v.isfinite().all() for v in (*state.values(), *back.values())):
        raise RecipeError(
            f"the weights became infinite or NaN: lower train.learning_rate "
            f"({options.learning_rate:g})"
        )
    step = int(found["global_step"])
    scores: dict[str, Any] = next((row for row in log.rows if row["step"] == step), {})
    kept = {k: v for k, v in scores.items() if k.startswith("val_") and v != ""}
    return Fitted(state, kept, step, back)


def scores_with(sample: Sample, regime: AnyRegime) -> bool:
    """Whether an image can validate: it has its truth, where the regime asks for one."""
    return bool(len(sample.image)) and (bool(len(sample.targets)) or not regime.needs_truth)


def _patches(
    setting: Setting,
    regime: AnyRegime,
    train: Sequence[Sample],
    augment: Augment,
    seed: int,
    part: int | None,
) -> Dataset[Any]:
    """Patches to train on; of unpaired images two, drawn independently of each other."""
    options = setting.options
    placing = options.placing(setting.method.truth)

    def make(samples: Sequence[Sample], seed: int) -> Patches:
        return Patches(
            samples,
            setting.method,
            augment,
            options.patch_shape(setting.ndim),
            options.steps_per_epoch * options.batch * options.accumulate,
            seed,
            placing.share,
            placing.centres,
            part,
        )

    if not regime.unpaired:
        return make(train, seed)
    images = [s for s in train if len(s.image)]
    targets = [s for s in train if len(s.targets)]
    return Both(make(images, seed), make(targets, seed + 1_000_003))


class Both(Dataset[tuple[Batch, Batch]]):
    """Patches of two sets, side by side; they have nothing to do with each other."""

    def __init__(self, first: Patches, second: Patches) -> None:
        self.first, self.second = first, second
        self.seed = first.seed

    @property
    def epoch(self) -> int:
        """Number of the round, from which the patches are drawn."""
        return self.first.epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self.first.epoch = self.second.epoch = value

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, index: int) -> tuple[Batch, Batch]:
        return self.first[index], self.second[index]


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        k.removeprefix(prefix): v.contiguous() for k, v in state.items() if k.startswith(prefix)
    }


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
    folder: Path,
    options: TrainOptions,
    device: torch.device,
    callbacks: list[Callback],
    module: lightning.LightningModule,
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
