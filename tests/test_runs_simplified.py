"""What outlines as text cannot hold is told by predictions, not only by exports."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from delineate.cli import main
from delineate.inference.runner import RunOptions
from delineate.model import Model
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, Summary, predict_folder
from delineate.runs.vectors import write_vectors
from domes import dome_model, write_domes

EXACT = Settings(run=RunOptions(device="cpu", precision="fp32"), diameter=20)


def intricate(axes: str = "YX") -> np.ndarray:
    """A ring, an object of two parts, and a plain one."""
    labels = np.zeros((80, 80), np.uint32)
    labels[2:10, 2:10] = 1
    labels[4:8, 4:8] = 0
    labels[20:30, 5:9] = labels[20:30, 15:20] = 2
    labels[50:60, 50:60] = 3
    return labels if axes == "YX" else np.stack([labels, labels, labels * 0])


@pytest.fixture
def finds_intricate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model finds intricate objects in `a` and `c`, plain ones in other images."""
    predict = Model.predict

    def found(model: Model, image: Any, **options: Any) -> Any:
        prediction = predict(model, image, **options)
        if Path(image).stem not in ("a", "c"):
            return prediction
        return replace(prediction, labels=intricate(), objects={"label": np.array([1, 2, 3])})

    monkeypatch.setattr(Model, "predict", found)


@pytest.mark.usefixtures("finds_intricate")
def test_a_prediction_counts_what_text_has_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    write_domes(images, ("a", "b", "c"))
    asked = Outputs(outlines=True, rois=True, geojson=True)
    with caplog.at_level(logging.INFO, "delineate"):
        found = predict_folder(dome_model(), images, out, EXACT, asked)
    assert found == Summary(3, 0, 11, 0, 4, 2)
    assert [m for m in caplog.messages if "outlines" in m] == [
        f"{name}: outlines as text simplify the objects 1, 2" for name in "ac"
    ]
    inputs = {i["name"]: i for i in json.loads((out / "run.json").read_text())["inputs"]}
    assert inputs["a"]["simplified"] == {"outlines": 2}
    assert "simplified" not in inputs["b"]
    again = predict_folder(dome_model(), images, out, EXACT, asked)
    assert again == Summary(3, 0, 11, 3, 4, 2)  # it is as true of what was done before
    whole = predict_folder(dome_model(), images, tmp_path / "x", EXACT, Outputs(rois=True))
    assert whole == Summary(3, 0, 11, 0)


@pytest.mark.usefixtures("finds_intricate")
def test_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = dome_model().save(tmp_path / "domes")
    write_domes(tmp_path / "images", ("a", "b"))
    command = ["predict", str(tmp_path / "images"), "--model", str(model), "--allow-imports"]
    for extra, told in ((["--outlines"], True), (["--rois"], False)):
        with pytest.raises(SystemExit) as exit_:
            main([*command, "-o", str(tmp_path / extra[0][2:]), *extra])
        assert not exit_.value.code
        lines = capsys.readouterr().err.splitlines()
        line = (
            "outlines as text hold neither holes nor several parts of an object: 2 objects in 1 "
            "image simplified; --rois and --geojson keep them"
        )
        assert (line in lines) is told


def test_objects_of_a_movie_count_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    movie = intricate("TYX")
    assert write_vectors(tmp_path, "m", movie, "TYX", ["rois", "outlines", "geojson"]) == 2
    assert write_vectors(tmp_path, "m", movie, "TYX", ["rois", "geojson"]) == 0
    many = np.zeros((2, 100), np.uint16)
    many[0, ::2] = many[1, 1::2] = np.arange(1, 51)  # each meets itself at a corner
    with caplog.at_level(logging.INFO, "delineate"):
        assert write_vectors(tmp_path, "n", many, "YX", ["outlines"]) == 50
    assert caplog.messages[-1].endswith("objects 1, 2, " + ", ".join(map(str, range(3, 21)))
                                        + " and 30 more")  # fmt: skip
