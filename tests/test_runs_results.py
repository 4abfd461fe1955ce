"""The results of a run agree with each other, and can be decoded again, exported and scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image as Picture

from delineate.errors import DataError, LabelError, ModelError, ReadError, WriteError
from delineate.image import Image
from delineate.io import read_geojson, read_labels, read_rois, write_image, write_labels
from delineate.io.reading import read_label_image
from delineate.model import Model
from delineate.runs.decode import decode_folder
from delineate.runs.evaluate import evaluate_folder
from delineate.runs.export import export_folder
from delineate.runs.outputs import Outputs
from domes import domes, write_domes
from folder_runs import rows, run


def test_all_outputs_agree_with_the_labels(tmp_path: Path) -> None:
    write_domes(tmp_path / "images", ("a",))
    out = tmp_path / "out"
    run(tmp_path / "images", out, outputs=Outputs(rois=True, geojson=True, outlines=True))
    labels = read_labels(out / "labels" / "a.tif")
    assert np.array_equal(read_rois(out / "rois" / "a.zip", labels.shape), labels)
    assert np.array_equal(read_geojson(out / "geojson" / "a.geojson", labels.shape), labels)
    assert len((out / "outlines" / "a.txt").read_text().splitlines()) == 5
    table = rows(out / "objects.csv")
    sizes = np.bincount(labels.ravel())
    assert [float(r["area"]) for r in table] == sizes[1:].tolist()
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "5 objects" in report


def test_zarr_images_alone_and_in_folders(tmp_path: Path) -> None:
    """A zarr is one image, also where it holds many files and a pyramid."""
    pixels, _ = domes((80, 80), 8, 5)
    image = Image(pixels, "YX", {"Y": 0.5, "X": 0.5})
    write_image(tmp_path / "images" / "cells.ome.zarr", image)
    write_image(tmp_path / "images" / "flat.ome.tif", image)
    for spec, names in (("images", ["cells", "flat"]), ("images/cells.ome.zarr", ["cells"])):
        out = tmp_path / f"out{len(names)}"
        summary, log = run(tmp_path / spec, out, diameter="10um")
        assert list(log.outcomes) == names
        assert summary.objects == 5 * len(names)
        for name in names:
            back = read_label_image(out / "labels" / f"{name}.tif")
            assert back.pixel_size == pytest.approx({"Y": 0.5, "X": 0.5})
        assert run(tmp_path / spec, out, diameter="10um")[0].before == len(names)


def test_outlines_of_a_movie_are_a_file_a_time(tmp_path: Path) -> None:
    image, _ = domes((80, 80), 8, 5)
    movie = np.stack([image, np.zeros_like(image), image])
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, movie, imagej=True, metadata={"axes": "TYX"})
    out = tmp_path / "out"
    run(path, out, outputs=Outputs(rois=True, geojson=True, outlines=True))
    labels = read_label_image(out / "labels" / "movie.tif").numpy()
    for time, frame in enumerate(labels):
        name = f"movie-t{time:04d}"
        assert np.array_equal(read_rois(out / "rois" / f"{name}.zip", frame.shape), frame)
        text = (out / "geojson" / f"{name}.geojson").read_text(encoding="utf-8")
        assert text.count('"Feature"') == len(np.unique(frame)) - 1
        assert ("measurements" in text) == bool(frame.any())
    run(path, out, overwrite=True)
    assert not list((out / "rois").glob("*"))


def test_zarr_labels_keep_axes_and_pixel_size(tmp_path: Path) -> None:
    image, _ = domes((80, 80), 8, 5)
    metadata = {"axes": "ZYX", "unit": "um", "spacing": 2.0}
    tifffile.imwrite(
        tmp_path / "stack.tif",
        np.stack([image] * 2),
        imagej=True,
        resolution=(4, 4),
        metadata=metadata,
    )
    size = {"Z": 2.0, "Y": 0.25, "X": 0.25}
    out = tmp_path / "out"
    run(tmp_path / "stack.tif", out, outputs=Outputs(format="zarr"))
    run(tmp_path / "stack.tif", tmp_path / "tif")
    export_folder(tmp_path / "tif", tmp_path / "export", ["zarr"])
    for path in (
        out / "labels" / "stack.ome.zarr",
        tmp_path / "tif" / "labels" / "stack.tif",
        tmp_path / "export" / "zarr" / "stack.ome.zarr",
    ):
        back = read_label_image(path)
        assert back.axes == "ZYX"
        assert back.pixel_size == pytest.approx(size)
        assert back.numpy().max() == 5
    assert "volume_um3" in rows(out / "objects.csv")[0]


def test_decoding_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = write_domes(tmp_path / "images", ("a", "sub/b"))
    image, _ = domes((80, 80), 8, 5)
    movie = np.stack([image, image])
    tifffile.imwrite(tmp_path / "images" / "m.tif", movie, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "images" / "z.tif", movie, imagej=True, metadata={"axes": "ZYX"})
    out = tmp_path / "out"
    predict = Model.predict
    monkeypatch.setattr(Model, "predict", lambda *a, **k: replace(predict(*a, **k), novelty=1.5))
    run(tmp_path / "images", out, outputs=Outputs(maps=True), diameter=30)
    kept = {n: zarr.open_array(str(out / "maps" / f"{n}.zarr")).attrs["by_plane"] for n in "mz"}
    assert kept == {"m": False, "z": True}

    def forbidden(*_: Any, **__: Any) -> Any:
        raise AssertionError("no network may be run")

    monkeypatch.setattr(Model, "predict", forbidden)
    same = decode_folder(out, tmp_path / "same", {})
    assert same.done == 4
    strict = decode_folder(out, tmp_path / "strict", {"threshold": 0.999})
    assert strict.done == 4
    for name in (*truth, "m", "z"):
        path = Path("labels") / f"{name}.tif"
        before = read_label_image(out / path).numpy()
        assert np.array_equal(read_label_image(tmp_path / "same" / path).numpy(), before)
        after = read_label_image(tmp_path / "strict" / path).numpy()
        assert 0 < np.count_nonzero(after) < np.count_nonzero(before)
    row = rows(tmp_path / "strict" / "images.csv")[0]
    assert (row["diameter_used"], row["novelty"]) == ("30.0", "1.5")
    assert decode_folder(out, tmp_path / "strict", {"threshold": 0.999}).before == 4
    with pytest.raises(WriteError, match="choose another -o"):
        decode_folder(out, out, {"threshold": 0.9}, overwrite=True)
    with pytest.raises(ReadError, match="predict again with --keep-maps"):
        decode_folder(tmp_path / "same", tmp_path / "other", {})
    with pytest.raises(ModelError, match="min_size"):
        decode_folder(out, tmp_path / "other", {"min_size": -1})


def test_exports_of_a_run(tmp_path: Path) -> None:
    write_domes(tmp_path / "images", ("a", "sub/b"))
    tifffile.imwrite(tmp_path / "images" / "none.tif", np.zeros((64, 64), np.uint8))
    out = tmp_path / "out"
    run(tmp_path / "images", out)
    assert export_folder(out, tmp_path / "x", ["rois", "geojson", "outlines", "zarr"]).done == 3
    for name in ("a", "sub/b", "none"):
        labels = read_labels(out / "labels" / f"{name}.tif")
        shape = labels.shape
        assert np.array_equal(read_rois(tmp_path / "x" / "rois" / f"{name}.zip", shape), labels)
        path = tmp_path / "x" / "geojson" / f"{name}.geojson"
        assert np.array_equal(read_geojson(path, shape), labels)
        stored = read_labels(tmp_path / "x" / "zarr" / f"{name}.ome.zarr")
        assert np.array_equal(stored, labels)
    text = (tmp_path / "x" / "geojson" / "a.geojson").read_text(encoding="utf-8")
    first = rows(out / "objects.csv")[0]
    assert "measurements" in text
    assert first["area"].removesuffix(".0") in text
    movie = np.ones((2, 8, 8), np.uint8)
    write_labels(tmp_path / "m" / "movie.tif", movie, Image(movie, "TYX"), "TYX")
    export_folder(tmp_path / "m", tmp_path / "y", ["rois"])
    for time in range(2):
        path = tmp_path / "y" / "rois" / f"movie-t{time:04d}.zip"
        assert np.array_equal(read_rois(path, (8, 8)), movie[time])
    export_folder(tmp_path / "m", tmp_path / "y", ["zarr"])
    assert read_label_image(tmp_path / "y" / "zarr" / "movie.ome.zarr").axes == "TYX"


def test_equal_labels_score_one(tmp_path: Path) -> None:
    write_domes(tmp_path / "images", ("a", "sub/b"))
    out = tmp_path / "out"
    run(tmp_path / "images", out)
    for name in ("a", "sub/b"):
        labels = read_labels(out / "labels" / f"{name}.tif")
        write_labels(tmp_path / "truth" / f"{name}_masks.tif", labels * 3)
    found = evaluate_folder(out, tmp_path / "truth", tmp_path / "scores")
    assert list(found.tables.images["mAP"]) == [1, 1]
    table = rows(tmp_path / "scores" / "scores.csv")
    assert [r["image"] for r in table] == ["a", "sub/b"]
    summary = rows(tmp_path / "scores" / "summary.csv")
    assert [float(r["value"]) for r in summary if r["score"] == "AP50"] == [1, 1]
    with Picture.open(tmp_path / "scores" / "scores.png") as picture:
        assert min(picture.size) > 200
    text = "\n".join(found.lines())
    assert "2 images, 10 true objects" in text
    assert "1.000 [1.000, 1.000]" in text


def test_scores_of_two_files(tmp_path: Path) -> None:
    _, labels = domes((80, 80), 8, 5)
    write_labels(tmp_path / "mine.tif", labels)
    write_labels(tmp_path / "truth.tif", np.where(labels == 1, 0, labels))
    found = evaluate_folder(tmp_path / "mine.tif", tmp_path / "truth.tif", tmp_path / "s")
    assert found.tables.images["AP50"][0] == pytest.approx(4 / 5)


def test_labels_that_do_not_pair(tmp_path: Path) -> None:
    _, labels = domes((80, 80), 8, 5)
    write_labels(tmp_path / "p" / "a.tif", labels)
    write_labels(tmp_path / "t" / "b.tif", labels)
    with pytest.raises(DataError, match=r"called a, the true files b; give files of the same"):
        evaluate_folder(tmp_path / "p", tmp_path / "t", tmp_path / "s")
    write_labels(tmp_path / "t" / "a.tif", labels[:32])
    with pytest.raises(LabelError, match=r"a\.tif against .*a\.tif"):
        evaluate_folder(tmp_path / "p", tmp_path / "t", tmp_path / "s")
    write_labels(tmp_path / "t" / "a_masks.tif", labels)
    with pytest.raises(DataError, match="two label files for a"):
        evaluate_folder(tmp_path / "p", tmp_path / "t", tmp_path / "s")
    with pytest.raises(ReadError, match="no such file or folder"):
        evaluate_folder(tmp_path / "p", tmp_path / "nowhere", tmp_path / "s")
