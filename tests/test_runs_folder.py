"""A folder of good, odd and bad images: one that fails does so alone, and says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

from delineate.errors import ImageError, ModelError
from delineate.inference.runner import RunOptions
from delineate.io import ImageFile, read_labels, write_labels
from delineate.io.reading import read_label_image
from delineate.model import Model
from delineate.runs import folder as folder_module
from delineate.runs.evaluate import evaluate_folder
from delineate.runs.export import export_folder
from delineate.runs.predict import Settings, Summary, predict_folder
from domes import EXACT, dome_model, domes, write_domes
from folder_runs import record, rows, run


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
    hashed = folder_module.file_sha256

    def refuse(path: Path) -> str:
        if path.stem == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return hashed(path)

    monkeypatch.setattr(folder_module, "file_sha256", refuse)
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
