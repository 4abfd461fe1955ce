"""What happens beside the steps of a training: log, progress, checkpoints."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch.callbacks import Callback

from delineate.errors import RecipeError
from delineate.io import atomic_path
from delineate.training.options import TrainOptions


class Progress(NamedTuple):
    """State after a step; `scores` are of the last validation, which came after step `scored`."""

    step: int
    steps: int
    loss: float
    patches_per_second: float
    scores: dict[str, float]
    scored: int = 0


class Log(Callback):
    """Writes metrics.csv after each round, in the first of several processes.

    Parameters
    ----------
    folder : receives it.
    options : of the training.
    hear : given the progress after each step, the last of a round when it is validated, and the
        path of metrics.csv after each round.
    """

    def __init__(
        self,
        folder: Path,
        options: TrainOptions,
        hear: Callable[[Progress | Path], None],
    ) -> None:
        self.file = folder / "metrics.csv"
        self.options = options
        self.hear = hear
        self.rows: list[dict[str, Any]] = []
        self.losses: list[float] = []
        self.started = time.perf_counter()
        self.ended: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """Rows so far; part of each checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Rows of the run that goes on."""
        self.rows = state["rows"]

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        """Set the seeds of the round."""
        # All randomness of an epoch is a function of its number, so that a resumed run repeats it.
        patches = trainer.train_dataloader.dataset
        own = trainer.global_rank << 53  # each process draws other noise for its own patches
        torch.manual_seed(own + patches.seed * 1_000_003 + trainer.current_epoch)
        patches.epoch = trainer.current_epoch
        self.losses = []
        self.started, self.ended = time.perf_counter(), None

    def _speed(self, trainer: Any) -> float:
        made = len(self.losses) * self.options.batch * trainer.world_size
        return made / max((self.ended or time.perf_counter()) - self.started, 1e-9)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        """Tell the progress, but for that of the last step of a round, which is validated first."""
        # With accumulated batches the loss that Lightning hands on is divided by their number.
        self.losses.append(float(outputs["loss"]) * self.options.accumulate)
        if trainer.is_global_zero and len(self.losses) < trainer.num_training_batches:
            self._tell(trainer)

    def _tell(self, trainer: Any) -> None:
        newest = self.rows[-1] if self.rows else {"step": 0}
        scores = {k: v for k, v in newest.items() if k.startswith("val_") and v != ""}
        loss, speed = self.losses[-1], self._speed(trainer)
        step, steps = trainer.global_step, self.options.total
        self.hear(Progress(step, steps, loss, speed, scores, newest["step"]))

    def on_validation_start(self, trainer: Any, module: Any) -> None:
        """Validation does not count as training time."""
        self.ended = time.perf_counter()

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Write metrics.csv anew, with the row of this round."""
        loss = sum(self.losses) / max(len(self.losses), 1)
        if trainer.world_size > 1:
            mean = torch.tensor(loss, device=module.device)
            loss = float(trainer.strategy.reduce(mean, reduce_op="mean"))
        logged = {k: float(v) for k, v in trainer.callback_metrics.items()}
        scores = {k: v for k, v in logged.items() if k.startswith("val_")}
        parts = {k: v for k, v in logged.items() if k.startswith("gan_")}
        self.rows.append(
            {
                "step": trainer.global_step,
                "epoch": trainer.current_epoch + 1,
                "loss": loss,
                "val_loss": scores.pop("val_loss", ""),
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "patches_per_second": self._speed(trainer),
                **scores,
                **parts,
            }
        )
        if not trainer.is_global_zero:
            return
        self._tell(trainer)
        columns = list(dict.fromkeys(k for row in self.rows for k in row))
        with atomic_path(self.file) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        numbers = {k: v for k, v in self.rows[-1].items() if v != ""}
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=trainer.global_step)
        self.hear(self.file)


class Keep(Callback):
    """Writes best.ckpt where weights are better, then last.ckpt, after each round; no half files.

    Of equal scores the lower validation loss is better: where no object is found yet, every score
    is 0. Training stops after `patience` rounds without better weights, or where the score is not
    finite; the checkpoints of that round know of it.

    Parameters
    ----------
    folder : of the checkpoints; it may be moved between two runs.
    monitor : score that tells which weights are best; None keeps the last only, and never stops.
    mode : whether its largest or its smallest value is best; NaN never is.
    patience : rounds; None never stops.

    A run that is killed between the two writes goes on from the older last.ckpt and writes the
    same best.ckpt again.
    """

    def __init__(
        self,
        folder: Path,
        monitor: str | None,
        mode: Literal["max", "min"],
        patience: int | None = None,
    ) -> None:
        self.folder = folder
        self.monitor = monitor
        self.mode = mode
        self.patience = patience
        self.best: float | None = None
        self.loss = math.inf
        self.waited = 0
        self.stopped = False

    def state_dict(self) -> dict[str, Any]:
        """Best score and its loss, rounds since, and whether training stopped early."""
        names = ("best", "loss", "waited", "stopped")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """State of the run that goes on; that of an older version knows of the score alone."""
        self.best, self.stopped = state["best"], state["stopped"]
        self.loss, self.waited = state.get("loss", math.inf), state.get("waited", 0)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Judge the round, and write the checkpoints.

        Raises
        ------
        RecipeError : the regime has not logged the score.
        """
        better = self.monitor is not None and self._judge(trainer, self.monitor)
        self.stopped = bool(trainer.should_stop)
        if better:
            self._save(trainer, "best.ckpt")
        self._save(trainer, "last.ckpt")

    def _judge(self, trainer: Any, monitor: str) -> bool:
        """Whether these weights are the best so far; stops where none were for long."""
        logged = trainer.callback_metrics
        if monitor not in logged:
            raise RecipeError(
                f"the score {monitor}, which decides the best weights, was not logged in validation"
                f" (there are: {', '.join(logged) or 'none'}): let the regime log it, or name"
                " another as its `monitor`"
            )
        score, loss = float(logged[monitor]), float(logged.get("val_loss", math.inf))
        if self.best is None:
            better = not math.isnan(score)
        elif score == self.best:
            better = loss < self.loss
        else:
            better = score > self.best if self.mode == "max" else score < self.best
        if better:
            self.best, self.loss = score, math.inf if math.isnan(loss) else loss
        self.waited = 0 if better else self.waited + 1
        if self.patience and (self.waited >= self.patience or not math.isfinite(score)):
            trainer.should_stop = True
        return better

    def _save(self, trainer: Any, name: str) -> None:
        # All processes gather what is saved; the first one writes it.
        if trainer.is_global_zero:
            with atomic_path(self.folder / name) as temporary:
                trainer.save_checkpoint(temporary)
        else:
            trainer.save_checkpoint(self.folder / name)
        trainer.strategy.barrier()
