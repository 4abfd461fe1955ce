"""Fitting: Lightning's Trainer, checkpoints that resume exactly, a log and progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from delineate.data.augment import Augment
from delineate.data.patches import Batch, Patches
from delineate.data.samples import Sample
from delineate.errors import RecipeError, to_install
from delineate.inference.device import channels_last, resolve_device
from delineate.training.callbacks import Progress
from delineate.training.launch import launch
from delineate.training.options import TrainOptions
from delineate.training.precision import sound_precision
from delineate.training.processes import check_processes, share, started_outside
from delineate.training.regimes import AnyRegime
from delineate.training.setting import Setting
from delineate.training.validation import check_structure, validating
from delineate.training.work import Work

__all__ = ["Fitted", "Progress", "check_options", "fit"]


class Fitted(NamedTuple):
    """What fitting leaves: the best weights, its validation scores and the steps taken.

    `back` are the weights of the way back, where the regime has one.
    """

    state: dict[str, Tensor]
    scores: dict[str, float]
    steps: int
    back: dict[str, Tensor]


def check_options(options: TrainOptions) -> None:
    """Whether this machine has what the options ask for, before any work is done.

    Raises
    ------
    ModelError : the device is not usable here.
    RecipeError : TensorBoard is asked for and not installed, or processes cannot work together so.
    """
    check_processes(options, resolve_device(options.device))
    if options.tensorboard and find_spec("tensorboard") is None:
        raise RecipeError(
            "train.tensorboard needs a package that is not installed: "
            f"{to_install('tensorboard')}, or leave it out; metrics.csv and curves.png are written "
            "in any case"
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

    Several processes are started here, unless torchrun or srun started them: then those that help
    this one are given the work (see `processes.together`).

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
    DataError : the costs are 0 in all images to train on, or in what all validation images show.
    RecipeError : the loss or the weights became infinite or NaN, the regime does not suit the
        method, gradients would be wrong in the precision asked for, or no validation image has
        structure to be scored by.
    ModelError : the device is not usable here, or the network names no encoder to freeze.
    """
    check_options(setting.options)
    options = sound_precision(setting.options, setting.network, setting.ndim)
    setting = setting._replace(options=options)
    device = resolve_device(options.device)
    patches = make_patches(setting, regime, train, augment, seed, part)
    chosen = validating(setting.samples, regime, options.validation_images)
    module: Any = regime.module(setting._replace(samples=chosen))
    check_structure(module)
    module = module.to(memory_format=channels_last(setting.ndim))
    work = Work(module, patches, options, folder)

    def hear(message: Progress | Path) -> None:
        if isinstance(message, Path):
            if after_validation:
                after_validation(message)
        elif tell:
            tell(message)

    if not _stopped_early(work.last):
        if options.processes > 1 and not started_outside():
            launch(work, options.processes, hear, cuda=device.type == "cuda")
        else:
            share(work)
            work(hear)
    found = torch.load(work.kept, map_location="cpu", weights_only=True)
    state, back = (_part(found["state_dict"], prefix) for prefix in ("network.", "back."))
    if not all(v.isfinite().all() for v in (*state.values(), *back.values())):
        raise RecipeError(
            f"the weights became infinite or NaN: lower train.learning_rate "
            f"({options.learning_rate:g})"
        )
    step = int(found["global_step"])
    rows = found["callbacks"]["Log"]["rows"]
    scores: dict[str, Any] = next((row for row in rows if row["step"] == step), {})
    kept = {k: v for k, v in scores.items() if k.startswith("val_") and v != ""}
    return Fitted(state, kept, step, back)


def _stopped_early(last: Path) -> bool:
    """Whether a training had stopped early before it was interrupted: then it does not go on."""
    if not last.exists():
        return False
    state = torch.load(last, map_location="cpu", weights_only=True)["callbacks"]
    return bool(state["Keep"]["stopped"])


def make_patches(
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
    many = options.processes * options.nodes

    def make(samples: Sequence[Sample], seed: int) -> Patches:
        return Patches(
            samples,
            setting.method,
            augment,
            options.patch_shape(setting.ndim),
            options.steps_per_epoch * options.batch * options.accumulate * many,
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
