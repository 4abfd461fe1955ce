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
    assert "new images may well score lower than estimated" in shown.out
    assert "reference images decides" not in shown.out  # ten of them are more certain
    assert call("review", out, "--required", "0.9") == 0
    assert "one of 20 reference images decides" in capsys.readouterr().out
    assert call("review", out, "--required", "0.3", "--risk", "0.2") == 0
    assert "at a risk of 0.2" in capsys.readouterr().out
    assert call("review", out) == 0  # what was asked for stays
    assert "at a risk of 0.2" in capsys.readouterr().out
    assert call("review", out, "--risk", "0.1") == 0
    assert "--risk 0.1 accepts no image: it takes 29" in capsys.readouterr().out
    assert {r["verdict"] for r in rows(out)} == {"verify", ""}
    assert call("review", out, "--required", "0.6") == 0
    assert "at a risk" not in capsys.readouterr().out
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
    assert call("review", out, "--risk", "0.2") == 2
    assert "add --required" in capsys.readouterr().err


def test_help_shows_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("review", "--help") == 0
    page = capsys.readouterr().out
    assert "delineate review out --truth consensus --experts anna/ ben/ carla/" in page
    for option in ("--required", "--risk", "--truth", "--experts", "--pattern"):
        assert option in page
