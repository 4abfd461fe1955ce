"""`delineate review` as a person meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from delineate.cli import main
from delineate.runs.quality import Judge
from test_runs_review import Runs, reference, rows


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(a) for a in arguments])
    return int(left.value.code or 0)


def test_a_run_is_judged_and_held_against_truth_and_experts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = Runs(tmp_path)
    out = runs.make(judge=Judge(reference(), None, 3))
    truth = runs.write("truth", runs.truth)
    anna, ben = (runs.write(f"e/{n}", runs.truth) for n in ("anna", "ben"))
    assert call("review", out, "--required", "0.6") == 0
    shown = capsys.readouterr()
    assert "to verify: 4 of 6 images (Dice of 0.6 required" in shown.out
    assert "an estimate" in shown.out
    assert f"report → {out / 'report.html'}" in shown.err
    assert {r["verdict"] for r in rows(out)} == {"verify", "accept", ""}
    assert call("review", out, "--truth", truth, "--experts", anna, ben) == 0
    shown = capsys.readouterr()
    assert "true mean Dice" in shown.out and "model less ben" in shown.out
    assert "i0: Dice 1.000" in shown.err
    assert (out / "review-comparison.csv").exists()


def test_errors_say_what_to_do_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("review", tmp_path) == 2
    assert "no run here" in capsys.readouterr().err
    out = Runs(tmp_path).make()
    assert call("review", out, "--required", "0.8") == 2
    error = capsys.readouterr().err
    assert "--truth" in error and "Traceback" not in error


def test_help_shows_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("review", "--help") == 0
    page = capsys.readouterr().out
    assert "delineate review out --truth consensus --experts anna/ ben/ carla/" in page
    for option in ("--required", "--truth", "--experts", "--pattern"):
        assert option in page
