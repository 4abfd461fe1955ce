"""Progress of a training as lines: each has the scores of its own step, and the last is shown."""

from __future__ import annotations

import io
import re

import pytest

from conftest import small_recipe
from delineate.cli import progress as shown
from delineate.cli.progress import TrainProgress
from delineate.methods.flows import Flows
from delineate.runs.train import train
from delineate.training.callbacks import Progress
from small_trainings import rows_of


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(shown, "say", told.append)
    return told


def scored(lines: list[str]) -> dict[int, float]:
    """The validation scores of the lines by their steps."""
    found = (re.match(r"(\d+)/\d+ loss [\d.]+ .*val map ([\d.]+)", line) for line in lines)
    return {int(m[1]): float(m[2]) for m in found if m}


@pytest.mark.usefixtures("no_curves")
@pytest.mark.parametrize("patience", [None, 2])
def test_each_validation_is_told_with_its_step(dataset, tmp_path, monkeypatch, lines, patience):
    values = iter([0.5, 0.4, 0.3, 0.2, 0.1])
    monkeypatch.setattr(Flows, "score", lambda *_: {"map": next(values), "ap50": 0.0})
    recipe = small_recipe(
        data__images=dataset,
        train__steps=12,
        train__validate_every=3,
        train__patch=32,
        train__batch=2,
        train__patience=patience,
        network__options={"features": [4, 8]},
    )
    train(recipe, tmp_path / "run", reporter=TrainProgress())
    rows = {int(r["step"]): float(r["val_map"]) for r in rows_of(tmp_path / "run")}
    assert scored(lines) == pytest.approx(rows, abs=5e-4)
    assert sorted(rows) == ([3, 6, 9, 12] if patience is None else [3, 6, 9])


def steps(progress: TrainProgress, total: int, every: int, until: int) -> None:
    """A training that is validated in rounds, and ends early."""
    newest: dict[str, float] = {}
    last = 0
    for step in range(1, until + 1):
        if step % every == 0:
            newest, last = {"val_map": step / 1000}, step
        progress.step(Progress(step, total, 0.1, 1.0, newest, last))


def test_lines_stay_few_and_the_last_validation_is_among_them(lines: list[str]) -> None:
    progress = TrainProgress()
    progress.stage("training 1000 steps")
    steps(progress, 1000, 7, 994)
    progress.stage("calibrating probabilities")
    assert len(lines) <= 2 + 2 * 20
    assert all(value == pytest.approx(step / 1000) for step, value in scored(lines).items())
    assert len(scored(lines)) >= 20
    assert lines[-2].startswith("994/1000 ") and lines[-1] == "calibrating probabilities"
    progress.stage("tuning thresholds")
    assert sum(line.startswith("994/1000 ") for line in lines) == 1


def test_beside_a_bar_the_last_validation_stays(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    monkeypatch.setattr(shown, "console", Console(force_terminal=True, file=io.StringIO()))
    progress = TrainProgress()
    progress.stage("member 1 of 2: training 30 steps")
    steps(progress, 30, 10, 25)
    assert lines == []
    assert "at step 20: val map 0.020" in progress.bar.tasks[0].fields["note"]
    steps(progress, 30, 10, 30)
    progress.stage("member 2 of 2: training 30 steps")
    assert lines == [
        "member 1 of 2: training 30 steps: 30/30 loss 0.100 val map 0.030 1.0 patches/s"
    ]
