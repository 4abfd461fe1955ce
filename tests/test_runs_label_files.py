"""Which files are labels: of data sets, consensus folders, runs and plain folders, everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.errors import ReadError
from delineate.io import write_labels
from delineate.runs.evaluate import pair_labels
from delineate.runs.export import export_folder
from delineate.runs.import_ import import_folder
from delineate.runs.layout import label_files, label_folder
from delineate.runs.review_scores import true_files

LABELS = np.zeros((20, 22), np.uint16)
LABELS[2:8, 3:9] = 1
LABELS[10:16, 4:12] = 2


def dataset(folder: Path) -> Path:
    for name in ("a", "day 2/b"):
        write_labels(folder / "labels" / f"{name}.tif", LABELS)
        image = folder / "images" / f"{name}.tif"
        image.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(image, LABELS * 100 + 7)
    return folder


def test_of_a_data_set_the_labels_alone_are_exported(tmp_path: Path) -> None:
    summary = export_folder(dataset(tmp_path / "data"), tmp_path / "out", ["rois"])
    assert (summary.done, summary.failed) == (2, ())
    found = sorted(p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("*.zip"))
    assert found == ["rois/a.zip", "rois/day 2/b.zip"]


def test_what_is_exported_of_a_data_set_comes_back_like_it(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data")
    export_folder(data, tmp_path / "out", ["rois"])
    import_folder(tmp_path / "out" / "rois", tmp_path / "back", like=data)
    for name in ("a", "day 2/b"):
        back = tifffile.imread(tmp_path / "back" / "labels" / f"{name}.tif")
        np.testing.assert_array_equal(back, LABELS)


def test_predictions_and_truth_of_data_sets_pair(tmp_path: Path) -> None:
    first, second = dataset(tmp_path / "one"), dataset(tmp_path / "two")
    pairs, missing, without = pair_labels(first, second)
    assert (missing, without) == (0, ())
    assert [(p.name, p.predicted, p.truth) for p in pairs] == [
        (n, first / "labels" / f"{n}.tif", second / "labels" / f"{n}.tif") for n in ("a", "day 2/b")
    ]
    assert set(true_files(second, ["a", "day 2/b"]).values()) == {p.truth for p in pairs}


def test_a_finished_consensus_has_its_labels_and_an_interrupted_one_none(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels" / "a.tif", LABELS)
    write_labels(tmp_path / "soft" / "a.tif", LABELS)
    state = tmp_path / ".delineate" / "consensus.json"
    state.parent.mkdir()
    looks: list[Callable[[Path], object]] = [
        label_folder,
        label_files,
        lambda folder: pair_labels(folder / "labels", folder),
        lambda folder: true_files(folder, ["a"]),
    ]
    for command in ("predict", "consensus"):
        for look in looks:
            with pytest.raises(ReadError, match=f"not finished: give the same {command} command"):
                look(tmp_path)
        state.write_text("{}")
    (tmp_path / "consensus.json").write_text("{}")
    assert [f.name for f in label_files(tmp_path)] == ["a"]
    assert list(true_files(tmp_path, ["a"])) == ["a"]
    assert pair_labels(tmp_path / "labels", tmp_path)[0][0].name == "a"


def test_of_a_run_the_labels_that_are_done(tmp_path: Path) -> None:
    for name in "ab":
        write_labels(tmp_path / "labels" / f"{name}.tif", LABELS)
    inputs = [{"name": "a", "status": "done"}, {"name": "b", "status": "failed"}]
    (tmp_path / "run.json").write_text(json.dumps({"inputs": inputs}))
    assert [f.name for f in label_files(tmp_path)] == ["a"]


def test_a_plain_folder_and_a_file_are_what_they_are(tmp_path: Path) -> None:
    for name in ("a", "sub/b"):
        write_labels(tmp_path / f"{name}.tif", LABELS)
    assert [f.name for f in label_files(tmp_path)] == ["a", "sub/b"]
    assert [f.name for f in label_files(tmp_path / "a.tif")] == ["a"]
