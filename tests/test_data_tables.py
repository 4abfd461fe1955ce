"""Tables of splits: which rows are wrong, which words leave images out, what need not be there."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.data.folds import fold_pairs
from delineate.data.layouts import find_pairs, training_pairs
from delineate.data.options import DataOptions
from delineate.data.splits import split_pairs
from delineate.errors import DataError


def dataset(folder: Path, names: str) -> Path:
    for name in names:
        for room in ("images", "labels"):
            (folder / room).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / room / f"{name}.tif", np.zeros((8, 8), np.uint8))
    return folder


def table_of(folder: Path, *rows: str, head: str = "image,split") -> Path:
    file = folder / "table.csv"
    file.write_text("\n".join([head, *rows, ""]))
    return file


@pytest.mark.parametrize("unpaired", [False, True])
@pytest.mark.parametrize("rows", [("a,train", "b,train", "a,val"), ("a,train", "b,val", "a,train")])
def test_an_image_named_twice_is_refused(tmp_path, rows, unpaired):
    table = table_of(dataset(tmp_path, "ab"), *rows)
    with pytest.raises(DataError, match=r"table\.csv: rows 2 and 4 both name image 'a'"):
        find_pairs(tmp_path, table=table, unpaired=unpaired)


def test_splits_are_read_whatever_their_case(tmp_path):
    table = table_of(dataset(tmp_path, "abcd"), "a,Train", "b, TRAIN ", "c,Val", "d,train")
    pairs = find_pairs(tmp_path, table=table)
    train, val = split_pairs(pairs, 0.5, 0)
    assert ([p.name for p in train], [p.name for p in val]) == (["a", "b", "d"], ["c"])
    folds = [fold_pairs(pairs, 2, member, 0).val for member in (0, 1)]
    assert sorted(p.name for fold in folds for p in fold) == list("abcd")
    own = tmp_path / "own.csv"
    words = {"a": "TRAIN", "b": "train", "c": "VAL"}
    rows = [f"images/{n}.tif,labels/{n}.tif,{w}" for n, w in words.items()]
    own.write_text("\n".join(["image,labels,split", *rows]))
    assert [p.split for p in find_pairs(own)] == ["train", "train", "val"]
    assert next((p.name, p.split) for p in find_pairs(own, unpaired=True)) == ("images/c", "val")


def test_images_that_a_word_leaves_out_are_told(tmp_path, caplog):
    dataset(tmp_path, "abcdefg")
    rows = ("a,train", "b,val", "c,Trian", "d,Trian", "e,", "f,test", "g,Test")
    options = DataOptions(images=tmp_path, table=table_of(tmp_path, *rows))
    with caplog.at_level(logging.INFO, "delineate"):
        train, val = split_pairs(training_pairs(options, "objects"), 0.5, 0)
    assert [p.name for p in (*train, *val)] == ["a", "b"]
    told = {r.getMessage(): r.levelname for r in caplog.records if "left out" in r.message}
    aside = "(the splits that are used are train and val)"
    assert told == {
        f"2 images are left out: split 'Trian' {aside}": "WARNING",
        f"1 image is left out: no split {aside}": "WARNING",
        f"1 image is left out: split 'test' {aside}": "INFO",
        f"1 image is left out: split 'Test' {aside}": "INFO",
    }
    caplog.clear()
    weights = table_of(tmp_path, "a,,2", "b,,1", head="image,split,weight")
    with caplog.at_level(logging.INFO, "delineate"):
        training_pairs(DataOptions(images=tmp_path, table=weights), "objects")
    assert "left out" not in caplog.text


def test_images_left_out_are_not_opened(tmp_path):
    dataset(tmp_path, "abc")
    (tmp_path / "images" / "c.tif").write_bytes(b"no image")
    (tmp_path / "images" / "b.tif").write_bytes(b"no image")
    table = table_of(tmp_path, "a,train", "b,test")
    pairs = training_pairs(DataOptions(images=tmp_path, table=table), "objects")
    assert [p.name for p in split_pairs(pairs, 0.5, 0).train] == ["a"]


def test_rows_of_files_that_are_left_out_need_not_be_complete(tmp_path):
    dataset(tmp_path, "ab")
    files = tmp_path / "files.csv"
    rows = ["images/a.tif,labels/a.tif", "images/b.tif,", "images/c.tif,labels/none.tif"]
    files.write_text("\n".join(["image,labels", *rows]))
    table = table_of(tmp_path, "images/a,train", "images/b,test")
    pairs = training_pairs(DataOptions(images=files, table=table), "objects")
    assert [(p.name, p.split) for p in pairs] == [("images/a", "train"), ("images/b", "test")]
    table = table_of(tmp_path, "images/a,train", "images/b,val")
    with pytest.raises(DataError, match=r"files\.csv: row 3 has nothing in column labels"):
        find_pairs(files, table=table)
    table = table_of(tmp_path, "images/a,train", "images/c,val")
    with pytest.raises(DataError, match=r"files\.csv: .*c\.tif does not exist"):
        find_pairs(files, table=table)
    own = zip(rows, ("train", "test", "none"), strict=True)
    files.write_text("\n".join(["image,labels,split", *(f"{row},{word}" for row, word in own)]))
    assert [p.split for p in find_pairs(files)] == ["train", "test", "none"]
    files.write_text("\n".join(["image,labels,split", f"{rows[0]},train", f"{rows[1]},val"]))
    with pytest.raises(DataError, match=r"row 3 has nothing in column labels"):
        find_pairs(files)
    files.write_text("\n".join(["image,labels,split", f"{rows[0]},train", ",,test"]))
    with pytest.raises(DataError, match=r"row 3 has nothing in column image"):
        find_pairs(files)
