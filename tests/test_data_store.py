"""Prepared images: kept, shared by processes, rebuilt when damaged, mapped when used."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from safetensors.numpy import load_file

from conftest import disks, picture
from delineate.data import store
from delineate.data.layouts import Pair
from delineate.data.normalise import Normalise
from delineate.data.samples import Preparation, prepare
from delineate.data.store import Shelf, Stored, intact, read_header, write
from delineate.errors import DataError
from delineate.methods.flows import Flows

HOW = Preparation(Flows(), Normalise(), 12.0, 1, None, 2, None)


def pairs_in(folder: Path, count: int, size: int = 60) -> list[Pair]:
    folder.mkdir(exist_ok=True)
    found = []
    for number in range(count):
        rng = np.random.default_rng(number)
        labels = disks((size, size), 6, 5, rng)
        image, truth = folder / f"{number}.tif", folder / f"{number}_masks.tif"
        tifffile.imwrite(image, picture(labels, rng), photometric="minisblack")
        tifffile.imwrite(truth, labels.astype(np.uint16), photometric="minisblack")
        found.append(Pair(str(number), image, truth))
    return found


ARRAYS = {
    "a": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "wide": np.arange(5, dtype=np.int64),
    "none": np.zeros((0, 7), np.float32),
    "ids": np.array([[1, -1]], np.int32),
}


def test_arrays_are_read_as_written_and_by_safetensors_too(tmp_path):
    path = tmp_path / "x.safetensors"
    write(path, ARRAYS, {"facts": "é"})
    header = intact(path)
    assert header is not None
    assert header.notes["facts"] == "é"
    shelf = Shelf()
    theirs = load_file(path)
    for name, array in ARRAYS.items():
        own = Stored(shelf, path, name)()
        assert own.dtype == array.dtype
        np.testing.assert_array_equal(own, array)
        np.testing.assert_array_equal(theirs[name], array)
    Stored(shelf, path, "a")()[:] = 7  # a copy in memory
    np.testing.assert_array_equal(load_file(path)["a"], ARRAYS["a"])


@pytest.mark.parametrize("damage", ["cut", "byte", "header", "empty", "gone", "longer"])
def test_damage_is_noticed(tmp_path, damage):
    path = tmp_path / "x.safetensors"
    write(path, ARRAYS, {})
    raw = path.read_bytes()
    place = len(raw) - 30
    changed = {
        "cut": raw[:-9],
        "byte": raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :],
        "header": b"\xff" * 20 + raw[20:],
        "empty": b"",
        "gone": None,
        "longer": raw + b"\0",
    }[damage]
    path.unlink()
    if changed is not None:
        path.write_bytes(changed)
    assert intact(path) is None


def test_a_file_that_was_only_touched_is_intact(tmp_path):
    path = tmp_path / "x.safetensors"
    write(path, ARRAYS, {})
    os.utime(path, (1e9, 1e9))
    assert intact(path) is not None


def test_a_damaged_sample_is_prepared_anew_and_the_others_are_not(tmp_path):
    pairs = pairs_in(tmp_path / "data", 3)
    cache = tmp_path / "cache"
    before = [np.array(s.image) for s in prepare(pairs, HOW, cache)]
    files = sorted(cache.iterdir())
    assert len(files) == 3
    raw = bytearray(files[1].read_bytes())
    raw[-100] ^= 255
    files[1].write_bytes(raw)
    files[2].write_bytes(raw[:200])
    stamps = [f.stat().st_ino for f in files]
    after = prepare(pairs, HOW, cache)
    assert [f.stat().st_ino == s for f, s in zip(files, stamps, strict=True)] == [
        True,
        False,
        False,
    ]
    for sample, image in zip(after, before, strict=True):
        np.testing.assert_array_equal(sample.image, image)
    assert all(intact(f) for f in files)


def test_half_files_of_killed_processes_are_removed(tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    old, young = cache / ".a-1.partial.safetensors", cache / ".b-2.partial.safetensors"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * store.OLD,) * 2)
    prepare(pairs_in(tmp_path / "data", 1), HOW, cache)
    assert not old.exists()
    assert young.exists()


def work(pairs: list[Pair], cache: Path, seen: Path, start: float) -> None:
    time.sleep(max(0.0, start - time.time()))
    samples = prepare(pairs, HOW, cache)
    np.save(seen, np.array([s.image.sum() + s.targets.sum() for s in samples]))


def test_two_processes_prepare_at_once(tmp_path):
    pairs = pairs_in(tmp_path / "data", 6)
    cache = tmp_path / "cache"
    context = multiprocessing.get_context("fork")
    start = time.time() + 0.2
    both = [
        context.Process(target=work, args=(pairs, cache, tmp_path / f"{n}.npy", start))
        for n in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
        assert process.exitcode == 0
    first, second = (np.load(tmp_path / f"{n}.npy") for n in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(list(cache.iterdir())) == 6  # nothing half done is left
    inodes = {f: f.stat().st_ino for f in cache.iterdir()}
    alone = [s.image.sum() + s.targets.sum() for s in prepare(pairs, HOW, cache)]
    np.testing.assert_array_equal(first, alone)
    assert inodes == {f: f.stat().st_ino for f in cache.iterdir()}


def test_a_process_that_is_killed_leaves_nothing_half(tmp_path):
    pairs = pairs_in(tmp_path / "data", 30, 200)
    cache = tmp_path / "cache"
    context = multiprocessing.get_context("fork")
    process = context.Process(target=work, args=(pairs, cache, tmp_path / "x.npy", 0.0))
    process.start()
    while len(list(cache.glob("[!.]*"))) < 2:
        time.sleep(0.002)
    process.kill()
    process.join(30)
    left = list(cache.glob("[!.]*"))
    assert 2 <= len(left) < 30
    assert all(intact(f) for f in left)
    inodes = {f: f.stat().st_ino for f in left}
    assert len(prepare(pairs, HOW, cache)) == 30
    assert inodes == {f: f.stat().st_ino for f in left}


def test_few_files_are_mapped_at_a_time_and_held_arrays_stay_valid(tmp_path):
    paths = [tmp_path / f"{n}.safetensors" for n in range(6)]
    for number, path in enumerate(paths):
        write(path, {"a": np.full(9, number, np.float32)}, {})
    shelf = Shelf(most=2)
    held = [Stored(shelf, path, "a")() for path in paths]
    assert len(shelf) == 2
    assert [float(a[0]) for a in held] == [0, 1, 2, 3, 4, 5]
    assert Stored(shelf, paths[5], "a")() is held[5]
    assert Stored(shelf, paths[0], "a")() is not held[0]
    paths[1].unlink()
    with pytest.raises(DataError, match=r"1\.safetensors: the prepared image is gone or damaged"):
        Stored(shelf, paths[1], "a")()


def test_samples_are_opened_on_use_and_cross_to_other_processes(tmp_path):
    pairs = pairs_in(tmp_path / "data", 2)
    (first, second) = prepare(pairs, HOW, tmp_path / "cache")
    shelf = first.__dict__["image"].shelf
    assert len(shelf) == 0
    assert first.image.shape[0] == 1
    assert len(shelf) == 1
    sent = pickle.dumps(second)
    assert len(sent) < 3000
    again = pickle.loads(sent)
    np.testing.assert_array_equal(again.targets, second.targets)
    np.testing.assert_array_equal(again.points.places, second.points.places)
    assert again.diameter == second.diameter


def test_a_zarr_whose_inner_files_change_is_prepared_anew(tmp_path):
    folder = tmp_path / "a.zarr"
    (folder / "0").mkdir(parents=True)
    (folder / "0" / "c").write_bytes(b"1")
    pair = Pair("a", folder)
    before = HOW.key(pair)
    assert before == HOW.key(pair)
    (folder / "0" / "c").write_bytes(b"12")
    assert HOW.key(pair) != before


def test_the_key_knows_time_side_and_all_files(tmp_path):
    (pair,) = pairs_in(tmp_path / "data", 1)
    import dataclasses

    others = [
        dataclasses.replace(pair, time=1),
        dataclasses.replace(pair, only="target"),
        dataclasses.replace(pair, cost=pair.labels),
        dataclasses.replace(pair, target=pair.labels),
    ]
    assert len({HOW.key(p) for p in [pair, *others]}) == 5
    assert HOW.key(dataclasses.replace(pair, weight=3.0, name="b")) == HOW.key(pair)


def test_wrong_headers_are_no_files(tmp_path):
    path = tmp_path / "x"
    path.write_bytes((5).to_bytes(8, "little") + b"[1,2]")
    assert intact(path) is None
    with pytest.raises((ValueError, AttributeError, TypeError)):
        read_header(path)
