"""What a run takes for done: the same pixels, all that was asked for; and what it leaves out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from delineate.errors import WriteError
from delineate.image import Image
from delineate.inference.runner import RunOptions
from delineate.io import write_image
from delineate.model import Model
from delineate.runs.layout import file_sha256, file_stamp
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, Summary, predict_folder
from delineate.runs.predict_files import find_work
from domes import dome_model, domes, write_domes

EXACT = Settings(run=RunOptions(device="cpu", precision="fp32"), diameter=20)


def run(images: Path | str, out: Path, **outputs: Any) -> Summary:
    return predict_folder(dome_model(), images, out, EXACT, Outputs(**outputs))


def plain_zarr(path: Path, pixels: np.ndarray) -> None:
    """An uncompressed zarr: other pixels give files of the same names and sizes."""
    array = zarr.create_array(
        str(path), shape=pixels.shape, dtype=pixels.dtype, chunks=(40, 40), compressors=None,
        dimension_names=list("yx"), overwrite=True,
    )  # fmt: skip
    array[...] = pixels


def listing(folder: Path) -> dict[str, int]:
    return {p.name: p.stat().st_size for p in folder.rglob("*") if p.is_file()}


def test_other_pixels_of_equal_size_in_a_zarr_are_predicted_anew(tmp_path: Path) -> None:
    first, second = (domes((80, 80), 8, n, n)[0] + 1 for n in (5, 3))
    path, out = tmp_path / "a.zarr", tmp_path / "out"
    plain_zarr(path, first)
    before = listing(path)
    assert run(path, out) == Summary(1, 0, 5, 0)
    assert run(path, out) == Summary(1, 0, 5, 1)
    hashed = file_sha256(path)
    plain_zarr(path, second)
    assert listing(path) == before
    assert file_sha256(path) != hashed
    assert run(path, out) == Summary(1, 0, 3, 0)


def test_a_hash_is_that_of_the_content(tmp_path: Path) -> None:
    plain_zarr(tmp_path / "a.zarr", np.ones((80, 80), np.uint8))
    shutil.copytree(tmp_path / "a.zarr", tmp_path / "copy.zarr")
    assert file_sha256(tmp_path / "a.zarr") == file_sha256(tmp_path / "copy.zarr")
    assert file_stamp(tmp_path / "a.zarr") != file_stamp(tmp_path / "copy.zarr")
    (tmp_path / "a.txt").write_bytes(b"abc")
    # NIST's example of SHA-256
    assert file_sha256(tmp_path / "a.txt") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@pytest.mark.parametrize(
    "lost", ["maps/b.zarr", "rois/b.zip", "outlines/b.txt", "uncertainty/b.tif", "labels/b.tif"]
)
def test_what_was_asked_for_and_is_gone_is_made_again(tmp_path: Path, lost: str) -> None:
    write_domes(tmp_path / "images", ("a", "b"))
    asked = {"maps": True, "rois": True, "outlines": True, "uncertainty": True}
    out = tmp_path / "out"
    run(tmp_path / "images", out, **asked)
    path = out / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert run(tmp_path / "images", out, **asked).before == 1
    assert path.exists()
    assert run(tmp_path / "images", out, **asked).before == 2


def test_outlines_of_each_frame_are_asked_for(tmp_path: Path) -> None:
    image, _ = domes((80, 80), 8, 5)
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, np.stack([image] * 3), imagej=True, metadata={"axes": "TYX"})
    run(path, tmp_path / "out", rois=True)
    (tmp_path / "out" / "rois" / "movie-t0001.zip").unlink()
    assert run(path, tmp_path / "out", rois=True).before == 0
    assert len(list((tmp_path / "out" / "rois").iterdir())) == 3


def test_records_of_earlier_versions_are_understood(tmp_path: Path) -> None:
    write_domes(tmp_path / "images", ("a",))
    run(tmp_path / "images", tmp_path / "out")
    state = tmp_path / "out" / ".delineate" / "images" / "a.json"
    record = json.loads(state.read_text())
    del record["files"]
    state.write_text(json.dumps(record))
    assert run(tmp_path / "images", tmp_path / "out").before == 1


def test_a_format_that_has_no_planes_loses_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _ = domes((80, 80), 8, 5)
    images, out = tmp_path / "images", tmp_path / "out"
    write_domes(images, ("flat",))
    stack = np.stack([image] * 3)
    tifffile.imwrite(images / "stack.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    with caplog.at_level("WARNING", "delineate"):
        found = run(images, out, outlines=True, rois=True)
    assert (found.done, found.failed) == (2, 0)
    (told,) = [r.getMessage() for r in caplog.records]
    assert told.startswith("stack: without outlines: ")
    assert "write ROIs or GeoJSON" in told
    assert sorted(p.name for p in (out / "rois").iterdir()) == ["flat.zip", "stack.zip"]
    assert sorted(p.name for p in (out / "outlines").iterdir()) == ["flat.txt"]
    inputs = {i["name"]: i for i in json.loads((out / "run.json").read_text())["inputs"]}
    assert "no planes" in inputs["stack"]["left_out"]["outlines"]
    assert "left_out" not in inputs["flat"]

    def forbidden(*_: Any, **__: Any) -> Any:
        raise AssertionError("no network may be run")

    monkeypatch.setattr(Model, "predict", forbidden)
    assert run(images, out, outlines=True, rois=True).before == 2


@pytest.mark.parametrize("place", ["file.tif/x", "file.tif", "/proc/xx"])
def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, place: str) -> None:
    write_domes(tmp_path / "images", ("a",))
    (tmp_path / "file.tif").write_bytes(b"x")
    with pytest.raises(WriteError, match=r"(file\.tif|/proc/xx).*cannot be made.*-o"):
        run(tmp_path / "images", tmp_path / place)


def test_label_images_beside_their_images_are_left_out(tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    write_domes(images, ("a", "a_masks", "b", "c_masks", "sub/a_seg", "sub/d", "sub/d_cp_masks"))
    work = find_work(images, out)
    assert [i.name for i in work.images] == ["a", "b", "c_masks", "sub/a_seg", "sub/d"]
    assert work.notes == [
        "2 label images that lie beside their images are left out, such as a_masks.tif; name such "
        "a file itself to take it"
    ]
    assert run(images, out).done == 5
    assert not (out / "labels" / "a_masks.tif").exists()
    one = find_work(f"{images}/a*.tif", out)
    assert [i.name for i in one.images] == ["a"]
    assert one.notes[0].startswith("1 label image that lies beside its image is left out, such as")
    for spec in (images / "a_masks.tif", f"{images}/*_masks.tif"):
        assert "a_masks" in [i.name for i in find_work(spec, out).images]
    listed = find_work(find_work(images / "a_masks.tif", out).images, out)
    assert [i.name for i in listed.images] == ["a_masks"]


def test_labels_of_another_suffix_are_left_out_too(tmp_path: Path) -> None:
    image = Image(np.zeros((8, 9), np.uint8), "YX")
    for name in ("a.ome.tif", "a_labels.tif", "b.ome.zarr", "b_label.ome.zarr", "a.png.tif"):
        write_image(tmp_path / name, image)
    np.save(tmp_path / "a_seg.npy", np.zeros((8, 9)))
    found = find_work(tmp_path, tmp_path / "out")
    assert [i.name for i in found.images] == ["a", "a.png", "b"]
    assert found.notes[0].startswith("3 label images")


@pytest.mark.parametrize("known", ["labels", "targets", "masks"])
def test_of_a_data_set_only_its_images_are_predicted(tmp_path: Path, known: str) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write_domes(data, ("images/a", "images/b", "images/b_masks", f"{known}/a", f"{known}/b", "c"))
    work = find_work(data, out)
    assert [i.name for i in work.images] == ["a", "b"]  # named as in training
    assert work.notes[0] == (
        f"{data}: images/ lies beside {known}/, as for training: only images/ is taken; name "
        "another folder itself to take it"
    )
    assert len(work.notes) == 2  # b_masks
    assert run(data, out).done == 2
    assert [i.name for i in find_work(data / known, out).images] == ["a", "b"]
    assert find_work(data / known, out).notes == []


def test_a_data_set_predicted_into_itself_goes_on(tmp_path: Path) -> None:
    write_domes(tmp_path, ("images/a", "masks/a"))
    assert run(tmp_path, tmp_path).before == 0
    assert (tmp_path / "labels" / "a.tif").exists()
    assert run(tmp_path, tmp_path).before == 1
    write_domes(tmp_path / "other", ("images/a", "b"))  # no data set, but for its results
    for before in (0, 2):
        assert run(tmp_path / "other", tmp_path / "other") == Summary(2, 0, 10, before)


def test_data_sets_in_folders_and_patterns(tmp_path: Path) -> None:
    write_domes(tmp_path, ("day1/images/a", "day1/labels/a", "day2/images/b", "day3/masks/c"))
    for spec in (tmp_path, f"{tmp_path}/*/*/*.tif"):
        work = find_work(spec, tmp_path / "out")
        assert [i.name for i in work.images] == ["day1/images/a", "day2/images/b", "day3/masks/c"]
        assert work.notes == [
            "1 file in folders of labels or targets beside images/ left out, such as "
            "day1/labels/a; name such a folder itself to take it"
        ]
    for spec in (tmp_path / "day1" / "labels", f"{tmp_path}/*/labels/*"):
        assert len(find_work(spec, tmp_path / "out").images) == 1
