"""Masks that look inverted: found by the sign of their correlation, told in table and report."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from delineate.cli import main
from delineate.consensus import agreement, annotation
from delineate.consensus.inverted import inverted
from delineate.runs.consensus import ConsensusRun, consensus_folder

SHAPE = (80, 90)


def blobs(seed: int, level: float = 1.5) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 4)
    return noise > level * noise.std()


def drawn(n: int, level: float = 1.5) -> list[np.ndarray]:
    """What `n` experts drew of the same: moved by a pixel or two."""
    truth = blobs(0, level)
    return [np.roll(truth, (k % 3, k // 3), (0, 1)) for k in range(n)]


def places(*masks: np.ndarray) -> list[int]:
    found = agreement([annotation(m) for m in masks], annotation(masks[0]))
    return [i.expert for i in inverted(found, masks[0].size)]


@pytest.mark.parametrize("level", [1.5, 0.5, -0.5, -1.5])
@pytest.mark.parametrize("n", [3, 5])
def test_an_inverted_mask_is_found_and_a_right_one_is_not(n: int, level: float) -> None:
    masks = drawn(n, level)
    assert places(*masks) == []
    for k in range(n):
        assert places(*masks[:k], ~masks[k], *masks[k + 1 :]) == [k]


def test_of_two_masks_that_which_marks_more_is_asked_about() -> None:
    one, two = drawn(2)
    assert places(one, two) == []
    assert places(one, ~two) == [1]
    assert places(~one, two) == [0]


def test_two_of_five_inverted_masks_and_an_empty_one() -> None:
    masks = drawn(5)
    assert places(masks[0], ~masks[1], masks[2], ~masks[3], masks[4]) == [1, 3]
    assert places(np.zeros(SHAPE, bool), masks[0], masks[1], ~masks[2]) == [3]


def test_what_is_only_elsewhere_is_not_inverted() -> None:
    left, right = np.zeros((2, *SHAPE), bool)
    left[:, :40], right[:, 50:] = True, True
    assert places(left, left, right) == []
    assert places(left, right) == []
    assert places(*drawn(3), blobs(7)) == []
    assert places(drawn(1)[0]) == []


def test_a_mask_of_the_whole_image_is_an_empty_one_inverted() -> None:
    whole, nothing = np.ones(SHAPE, bool), np.zeros(SHAPE, bool)
    assert places(whole, *drawn(2)) == [0]
    assert places(nothing, nothing, whole) == [2]
    assert places(whole, whole, ~blobs(0)) == []
    assert places(whole, whole) == []


def fuse(root: Path, turned: str) -> ConsensusRun:
    for expert, mask in zip(("anna", "ben", "carla"), drawn(3), strict=True):
        (root / "experts" / expert).mkdir(parents=True)
        mask = ~mask if expert == turned else mask
        tifffile.imwrite(root / "experts" / expert / "a.tif", mask.astype(np.uint8))
    return consensus_folder(root / "experts", root / "truth")


def test_table_report_and_command_tell(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = fuse(tmp_path, "ben")
    assert run.remarks == (
        "masks of ben look inverted in 1 of 1 images; mend them before you use the result",
    )
    text = (tmp_path / "truth" / "report.html").read_text(encoding="utf-8")
    assert "masks of ben look inverted" in text
    with (tmp_path / "truth" / "images.csv").open(newline="", encoding="utf-8") as file:
        note = next(csv.DictReader(file))["note"]
    assert note.startswith("the mask of ben (9")
    assert note.endswith("): is it inverted?")
    with pytest.raises(SystemExit) as status:
        main(["consensus", str(tmp_path / "experts"), "-o", str(tmp_path / "truth")])
    assert not status.value.code
    printed = capfd.readouterr().err
    assert "note: masks of ben look inverted in 1 of 1 images" in printed
    assert "notes on 1 image: see " in printed


def test_masks_as_they_should_be_have_no_note(tmp_path: Path) -> None:
    run = fuse(tmp_path, "nobody")
    assert run.remarks == ()
    assert run.images[0].note == ""
