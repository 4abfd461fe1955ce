"""Consensus where nothing agrees, or nothing can but agree: what is counted, noted and refused."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.consensus import agreement, annotation, staple
from delineate.consensus.agreement import ALONE, TWO_VOTES, UNDECIDED
from delineate.errors import WriteError
from delineate.io import read, read_labels
from delineate.metrics import dice
from delineate.runs.consensus import ConsensusRun, ConsensusSettings, consensus_folder

SMALL = np.s_[2:27, 2:27]
LARGE = np.s_[30:60, 30:60]
NAMES = ("anna", "ben", "carla", "dora")


def boxes(*parts: tuple[slice, ...]) -> np.ndarray:
    """A mask of 64² with some boxes in it."""
    mask = np.zeros((64, 64), np.uint8)
    for part in parts:
        mask[part] = 1
    return mask


def fuse(
    root: Path, images: dict[str, dict[str, np.ndarray]], settings: ConsensusSettings | None = None
) -> ConsensusRun:
    """Write the masks of each image by expert, and fuse them."""
    for image, masks in images.items():
        for expert, mask in masks.items():
            path = root / "experts" / expert / f"{image}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, mask, photometric="minisblack")
    run = consensus_folder(root / "experts", root / "truth", settings)
    assert not run.failed
    return run


def rows(root: Path, name: str) -> list[dict[str, str]]:
    with (root / "truth" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def report(root: Path) -> str:
    text = (root / "truth" / "report.html").read_text(encoding="utf-8")
    return re.sub(r"(?<=;base64,)[A-Za-z0-9+/=]+", "", text)


def no_scores(row: dict[str, str], *names: str) -> bool:
    return not any(row[name] for name in ("dice", "ap50", "map", *names))


@pytest.mark.parametrize("method", ["staple", "majority"])
def test_disjoint_masks_left_undecided_are_no_perfect_agreement(
    tmp_path: Path, method: str
) -> None:
    masks = {"anna": boxes(SMALL), "ben": boxes(LARGE)}
    run = fuse(tmp_path, {"a": masks}, ConsensusSettings(method, undecided=255))
    row = rows(tmp_path, "images")[0]
    assert no_scores(row)
    assert (row["pair_dice"], row["undecided"]) == ("0.0", "1525")
    assert "no two experts share a pixel" in row["note"]
    assert "all that they drew is undecided" in row["note"]
    assert "not counted" in row["note"]
    assert "nobody drew" not in row["note"]
    labels = read_labels(tmp_path / "truth" / "labels" / "a.tif")
    assert np.array_equal(labels == 255, boxes(SMALL, LARGE) > 0)
    assert not (labels == 1).any()
    soft = read(tmp_path / "truth" / "soft" / "a.tif").numpy()
    assert np.array_equal(soft, 0.5 * boxes(SMALL, LARGE))
    for name, table in (("agreement", 2), ("experts", 2)):
        found = rows(tmp_path, name)
        assert len(found) == table
        assert all(no_scores(r, "sensitivity", "specificity") for r in found)
        assert [r["objects"] for r in found] == ["1", "1"]
    assert [(r["images"], r["compared"]) for r in rows(tmp_path, "experts")] == [("1", "0")] * 2
    assert not any("1.000" in line for line in run.lines())
    assert "not counted in 1 of 1 images" in "\n".join(run.lines())
    assert "nan" not in report(tmp_path).replace("anna", "").lower()


def test_staple_says_whose_mask_it_takes_where_nothing_agrees(tmp_path: Path) -> None:
    masks = {"anna": boxes(SMALL), "ben": boxes(LARGE)}
    assert np.array_equal(staple([*masks.values()]).classes, masks["ben"])
    fuse(tmp_path, {"a": masks})
    row = rows(tmp_path, "images")[0]
    assert "there is no agreement, and the estimate is the mask of ben" in row["note"]
    assert "the estimate is the mask of ben" in report(tmp_path)
    rules = json.loads((tmp_path / "truth" / "consensus.json").read_text())["rules"]
    assert any("STAPLE mostly takes the largest" in rule for rule in rules)
    assert "STAPLE mostly takes the largest" in report(tmp_path)
    # Of equal masks none is taken; with a class for undecided pixels all are.
    equal = {"anna": boxes(SMALL), "ben": boxes(np.s_[30:55, 30:55])}
    fuse(tmp_path / "equal", {"a": equal})
    assert "and the estimate is empty" in rows(tmp_path / "equal", "images")[0]["note"]
    fuse(tmp_path / "one", {"a": masks}, ConsensusSettings(undecided=1))
    row = rows(tmp_path / "one", "images")[0]
    assert "the estimate is made of the masks of anna and ben" in row["note"]
    assert float(row["dice"]) == pytest.approx(
        np.mean([dice(boxes(SMALL, LARGE), mask) for mask in masks.values()])
    )


def test_undecided_classes_are_those_that_were_said() -> None:
    one, other = boxes(SMALL), 2 * boxes(np.s_[20:40, 20:40])
    found = staple([one, other], 3, undecided=255)
    assert found.disjoint
    fair = found.without_winner()
    both = (one > 0) & (other > 0)
    assert fair.probability[:, both].T.tolist() == [[0, 0.5, 0.5]] * int(both.sum())
    assert np.array_equal(fair.classes == 255, (one > 0) | (other > 0))
    assert np.isnan(fair.sensitivity).all()
    other[2, 2] = 1
    assert not staple([one, other], 3).disjoint
    assert not staple([one, 0 * one]).disjoint  # nobody else drew anything to share


def test_two_equal_votes_cannot_but_agree_with_what_is_decided(tmp_path: Path) -> None:
    shifted = np.roll(boxes(LARGE), 4, 1)
    images = {"a": {"anna": boxes(LARGE), "ben": shifted}, "b": {"anna": shifted, "ben": shifted}}
    run = fuse(tmp_path, images, ConsensusSettings("majority", undecided=255))
    assert [image.agreement.uncounted for image in run.images] == [TWO_VOTES] * 2
    assert all(no_scores(r, "sensitivity") for r in rows(tmp_path, "experts"))
    pair = dice(boxes(LARGE), shifted)
    assert float(rows(tmp_path, "pairs")[0]["dice"]) == pytest.approx((pair + 1) / 2)
    # Undecided pixels that are background count against both.
    fuse(tmp_path / "zero", images, ConsensusSettings("majority"))
    found = rows(tmp_path / "zero", "agreement")[0]
    assert float(found["dice"]) == pytest.approx(dice(boxes(LARGE), boxes(LARGE) & shifted))
    assert (found["sensitivity"], found["specificity"]) == ("", "")


def test_ties_of_more_experts_are_left_out_and_the_rest_counts(tmp_path: Path) -> None:
    tie, sure, extra = np.s_[2:12, 2:12], np.s_[20:40, 20:40], np.s_[20:40, 40:45]
    masks = [boxes(tie, sure), boxes(tie, sure), boxes(sure), boxes(sure, extra)]
    images = {"a": dict(zip(NAMES, masks, strict=True))}
    # In the second image nothing but the tie was drawn by more than one.
    alone = [boxes(tie), boxes(tie), boxes(extra), boxes()]
    images["b"] = dict(zip(NAMES, alone, strict=True))
    run = fuse(tmp_path, images, ConsensusSettings("majority", undecided=255))
    first, second = rows(tmp_path, "images")
    expected = [1.0, 1.0, 1.0, 2 * 400 / (400 + 500)]
    assert float(first["dice"]) == pytest.approx(np.mean(expected))
    assert (first["undecided"], first["note"]) == ("100", "")
    assert no_scores(second)
    assert second["note"].startswith(UNDECIDED)
    summary = rows(tmp_path, "experts")
    assert [float(r["dice"]) for r in summary] == pytest.approx(expected)
    assert [(r["images"], r["compared"]) for r in summary] == [("2", "1")] * 4
    assert [r["objects"] for r in summary] == ["3", "3", "2", "1"]
    assert run.single["dora"].means["dice"].n == 1
    assert report(tmp_path).count("</title></circle>") == 4  # dots of one image


def test_nobody_drew_is_told_of_the_masks(tmp_path: Path) -> None:
    masks = {"a": dict.fromkeys(NAMES, boxes())}
    fuse(tmp_path, masks, ConsensusSettings("majority", undecided=255))
    row = rows(tmp_path, "images")[0]
    assert (row["note"], row["dice"]) == ("nobody drew anything", "1.0")


@pytest.mark.parametrize("objects", [False, True])
@pytest.mark.parametrize("method", ["staple", "majority"])
def test_an_image_of_one_expert_is_in_no_mean(tmp_path: Path, method: str, objects: bool) -> None:
    inner = np.s_[32:58, 32:58]
    images = {
        "a": {"anna": boxes(LARGE), "ben": boxes(inner), "carla": boxes(inner)},
        "b": {"anna": boxes(SMALL, LARGE)},
    }
    run = fuse(tmp_path, images, ConsensusSettings(method, objects=objects))
    assert [image.agreement.uncounted for image in run.images] == ["", ALONE]
    assert rows(tmp_path, "images")[1]["note"] == ALONE
    assert no_scores(rows(tmp_path, "images")[1])
    lone = rows(tmp_path, "agreement")[3]
    assert (lone["image"], lone["expert"], lone["objects"]) == ("b", "anna", "2")
    assert no_scores(lone, "sensitivity", "specificity")
    anna = rows(tmp_path, "experts")[0]
    assert (anna["images"], anna["compared"], anna["missing"]) == ("2", "1", "0")
    truth = read_labels(tmp_path / "truth" / "labels" / "a.tif") > 0
    assert float(anna["dice"]) == pytest.approx(dice(truth, boxes(LARGE))) != 1
    assert f"{float(anna['dice']):.3f}" in run.lines()[1]
    assert run.lines()[1].split()[1:3] == ["2", "1"]


def test_agreement_alone_and_with_ignored_pixels() -> None:
    one = annotation(boxes(SMALL))
    assert agreement([one], one).uncounted == ALONE
    assert np.isnan(agreement([one], one).mean_dice)
    nothing = annotation(boxes())
    ignore = boxes(SMALL, LARGE) > 0
    two = [one, annotation(boxes(LARGE))]
    found = agreement(two, nothing, ignore)
    assert (found.uncounted, found.drawn, found.disjoint) == (UNDECIDED, (1, 1), True)
    assert agreement([nothing, nothing], nothing, ignore).mean_dice == 1


@pytest.mark.parametrize(
    ("out", "images", "experts"),
    [
        ("images", "images", ["experts"]),
        ("images", "images/*.tif", ["experts"]),
        ("experts", None, ["experts"]),
        ("experts/anna", None, ["experts"]),
        ("experts/anna", None, ["experts/anna", "experts/ben"]),
        ("experts/anna/../ben", None, ["experts/anna", "experts/ben"]),
        ("data", None, ["data/labels", "data/soft"]),
    ],
)
def test_results_are_not_written_among_masks_and_images(
    tmp_path: Path, out: str, images: str | None, experts: list[str]
) -> None:
    for folder in ("images", "experts/anna", "experts/ben", "data/labels", "data/soft"):
        path = (
            tmp_path / folder / "sub" / "a.tif" if "anna" in folder else tmp_path / folder / "a.tif"
        )
        path.parent.mkdir(parents=True)
        tifffile.imwrite(path, boxes(SMALL))
    (tmp_path / "experts/ben/sub").mkdir()
    tifffile.imwrite(tmp_path / "experts/ben/sub/a.tif", boxes(SMALL))
    tifffile.imwrite(tmp_path / "images" / "b.tif", boxes(SMALL))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WriteError, match="choose another folder"):
        consensus_folder(
            [tmp_path / e for e in experts], tmp_path / out,
            images=None if images is None else str(tmp_path / images), overwrite=True,
        )  # fmt: skip
    assert sorted(tmp_path.rglob("*")) == before


def test_results_beside_and_within_are_welcome(tmp_path: Path) -> None:
    for folder in ("experts/anna", "experts/ben", "images"):
        (tmp_path / folder).mkdir(parents=True)
        tifffile.imwrite(tmp_path / folder / "a.tif", boxes(SMALL))
    for out in (tmp_path, tmp_path / "experts" / "truth", tmp_path / "images" / "truth"):
        for _ in range(2):  # the results of the first are no masks and images of the second
            run = consensus_folder(tmp_path / "experts", out, images=tmp_path / "images")
            assert run.experts == ("anna", "ben")
            assert len(run.images) == 1
