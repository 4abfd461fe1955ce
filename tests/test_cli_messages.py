"""What the command line says: errors without a traceback, help by example, `delineate info`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from command_line import ENVIRONMENT, call, predict_command, start
from delineate.cli import main
from delineate.cli.app import COMMANDS, python_name
from delineate.io import write_labels
from delineate.model import Model
from domes import domes, write_domes


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
        (predict_command(images, tmp_path / "file", model), "file: this folder for the results"),
        (predict_command(images, out, "nuclear"), "nuclear: no model of this name"),
        (one[:-1], "pass --allow-imports"),
        ([*one, "--diameter", "wide"], "expected pixels such as 30, or a length such as 8um"),
        ([*one, "--threshold", "3"], "threshold: Input should be less than or equal to 1"),
        ([*one, "--tile", "3"], "--tile 3: Input should be greater than or equal to 24"),
        ([*one, "--axes", "XYQ"], "axes 'XYQ' are not usable: expected different letters of TCZYX"),
        ([*one, "--axes", "ZY"], "Y and X among them"),
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


def test_of_a_damaged_tiff_only_the_error_is_told(tmp_path: Path) -> None:
    """The library that reads it has complaints of its own."""
    (tmp_path / "bad.tif").write_bytes(b"II*\0garbage")
    process = start(["info", str(tmp_path / "bad.tif")])
    _, errors = process.communicate()
    assert process.returncode == 2
    assert errors.startswith(f"delineate: {tmp_path}/bad.tif: is truncated or damaged")
    assert len(errors.splitlines()) == 1


def test_a_terminal_that_knows_few_letters(tmp_path: Path) -> None:
    write_domes(tmp_path / "images", ("µm",))
    done = subprocess.run(
        [sys.executable, "-m", "delineate", "info", str(tmp_path / "images" / "µm.tif")],
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


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "predict",
            ("results/", "doubtful/", "labels/", "cycle/", "--turns 4", "--planes"),
        ),
        ("train", ("targets/", "_target", "unpaired", "noise2void", "--data.cost", "--data.table")),
    ],
)
def test_help_tells_of_images_as_of_objects(
    command: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(command, "--help") == 0
    page = capsys.readouterr().out
    assert not [word for word in words if word not in page]


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
