"""Files of several images in a run: each is one of the run, and all commands know its name."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from delineate.cli import main
from delineate.data.layouts import find_pairs
from delineate.data.options import DataOptions
from delineate.data.times import single_images
from delineate.inference.runner import RunOptions
from delineate.io import ImageFile, read, read_labels
from delineate.runs.decode import decode_folder
from delineate.runs.evaluate import evaluate_folder
from delineate.runs.export import export_folder
from delineate.runs.import_ import import_folder
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, predict_folder
from delineate.runs.review import review_folder
from domes import dome_model, domes, same_objects, write_domes

EXACT = Settings(run=RunOptions(device="cpu", precision="fp32"), diameter=20)
NAMES = ["slide-left", "slide-right", "slide-left-2"]


def write_slide(path: Path, side: int = 80) -> dict[str, np.ndarray]:
    """An OME-TIFF of three images, and the labels of each under its name in a run."""
    truth = {}
    with tifffile.TiffWriter(path, ome=True) as file:
        for seed, (own, name) in enumerate(zip(("left", "right", "left"), NAMES, strict=True)):
            image, truth[name] = domes((side, side), 8, 3 + seed, seed)
            file.write(image, metadata={"axes": "YX", "Name": own})
    return truth


def inputs(out: Path) -> list[dict[str, Any]]:
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return list(record["inputs"])


def test_every_image_of_a_file_is_one_of_the_run(tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    truth = write_domes(images, ("single",)) | write_slide(images / "slide.ome.tif")
    summary = predict_folder(dome_model(), images, out, EXACT)
    assert (summary.done, summary.failed, summary.objects) == (4, 0, 5 + 3 + 4 + 5)
    assert [(i["name"], i.get("scene")) for i in inputs(out)] == [
        ("single", None), *zip(NAMES, range(3), strict=True)
    ]  # fmt: skip
    report = (out / "report.html").read_text(encoding="utf-8")
    for name, labels in truth.items():
        assert same_objects(read_labels(out / "labels" / f"{name}.tif"), labels)
        assert (out / "overlays" / f"{name}.jpg").exists()
        assert name in report
    again = predict_folder(dome_model(), images, out, EXACT)
    assert (again.done, again.before) == (4, 4)


def test_a_file_of_several_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from delineate.runs import folder

    write_slide(tmp_path / "slide.ome.tif")
    hashed: list[Path] = []
    real = folder.file_sha256
    monkeypatch.setattr(folder, "file_sha256", lambda path: hashed.append(path) or real(path))
    for _ in range(2):
        predict_folder(dome_model(), tmp_path / "slide.ome.tif", tmp_path / "out", EXACT)
    assert len(hashed) == 2
    image, _ = domes((80, 80), 8, 5, 9)
    with tifffile.TiffWriter(tmp_path / "slide.ome.tif", ome=True) as file:
        for name in ("left", "right"):
            file.write(image, metadata={"axes": "YX", "Name": name})
    found = predict_folder(dome_model(), tmp_path / "slide.ome.tif", tmp_path / "out", EXACT)
    assert (found.done, found.before, found.objects) == (2, 0, 10)


def test_the_result_of_a_scene_is_not_that_of_another_of_the_same_name(tmp_path: Path) -> None:
    """Names of scenes depend on which other files there are, so they can change places."""
    truth = write_slide(tmp_path / "slide.ome.tif")
    out = tmp_path / "out"
    for scene, before in ((0, 0), (1, 0), (1, 1)):
        image = ImageFile(tmp_path / "slide.ome.tif", "part", scene)
        found = predict_folder(dome_model(), [image], out, EXACT)
        assert (found.done, found.before) == (1, before)
        assert [i["scene"] for i in inputs(out)] == [scene]
        assert same_objects(read_labels(out / "labels" / "part.tif"), truth[NAMES[scene]])


def test_scenes_are_chosen_by_name_and_number(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    truth = write_slide(tmp_path / "slide.ome.tif")
    dome_model().save(tmp_path / "model")
    command = ["predict", str(tmp_path / "slide.ome.tif"), "--model", str(tmp_path / "model")]
    command += ["--allow-imports", "--diameter", "20", "--precision", "fp32", "--device", "cpu"]

    def call(*more: str) -> list[str]:
        with pytest.raises(SystemExit) as stop:
            main([*command, *more])
        assert stop.value.code in (0, 1)
        return capfd.readouterr().err.splitlines()

    told = call("-o", str(tmp_path / "two"), "--scene", "right", "--scene", "2")
    assert told[0] == "slide.ome.tif holds 3 images, 2 chosen"
    assert [i["name"] for i in inputs(tmp_path / "two")] == NAMES[1:]
    for name in NAMES[1:]:
        labels = read_labels(tmp_path / "two" / "labels" / f"{name}.tif")
        assert same_objects(labels, truth[name])
    told = call("-o", str(tmp_path / "all"))
    assert told[0] == "slide.ome.tif holds 3 images"
    assert not any("WARNING" in line for line in told)
    told = call("-o", str(tmp_path / "none"), "--scene", "up")
    assert told[0] == "no file has a scene 'up'"
    assert "it holds 3, numbered from 0: 0 'left', 1 'right', 2 'left'" in told[1]
    assert inputs(tmp_path / "none")[0]["status"] == "failed"


def test_python_reads_the_scene_that_is_asked_for(tmp_path: Path) -> None:
    truth = write_slide(tmp_path / "slide.ome.tif")
    for scene, name in (("right", NAMES[1]), (2, NAMES[2])):
        found = dome_model().predict(
            tmp_path / "slide.ome.tif", scene=scene, diameter=20, options=EXACT.run
        )
        assert found.labels is not None
        assert same_objects(found.labels, truth[name])


def test_what_follows_a_run_knows_the_names(tmp_path: Path) -> None:
    truth = write_slide(tmp_path / "slide.ome.tif")
    out = tmp_path / "out"
    predict_folder(
        dome_model(), tmp_path / "slide.ome.tif", out, EXACT, Outputs(maps=True, rois=True)
    )
    again = decode_folder(out, tmp_path / "again", {"threshold": 0.6})
    assert (again.done, again.failed) == (3, 0)
    assert [i["scene"] for i in inputs(tmp_path / "again")] == [0, 1, 2]
    with (tmp_path / "again" / "objects.csv").open(newline="", encoding="utf-8") as file:
        decoded = [(r["image"], float(r["intensity_mean"])) for r in csv.DictReader(file)]
    for name, labels in truth.items():
        # Intensities are measured anew: they tell that the image of each scene was read.
        assert len([n for n, _ in decoded if n == name]) == labels.max()
        assert all(mean > 60 for n, mean in decoded if n == name)
        (tmp_path / "truth").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "truth" / f"{name}.tif", labels)
    export_folder(out, tmp_path / "export", ["rois"])
    assert sorted(p.stem for p in (tmp_path / "export" / "rois").iterdir()) == sorted(NAMES)
    found = import_folder(tmp_path / "export" / "rois", tmp_path / "imported", like=out)
    assert (found.done, found.failed, found.objects) == (3, 0, 12)
    scores = evaluate_folder(out, tmp_path / "truth", tmp_path / "scores")
    assert sorted(scores.tables.images["image"]) == sorted(NAMES)
    review_folder(out, truth=tmp_path / "truth")
    reviewed = (out / "report.html").read_text(encoding="utf-8")
    assert all(name in reviewed for name in NAMES)


def test_training_and_scoring_warn_that_they_take_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "images").mkdir()
    truth = write_slide(tmp_path / "images" / "slide.ome.tif")
    (tmp_path / "labels").mkdir()
    with tifffile.TiffWriter(tmp_path / "labels" / "slide.ome.tif", ome=True) as file:
        for labels in truth.values():
            file.write(labels, metadata={"axes": "YX"})
    with caplog.at_level("WARNING", "delineate"):
        single_images(find_pairs(tmp_path), DataOptions())
        (image,) = [r.getMessage() for r in caplog.records]
        assert str(tmp_path / "images" / "slide.ome.tif") in image
        assert "holds 3 images, only the first is read" in image
        assert "save each in a file of its own" in image
        caplog.clear()
        labels = tmp_path / "labels" / "slide.ome.tif"
        evaluate_folder(labels, labels, tmp_path / "scores")
    (told,) = [r.getMessage() for r in caplog.records]
    assert str(labels) in told


def test_corrections_of_scenes_of_other_shapes_train_on_their_own_images(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "slide.ome.tif", ome=True) as file:
        for seed, side in enumerate((80, 96)):
            image, _ = domes((side, side), 8, 3 + seed, seed)
            file.write(image, metadata={"axes": "YX", "Name": f"s{seed}"})
    out = tmp_path / "out"
    predict_folder(dome_model(), tmp_path / "slide.ome.tif", out, EXACT, Outputs(rois=True))
    for given in ({"like": out}, {"images": tmp_path / "slide.ome.tif"}):
        into = tmp_path / "-".join(given)
        found = import_folder(out / "rois", into, **given)
        assert (found.done, found.failed, found.objects) == (2, 0, 7)
        pairs = find_pairs(into / "data.csv")
        assert len(pairs) == 2
        for pair, side in zip(pairs, (80, 96), strict=True):
            assert pair.labels is not None
            assert read(pair.image).shape == read_labels(pair.labels).shape == (side, side)


def test_places_of_outlines_go_by_the_channels_of_the_scene(tmp_path: Path) -> None:
    from delineate.runs.export import stack_channels

    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(np.zeros((8, 9), np.uint8), metadata={"axes": "YX"})
        file.write(
            np.zeros((3, 8, 9), np.uint8), metadata={"axes": "CYX"}, photometric="minisblack"
        )
    assert [stack_channels(tmp_path / "a.ome.tif", None, scene) for scene in (0, 1)] == [1, 3]
