"""Two calls at once into one folder: the second is refused, and nobody waits for the dead."""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import ENVIRONMENT, call, predict_command, start, wait_for
from conftest import small_recipe
from delineate.errors import DataError, ReadError, WriteError
from delineate.io import write_labels
from delineate.runs.consensus import consensus_folder
from delineate.runs.decode import decode_folder
from delineate.runs.evaluate import evaluate_folder
from delineate.runs.evaluate_images import evaluate_images
from delineate.runs.lock import LOCK, WRITER, writing
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, predict_folder
from delineate.runs.review import review_folder
from delineate.runs.train import train
from domes import EXACT, dome_model, write_domes
from folder_runs import Log, record, rows, run

HOLD = """
import sys
from pathlib import Path
from delineate.runs.lock import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
CROWD = """
import sys
from pathlib import Path
from delineate.errors import WriteError
from delineate.runs.lock import writing
folder, held = Path(sys.argv[1]), 0
while held < 40:
    try:
        with writing(folder):
            (folder / "alone").open("x").close()
            (folder / "alone").unlink()
            held += 1
    except WriteError:
        pass
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds the lock of the folder ``out``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "out")],
        env=ENVIRONMENT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def no_system_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on file systems that have none."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_every_call_that_writes_is_refused_while_another_does(tmp_path: Path) -> None:
    """And what the first is writing stays, as do its tables."""
    truth = write_domes(tmp_path / "a", ("a1", "a2"))
    write_domes(tmp_path / "b", ("b1",))
    for name, labels in truth.items():
        for folder in ("truth", "other"):
            write_labels(tmp_path / folder / f"{name}.tif", labels, axes="YX")
    run(tmp_path / "b", tmp_path / "kept", outputs=Outputs(maps=True))
    out, partial = tmp_path / "out", tmp_path / "out" / "labels" / ".a1-0123abcd.partial.tif"
    held = tmp_path / "kept"
    others: list[Callable[[], object]] = [
        lambda: run(tmp_path / "b", out),
        lambda: run(tmp_path / "b", out, overwrite=True, diameter=20.0),
        lambda: decode_folder(held, out, {"threshold": 0.7}),
        lambda: review_folder(out),
        lambda: evaluate_folder(held, tmp_path / "truth", out),
        lambda: evaluate_images(tmp_path / "a", tmp_path / "a", out),
        lambda: consensus_folder([tmp_path / "truth", tmp_path / "other"], out, overwrite=True),
    ]
    refused: list[str] = []

    class Busy(Log):
        def image(self, name: str, number: int, total: int) -> None:
            if number == 1:
                partial.write_bytes(b"half")
                for write in others:
                    with pytest.raises(WriteError) as error:
                        write()
                    refused.append(str(error.value))
                assert partial.read_bytes() == b"half"
                partial.unlink()

    predict_folder(
        dome_model(), tmp_path / "a", out, Settings(run=EXACT), Outputs(), listener=Busy()
    )
    assert len(refused) == len(others)
    for said in refused:
        assert said.startswith(f"{out}: another call of delineate is writing there")
        assert f"process {os.getpid()} on {platform.node()}, since 20" in said
        assert "wait until it has ended" in said and "folder of its own" in said
    assert [i["name"] for i in record(out)["inputs"]] == ["a1", "a2"]
    assert len(rows(out / "images.csv")) == 2
    assert not (out / LOCK).exists() and not (out / WRITER).exists()
    for write in (others[0], others[3]):
        write()
    assert len(rows(out / "images.csv")) == 3


def test_a_process_that_was_killed_holds_no_lock(
    tmp_path: Path,
    model: Path,
    other: subprocess.Popen[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_domes(tmp_path / "in", ("a",))
    out = tmp_path / "out"
    assert call(*predict_command(tmp_path / "in", out, model)) == 2
    said = " ".join(capfd.readouterr().err.split())
    assert f"process {other.pid} on {platform.node()}" in said
    assert sorted(p.name for p in out.iterdir()) == [LOCK, WRITER]
    other.kill()
    other.communicate()
    assert (out / LOCK).exists()
    assert call(*predict_command(tmp_path / "in", out, model)) == 0
    assert not (out / LOCK).exists() and not (out / WRITER).exists()


def test_no_lock_is_left_by_ctrl_c(tmp_path: Path) -> None:
    slow = dome_model(wait=0.3).save(tmp_path / "slow")
    write_domes(tmp_path / "in", ("a", "b", "c", "d"))
    out = tmp_path / "out"
    process = start(predict_command(tmp_path / "in", out, slow))
    wait_for(out / "labels" / "a.tif", process)
    assert (out / LOCK).exists()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert not (out / LOCK).exists() and not (out / WRITER).exists()


@pytest.mark.parametrize("error", [None, ZeroDivisionError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("system", [True, False])
def test_no_lock_is_left_by_any_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException] | None, system: bool
) -> None:
    if not system:
        no_system_locks(monkeypatch)

    def work(folder: Path, result: str) -> None:
        with writing(folder):
            assert json.loads((folder / WRITER).read_text())["process"] == os.getpid()
            if result:
                (folder / result).touch()
            if error is not None:
                raise error

    for folder, result, left in (
        (tmp_path / "deep" / "empty", "", []),
        (tmp_path / "some", "result", [tmp_path / "some" / "result"]),
    ):
        if error is None:
            work(folder, result)
        else:
            with pytest.raises(error):
                work(folder, result)
        assert list(folder.rglob("*")) == left
        assert folder.exists() == bool(left)
    assert not (tmp_path / "deep").exists(), "nothing was written there"


def test_calls_that_fail_make_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no run here"):
        review_folder(tmp_path / "deep" / "out")
    for name, folder in (("a", "found"), ("b", "true")):
        for label in write_domes(tmp_path / "images", (name,)).values():
            write_labels(tmp_path / folder / f"{name}.tif", label, axes="YX")
    with pytest.raises(DataError):
        evaluate_folder(tmp_path / "found", tmp_path / "true", tmp_path / "deep" / "scores")
    assert not (tmp_path / "deep").exists()
    (tmp_path / "file").touch()
    with (
        pytest.raises(WriteError, match=r"file: this folder .* cannot be made"),
        writing(tmp_path / "file"),
    ):
        pass


def test_no_training_begins_where_another_call_writes(
    tmp_path: Path, dataset: Path, other: subprocess.Popen[str]
) -> None:
    with pytest.raises(WriteError, match=f"process {other.pid} on"):
        train(small_recipe(data__images=dataset), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [LOCK, WRITER]


def test_of_a_crowd_one_at_a_time_writes(tmp_path: Path) -> None:
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", CROWD, str(tmp_path)],
            env=ENVIRONMENT,
            text=True,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for process in crowd:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert list(tmp_path.iterdir()) == []
