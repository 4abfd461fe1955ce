"""Files of one folder, told apart by tags or suffixes: what lacks, and what is used by nothing."""

from __future__ import annotations

import logging

import pytest

from blank_files import touch
from delineate.data.layouts import find_pairs
from delineate.errors import DataError


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        (("a_IM.tif", "a_GT.tif", "a_CM.tif", "f_IM.tif", "f_GT.tif"), "f_CM.tif"),
        (
            ("day 2/a_IM.tif", "day 2/a_GT.tif", "day 2/a_CM.tif", "f_IM.tif", "f_GT.tif"),
            "f_CM.tif",
        ),
        (("a.tif", "a_target.tif", "a_cost.tif", "f.tif", "f_target.tif"), "f_cost.tif"),
    ],
)
def test_a_cost_map_that_lacks_is_expected_beside_its_image(tmp_path, names, lacking):
    touch(tmp_path, *names)
    said = rf"f(_IM)?\.tif: no cost map of this name beside it: expected {lacking}$"
    with pytest.raises(DataError, match=said) as caught:
        find_pairs(tmp_path, truth="image")
    assert str(tmp_path / "cost") not in str(caught.value)
    touch(tmp_path, lacking)
    assert all(p.cost is not None for p in find_pairs(tmp_path, truth="image"))


def test_folders_that_are_there_are_named(tmp_path):
    touch(tmp_path, "images/a.tif", "images/b.tif", "targets/a.tif", "targets/b.tif", "cost/a.tif")
    with pytest.raises(DataError, match=r"b\.tif: no cost map of this name in .*cost$"):
        find_pairs(tmp_path, truth="image")
    with pytest.raises(DataError, match=r"no cost map of this name in .*other$"):
        touch(tmp_path, "other/b.tif")
        find_pairs(tmp_path, cost=tmp_path / "other", truth="image")
    touch(tmp_path / "flat", "f_IM.tif", "f_GT.tif")
    with pytest.raises(DataError, match=r"f_IM\.tif: no cost map of this name in .*other$"):
        find_pairs(tmp_path / "flat", cost=tmp_path / "other", truth="image")


def test_files_that_no_tag_or_no_image_uses_are_told(tmp_path, caplog):
    own = ("a_IM.tif", "a_GT.tif", "a_CM.tif", "b_IM.tif", "b_GT.tif", "b_CM.tif")
    touch(tmp_path, *own, "c.tif", "d_GT.tif", "e_CM.tif", "f_GT.tif", "notes/g.tif")
    with caplog.at_level(logging.WARNING, "delineate"):
        pairs = find_pairs(tmp_path, truth="image")
    assert [p.name for p in pairs] == ["a", "b"]
    assert len(caplog.messages) == 2
    assert "files without _IM or _GT or _CM: 2, the first is c.tif" in caplog.messages[0]
    assert "files of no image (which would end in _IM): 3" in caplog.messages[1]
    assert "the first is d_GT.tif" in caplog.messages[1]
    assert all(str(tmp_path) in text for text in caplog.messages)


def test_files_of_unpaired_sides_need_no_image(tmp_path, caplog):
    touch(tmp_path, "a_IM.tif", "d_GT.tif", "e_GT.tif", "c.tif")
    with caplog.at_level(logging.WARNING, "delineate"):
        pairs = find_pairs(tmp_path, truth="image", unpaired=True)
    assert [p.name for p in pairs] == ["images/a", "targets/d", "targets/e"]
    assert len(caplog.messages) == 1
    assert "files without _IM or _GT or _CM: 1, the first is c.tif" in caplog.text


def test_complete_folders_tell_nothing(tmp_path, caplog):
    touch(tmp_path / "tags", "a_IM.tif", "a_GT.tif", "a_CM.tif")
    touch(tmp_path / "suffixes", "a.tif", "a_target.tif", "a_masks.tif")
    with caplog.at_level(logging.WARNING, "delineate"):
        for kind in ("tags", "suffixes"):
            find_pairs(tmp_path / kind, truth="image")
    assert not caplog.messages
