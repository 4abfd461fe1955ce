"""Progress on the terminal: bars with rate and remaining time, plain lines where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

if TYPE_CHECKING:
    from delineate.data.layouts import Pair
    from delineate.training.fit import Progress as Step

console = Console(stderr=True, highlight=False, emoji=False)


def say(text: str) -> None:
    """A line for the person, on standard error, so that standard output stays clean.

    Neither names of files nor long errors are folded or taken for markup.
    """
    console.print(text, markup=False, soft_wrap=True)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("left", style="dim"),
        TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
        console=console,
    )


class _Progress:
    """A bar with one task, shown where there is a terminal."""

    def __init__(self, text: str) -> None:
        self.bar = _bar()
        self.task = self.bar.add_task(text, total=None, note="")

    def __enter__(self) -> Self:
        if console.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if console.is_terminal:
            self.bar.stop()


class RunProgress(_Progress):
    """Progress over the images of a run, and over the tiles of large ones."""

    number = 0

    def image(self, name: str, number: int, total: int) -> None:
        """An image is begun."""
        self.number = number
        short = name if len(name) <= 24 else f"…{name[-23:]}"
        note = f"{number + 1}/{total} {short}"
        self.bar.update(self.task, total=total, completed=number, note=note)

    def tiles(self, done: int, total: int) -> None:
        """Tiles of the image are done."""
        self.bar.update(self.task, completed=self.number + 0.9 * done / total)

    def finished(self, name: str, outcome: str) -> None:
        """An image is done."""
        self.bar.update(self.task, completed=self.number + 1)
        if outcome.startswith("failed") or not console.is_terminal:
            say(f"{name}: {outcome}")


class TrainProgress(_Progress):
    """Progress of a training; without a terminal one line for each twentieth of it.

    There a line has the scores of its own step, or none; a validation within a twentieth that has
    no line with scores yet gets one. The last validation is told in any case, also above the bar.
    """

    def __init__(self) -> None:
        super().__init__("")
        self.text = ""
        self._begin()

    def _begin(self) -> None:
        self.told = self.told_scores = -1
        self.last = ""

    def stage(self, text: str) -> None:
        """A new stage begins."""
        if self.last:
            say(f"{self.text}: {self.last}" if console.is_terminal else self.last)
        self.text = text
        self._begin()
        self.bar.reset(self.task, description=text, total=None, note="")
        if not console.is_terminal:
            say(text)

    def each(self, pairs: Iterable[Pair]) -> Iterable[Pair]:
        """Counts the pairs that a stage goes through."""
        every = list(pairs)
        for number, pair in enumerate(every):
            self.bar.update(self.task, total=len(every), completed=number, note=pair.name[-40:])
            yield pair
        self.bar.update(self.task, completed=len(every))

    def step(self, progress: Step) -> None:
        """A step was taken, and validated if it ends a round."""
        shown = [f"{name.replace('_', ' ')} {value:.3f}" for name, value in progress.scores.items()]
        fresh = bool(shown) and progress.scored == progress.step
        older = ["at step", f"{progress.scored}:", *shown] if shown else []
        note = _note(progress, shown if fresh else older)
        self.bar.update(self.task, total=progress.steps, completed=progress.step, note=note)
        if fresh:
            self.last = note
        if console.is_terminal:
            return
        part = progress.step * 20 // progress.steps
        if part != self.told or (fresh and part != self.told_scores):
            self.told = part
            if fresh:
                self.told_scores, self.last = part, ""
            say(note if fresh else _note(progress, []))


def _note(progress: Step, scores: list[str]) -> str:
    """How far a training is, in a line."""
    speed = f"{progress.patches_per_second:.1f} patches/s"
    counted = f"{progress.step}/{progress.steps}"
    return " ".join([counted, "loss", f"{progress.loss:.3f}", *scores, speed])
