"""How training images are found beside their labels, and split."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from delineate.data.layouts import Pair, find_pairs
from delineate.data.splits import split_pairs
from delineate.errors import DataError, ReadError

BLANK = np.zeros((8, 8), np.uint8)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, BLANK)
        else:
            tifffile.imwrite(path, BLANK)
    return folder


# Layouts


def test_two_folders_pair_by_name_sub_folders_included(tmp_path):
    root = touch(
        tmp_path, "images/b.tif", "images/day 2/a.tif", "labels/b_masks.tif", "labels/day 2/a.tif"
    )
    pairs = find_pairs(root)
    assert [p.name for p in pairs] == ["b", "day 2/a"]
    assert pairs[0].labels == root / "labels/b_masks.tif"
    assert pairs[1].labels == root / "labels/day 2/a.tif"
    assert pairs[0].classes is None


def test_classes_beside_labels_are_found(tmp_path):
    root = touch(tmp_path, "images/a.tif", "labels/a.tif", "classes/a.tif")
    assert find_pairs(root)[0].classes == root / "classes/a.tif"
    touch(tmp_path, "images/b.tif", "labels/b.tif")
    with pytest.raises(DataError, match=r"b\.tif: no image of classes"):
        find_pairs(root)


def test_folders_given_apart(tmp_path):
    touch(tmp_path, "x/a.tif", "y/a.npy")
    pairs = find_pairs(tmp_path / "x", tmp_path / "y")
    assert [(p.name, p.labels) for p in pairs] == [("a", tmp_path / "y/a.npy")]
    with pytest.raises(DataError, match="no such folder"):
        find_pairs(tmp_path / "x", tmp_path / "nowhere")


def test_one_folder_with_suffixes_as_cellpose_leaves_it(tmp_path):
    touch(tmp_path, "a.tif", "a_cp_masks.tif", "a_seg.npy", "b_label.tif", "b.tif")
    pairs = find_pairs(tmp_path)
    assert [(p.name, p.labels.name) for p in pairs] == [
        ("a", "a_cp_masks.tif"),
        ("b", "b_label.tif"),
    ]


def test_table_of_images_and_labels(tmp_path):
    touch(tmp_path, "in/a.tif", "in/b.tif", "out/1.tif", "out/2.tif")
    table = tmp_path / "data.csv"
    table.write_text(
        "﻿image,labels,split,weight\nin/a.tif,out/1.tif,train,2.5\nin/b.tif,out/2.tif,val,\n",
        encoding="utf-8",
    )
    a, b = find_pairs(table)
    assert (a.name, a.labels, a.split, a.weight) == ("in/a", tmp_path / "out/1.tif", "train", 2.5)
    assert (b.split, b.weight) == ("val", 1.0)


def test_split_table_leaves_images_out(tmp_path):
    touch(tmp_path, *(f"{kind}/{n}.tif" for kind in ("images", "labels") for n in "abc"))
    table = tmp_path / "splits.csv"
    table.write_text("image,split\na,train\nb,val\n")
    assert [(p.name, p.split) for p in find_pairs(tmp_path, table=table)] == [
        ("a", "train"),
        ("b", "val"),
    ]
    table.write_text("image,split\na.tif,train\n")
    with pytest.raises(DataError, match=r"'a\.tif' is not among the images.*such as 'a'"):
        find_pairs(tmp_path, table=table)


@pytest.mark.parametrize(
    "rows", ["a,train,1\nb,val,2\n", "a,,\nb,,\n", "a,train,\nb,val,\nc,test,\n"]
)
def test_nothing_need_be_known_of_images_that_a_split_table_leaves_out(tmp_path, rows):
    touch(tmp_path, "images/a.tif", "images/b.tif", "images/c.tif")
    kinds = ("labels", "cost", "classes", "soft")
    touch(tmp_path, *(f"{kind}/{n}.tif" for kind in kinds for n in "ab"))
    table = tmp_path / "splits.csv"
    table.write_text(f"image,split,weight\n{rows}")
    pairs = {p.name: p for p in find_pairs(tmp_path, table=table)}
    assert ("c" in pairs) is ("test" in rows)
    for name in "ab":
        assert set(pairs[name].drawn) == {tmp_path / kind / f"{name}.tif" for kind in kinds}
    split = split_pairs(list(pairs.values()), 0.5, 0)
    assert sorted(p.name for part in split for p in part) == ["a", "b"]
    for lost, what in (("cost", "cost map"), ("labels", "labels"), ("classes", "image of classes")):
        (tmp_path / lost / "b.tif").rename(tmp_path / "away.tif")
        with pytest.raises(DataError, match=rf"no {what}"):
            find_pairs(tmp_path, table=table)
        (tmp_path / "away.tif").rename(tmp_path / lost / "b.tif")
    with pytest.raises(DataError, match=r"c\.tif: no image of classes"):
        find_pairs(tmp_path)


def test_images_left_out_do_not_take_labels_from_the_others(tmp_path):
    """Where nothing need be known, labels are used if all images that are used have them."""
    touch(tmp_path, *(f"images/{n}.tif" for n in "abc"), "labels/a.tif", "labels/b.tif")
    table = tmp_path / "splits.csv"
    for rows, names in (("a,train\nb,val\n", "ab"), ("a,train\nb,val\nc,train\n", "")):
        table.write_text(f"image,split\n{rows}")
        pairs = find_pairs(tmp_path, table=table, needs_truth=False)
        assert "".join(p.name for p in pairs if p.labels) == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("picture,labels\na.tif,a.tif\n", "no column image; it has picture, labels"),
        ("", "no column image, labels; it has no columns"),
        ("image,labels\n", "no rows"),
        ("image,labels\na.tif,\n", "row 2 has nothing in column labels"),
        ("image,labels\na.tif,lost.tif\n", "lost.tif does not exist"),
        ("image,labels,weight\na.tif,a.tif,heavy\n", "weight 'heavy' of a.tif"),
        ("image,labels,weight\na.tif,a.tif,-1\n", "weight '-1' of a.tif"),
        ("image,labels,weight\na.tif,a.tif,nan\n", "weight 'nan' of a.tif"),
        ("image,labels\na.tif,a.tif\na.npy,a.tif\n", "two images are called 'a'"),
        (b"image,labels\n\xff\xfe,a.tif\n", "cannot be read as a CSV table"),
    ],
)
def test_wrong_tables(tmp_path, content, message):
    touch(tmp_path, "a.tif", "a.npy")
    table = tmp_path / "data.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        find_pairs(table)
    assert "data.csv" in str(caught.value) or "called 'a'" in str(caught.value)


def test_split_table_that_is_missing(tmp_path):
    touch(tmp_path, "images/a.tif", "labels/a.tif")
    with pytest.raises(DataError, match=r"lost\.csv: cannot be read"):
        find_pairs(tmp_path, table=tmp_path / "lost.csv")


def test_nothing_found_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match="there is no such file or folder"):
        find_pairs(tmp_path / "lost")
    with pytest.raises(DataError, match=r"a\.tif: expected a folder or a CSV table"):
        find_pairs(touch(tmp_path / "one", "a.tif") / "a.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="no images found"):
        find_pairs(tmp_path / "empty")
    with pytest.raises(DataError, match=r"no labels found.*images/ and labels/.*_masks.*CSV"):
        find_pairs(touch(tmp_path / "bare", "a.tif", "b.tif"))


def test_images_without_labels_are_named(tmp_path):
    touch(tmp_path / "two", "images/a.tif", "images/b.tif", "labels/a.tif")
    with pytest.raises(DataError, match=r"1 images .* have no labels .* first is b\.tif"):
        find_pairs(tmp_path / "two")
    touch(tmp_path / "one", "a.tif", "a_masks.tif", "b.tif")
    with pytest.raises(DataError, match=r"1 images have no labels, the first is b\.tif"):
        find_pairs(tmp_path / "one")


# Splits


@given(n=st.integers(1, 60), fraction=st.floats(0, 0.99), seed=st.integers(0, 2**32 - 1))
def test_random_splits_share_nothing_and_repeat(n, fraction, seed):
    pairs = [Pair(str(i), Path(f"{i}.tif")) for i in range(n)]
    split = split_pairs(pairs, fraction, seed)
    names = [p.name for part in split for p in part]
    assert sorted(names) == sorted(p.name for p in pairs)
    assert split == split_pairs(pairs, fraction, seed)
    assert split.train
    assert bool(split.val) == (fraction > 0 and n > 1)
    if n > 20:
        assert abs(len(split.val) - fraction * n) <= 1


def test_another_seed_draws_another_split():
    pairs = [Pair(str(i), Path(f"{i}.tif")) for i in range(40)]
    assert split_pairs(pairs, 0.3, 0).val != split_pairs(pairs, 0.3, 1).val


@pytest.mark.parametrize("seed", [0, 1])
def test_the_end_of_a_single_movie_validates_and_whole_ones_of_several(seed):
    """Neighbouring time points are alike: drawn among each other they would be no test."""
    one = [Pair(f"a/t{t}", Path("a.tif"), time=t) for t in range(8)]
    assert [p.time for p in split_pairs(one, 0.25, seed).val] == [6, 7]
    others = [Pair(f"b/t{t}", Path("b.tif"), time=t) for t in range(8)]
    both = split_pairs([*one, *others], 0.25, seed)
    assert [len({p.image for p in part}) for part in both] == [1, 1]
    assert len(both.val) == 8


def test_a_single_image_trains_and_the_log_says_so(caplog):
    with caplog.at_level(logging.WARNING, "delineate"):
        split = split_pairs([Pair("cell", Path("cell.tif"))], 0.15, 0)
    assert [p.name for p in split.train] == ["cell"]
    assert not split.val
    assert "cell is the only labelled image" in caplog.text


def test_splits_of_a_table_decide():
    pairs = [
        Pair(n, Path(n), split=s) for n, s in zip("abcd", ("val", "train", "test", ""), strict=True)
    ]
    split = split_pairs(pairs, 0.5, 0)
    assert [p.name for p in split.train] == ["b"]
    assert [p.name for p in split.val] == ["a"]
    with pytest.raises(DataError, match="no image has the split 'train'; found 'test', 'val'"):
        split_pairs([pairs[0], pairs[2]], 0.5, 0)


def test_images_of_no_weight_are_refused():
    with pytest.raises(DataError, match="weight 0"):
        split_pairs([Pair("a", Path("a"), split="train", weight=0.0)], 0.5, 0)
