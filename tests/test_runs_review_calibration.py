"""A review with truth tells whether the probabilities of a run come true, in all that it writes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from delineate.errors import ReadError
from delineate.image import Image
from delineate.inference.decode import decode_posterior
from delineate.inference.posterior import Posterior
from delineate.io import ImageFile
from delineate.methods.base import Method
from delineate.methods.flows import Flows
from delineate.methods.segmentation import Segmentation
from delineate.methods.semantic import Semantic
from delineate.recipe import Recipe
from delineate.review.report import write_report
from delineate.runs.folder import RunFolder
from delineate.runs.outputs import Outputs
from delineate.runs.review import review_folder
from delineate.uncertainty import Reliability
from domes import domes
from test_review_report import Page

SHAPE = (24, 60)
SURE = {"a": (0.95, 0.65), "b": (0.85, 0.65)}
"""What the two squares of each image state."""
RANKING = "review-ranking.csv"


def squares(*ids: int) -> np.ndarray:
    """Squares of 10 × 10 in their places, 1 on the left."""
    pixels = np.zeros(SHAPE, np.uint8)
    for number in ids:
        pixels[6:16, 20 * number - 16 : 20 * number - 6] = number
    return pixels


def stated(sure: tuple[float, ...], classes: int = 2) -> np.ndarray:
    """Maps of classes: background is stated with 0.9, square k with `sure`, of class 1, 2, 1 …"""
    maps = np.full((classes, *SHAPE), 0.1 / (classes - 1), np.float32)
    maps[0] = 0.9
    for k, p in enumerate(sure):
        inside = squares(k + 1) > 0
        maps[:, inside] = (1 - p) / (classes - 1)
        maps[1 + k % (classes - 1), inside] = p
    return maps


def write_run(
    folder: Path,
    maps: dict[str, np.ndarray],
    method: Method,
    axes: str = "YX",
    outputs: Outputs | None = None,
    draws: int = 1,
    by_plane: bool = False,
) -> Path:
    """A run of these maps."""
    run, records = RunFolder(folder / "run", {"axes": None}, outputs or Outputs(maps=True)), []
    for name, own in maps.items():
        pixels = np.zeros(own.shape[1:], np.uint8)
        file = folder / "images" / f"{name}.tif"
        file.parent.mkdir(exist_ok=True)
        tifffile.imwrite(file, pixels, metadata={"axes": axes})
        spread = None
        if draws > 1:  # that all were alike
            assert isinstance(method, Segmentation)
            spread = method.moments(torch.from_numpy(own)[None])[0].numpy()
        posterior = Posterior(own, spread, draws, by_plane=by_plane)
        found = decode_posterior(posterior, Image(pixels, axes), method)
        records.append(run.write(ImageFile(file, name), replace(found, posterior=posterior), 0.1))
    recipe = Recipe.build({"method": method.model_dump()})
    facts = {"model": {"name": "m"}, "seed": 3, "recipe": recipe.model_dump(mode="json")}
    run.finish(records, 1.0, facts)
    return folder / "run"


def write_truth(folder: Path, truth: dict[str, np.ndarray], axes: str = "YX") -> Path:
    (folder / "truth").mkdir()
    for name, own in truth.items():
        tifffile.imwrite(folder / "truth" / f"{name}.tif", own, metadata={"axes": axes})
    return folder / "truth"


def facts(run: Path) -> dict[str, Any]:
    found = json.loads((run / "run.json").read_text())["review"]["truth"].get("calibration", {})
    return dict(found)


def ranking(run: Path) -> dict[str, dict[str, str]]:
    with (run / RANKING).open(newline="") as file:
        return {row["measure"]: row for row in csv.DictReader(file)}


def test_errors_computed_by_hand_stand_in_all_that_is_written(tmp_path: Path) -> None:
    """Of four squares the truth has three; one pixel in ten of the background is of a square."""
    run = write_run(tmp_path, {n: stated(s) for n, s in SURE.items()}, Semantic(min_size=0))
    truth = {"a": squares(1, 2), "b": squares(2)}
    wrong = np.flatnonzero((squares(1, 2) == 0).ravel())[::10]
    for own in truth.values():
        own.ravel()[wrong] = 1
        own[own > 0] = 1
    assert {int((own > 0).sum()) for own in truth.values()} == {200 + len(wrong), 100 + len(wrong)}
    found = review_folder(run, truth=write_truth(tmp_path, truth))
    # Objects: 0.95 is right, 0.85 is wrong, of the two with 0.65 both are right. The many single
    # pixels of the truth touch the squares of it, but take little from their IoU.
    objects = facts(run)["objects"]
    by_hand = (abs(0.95 - 1) + abs(0.85 - 0) + abs(1.3 - 2)) / 4
    assert Reliability.from_dict(objects).ece == pytest.approx(by_hand, abs=1e-6)
    assert objects["ece"][0] == pytest.approx(by_hand, abs=1e-6)
    assert objects["ece"][3:] == [2, 0.95]
    assert objects["overconfidence"][0] == pytest.approx((0.95 + 0.85 + 1.3 - 3) / 4, abs=1e-6)
    # Pixels: 1240 of background in each image state 0.9, squares what they state.
    n, missed = 1240, len(wrong)
    gaps = abs(0.9 * 2 * n - 2 * (n - missed)) + 100 * (0.05 + 0.85 + 0.7)
    pixels = facts(run)["pixels"]
    # 0.85 and 0.9 are in one of 15 bins.
    together = abs(0.9 * 2 * n + 85 - 2 * (n - missed))
    assert gaps != pytest.approx(together)
    by_hand_pixels = (together + 100 * (0.05 + 0.7)) / (2 * (n + 200))
    assert pixels["ece"][0] == pytest.approx(by_hand_pixels, abs=1e-6)
    assert sum(pixels["count"]) == 2 * 24 * 60
    for own in (objects, pixels):
        assert 0 <= own["ece"][1] <= own["ece"][0] <= own["ece"][2] <= 1
    rows = ranking(run)
    assert float(rows["object_ece"]["value"]) == pytest.approx(by_hand, abs=1e-6)
    assert float(rows["objects_with_probability"]["value"]) == 4
    assert float(rows["pixel_ece"]["high"]) == pytest.approx(pixels["ece"][2])
    assert rows["pixel_overconfidence"]["n"] == "2" and rows["pixel_ece"]["level"] == "0.95"
    assert "spearman" in rows and rows["failures"]["value"]
    line = next(text for text in found.lines() if "calibration error" in text)
    assert f"objects {by_hand:.3f} [" in line and "] of 4" in line
    assert f"pixels {by_hand_pixels:.3f} [" in line and "] of 2,880" in line
    page = Page((run / "report.html").read_text())
    text = " ".join(page.texts)
    assert "Do probabilities come true?" in text and "Objects: ECE 0.400" in text
    assert "1 objects of probability 0.850: 0.000 of them match a true object" in text


def test_what_was_found_stays_without_truth_and_goes_with_other_truth(tmp_path: Path) -> None:
    run = write_run(tmp_path, {n: stated(s) for n, s in SURE.items()}, Semantic(min_size=0))
    truth = write_truth(tmp_path, {n: (squares(1, 2) > 0).view(np.uint8) for n in SURE})
    review_folder(run, truth=truth)
    before = {f: (run / f).read_bytes() for f in ("run.json", RANKING, "report.html")}
    review_folder(run)
    assert {f: (run / f).read_bytes() for f in before} == before
    found = facts(run)
    for file in truth.iterdir():
        tifffile.imwrite(file, np.zeros(SHAPE, np.uint8))
    review_folder(run, truth=truth)
    assert facts(run)["objects"]["overconfidence"][0] == pytest.approx(0.775)
    assert facts(run)["objects"] != found["objects"]


def test_without_maps_only_objects_are_judged_and_without_either_nothing(tmp_path: Path) -> None:
    maps = {n: stated(s) for n, s in SURE.items()}
    run = write_run(tmp_path, maps, Semantic(min_size=0), outputs=Outputs())
    truth = write_truth(tmp_path, {"a": (squares(1) > 0).view(np.uint8)})
    found = review_folder(run, truth=truth)
    assert set(facts(run)) == {"objects"}
    assert sum(facts(run)["objects"]["count"]) == 2  # image b has no truth
    assert "one image tells little" in (run / "report.html").read_text()
    assert "pixels" not in next(line for line in found.lines() if "(ECE)" in line)
    (run / "objects.csv").write_text("image,label\na,1\na,2\n")
    found = review_folder(run, truth=truth)
    assert facts(run) == {} and "object_ece" not in ranking(run)
    assert not any("ECE" in line for line in found.lines())
    assert "Do probabilities come true?" not in (run / "report.html").read_text()


def test_classes_must_be_equal_and_ignored_pixels_do_not_count(tmp_path: Path) -> None:
    """The right square is of class 2: in a it is so in the truth, in b it is of class 1."""
    method = Semantic(classes=3, ignore=9, min_size=0)
    run = write_run(tmp_path, {n: stated(s, 3) for n, s in SURE.items()}, method)
    truth = {"a": squares(1, 2), "b": (squares(1, 2) > 0).view(np.uint8)}
    truth["a"][:, 40:] = truth["b"][:, 40:] = 9
    truth["b"][:, :20] = 9  # and with it the left square
    review_folder(run, truth=write_truth(tmp_path, truth))
    objects, pixels = facts(run)["objects"], facts(run)["pixels"]
    assert sum(objects["count"]) == 3 and sum(objects["correct"]) == 2
    assert objects["ece"][0] == pytest.approx((0.05 + abs(1.3 - 1)) / 3, abs=1e-6)
    assert sum(pixels["count"]) == 24 * 40 + 24 * 20
    assert sum(pixels["correct"]) == 24 * 60 - 100


@pytest.mark.parametrize("kind", ["movie", "volume by planes", "several draws"])
def test_movies_volumes_and_draws_are_judged_as_their_parts(tmp_path: Path, kind: str) -> None:
    """Flows to the centre of domes: half of the domes stand in the truth."""
    _, labels = domes((64, 64), 7, 6, seed=2)
    one = Flows().encode(labels.astype(np.int32))
    one[2] = np.where(labels > 0, 0.85, 0.05)
    half = np.where(labels <= 3, labels, 0)
    axes, maps, truth = "YX", one, half
    if kind != "several draws":
        axes = "TYX" if kind == "movie" else "ZYX"
        maps, truth = np.stack([one, one], axis=1), np.stack([half, labels])
    run = write_run(
        tmp_path, {"x": maps.astype(np.float32)}, Flows(), axes,
        draws=4 if kind == "several draws" else 1, by_plane=kind == "volume by planes",
    )  # fmt: skip
    review_folder(run, truth=write_truth(tmp_path, {"x": truth}, axes))
    objects, pixels = facts(run)["objects"], facts(run)["pixels"]
    inside = int((labels > 0).sum())
    right = labels.size - inside + int((half > 0).sum())
    if kind == "several draws":
        assert (sum(objects["count"]), sum(objects["correct"])) == (6, 3)
    elif kind == "movie":
        assert (sum(objects["count"]), sum(objects["correct"])) == (12, 9)
    if kind != "several draws":
        right += labels.size
    assert sum(pixels["count"]) == truth.size
    assert sum(pixels["correct"]) == pytest.approx(right, abs=0)
    bins = Reliability.from_dict(objects)
    assert bins.confidence[8] == pytest.approx(0.85, abs=0.01)


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path, {"a": stated(SURE["a"])}, Semantic(min_size=0))
    review_folder(run, truth=write_truth(tmp_path, {"a": (squares(1) > 0).view(np.uint8)}))
    record = json.loads((run / "run.json").read_text())
    record["review"]["truth"]["calibration"]["objects"]["count"] = [1, 2]
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(ReadError, match=r"run\.json: its calibration"):
        write_report(run)
