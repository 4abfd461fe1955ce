"""A second run into the same folder goes on, refuses or replaces, and takes no result as input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.errors import ReadError, WriteError
from delineate.io import read_labels
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Summary
from domes import dome_model, domes, write_domes
from folder_runs import record, rows, run


def files_below(folder: Path) -> dict[str, bytes]:
    """All files by their path, without the hidden ones."""
    found = (p for p in folder.rglob("*") if p.is_file())
    relative = {p.relative_to(folder).as_posix(): p for p in found}
    return {k: p.read_bytes() for k, p in relative.items() if not k.startswith(".")}


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    write_domes(tmp_path / "images", ("a", "b"))
    run(tmp_path / "images", tmp_path / "out")
    before = files_below(tmp_path / "out")
    summary, log = run(tmp_path / "images", tmp_path / "out")
    assert (summary.done, summary.before) == (2, 2)
    assert log.outcomes == {"a": "done before", "b": "done before"}
    assert files_below(tmp_path / "out") == before


def test_only_what_is_new_or_changed_is_run_again(tmp_path: Path) -> None:
    write_domes(tmp_path / "images", ("a", "b"))
    run(tmp_path / "images", tmp_path / "out")
    image, truth = domes((80, 80), 8, 3, seed=11)
    tifffile.imwrite(tmp_path / "images" / "a.tif", image)
    tifffile.imwrite(tmp_path / "images" / "c.tif", image)
    summary, log = run(tmp_path / "images", tmp_path / "out")
    assert log.outcomes == {"a": "3 objects", "b": "done before", "c": "3 objects"}
    assert summary == Summary(3, 0, 11, 1)
    assert read_labels(tmp_path / "out" / "labels" / "a.tif").max() == truth.max()
    assert len(rows(tmp_path / "out" / "objects.csv")) == 11
    inputs = record(tmp_path / "out")["inputs"]
    assert record(tmp_path / "out")["seconds"] >= sum(i["seconds"] for i in inputs) - 0.01


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    write_domes(tmp_path / "images", ("a",))
    out = tmp_path / "out"
    run(tmp_path / "images", out)
    (out / "labels" / ".b-0123abcd.partial.tif").write_bytes(b"half")
    (out / "maps" / "sub" / ".b-0123abcd.partial.zarr").mkdir(parents=True)
    run(tmp_path / "images", out)
    assert not list(out.rglob("*.partial*"))


def test_a_damaged_record_is_done_again(tmp_path: Path) -> None:
    write_domes(tmp_path / "images", ("a", "b"))
    run(tmp_path / "images", tmp_path / "out")
    (tmp_path / "out" / ".delineate" / "images" / "a.json").write_text("{")
    _, log = run(tmp_path / "images", tmp_path / "out")
    assert log.outcomes == {"a": "5 objects", "b": "done before"}


def test_other_settings_are_refused_and_overwrite_replaces(tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    write_domes(images, ("a", "b"))
    run(images, out, outputs=Outputs(rois=True, maps=True))
    before = files_below(out)
    with pytest.raises(WriteError, match=r"other settings \(decoding, outputs\).*--overwrite"):
        run(images, out, decoding={"threshold": 0.9})
    with pytest.raises(WriteError, match=r"other settings \(model, outputs\)"):
        run(images, out, dome_model(members=2))
    assert files_below(out) == before
    (images / "b.tif").unlink()
    (out / "notes.txt").write_text("mine")
    run(images, out, overwrite=True, decoding={"threshold": 0.9})
    assert set(files_below(out)) == {
        "labels/a.tif",
        "overlays/a.jpg",
        "uncertainty/a.jpg",
        "run.json",
        "images.csv",
        "objects.csv",
        "report.html",
        "notes.txt",
    }
    assert record(out)["settings"]["decoding"] == {"threshold": 0.9}


def test_labels_that_no_run_wrote_are_never_overwritten(tmp_path: Path) -> None:
    """The folder of training data has labels/ beside images/: the truth must survive."""
    truth = write_domes(tmp_path / "images", ("a",))
    (tmp_path / "labels").mkdir()
    tifffile.imwrite(tmp_path / "labels" / "a.tif", truth["a"])
    for overwrite in (False, True):
        with pytest.raises(WriteError, match="not written by a run"):
            run(tmp_path / "images", tmp_path, overwrite=overwrite)
    assert np.array_equal(read_labels(tmp_path / "labels" / "a.tif"), truth["a"])
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("out", ["results", "."])
@pytest.mark.parametrize("interrupted", [False, True])
def test_results_inside_the_input_folder_are_no_inputs(
    tmp_path: Path, out: str, interrupted: bool
) -> None:
    truth = write_domes(tmp_path, ("a", "sub/b"))
    folder = tmp_path / out
    for spec in (tmp_path, str(tmp_path / "**" / "*.tif")):
        run(tmp_path, folder, outputs=Outputs(format="tif"))
        (folder / "scores.png").write_bytes((folder / "overlays" / "a.jpg").read_bytes())
        if interrupted:
            (folder / "run.json").unlink()
        _, log = run(spec, folder)
        assert set(log.outcomes) == set(truth)
        elsewhere, _ = run(tmp_path, tmp_path.parent / f"{tmp_path.name}-other")
        assert elsewhere.done == 2
    with pytest.raises(ReadError, match="only results of earlier runs"):
        run(str(folder / "labels" / "a.tif"), folder)
