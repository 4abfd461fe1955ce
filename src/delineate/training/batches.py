"""The batch finder: how fast a training goes, and what memory it takes, as its batch doubles."""

from __future__ import annotations

import contextlib
import copy
import csv
import gc
import mmap
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.memory import is_oom_error

from delineate.data.augment import Augment
from delineate.data.samples import Sample
from delineate.inference.device import channels_last, resolve_device
from delineate.training.fit import check_options, make_patches
from delineate.training.options import TrainOptions
from delineate.training.regimes import AnyRegime
from delineate.training.setting import Setting
from delineate.training.work import Loader, make_trainer, quiet

WARM = 2
"""Steps that are not timed."""
SECONDS, FEWEST, MOST = 1.5, 3, 60
"""Steps are timed for about so long, at least and at most so many."""
GROWTH = 1.05
"""A doubled batch that makes training less than so many times faster is not worth it."""
SPARE = 0.9
"""Share of the free memory that a batch may be expected to take."""
LARGEST = 4096


class Trial(NamedTuple):
    """A batch that was tried.

    Parameters
    ----------
    batch : patches in a step.
    patches_per_second : of training; None where the memory was not enough.
    memory : bytes at the peak: of the GPU, or that the process took beside what it had before; None
        where the system does not tell.
    """

    batch: int
    patches_per_second: float | None
    memory: int | None


class Batches(NamedTuple):
    """What was tried, why no larger batch was, and what is suggested."""

    trials: tuple[Trial, ...]
    ended: str
    suggested: int | None

    def save(self, folder: Path) -> Path:
        """Write ``batches.csv``; returns its path."""
        from delineate.io import atomic_path

        path = folder / "batches.csv"
        with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["batch", "patches_per_second", "peak_memory_bytes"])
            writer.writerows(
                ["" if value is None else value for value in trial] for trial in self.trials
            )
        return path

    def table(self) -> str:
        """The trials as a small table of text."""
        lines = [f"{'batch':>6}  {'patches/s':>10}  {'peak memory':>12}"]
        for batch, speed, memory in self.trials:
            fast = "too large" if speed is None else f"{speed:.1f}"
            took = "" if memory is None else f"{memory / 2**20:,.0f} MiB"
            lines.append(f"{batch:>6}  {fast:>10}  {took:>12}")
        return "\n".join(lines)


def find_batch(
    setting: Setting,
    regime: AnyRegime,
    train: Sequence[Sample],
    augment: Augment,
    *,
    seed: int,
    tell: Callable[[Trial], None] | None = None,
) -> Batches:
    """Train copies for a few steps, each with twice the batch of the one before.

    On a GPU until its memory is exhausted; on the processor until training becomes no faster, or
    the memory would not suffice. Suggested is the smallest batch that is about as fast as any: a
    larger one takes more memory, and more patches for the same number of steps. Neither the network
    nor the random numbers that a training draws afterwards are touched.

    Parameters
    ----------
    setting, regime, train, augment, seed : as for `fit`; one process is tried.
    tell : called after every trial.

    Raises
    ------
    ModelError, RecipeError : as for `fit`.
    """
    check_options(setting.options)
    device = resolve_device(setting.options.device)
    bench = _Bench(setting, regime, train, augment, seed, device)
    first = bench.run(1, FEWEST, None)  # what happens once, such as compiling, is not measured
    _free(device)
    before = used_memory()
    trials: list[Trial] = []
    ended = f"larger batches than {LARGEST} were not tried"
    batch = 1
    while batch <= LARGEST:
        speed = (trials[-1] if trials else first).patches_per_second or 1.0
        steps = min(MOST, max(FEWEST, round(SECONDS * speed / batch)))
        _free(device)  # by now nothing holds what the trial before took
        trial = bench.run(batch, steps, before)
        trials.append(trial)
        if tell:
            tell(trial)
        if trial.patches_per_second is None:
            ended = f"the memory is exhausted with {batch} patches"
            break
        if device.type == "cpu":
            if len(trials) > 1 and not _faster(trials[-2], trial):
                ended = f"training is hardly faster with {batch} patches than with {batch // 2}"
                break
            if trial.memory is not None and 2 * trial.memory > SPARE * free_memory():
                ended = f"the memory would not suffice for {2 * batch} patches"
                break
        batch *= 2
    _free(device)
    return Batches(tuple(trials), ended, suggest(trials))


def suggest(trials: Sequence[Trial]) -> int | None:
    """The smallest batch that is nearly as fast as the fastest; None where none fitted."""
    fits = [(t.batch, t.patches_per_second) for t in trials if t.patches_per_second is not None]
    if not fits:
        return None
    best = max(speed for _, speed in fits)
    return next(batch for batch, speed in fits if speed * GROWTH >= best)


def _faster(before: Trial, after: Trial) -> bool:
    assert before.patches_per_second is not None
    assert after.patches_per_second is not None
    return after.patches_per_second >= GROWTH * before.patches_per_second


class _Bench(NamedTuple):
    """What every trial has in common."""

    setting: Setting
    regime: AnyRegime
    train: Sequence[Sample]
    augment: Augment
    seed: int
    device: torch.device

    def run(self, batch: int, timed: int, before: int | None) -> Trial:
        """Train a copy for a few steps, in which all weights learn and all losses count.

        Parameters
        ----------
        timed : steps that are timed.
        before : bytes of memory that this process had taken before all trials.
        """
        options = self._options(batch, WARM + timed)
        regime = self.regime
        if hasattr(regime, "warmup_steps"):
            regime = regime.model_copy(update={"warmup_steps": 0})
        watch = _Watch(self.device, WARM, WARM + timed, before)
        try:
            with torch.random.fork_rng(), tempfile.TemporaryDirectory() as folder, watch:
                torch.manual_seed(self.seed)
                setting = self.setting._replace(
                    network=copy.deepcopy(self.setting.network),
                    options=options,
                    total=options.total,
                    samples=(),
                )
                module: Any = regime.module(setting)
                module = module.to(memory_format=channels_last(setting.ndim))
                patches = make_patches(setting, regime, self.train, self.augment, self.seed, None)
                trainer = make_trainer(Path(folder), options, [watch], module)
                with quiet(trainer):
                    trainer.fit(module, Loader(patches, batch, options.workers))
        except (RuntimeError, MemoryError) as error:
            if not _exhausted(error):
                raise
            return Trial(batch, None, None)
        return Trial(batch, timed * batch / watch.seconds, watch.memory)

    def _options(self, batch: int, steps: int) -> TrainOptions:
        return self.setting.options.model_copy(
            update={
                "batch": batch,
                "steps": steps,
                "validate_every": steps,
                "frozen_steps": 0,
                "learning_rate": 1e-6,
                "accumulate": 1,
                "processes": 1,
                "nodes": 1,
                "sync_batch_norm": False,
                "tensorboard": False,
            }
        )


def _exhausted(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, MemoryError) or is_oom_error(error) or "out of memory" in text


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "mps":
        torch.mps.empty_cache()


class _Watch(Callback):
    """Notes how long the timed steps take and, within it, how much memory is taken at the peak."""

    def __init__(self, device: torch.device, first: int, last: int, before: int | None) -> None:
        self.device = device
        self.first, self.last = first, last
        self.before = before
        self.seconds = 0.0
        self.memory: int | None = None
        self._done = threading.Event()
        self._looks = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Watch:
        if self.device.type != "cuda" and self.before is not None:
            self._looks.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._looks.is_alive():
            self._looks.join()
        if self.device.type == "cuda":
            self.memory = torch.cuda.max_memory_reserved(self.device)

    def _look(self) -> None:
        while not self._done.wait(0.005):
            used = used_memory()
            if used is not None and self.before is not None:
                self.memory = max(self.memory or 0, used - self.before)

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """Start and stop the clock."""
        if trainer.global_step in (self.first, self.last):
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.seconds = time.perf_counter() - self.seconds


def used_memory() -> int | None:
    """Bytes of memory that this process takes; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * mmap.PAGESIZE
    return None


def free_memory() -> float:
    """Bytes of memory that are left, by the system and by the limit of a container."""
    free = float("inf")
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        line = next(text for text in lines if text.startswith("MemAvailable:"))
        free = int(line.split()[1]) * 1024
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        taken = int((group / "memory.current").read_text(encoding="ascii"))
        stat = (group / "memory.stat").read_text(encoding="ascii").split()
        files = int(stat[stat.index("file") + 1])  # kept while nothing else wants the memory
        free = min(free, limit - taken + files)
    return free
