"""The command line as a person meets it: exit statuses, messages, help, interruption, terminals."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.cli import main
from delineate.cli.app import COMMANDS, python_name
from delineate.io import read_labels, write_labels
from delineate.model import Model
from domes import dome_model, domes, write_domes

HERE = Path(__file__).parent
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
    "OMP_NUM_THREADS": "1",
    "COLUMNS": "80",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dome_model().save(tmp_path_factory.mktemp("models") / "domes")


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same objects, but a third of a second an image."""
    return dome_model(wait=0.3).save(tmp_path_factory.mktemp("models") / "slow")


def call(*arguments: object) -> int:
    """Run a command in this process; its exit status."""
    with pytest.raises(SystemExit) as exit_:
        main([str(a) for a in arguments])
    return int(exit_.value.code or 0)


def predict_command(images: object, out: object, model: object) -> list[str]:
    return ["predict", str(images), "-o", str(out), "--model", str(model), "--allow-imports"]


def start(arguments: list[str], **kwargs: object) -> subprocess.Popen[str]:
    """Run a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "delineate.cli", *arguments],
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **kwargs,  # type: ignore[call-overload]
    )


def obey_file_modes() -> None:
    """Take from the administrator (of a container) the right to read what is protected."""
    import ctypes

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until a file exists that the process writes."""
    for _ in range(600):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    raise AssertionError(f"{path} was never written")


def label_files(out: Path) -> dict[str, np.ndarray]:
    found = sorted((out / "labels").rglob("*.tif"))
    return {p.name: read_labels(p) for p in found if not p.name.startswith(".")}


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
            "delineate.cli",
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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["predikt", "x"], 'Unknown command "predikt"'),
        (["predict", "x", "-o", "y", "--modell", "z"], "Did you mean --model?"),
        (["predict", "x"], "--out"),
        (["predict", "x", "-o", "y", "--tile", "wide"], "--tile"),
        (["predict", "x", "-o", "y", "--precision", "fp7"], "fp32"),
        (["evaluate", "x"], "TRUTH"),
    ],
)
def test_what_is_not_understood(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("delineate: ")
    assert told in errors
    assert "--help shows how" in errors


def test_what_cannot_be_done(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_domes(tmp_path / "images", ("a",))
    (tmp_path / "nothing").mkdir()
    (tmp_path / "file").write_text("")
    images, out = tmp_path / "images", tmp_path / "out"
    one = predict_command(images, out, model)
    cases: list[tuple[list[str], str]] = [
        (predict_command(tmp_path / "nothing", out, model), "no images found in this folder"),
        (predict_command(tmp_path / "nowhere", out, model), "nowhere: no such file or folder"),
        (predict_command(images, tmp_path / "file", model), "file"),
        (predict_command(images, out, "nuclear"), "nuclear: no model of this name"),
        (one[:-1], "pass --allow-imports"),
        ([*one, "--diameter", "wide"], "expected pixels such as 30, or a length such as 8um"),
        ([*one, "--threshold", "3"], "threshold: Input should be less than or equal to 1"),
        ([*one, "--tile", "3"], "--tile 3: Input should be greater than or equal to 24"),
        ([*one, "--channels", "red"], "--channels red: expected numbers such as 0 or 0,2"),
        ([*one, "--device", "toaster"], "device 'toaster' is not usable here"),
        ([*one, "--threads", "0"], "--threads 0: expected 1 or more"),
        (["decode", str(images), "-o", str(out)], "predict again with --keep-maps"),
        (["export", str(images)], "choose --rois, --geojson, --outlines or --zarr"),
        (["info", str(tmp_path / "nucleus")], "no such file or folder, nor a model"),
        (["recipes", "nothing"], "nothing: no such file, nor a recipe of the package"),
    ]
    for arguments, told in cases:
        assert call(*arguments) == 2, arguments
        errors = capsys.readouterr().err
        assert told in errors, arguments
        assert errors.startswith("delineate: ")
        assert "Traceback" not in errors
    assert not out.exists()


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


def test_unforeseen_errors(
    tmp_path: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of one image: named with its type, the trace in the log; of the command: a line as well."""
    write_domes(tmp_path / "images", ("a",))
    command = predict_command(tmp_path / "images", tmp_path / "out", model)
    command += ["--diameter", "20"]

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Model, "predict", broken)
    assert call(*command) == 1
    errors = capsys.readouterr().err
    assert "ZeroDivisionError: a bug (--debug shows where)" in errors
    assert not caplog.records
    assert call(*command, "--debug") == 1
    assert any(r.exc_info for r in caplog.records)
    monkeypatch.setattr(Model, "sha256", broken)
    assert call(*command) == 2
    assert "delineate: ZeroDivisionError: a bug (not foreseen; --debug shows where)" in (
        capsys.readouterr().err
    )
    with pytest.raises(ZeroDivisionError):
        main([*command, "--debug"])


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
    assert not any(x.any() for x in label_files(tmp_path / "large").values())
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
    assert "the first is a; truth has for instance z" in capsys.readouterr().err
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


def test_a_terminal_that_knows_few_letters(tmp_path: Path, model: Path) -> None:
    write_domes(tmp_path / "images", ("µm",))
    done = subprocess.run(
        [sys.executable, "-m", "delineate.cli", "info", str(tmp_path / "images" / "µm.tif")],
        env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"0 ? 2" in done.stdout


def test_info(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: object) -> str:
        assert call("info", *arguments) == 0
        return capsys.readouterr().out

    about = told()
    for word in ("delineate", "python", "torch", "device", "threads", "models", "CZI files"):
        assert re.search(rf"^{word} ", about, re.MULTILINE)
    pixels = np.arange(2 * 3 * 16 * 16, dtype=np.uint16).reshape(2, 3, 16, 16)
    metadata = {
        "axes": "ZCYX",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "µm",
        "Channel": {"Name": ["DAPI", "GFP", "RFP"]},
    }
    tifffile.imwrite(tmp_path / "cells.ome.tif", pixels, metadata=metadata)
    text = told(tmp_path / "cells.ome.tif")
    assert "C 3, Z 2, Y 16, X 16" in text
    assert "DAPI, GFP, RFP" in text
    assert "0.5 µm" in text
    assert "0 … 1535" in text
    np.save(tmp_path / "volume.npy", pixels[:, 0])
    assert "Z 2, Y 16, X 16" in told(tmp_path / "volume.npy", "--axes", "ZYX")
    _, labels = domes((80, 80), 8, 5)
    write_labels(tmp_path / "labels.tif", labels)
    assert "5 objects" in told(tmp_path / "labels.tif")
    text = told(model)
    assert "domes" in text
    assert "A stand-in." in text
    assert "20 pixels" in text
    write_domes(tmp_path / "images", ("a",))
    (tmp_path / "images" / "b.tif").write_bytes(b"")
    assert call(*predict_command(tmp_path / "images", tmp_path / "out", model)) == 1
    capsys.readouterr()
    text = told(tmp_path / "out")
    assert "1 done, 1 failed" in text
    assert "b: " in text
    assert call("info", tmp_path / "images") == 2
    assert "is a folder; name an image in it" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 80 columns; each example stands on a line of its own, not folded into prose."""
    monkeypatch.setenv("COLUMNS", "80")
    assert call(command, "--help") == 0
    page = capsys.readouterr().out
    lines = [line.strip() for line in page.splitlines()]
    assert all(len(line) <= 80 for line in page.splitlines())
    module = __import__(f"delineate.cli.{python_name(command)}", fromlist=[python_name(command)])
    source = getattr(module, python_name(command)).__doc__
    examples = re.findall(r"^ {8}(delineate .*)$", source, re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        assert example in lines
    assert f"Usage: delineate {command}" in page
    assert "--no-" not in page


def test_help_of_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert call() == 0
    page = capsys.readouterr().out
    places = [page.index(f"│ {name} ") for name in COMMANDS]
    assert places == sorted(places)
    assert "\n delineate predict my-images -o out" in page
    assert call("--version") == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_nothing_heavy_is_imported_for_help() -> None:
    script = """
import sys, delineate
heavy = {"torch", "numba", "lightning", "scipy", "skimage", "zarr", "matplotlib", "tifffile"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from delineate.cli import main
for arguments in ([], ["--help"], ["predict", "--help"], ["train", "--help"], ["predikt"]):
    try:
        main(arguments)
    except SystemExit:
        pass
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
