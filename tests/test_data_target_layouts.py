"""How target images, cost maps, unpaired folders and movies are found and split."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.data.folds import fold_pairs
from delineate.data.layouts import Pair, find_pairs, training_pairs
from delineate.data.options import DataOptions
from delineate.data.splits import split_pairs
from delineate.data.times import single_images
from delineate.errors import DataError, ReadError

BLANK = np.zeros((8, 8), np.uint8)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, BLANK)
    return folder


def movie(path: Path, points: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((points, 8, 8), np.uint8)
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "TYX"})
    return path


# Pairs of images


def test_images_and_targets_in_two_folders_with_costs(tmp_path):
    touch(tmp_path, "images/a.tif", "images/b.tif", "targets/a.tif", "targets/b_target.tif")
    a, b = find_pairs(tmp_path, truth="image")
    assert (a.name, a.target, a.cost, a.labels) == ("a", tmp_path / "targets/a.tif", None, None)
    assert b.target == tmp_path / "targets/b_target.tif"
    touch(tmp_path, "cost/a.tif", "cost/b.tif")
    assert find_pairs(tmp_path, truth="image")[1].cost == tmp_path / "cost/b.tif"
    (tmp_path / "cost/b.tif").unlink()
    with pytest.raises(DataError, match=r"b\.tif: no cost map of this name in .*cost"):
        find_pairs(tmp_path, truth="image")


def test_folders_of_targets_and_costs_given_apart(tmp_path):
    touch(tmp_path, "noisy/a.tif", "clean/a.tif", "weights/a.tif")
    found = find_pairs(
        tmp_path / "noisy", targets=tmp_path / "clean", cost=tmp_path / "weights", truth="image"
    )
    assert found == [
        Pair(
            "a",
            tmp_path / "noisy/a.tif",
            target=tmp_path / "clean/a.tif",
            cost=tmp_path / "weights/a.tif",
        )
    ]
    same = find_pairs(tmp_path / "noisy", targets=tmp_path / "noisy", truth="image")
    assert same[0].target == same[0].image
    touch(tmp_path, "noisy/b.tif")
    with pytest.raises(DataError, match=r"1 images of .*noisy have no target .*clean.*b\.tif"):
        find_pairs(tmp_path / "noisy", targets=tmp_path / "clean", truth="image")


@pytest.mark.parametrize("truth", ["image", "objects"])
def test_three_tags_in_one_folder(tmp_path, truth):
    touch(tmp_path, *(f"{n}_{tag}.tif" for n in "ab" for tag in ("IM", "GT", "CM")))
    pairs = find_pairs(tmp_path, truth=truth)
    assert [p.name for p in pairs] == ["a", "b"]
    assert pairs[0].image == tmp_path / "a_IM.tif"
    assert pairs[0].cost == tmp_path / "a_CM.tif"
    assert pairs[1].truth(truth) == tmp_path / "b_GT.tif"
    assert (pairs[1].labels is None) == (truth == "image")
    (tmp_path / "b_GT.tif").unlink()
    with pytest.raises(DataError, match=r"1 images have no .* first is b_IM\.tif"):
        find_pairs(tmp_path, truth=truth)


def test_suffixes_tell_targets_labels_and_costs_of_one_folder(tmp_path):
    touch(tmp_path, "a.tif", "a_target.tif", "a_masks.tif", "a_cost.tif")
    assert find_pairs(tmp_path, truth="image") == [
        Pair(
            "a",
            tmp_path / "a.tif",
            target=tmp_path / "a_target.tif",
            cost=tmp_path / "a_cost.tif",
        )
    ]
    (pair,) = find_pairs(tmp_path)
    assert (pair.labels, pair.target) == (tmp_path / "a_masks.tif", None)
    with pytest.raises(DataError, match=r"no target found.*targets/.*_target.*_IM.*column"):
        find_pairs(touch(tmp_path / "bare", "a.tif"), truth="image")


def test_table_of_images_and_targets(tmp_path):
    touch(tmp_path, "a.tif", "b.tif", "c.tif")
    table = tmp_path / "data.csv"
    table.write_text("image,target,cost,split\na.tif,b.tif,c.tif,train\nb.tif,c.tif,,val\n")
    a, b = find_pairs(table, truth="image")
    assert (a.target, a.cost, a.split) == (tmp_path / "b.tif", tmp_path / "c.tif", "train")
    assert (b.target, b.cost, b.split) == (tmp_path / "c.tif", None, "val")
    with pytest.raises(DataError, match="no column labels; it has image, target"):
        find_pairs(table)


@pytest.mark.parametrize("unpaired", [False, True])
@pytest.mark.parametrize("setting", ["labels", "classes", "soft", "targets", "cost"])
def test_folders_beside_a_table_of_files_are_refused(tmp_path, setting, unpaired):
    """They would be ignored."""
    touch(tmp_path, "a.tif", "other/a.tif")
    table = tmp_path / "data.csv"
    table.write_text("image,labels,target\na.tif,a.tif,a.tif\n")
    options = DataOptions(images=table, unpaired=unpaired, **{setting: tmp_path / "other"})
    column = "target" if setting == "targets" else setting
    for truth in ("image", "classes"):
        if setting == "soft" and truth == "image":
            continue
        said = rf"data\.{setting} is .*other.*data\.csv is a table.* column {column}$"
        with pytest.raises(DataError, match=said):
            training_pairs(options, truth)
    plain = options.model_copy(update={setting: None})
    assert len(training_pairs(plain, "image")) == 1 + unpaired


def test_images_alone_where_nothing_need_be_known(tmp_path):
    touch(tmp_path, "a.tif", "b.tif", "b_masks.tif")
    pairs = find_pairs(tmp_path, needs_truth=False)
    assert [(p.name, p.labels) for p in pairs] == [("a", None), ("b", None)]
    touch(tmp_path / "two", "images/a.tif", "images/b.tif", "targets/a.tif")
    found = find_pairs(tmp_path / "two", truth="image", needs_truth=False)
    assert [(p.name, p.target) for p in found] == [("a", None), ("b", None)]
    touch(tmp_path / "two", "targets/b.tif")
    found = find_pairs(tmp_path / "two", truth="image", needs_truth=False)
    assert all(p.target is not None for p in found)
    table = tmp_path / "alone.csv"
    table.write_text("image,split\na.tif,train\nb.tif,val\n")
    assert [p.split for p in find_pairs(table, truth="image", needs_truth=False)] == [
        "train",
        "val",
    ]


# Unpaired


def unpaired(folder: Path) -> Path:
    return touch(
        folder, *(f"images/{n}.tif" for n in "abc"), *(f"targets/{n}.tif" for n in ("c", "x", "y"))
    )


def test_unpaired_folders_are_two_sides(tmp_path):
    pairs = find_pairs(unpaired(tmp_path), truth="image", unpaired=True)
    assert [(p.name, p.only) for p in pairs] == [
        ("images/a", "image"),
        ("images/b", "image"),
        ("images/c", "image"),
        ("targets/c", "target"),
        ("targets/x", "target"),
        ("targets/y", "target"),
    ]
    assert pairs[3].image == tmp_path / "targets/c.tif"
    assert pairs[3].truth("image") == pairs[3].image
    assert pairs[0].truth("image") is None
    masks = find_pairs(tmp_path / "images", tmp_path / "targets", unpaired=True)
    assert [p.only for p in masks] == ["image"] * 3 + ["target"] * 3


def test_unpaired_images_of_one_name_validate_where_a_table_says_so(tmp_path):
    unpaired(tmp_path)
    table = tmp_path / "splits.csv"
    table.write_text("image,split,weight\na,train,2\nc,val,1\n")
    pairs = find_pairs(tmp_path, table=table, truth="image", unpaired=True)
    assert [(p.name, p.only, p.split, p.weight) for p in pairs] == [
        ("c", "", "val", 1.0),
        ("images/a", "image", "train", 2.0),
        ("targets/x", "target", "train", 1.0),
        ("targets/y", "target", "train", 1.0),
    ]
    assert pairs[0].target == tmp_path / "targets/c.tif"
    split = split_pairs(pairs, 0.2, 0)
    assert [p.name for p in split.val] == ["c"]
    assert len(split.train) == 3
    table.write_text("image,split\na,train\nc,val\nx,train\ny,test\n")
    pairs = find_pairs(tmp_path, table=table, truth="image", unpaired=True)
    assert [p.name for p in split_pairs(pairs, 0.2, 0).train] == ["images/a", "targets/x"]
    table.write_text("image,split\nz,train\n")
    with pytest.raises(DataError, match="'z' is not among the images"):
        find_pairs(tmp_path, table=table, truth="image", unpaired=True)


def test_masks_with_suffixes_keep_to_their_images(tmp_path):
    """A mask that validates is not also one to train with, whatever its suffix."""
    touch(tmp_path, "images/a.tif", "images/b.tif", "labels/a_masks.tif", "labels/s1.tif")
    table = tmp_path / "splits.csv"
    table.write_text("image,split\na,val\nb,train\n")
    pairs = find_pairs(tmp_path, table=table, unpaired=True)
    assert [p.name for p in pairs] == ["a", "images/b", "targets/s1"]
    assert pairs[0].labels == tmp_path / "labels/a_masks.tif"


def test_unpaired_table(tmp_path):
    touch(tmp_path, *(f"{n}.tif" for n in "abcd"))
    table = tmp_path / "data.csv"
    table.write_text("image,labels,split\na.tif,b.tif,val\nc.tif,d.tif,train\n,b.tif,train\n")
    pairs = find_pairs(table, unpaired=True)
    assert [(p.name, p.only, p.split) for p in pairs] == [
        ("a", "", "val"),
        ("images/c", "image", "train"),
        ("targets/b", "target", "train"),
        ("targets/d", "target", "train"),
    ]
    table.write_text("image,labels\n,\n")
    with pytest.raises(DataError, match="row 2 has neither image nor labels"):
        find_pairs(table, unpaired=True)
    table.write_text("image,labels,cost,soft\na.tif,b.tif,,\nc.tif,,d.tif,b.tif\n")
    with pytest.raises(DataError, match="row 3 has soft and cost, for which unpaired training"):
        find_pairs(table, unpaired=True)


def test_unpaired_files_all_train_unless_a_table_says_so(caplog):
    sides = [("image", 20), ("target", 10)]
    pairs = [Pair(f"{s}/{i}", Path(f"{s}{i}"), only=s) for s, n in sides for i in range(n)]
    with caplog.at_level(logging.INFO, "delineate"):
        split = split_pairs(pairs, 0.15, 0)
    assert split == (pairs, [])
    assert caplog.text.count("all train") == 1
    caplog.clear()
    with caplog.at_level(logging.INFO, "delineate"):
        assert split_pairs(pairs, 0, 0) == split
        split_pairs([replace(p, split="train") for p in pairs], 0.15, 0)
    assert not caplog.text


def test_each_side_is_divided_into_folds_by_itself():
    sides = [("image", 20), ("target", 10)]
    pairs = [Pair(f"{s}/{i}", Path(f"{s}{i}"), only=s) for s, n in sides for i in range(n)]
    folds = [fold_pairs(pairs, 5, m, 0) for m in range(5)]
    for part in folds:
        assert [sum(p.only == s for p in part.val) for s, _ in sides] == [4, 2]
    assert sorted(p.name for f in folds for p in f.val) == sorted(p.name for p in pairs)
    alone = [Pair("images/a", Path("a"), split="train", only="image")]
    gone = Pair("targets/b", Path("b"), split="train", weight=0, only="target")
    with pytest.raises(DataError, match="no target is left to train on"):
        split_pairs([*alone, gone], 0.2, 0)


# Movies


def test_time_points_are_images_of_their_own(tmp_path):
    movie(tmp_path / "images/m.tif", 5)
    movie(tmp_path / "targets/m.tif", 5)
    touch(tmp_path, "images/one.tif", "targets/one.tif")
    options = DataOptions(images=tmp_path, times=(3, 1))
    pairs = training_pairs(options, "image")
    assert [(p.name, p.time) for p in pairs] == [("m/t3", 3), ("m/t1", 1), ("one", None)]
    every = training_pairs(DataOptions(images=tmp_path), "image")
    assert [p.time for p in every] == [0, 1, 2, 3, 4, None]
    with pytest.raises(DataError, match=r"m\.tif: has 5 time points, 0 to 4; .* asks for 5"):
        training_pairs(DataOptions(images=tmp_path, times=(0, 5)), "image")
    with pytest.raises(DataError, match=r"data\.images is not set"):
        training_pairs(DataOptions(), "image")


def test_time_points_of_a_movie_stay_together(tmp_path):
    pairs = [Pair(f"{m}/t{t}", Path(f"{m}.tif"), time=t) for m in "abcdef" for t in range(4)]
    split = split_pairs(pairs, 0.3, 0)
    assert len(split.val) == 8
    assert {p.image for p in split.val}.isdisjoint(p.image for p in split.train)
    fold = fold_pairs(pairs, 3, 0, 0)
    assert {p.image for p in fold.val}.isdisjoint(p.image for p in fold.train)
    alone = split_pairs(pairs[:4], 0.3, 0)
    assert [p.time for p in alone.val] == [3]
    still = Pair("x", touch(tmp_path, "x.tif") / "x.tif")
    assert single_images([still], DataOptions()) == [still]


def test_an_empty_folder_is_said(tmp_path):
    (tmp_path / "images").mkdir()
    touch(tmp_path, "targets/a.tif")
    with pytest.raises(ReadError, match="no images found"):
        find_pairs(tmp_path, truth="image", unpaired=True)
