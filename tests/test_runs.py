"""Runs over folders: bad images, going on, refusing, decoding again, exporting, scoring."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image as Picture

from delineate.errors import DataError, ImageError, LabelError, ModelError, ReadError, WriteError
from delineate.image import Image
from delineate.inference.runner import RunOptions
from delineate.io import ImageFile, read_geojson, read_labels, read_rois, write_image, write_labels
from delineate.io.reading import read_label_image
from delineate.model import Model
from delineate.runs import outputs as outputs_module
from delineate.runs.decode import decode_folder
from delineate.runs.evaluate import evaluate_folder
from delineate.runs.export import export_folder
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, Summary, predict_folder
from domes import dome_model, domes, write_domes

EXACT = RunOptions(device="cpu", precision="fp32")


class Log:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def image(self, name: str, number: int, total: int) -> None:
        assert 0 <= number < total

    def tiles(self, done: int, total: int) -> None:
        assert 0 < done <= total

    def finished(self, name: str, outcome: str) -> None:
        self.outcomes[name] = outcome


def run(
    images: Path | str,
    out: Path,
    model: Model | None = None,
    overwrite: bool = False,
    **kwargs: Any,
) -> tuple[Summary, Log]:
    outputs = kwargs.pop("outputs", Outputs())
    settings = Settings(run=kwargs.pop("options", EXACT), **kwargs)
    log = Log()
    model = model or dome_model()
    summary = predict_folder(
        model, images, out, settings, outputs, overwrite=overwrite, listener=log
    )
    return summary, log


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def record(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "run.json").read_text(encoding="utf-8")))


def files_below(folder: Path) -> dict[str, bytes]:
    """All files by their path, without the hidden ones."""
    found = (p for p in folder.rglob("*") if p.is_file())
    relative = {p.relative_to(folder).as_posix(): p for p in found}
    return {k: p.read_bytes() for k, p in relative.items() if not k.startswith(".")}


def make_bad_images(folder: Path) -> dict[str, str]:
    """Files that are no images, or none that the model can use; part of the error of each."""
    good = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    tifffile.imwrite(folder / "whole.tif", good)
    content = (folder / "whole.tif").read_bytes()
    (folder / "truncated.tif").write_bytes(content[: len(content) // 2])
    (folder / "whole.tif").unlink()
    (folder / "empty.tif").write_bytes(b"")
    (folder / "text.tif").write_text("this is no image")
    (folder / "text.png").write_text("this is no image either")
    pixels = good.astype(np.float32)
    pixels[3, 4] = np.nan
    tifffile.imwrite(folder / "nan.tif", pixels)
    pixels[3, 4] = np.inf
    tifffile.imwrite(folder / "infinite.tif", pixels)
    tifffile.imwrite(
        folder / "two.tif", np.stack([good, good]), imagej=True, metadata={"axes": "CYX"}
    )
    tifffile.imwrite(folder / "unnamed.tif", np.stack([good] * 5), metadata=None)
    np.save(folder / "nothing.npy", np.zeros((0, 32)))
    np.save(folder / "complex.npy", np.zeros((8, 8), complex))
    return {
        "truncated": "truncated.tif",
        "empty": "is empty (0 bytes)",
        "text.tif": "text.tif",
        "text.png": "text.png",
        "nan": "1 of 4,096 pixels are not finite",
        "infinite": "the first is inf at (0, 3, 4)",
        "two": "has 2 channels, the network takes 3: choose with --channels",
        "unnamed": "--axes ZYX",
        "nothing": "no pixels",
        "complex": "real number",
    }


def make_odd_images(folder: Path) -> dict[str, int]:
    """Images that are unusual but good, and how many objects each has."""
    image, _ = domes((80, 80), 8, 5)
    zeros = np.zeros((80, 80), np.uint8)
    tifffile.imwrite(folder / "constant.tif", zeros + 40)
    speck = zeros.copy()
    speck[10, 10] = 200
    tifffile.imwrite(folder / "none.tif", speck)
    tifffile.imwrite(folder / "pixel.tif", np.ones((1, 1), np.uint8))
    tifffile.imwrite(folder / "line.tif", np.ones((1, 50), np.uint8))
    tifffile.imwrite(folder / "huge.tif", image * 1e30)
    tifffile.imwrite(folder / "deep.tif", image.astype(np.uint16) * 257)
    alpha = np.stack([image, image, image, np.full_like(image, 9)], axis=-1)
    Picture.fromarray(alpha).save(folder / "alpha.png")
    Picture.fromarray(image).save(folder / "grey.jpg", quality=95)
    movie = np.stack([image, zeros, image])
    tifffile.imwrite(folder / "movie.tif", movie, imagej=True, metadata={"axes": "TYX"})
    stack = np.stack([image, image, zeros])
    tifffile.imwrite(folder / "stack.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    odd = ("with space", "Grüße µ 细胞", "a[1]", "<script>alert(1)<", "sub/deeper/same", "100%&'")
    for name in odd:
        path = folder / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, image)
    return {
        "constant": 0,
        "none": 0,
        "pixel": 0,
        "line": 0,
        "huge": 5,
        "deep": 5,
        "alpha": 5,
        "grey": 5,
        "movie": 10,
        "stack": 5,
    } | dict.fromkeys(odd, 5)


def test_a_folder_of_good_odd_and_bad_images(tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    good, bad = make_odd_images(images), make_bad_images(images)
    summary, log = run(images, out, dome_model(channels=3))
    inputs = {i["name"]: i for i in record(out)["inputs"]}
    assert set(inputs) == set(good) | set(bad)
    table = {r["image"]: r for r in rows(out / "images.csv")}
    report = (out / "report.html").read_text(encoding="utf-8")
    for name, count in good.items():
        assert inputs[name]["status"] == "done", inputs[name]["error"]
        assert table[name]["objects"] == str(count), name
        labels = read_label_image(out / "labels" / f"{name}.tif").numpy()
        ids = np.unique(labels)
        assert ids[ids > 0].tolist() == list(range(1, count + 1))
        assert (out / "overlays" / f"{name}.jpg").exists()
        assert sum(r["image"] == name for r in rows(out / "objects.csv")) == count
    for name, reason in bad.items():
        assert inputs[name]["status"] == "failed"
        for told in (inputs[name]["error"], table[name]["error"], log.outcomes[name]):
            assert reason in told
            assert Path(inputs[name]["path"]).name in told
            assert "Traceback" not in told
        assert not (out / "labels" / f"{name}.tif").exists()
        assert name in report
    assert summary == Summary(len(good), len(bad), sum(good.values()), 0)
    assert "<script>alert" not in report
    assert "&lt;script&gt;alert(1)&lt;" in report
    assert not list(out.rglob("*.partial*"))


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    write_domes(tmp_path / "images", ("a", "b"))
    run(tmp_path / "images", tmp_path / "out")
    before = files_below(tmp_path / "out")
    summary, log = run(tmp_path / "images", tmp_path / "out")
    assert (summary.done, summary.before) == (2, 2)
    assert log.outcomes == {"a": "done before", "b": "done before"}
    assert files_below(tmp_path / "out") == before


def test_a_model_that_cannot_find_the_size_of_objects_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_domes(tmp_path / "images", ("a", "b"))
    with caplog.at_level("WARNING", "delineate"):
        run(tmp_path / "images", tmp_path / "known", dome_model(knows_scale=20))
        run(tmp_path / "images", tmp_path / "given", diameter=30)
    assert not caplog.records
    with caplog.at_level("WARNING", "delineate"):
        run(tmp_path / "images", tmp_path / "out")
    assert [r.getMessage() for r in caplog.records] == [
        "model domes learned from objects of 20 pixels and cannot find their size in an image: "
        "no image is scaled; give --diameter"
    ]


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


def test_settings_that_suit_no_image_are_refused_before_any_is_run(tmp_path: Path) -> None:
    write_domes(tmp_path, ("a",))
    for error, settings in (
        (ImageError, {"diameter": "wide"}),
        (ModelError, {"decoding": {"threshold": 2}}),
        (ModelError, {"options": RunOptions(device="toaster")}),
    ):
        with pytest.raises(error):
            run(tmp_path, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "not enough memory (MemoryError); try --tile 256"),
        (ValueError("axis 3 is odd"), "ValueError: axis 3 is odd (--debug shows where)"),
        (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error"),
    ],
)
def test_unforeseen_errors_stop_one_image_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    write_domes(tmp_path / "images", ("a", "b", "c"))
    predict = Model.predict

    def failing(self: Model, image: Any, **kwargs: Any) -> Any:
        if Path(image).stem == "b":
            raise error
        return predict(self, image, **kwargs)

    monkeypatch.setattr(Model, "predict", failing)
    summary, _ = run(tmp_path / "images", tmp_path / "out")
    assert (summary.done, summary.failed) == (2, 1)
    reason = record(tmp_path / "out")["inputs"][1]["error"]
    assert told in reason
    assert str(tmp_path / "images" / "b.tif") in reason
    monkeypatch.undo()
    summary, log = run(tmp_path / "images", tmp_path / "out")
    assert log.outcomes == {"a": "done before", "b": "5 objects", "c": "done before"}


def test_an_image_that_can_no_longer_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hash is needed to know that it is the same; the failure is that of one image."""
    write_domes(tmp_path / "images", ("a", "b"))
    run(tmp_path / "images", tmp_path / "out")
    hashed = outputs_module.file_sha256

    def refuse(path: Path) -> str:
        if path.stem == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return hashed(path)

    monkeypatch.setattr(outputs_module, "file_sha256", refuse)
    summary, log = run(tmp_path / "images", tmp_path / "out")
    assert (summary.done, summary.failed) == (1, 1)
    assert "Permission denied" in log.outcomes["a"]


def test_a_failed_image_keeps_its_old_labels_out_of_what_follows(tmp_path: Path) -> None:
    """Labels of an earlier content may lie there; scores and exports follow run.json."""
    truth = write_domes(tmp_path / "images", ("a", "b"))
    for name, labels in truth.items():
        write_labels(tmp_path / "truth" / f"{name}.tif", labels)
    out = tmp_path / "out"
    run(tmp_path / "images", out)
    (tmp_path / "images" / "a.tif").write_bytes(b"")
    run(tmp_path / "images", out)
    found = evaluate_folder(out, tmp_path / "truth", tmp_path / "scores")
    assert list(found.tables.images["image"]) == ["b"]
    assert found.lines()[-1] == "not scored, since not predicted: 1 of the true label files"
    assert export_folder(out, tmp_path / "export", ["outlines"]).done == 1


def test_two_files_of_one_name_keep_apart(tmp_path: Path) -> None:
    image, _ = domes((80, 80), 8, 5)
    tifffile.imwrite(tmp_path / "a.tif", image)
    Picture.fromarray(np.zeros_like(image)).save(tmp_path / "a.png")
    run(tmp_path, tmp_path / "out")
    assert read_labels(tmp_path / "out" / "labels" / "a.tif.tif").max() == 5
    assert read_labels(tmp_path / "out" / "labels" / "a.png.tif").max() == 0


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
    assert {r["value"] for r in summary if r["score"] == "AP50"} <= {"1.0", "1"}
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
    with pytest.raises(DataError, match=r"the first is a; truth has for instance b"):
        evaluate_folder(tmp_path / "p", tmp_path / "t", tmp_path / "s")
    write_labels(tmp_path / "t" / "a.tif", labels[:32])
    with pytest.raises(LabelError, match=r"a\.tif against .*a\.tif"):
        evaluate_folder(tmp_path / "p", tmp_path / "t", tmp_path / "s")
    write_labels(tmp_path / "t" / "a_masks.tif", labels)
    with pytest.raises(DataError, match="two label files for a"):
        evaluate_folder(tmp_path / "p", tmp_path / "t", tmp_path / "s")
    with pytest.raises(ReadError, match="no such file or folder"):
        evaluate_folder(tmp_path / "p", tmp_path / "nowhere", tmp_path / "s")


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """A file name in a foreign encoding is worked on and recorded, and breaks no table."""
    image, _ = domes((80, 80), 8, 5)
    tifffile.imwrite(tmp_path / "a.tif", image)
    odd = ImageFile(tmp_path / "a.tif", "a\udcff")
    summary = predict_folder(dome_model(), [odd], tmp_path / "out", Settings(run=EXACT))
    assert summary.done == 1
    assert record(tmp_path / "out")["inputs"][0]["name"] == "a\udcff"
    assert rows(tmp_path / "out" / "images.csv")[0]["image"] == r"a\udcff"
    assert predict_folder(dome_model(), [odd], tmp_path / "out", Settings(run=EXACT)).before == 1
