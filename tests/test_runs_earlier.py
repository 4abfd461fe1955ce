"""Several calls into one folder: what is there stays in the tables, and nothing is written over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from command_line import call, predict_command
from delineate.errors import WriteError
from delineate.io import read_labels
from delineate.runs.evaluate import evaluate_folder
from delineate.runs.export import export_folder
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Summary
from domes import domes, write_domes
from folder_runs import record, rows, run


def one(path: Path, count: int, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, domes((80, 80), 8, count, seed)[0])


def told(out: Path) -> list[str]:
    """Names of the images that folder, tables and record agree on."""
    names = sorted(p.stem for p in (out / "labels").rglob("*.tif"))
    table = [r["image"] for r in rows(out / "images.csv") if r["status"] == "done"]
    assert sorted(table) == names
    inputs = [i["name"] for i in record(out)["inputs"] if i["status"] == "done"]
    assert sorted(inputs) == names
    objects = [r["image"] for r in rows(out / "objects.csv")]
    report = (out / "report.html").read_text(encoding="utf-8")
    for name in names:
        assert objects.count(name) == read_labels(out / "labels" / f"{name}.tif").max()
        assert name in report
    return names


def test_another_image_of_a_name_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for path, count in (("p1/A01", 5), ("p1/A02", 4), ("p2/A01", 3), ("p2/B01", 2)):
        one(tmp_path / f"{path}.tif", count)
    run(tmp_path / "p1", out)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with pytest.raises(WriteError, match=r"another A01 \(.*p1/A01\.tif\): choose .* --overwrite"):
        run(tmp_path / "p2", out)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert run(tmp_path / "p2", out, overwrite=True)[0] == Summary(2, 0, 5, 0)
    assert told(out) == ["A01", "B01"]
    assert read_labels(out / "labels" / "A01.tif").max() == 3


def test_images_of_earlier_calls_stay_in_folder_and_tables(tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    names = ("img2", "img10", "img1")
    write_domes(images, names)
    for number, name in enumerate(names):
        assert run(images / f"{name}.tif", out)[0] == Summary(1, 0, 5, 0, earlier=number)
    assert told(out) == ["img1", "img10", "img2"]
    assert [i["name"] for i in record(out)["inputs"]] == ["img1", "img2", "img10"]
    (images / "img2.tif").unlink()
    before = (out / "run.json").read_bytes()
    for _ in range(2):
        assert run(images, out)[0] == Summary(2, 0, 10, 2, earlier=1)
    assert (out / "run.json").read_bytes() == before  # nothing has changed in the folder
    assert export_folder(out, tmp_path / "rois", ["rois"]).done == 3
    assert (
        len(evaluate_folder(out, out / "labels", tmp_path / "scores").tables.images["image"]) == 3
    )


def test_an_interrupted_call_is_an_earlier_one_too(tmp_path: Path) -> None:
    write_domes(tmp_path / "a", ("x",))
    write_domes(tmp_path / "b", ("y",))
    out = tmp_path / "out"
    run(tmp_path / "a", out)
    for table in ("run.json", "images.csv", "objects.csv", "report.html"):
        (out / table).unlink()
    assert run(tmp_path / "b", out)[0].earlier == 1
    assert told(out) == ["x", "y"]


def test_a_result_that_was_removed_leaves_the_tables(tmp_path: Path) -> None:
    write_domes(tmp_path / "a", ("x",))
    write_domes(tmp_path / "b", ("y",))
    out = tmp_path / "out"
    run(tmp_path / "a", out)
    (out / "labels" / "x.tif").unlink()
    assert run(tmp_path / "b", out)[0].earlier == 0
    assert told(out) == ["y"]


def test_a_failed_image_stays_as_long_as_its_file(tmp_path: Path) -> None:
    write_domes(tmp_path / "a", ("x",))
    (tmp_path / "a" / "bad.tif").write_bytes(b"")
    write_domes(tmp_path / "b", ("y",))
    out = tmp_path / "out"
    run(tmp_path / "a", out)
    assert run(tmp_path / "b", out)[0] == Summary(1, 0, 5, 0, earlier=2)
    assert told(out) == ["x", "y"]
    assert [r["status"] for r in rows(out / "images.csv") if r["image"] == "bad"] == ["failed"]
    (tmp_path / "a" / "bad.tif").unlink()
    assert run(tmp_path / "b", out)[0] == Summary(1, 0, 5, 1, earlier=1)
    assert "bad" not in {r["image"] for r in rows(out / "images.csv")}


def test_a_file_that_was_moved_is_the_same_image(tmp_path: Path) -> None:
    write_domes(tmp_path / "here", ("x",))
    out, again = tmp_path / "out", tmp_path / "again"
    run(tmp_path / "here", out, outputs=Outputs(maps=True))
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert run(tmp_path / "there", out, outputs=Outputs(maps=True))[0] == Summary(1, 0, 5, 1)
    assert record(out)["inputs"][0]["path"] == str(tmp_path / "there" / "x.tif")
    assert call("decode", out, "-o", again) == 0
    one(tmp_path / "there" / "x.tif", 3)  # the same file with other pixels is done anew
    assert run(tmp_path / "there", out, outputs=Outputs(maps=True))[0] == Summary(1, 0, 3, 0)


def test_the_command_says_how_many_stay(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_domes(tmp_path / "images", ("a", "b", "c"))
    out = tmp_path / "out"
    for name in "abc":
        assert call(*predict_command(tmp_path / "images" / f"{name}.tif", out, model)) == 0
    lines = capsys.readouterr().err.splitlines()
    stay = [line for line in lines if "earlier" in line]
    assert stay == [
        f"1 image of earlier calls stays in {out}, in its tables and its report",
        f"2 images of earlier calls stay in {out}, in its tables and its report",
    ]


def test_a_folder_without_a_finished_image_takes_other_settings(tmp_path: Path) -> None:
    """Following the advice of the error must not need --overwrite."""
    image = domes((80, 80), 8, 5)[0]
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    tifffile.imwrite(images / "a.tif", np.stack([image] * 5), metadata=None)
    assert run(images, out)[0].failed == 1
    assert run(images, out, axes="ZYX")[0].done == 1
    assert record(out)["settings"]["axes"] == "ZYX"
    with pytest.raises(WriteError, match=r"other settings \(axes\)"):
        run(images, out, axes="TYX")
    shutil.rmtree(out / ".delineate")  # copied without what is hidden: results all the same
    with pytest.raises(WriteError, match="whose settings are unknown"):
        run(images, out, axes="TYX")


def test_labels_put_into_a_folder_without_results_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.tif").write_bytes(b"")
    run(tmp_path / "images", tmp_path)
    truth = write_domes(tmp_path / "images", ("a",))
    (tmp_path / "labels").mkdir()
    tifffile.imwrite(tmp_path / "labels" / "a.tif", truth["a"])
    with pytest.raises(WriteError, match="not written by a run"):
        run(tmp_path / "images", tmp_path, diameter=30)
    assert json.loads((tmp_path / "run.json").read_text())["inputs"][0]["status"] == "failed"


@pytest.mark.parametrize("command", ["evaluate", "evaluate --images", "export", "review"])
def test_an_unfinished_run_says_how_to_finish_it(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = write_domes(tmp_path / "images", ("a",))
    (tmp_path / "truth").mkdir()
    tifffile.imwrite(tmp_path / "truth" / "a.tif", truth["a"])
    out = tmp_path / "out"
    run(tmp_path / "images", out)
    (out / "run.json").unlink()
    verb, *options = command.split()
    more = {"evaluate": [tmp_path / "truth"], "export": ["--rois"], "review": []}[verb]
    assert call(verb, out, *more, *options) == 2
    told = f"{out}: is not finished: give the same predict command again"
    assert told in capsys.readouterr().err


def test_one_object_is_one(tmp_path: Path) -> None:
    one(tmp_path / "images" / "a.tif", 1)
    assert run(tmp_path / "images", tmp_path / "out")[1].outcomes == {"a": "1 object"}
