"""A file of truth: ids, a mask, or a mask with pixels that its consensus left undecided."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from delineate.consensus.true_objects import TrueObjects, true_objects
from delineate.errors import LabelError

MASK = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1]], np.uint8)
PARTS = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [2, 0, 0, 3]])
"""Of `MASK`: two pixels that meet at a corner are one part."""
UNDECIDED = np.where(np.arange(4)[:, None] == 2, 255, MASK).astype(np.uint8)


def consensus(folder: Path, **settings: object) -> Path:
    """A folder with the record of a consensus; the path of a label file in it."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {"classes": None, "undecided": 0, "objects": False, **settings}
    (folder / "consensus.json").write_text(json.dumps({"settings": known}))
    return folder / "labels" / "a.tif"


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_the_parts_of_a_mask_are_its_objects(tmp_path, caplog, white):
    pixels = MASK.astype(np.uint16) * np.uint16(white)
    with caplog.at_level(logging.INFO, "delineate"):
        meant = true_objects(pixels, tmp_path / "a.tif")
    assert meant == TrueObjects(white, None)
    np.testing.assert_array_equal(meant.objects(pixels), PARTS)
    assert not meant.left_out(pixels).any()
    assert caplog.messages == ["a.tif: a mask, whose connected parts are the objects"]


@pytest.mark.parametrize("pixels", [7 * MASK, PARTS, 0 * MASK, PARTS * 85])
def test_other_numbers_are_ids(tmp_path, caplog, pixels):
    with caplog.at_level(logging.INFO, "delineate"):
        meant = true_objects(pixels, tmp_path / "a.tif")
    assert meant == TrueObjects(None, None)
    assert meant.objects(pixels) is pixels
    assert not caplog.messages


def test_the_times_of_a_file_are_understood_alike(tmp_path):
    movie = np.stack([MASK, 2 * MASK])
    np.testing.assert_array_equal(true_objects(movie, tmp_path / "a.tif").objects(movie[0]), MASK)


@pytest.mark.parametrize("third", [255, 65535])
def test_a_third_value_of_a_mask_is_no_second_object(tmp_path, third):
    pixels = np.where(UNDECIDED == 255, np.uint16(third), MASK)
    with pytest.raises(LabelError) as caught:
        true_objects(pixels, tmp_path / "a.tif")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'a.tif'}: holds 0, 1 and {third}")
    for advice in ("consensus.json", "without --undecided", f"--method.ignore {third}"):
        assert advice in text


@pytest.mark.parametrize("value", [255, 2, 128])
@pytest.mark.parametrize("place", ["labels/a.tif", "labels/plate 1/b/a.tif", "a.tif", "gt/a.tif"])
def test_the_record_of_a_consensus_tells_what_is_undecided(tmp_path, value, place):
    consensus(tmp_path, undecided=value)
    pixels = np.where(UNDECIDED == 255, value, MASK).astype(np.uint8)
    meant = true_objects(pixels, tmp_path / place)
    assert meant == TrueObjects(1, value)
    np.testing.assert_array_equal(meant.objects(pixels), PARTS)
    np.testing.assert_array_equal(meant.left_out(pixels), UNDECIDED == 255)
    found = np.full((4, 4), 9, np.uint16)
    truth, other = meant.beside(pixels, found)
    np.testing.assert_array_equal(truth, PARTS)
    np.testing.assert_array_equal(other, np.where(UNDECIDED == 255, 0, 9))
    assert meant.beside(pixels, found[:2])[1].shape == (2, 4)
    expert, own = meant.beside(pixels, 255 - MASK * np.uint8(255), TrueObjects(255))
    np.testing.assert_array_equal(expert, PARTS)
    assert not own[2].any()


def test_nothing_but_undecided_pixels_is_no_object(tmp_path):
    path = consensus(tmp_path, undecided=255)
    pixels = 255 * MASK
    meant = true_objects(pixels, path)
    assert not meant.objects(pixels).any()
    np.testing.assert_array_equal(meant.left_out(pixels), MASK > 0)


def test_a_record_says_nothing_of_files_of_ids(tmp_path):
    path = consensus(tmp_path, undecided=255)
    pixels = np.arange(256, dtype=np.uint16)[:, None] * np.ones((1, 3), np.uint16)
    assert true_objects(pixels, path) == TrueObjects(None, None)
    path = consensus(tmp_path / "objects", undecided=0, objects=True, classes=3)
    assert true_objects(PARTS, path) == TrueObjects(None, None)
    elsewhere = tmp_path / "other" / "far" / "labels" / "a.tif"
    with pytest.raises(LabelError, match="undecided"):
        true_objects(UNDECIDED, elsewhere)


def test_a_link_to_the_labels_of_a_consensus_is_followed(tmp_path):
    consensus(tmp_path / "truth", undecided=255)
    (tmp_path / "truth" / "labels").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "labels").symlink_to(tmp_path / "truth" / "labels")
    meant = true_objects(UNDECIDED, tmp_path / "data" / "labels" / "a.tif")
    assert meant == TrueObjects(1, 255)


def test_a_new_record_takes_the_place_of_the_old_one(tmp_path):
    path = consensus(tmp_path, undecided=255)
    assert true_objects(UNDECIDED, path).undecided == 255
    consensus(tmp_path, undecided=254)
    with pytest.raises(LabelError, match="holds 0, 1 and 255"):
        true_objects(UNDECIDED, path)


def test_classes_of_a_consensus_are_no_objects(tmp_path):
    path = consensus(tmp_path, classes=3, undecided=255)
    for pixels in (MASK, MASK * 2, np.where(UNDECIDED == 255, 255, 2 * MASK)):
        with pytest.raises(LabelError) as caught:
            true_objects(pixels, path)
        assert str(path) in str(caught.value)
        assert "--method.classes 3 --method.ignore 255" in str(caught.value)
    assert true_objects(PARTS, path) == TrueObjects(None, None)
    assert true_objects(0 * MASK, path) == TrueObjects(None, None)


@pytest.mark.parametrize("text", ["", "[]", '{"settings": 3}', '{"settings": {"undecided": "x"}}'])
def test_a_record_that_is_none_is_passed_over(tmp_path, text):
    (tmp_path / "consensus.json").write_text(text)
    assert true_objects(MASK, tmp_path / "labels" / "a.tif") == TrueObjects(1, None)
