"""A mask is the same truth to training, evaluation and review, undecided pixels and specks too."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from scipy import ndimage

from conftest import disks
from delineate.consensus.settings import ConsensusSettings
from delineate.data.normalise import Normalise
from delineate.data.pairs import Pair
from delineate.data.samples import Preparation, prepare
from delineate.errors import DataError, LabelError
from delineate.inference.runner import RunOptions
from delineate.methods.flows import Flows
from delineate.methods.semantic import Semantic
from delineate.metrics import average_precision, dice
from delineate.runs.consensus import consensus_folder
from delineate.runs.evaluate import Evaluation, evaluate_folder
from delineate.runs.predict import Settings, predict_folder
from delineate.runs.review import review_folder
from delineate.runs.review_calibration import Stated, _of_objects, _of_pixels
from delineate.runs.review_scores import Scorer, Scores
from domes import dome_model, write_domes

CPU = RunOptions(device="cpu", precision="fp32")


def write(path: Path, pixels: np.ndarray, axes: str = "YX") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": axes})
    return path


def evaluated(found: Path, truth: Path) -> tuple[dict[str, float], Evaluation]:
    evaluation = evaluate_folder(found, truth, found.parent / "scores")
    table = evaluation.tables.images
    return {key: float(table[key][0]) for key in ("AP50", "mAP", "Dice")}, evaluation


def reviewed(found: Path, truth: Path) -> Scores:
    scorer = Scorer(Flows())
    return scorer.score(scorer.read(truth), scorer.read(found), predicted=True)


def trained_on(labels: Path, folder: Path) -> int:
    """Number of objects that a training sees."""
    image = write(folder / "image.tif", 9 * tifffile.imread(labels).astype(np.uint16))
    how = Preparation(Flows(), Normalise(), None, 1, None, 2, None)
    (sample,) = prepare([Pair("a", image, labels)], how, folder / "cache")
    assert sample.labels.max() == len(sample.centres)
    return len(sample.centres)


@pytest.fixture
def labels() -> np.ndarray:
    parts = ndimage.label(disks((80, 90), 7, 8, np.random.default_rng(3)) > 0, np.ones((3, 3)))[0]
    return np.asarray(parts, np.uint16)


@pytest.mark.parametrize("white", [1, 255])
def test_all_three_see_the_parts_of_a_mask(tmp_path, labels, white):
    n = int(labels.max())
    mask = write(tmp_path / "truth" / "a.tif", (white * (labels > 0)).astype(np.uint8))
    found = write(tmp_path / "found" / "a.tif", np.where(labels == 2, 0, labels))
    assert trained_on(mask, tmp_path) == n > 4
    scores, evaluation = evaluated(found, mask)
    assert scores["AP50"] == scores["mAP"] == pytest.approx((n - 1) / n)
    assert evaluation.tables.summary["objects"][0] == n
    assert evaluation.lines()[-1].startswith("masks among the true label files: 1; their connected")
    own = reviewed(found, mask)
    assert own == pytest.approx((scores["Dice"], scores["AP50"], scores["mAP"]))


def test_any_other_number_is_one_object_to_all_three(tmp_path, labels):
    seven = write(tmp_path / "truth" / "a.tif", (7 * (labels > 0)).astype(np.uint8))
    found = write(tmp_path / "found" / "a.tif", labels)
    assert trained_on(seven, tmp_path) == 1
    scores, evaluation = evaluated(found, seven)
    assert (scores["AP50"], evaluation.masks) == (0, 0)
    assert reviewed(found, seven).ap50 == 0


def test_a_prediction_is_never_a_mask(tmp_path, labels):
    truth = write(tmp_path / "truth" / "a.tif", labels)
    found = write(tmp_path / "found" / "a.tif", (labels > 0).astype(np.uint16))
    assert evaluated(found, truth)[0]["AP50"] == reviewed(found, truth).ap50 == 0
    scorer = Scorer(Flows())  # that of an expert may be
    assert scorer.score(scorer.read(truth), scorer.read(found)).map == 1


def test_the_result_of_a_consensus_is_the_truth_it_looks_like(tmp_path, labels):
    model, images = dome_model(), tmp_path / "images"
    truth = write_domes(images, ("a", "b"))
    for expert, shift in (("anna", 0), ("ben", 0), ("carla", 1)):
        for name, own in truth.items():
            write(tmp_path / expert / f"{name}.tif", 255 * np.roll(own > 0, shift, 1).astype("u1"))
    folders = [tmp_path / e for e in ("anna", "ben", "carla")]
    consensus_folder(folders, tmp_path / "truth", ConsensusSettings("majority"))
    out, made = tmp_path / "out", tmp_path / "truth" / "labels"
    predict_folder(model, images, out, Settings(diameter=18, run=CPU))
    evaluation = evaluate_folder(out, made, tmp_path / "scores")
    review_folder(out, truth=tmp_path / "truth")
    with (out / "review-scores.csv").open(newline="") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    for k, name in enumerate(evaluation.tables.images["image"]):
        got = tifffile.imread(out / "labels" / f"{name}.tif")
        ap = average_precision(truth[name], got)
        assert ap[0] == 1
        assert evaluation.tables.images["mAP"][k] == pytest.approx(ap.mean())
        assert float(rows[name]["map"]) == pytest.approx(ap.mean())
        assert trained_on(made / f"{name}.tif", tmp_path) == truth[name].max()


def test_undecided_pixels_count_on_neither_side(tmp_path, labels):
    pixels = (labels > 0).astype(np.uint8)
    strip = np.zeros(labels.shape, bool)
    strip[:, :20] = True
    pixels[strip] = 255
    mask = write(tmp_path / "truth" / "labels" / "a.tif", pixels)
    found = write(tmp_path / "found" / "a.tif", np.where(labels == 2, 0, labels))
    for attempt in (
        lambda: evaluated(found, mask),
        lambda: reviewed(found, mask),
        lambda: trained_on(mask, tmp_path),
    ):
        with pytest.raises((LabelError, DataError), match=r"a\.tif: holds 0, 1 and 255"):
            attempt()
    settings = {"classes": None, "undecided": 255, "objects": False}
    (tmp_path / "truth" / "consensus.json").write_text(json.dumps({"settings": settings}))
    expected = np.where(strip, 0, labels)
    given = np.where(strip | (labels == 2), 0, labels)
    ap = average_precision(expected, given)
    scores, evaluation = evaluated(found, mask)
    assert scores["AP50"] == pytest.approx(ap[0])
    assert scores["mAP"] == pytest.approx(ap.mean())
    assert evaluation.undecided == strip.sum()
    assert "undecided pixels of the truth, not scored: 1,600" in evaluation.lines()
    own = reviewed(found, mask)
    assert own == pytest.approx((dice(expected > 0, given > 0), ap[0], ap.mean()))
    with pytest.raises(DataError, match=r"1,600 pixels are undecided"):
        trained_on(mask, tmp_path)


def test_one_object_of_the_number_1_is_no_news(tmp_path, labels):
    one = write(tmp_path / "truth" / "a.tif", (labels == 1).astype(np.uint16))
    scores, evaluation = evaluated(one, one)
    assert (scores["AP50"], evaluation.masks) == (1, 0)


def test_movies_of_masks_are_read_time_by_time(tmp_path, labels):
    movie = np.stack([labels, np.roll(labels, 40, 1)])
    truth = write(tmp_path / "truth" / "a.tif", (movie > 0).astype(np.uint8), "TYX")
    parts = np.stack([ndimage.label(t > 0, np.ones((3, 3)))[0] for t in movie]).astype(np.uint16)
    found = write(tmp_path / "found" / "a.tif", parts, "TYX")
    _, evaluation = evaluated(found, truth)
    assert list(evaluation.tables.images["mAP"]) == [1, 1]
    assert reviewed(found, truth).map == 1


def test_specks_are_no_objects_to_a_review_of_classes(tmp_path, labels):
    """Training, prediction and review leave out the same parts."""
    method = Semantic(classes=3, min_size=15)
    truth = np.where(labels > 0, labels % 2 + 1, 0).astype(np.uint8)
    found = np.where(labels == 2, 0, truth).astype(np.uint8)
    truth[2:4, 2:80:4] = 1  # specks of 2 pixels in the truth, others in what was found
    found[76:78, 3:80:5] = found[77:79, 3:80:5] = 2
    scorer = Scorer(method)
    paths = [write(tmp_path / f"{n}.tif", p) for n, p in (("truth", truth), ("found", found))]
    result = scorer.score(*(scorer.read(path) for path in paths), predicted=True)
    expected = method.compare(found, truth)
    assert result == pytest.approx((expected["dice"], expected["ap50"], expected["map"]))
    ap = []
    for kind in (1, 2):  # by hand: the parts of each class but the specks
        sides = []
        for pixels in (truth, found):
            own, _ = ndimage.label(pixels == kind, np.ones((3, 3)))
            sides.append(np.where(np.bincount(own.ravel())[own] >= 15, own, 0))
        ap.append(average_precision(*sides))
    assert result.map == pytest.approx(np.mean(ap))
    assert result.map > 0.8
    specks = Scorer(method.model_copy(update={"min_size": 0}))
    assert specks.score(*(specks.read(p) for p in paths), predicted=True).map < 0.3


def test_what_an_expert_left_undecided_counts_for_no_class(tmp_path):
    truth, own = np.zeros((2, 40, 40), np.uint8)
    truth[5:15, 5:15] = truth[25:35, 25:35] = 1
    own[5:15, 5:15] = 1
    own[20:] = 255
    scorer = Scorer(Semantic(ignore=255))
    paths = [write(tmp_path / f"{n}.tif", p) for n, p in (("truth", truth), ("own", own))]
    assert scorer.score(*(scorer.read(path) for path in paths)) == (1, 1, 1)
    assert scorer.score(*(scorer.read(path) for path in paths[::-1])) == (1, 1, 1)


def test_the_calibration_of_a_review_reads_the_same_objects(tmp_path, labels):
    pixels = (labels > 0).astype(np.uint8)
    pixels[:, :20] = 255
    mask = write(tmp_path / "truth" / "labels" / "a.tif", pixels)
    settings = {"classes": None, "undecided": 255, "objects": False}
    (tmp_path / "truth" / "consensus.json").write_text(json.dumps({"settings": settings}))
    found = write(tmp_path / "found" / "a.tif", labels)
    n = int(labels.max())
    stated = Stated(np.arange(1, n + 1), np.full(n, 0.9), np.zeros(n, np.int64))
    truth = Scorer(Flows()).read(mask)
    seen = np.unique(labels[:, 20:])[1:]
    result = _of_objects(truth, found, stated, Flows())
    assert result.n == result.correct.sum() == len(seen)

    p = np.where(labels > 0, 0.8, 0.3).astype(np.float32)
    maps = zarr.create_array(str(tmp_path / "a.zarr"), data=np.stack([0 * p, 0 * p, p]))
    maps.attrs.update(axes="YX", draws=1, by_plane=False)
    sure = _of_pixels(truth, tmp_path / "a.zarr", Flows())
    assert sure.n == sure.correct.sum() == labels[:, 20:].size
