"""`delineate predict` as a person meets it: statuses, interruption, terminals, what comes after."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from command_line import ENVIRONMENT, call, label_files, predict_command, start, wait_for
from delineate.io import write_labels
from domes import dome_model, domes, write_domes


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same objects, but a third of a second an image."""
    return dome_model(wait=0.3).save(tmp_path_factory.mktemp("models") / "slow")


def obey_file_modes() -> None:
    """Take from the administrator (of a container) the right to read what is protected."""
    import ctypes

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def test_one_bad_image_is_told_and_the_status_says_so(tmp_path: Path, model: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    write_domes(images, ("good", "protected"))
    (images / "protected.tif").chmod(0)
    (images / "empty.tif").write_bytes(b"")
    (images / "no [bold]image:smile:.tif").write_text("hello")
    command = [*predict_command(images, out, model), "--diameter", "20"]
    process = start(command, preexec_fn=obey_file_modes)
    output, errors = process.communicate()
    assert process.returncode == 1, errors
    assert output == ""
    assert "Traceback" not in errors
    lines = errors.splitlines()
    assert "good: 5 objects" in lines
    assert any(x.startswith("empty: failed: ") and "is empty (0 bytes)" in x for x in lines)
    assert any(x.startswith("no [bold]image:smile:: failed: ") for x in lines)
    assert any(x.startswith("protected: failed: ") and "may not be read" in x for x in lines)
    assert lines[-2] == f"1 image, 5 objects → {out}/report.html"
    assert lines[-1] == f"delineate: 3 images failed, see {out}/images.csv"
    assert len(lines) == 6
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", errors)  # no control codes in logs
    with (out / "images.csv").open(newline="", encoding="utf-8") as file:
        status = {r["image"]: r["status"] for r in csv.DictReader(file)}
    assert status == {
        "good": "done",
        "empty": "failed",
        "no [bold]image:smile:": "failed",
        "protected": "failed",
    }


def test_all_good_is_0_and_again_is_nothing_to_do(
    tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_domes(tmp_path / "images", ("a", "b"))
    command = predict_command(tmp_path / "images", tmp_path / "out", model)
    assert call(*command, "--rois", "--keep-maps") == 0
    assert "2 images, 10 objects → " in capfd.readouterr().err
    assert call(*command, "--rois", "--keep-maps") == 0
    assert "nothing to do, 2 images done before → " in capfd.readouterr().err
    assert call(*command) == 2
    assert "other settings (outputs)" in capfd.readouterr().err
    assert call(*command, "--overwrite", "--threads", 1) == 0
    capfd.readouterr()
    write_domes(tmp_path / "images", ("c",))
    assert call(*command) == 0
    assert "3 images (2 done before), 15 objects" in capfd.readouterr().err
    assert json.loads((tmp_path / "out" / "run.json").read_text())["model"]["name"] == "domes"


def test_interrupted_and_continued(tmp_path: Path, model: Path, slow_model: Path) -> None:
    """Ctrl-C: status 130, what is done stays, the second call does the rest."""
    names = tuple("abcdefgh")
    write_domes(tmp_path / "images", names)
    out = tmp_path / "out"
    process = start(predict_command(tmp_path / "images", out, slow_model))
    wait_for(out / ".delineate" / "images" / "b.json", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "interrupted; the same command goes on from here" in errors
    assert "Traceback" not in errors
    done = label_files(out)
    assert 2 <= len(done) < len(names)
    assert not list(out.rglob("*.partial*"))
    when = (out / "labels" / "a.tif").stat().st_mtime_ns
    assert call(*predict_command(tmp_path / "images", out, slow_model)) == 0
    assert (out / "labels" / "a.tif").stat().st_mtime_ns == when
    assert call(*predict_command(tmp_path / "images", tmp_path / "straight", model)) == 0
    straight, continued = label_files(tmp_path / "straight"), label_files(out)
    assert straight.keys() == continued.keys()
    assert all(np.array_equal(straight[name], continued[name]) for name in straight)
    objects = [(tmp_path / folder / "objects.csv").read_bytes() for folder in ("out", "straight")]
    assert objects[0] == objects[1]


def test_killed_and_continued(tmp_path: Path, slow_model: Path) -> None:
    """Killed without warning: every file that bears a final name is whole."""
    write_domes(tmp_path / "images", tuple("abcde"))
    out = tmp_path / "out"
    command = predict_command(tmp_path / "images", out, slow_model)
    process = start(command)
    wait_for(out / "labels" / "b.tif", process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 2 <= len(label_files(out)) < 5
    assert not (out / "run.json").exists()
    assert call(*command) == 0
    found = label_files(out)
    assert len(found) == 5
    assert {int(x.max()) for x in found.values()} == {5}


def test_a_bar_on_a_terminal(tmp_path: Path, slow_model: Path) -> None:
    write_domes(tmp_path / "images", ("first", "second"))
    (tmp_path / "images" / "bad.tif").write_bytes(b"")
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "delineate",
            *predict_command(tmp_path / "images", tmp_path / "out", slow_model),
        ],
        env={**ENVIRONMENT, "TERM": "xterm-256color"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            piece = os.read(controller, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(controller)
    assert process.wait() == 1
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "━" in text
    assert "3/3 second" in text
    assert re.search(r"left +[-\d]", text)
    assert "bad: failed: " in text
    assert "first: 5 objects" not in text  # the bar says it
    assert "2 images, 10 objects" in text


def test_lengths_need_a_pixel_size(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, _ = domes((80, 80), 8, 5)
    tifffile.imwrite(tmp_path / "plain.tif", image)
    metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    metadata |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(tmp_path / "sized.ome.tif", image, metadata=metadata)
    out = tmp_path / "out"
    assert call(*predict_command(tmp_path, out, model), "--diameter", "8um") == 1
    assert "plain.tif does not say how large its pixels are" in capsys.readouterr().err
    with (out / "images.csv").open(newline="", encoding="utf-8") as file:
        rows = {r["image"]: r for r in csv.DictReader(file)}
    assert rows["sized"]["diameter_used"] == "16.0"
    assert rows["plain"]["status"] == "failed"


def test_decode_export_and_evaluate(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = write_domes(tmp_path / "images", ("a", "b"))
    for name, labels in truth.items():
        write_labels(tmp_path / "truth" / f"{name}.tif", labels)
    out = tmp_path / "out"
    command = predict_command(tmp_path / "images", out, model)
    assert call(*command, "--keep-maps") == 0
    assert call("decode", out, "-o", tmp_path / "strict", "--threshold", "0.999") == 0
    assert call("decode", out, "-o", tmp_path / "large", "--min-size", "5000") == 0
    found, strict = label_files(out), label_files(tmp_path / "strict")
    assert found.keys() == strict.keys() == {"a.tif", "b.tif"}
    assert all(0 < np.count_nonzero(strict[n]) < np.count_nonzero(found[n]) for n in found)
    assert [x.any() for x in label_files(tmp_path / "large").values()] == [False, False]
    assert call("export", out, "--rois", "--outlines") == 0
    assert (out / "rois" / "a.zip").exists()
    assert (out / "outlines" / "b.txt").exists()
    capsys.readouterr()
    assert call("evaluate", out, tmp_path / "truth") == 0
    printed = capsys.readouterr()
    assert "2 images, 10 true objects" in printed.out
    assert "tables and picture → " in printed.err
    assert (out / "scores.csv").exists()
    assert (out / "summary.csv").exists()
    assert (out / "scores.png").exists()
    write_labels(tmp_path / "others" / "z.tif", truth["a"])
    assert call("evaluate", out, tmp_path / "others") == 2
    assert "called a, b, the true files z; give files of the same image" in capsys.readouterr().err
    assert call(*command, "--keep-maps") == 0
    assert "nothing to do" in capsys.readouterr().err


def test_scores_and_exports_of_plain_folders_do_not_become_their_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, labels = domes((80, 80), 8, 5)
    for folder in ("mine", "truth"):
        write_labels(tmp_path / folder / "a.tif", labels)
    for _ in range(2):
        assert call("evaluate", tmp_path / "mine", tmp_path / "truth") == 0
        assert call("export", tmp_path / "mine", "--zarr", "--rois") == 0
        assert "1 image → " in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["a.tif"]
    assert (tmp_path / "mine-scores" / "scores.png").exists()
    assert (tmp_path / "zarr" / "a.ome.zarr").exists()
