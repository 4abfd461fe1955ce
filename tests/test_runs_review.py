"""A finished run is judged anew, held against truth and experts, and loses nothing."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from conftest import disks
from delineate.consensus.settings import ConsensusSettings
from delineate.errors import (
    DataError,
    DelineateError,
    LabelError,
    ModelError,
    ReadError,
)
from delineate.image import Image
from delineate.inference.decode import decode_posterior
from delineate.inference.posterior import Posterior
from delineate.inference.runner import RunOptions
from delineate.io import ImageFile
from delineate.methods.flows import Flows
from delineate.methods.semantic import Semantic
from delineate.metrics import average_precision, dice, score_objects
from delineate.recipe import Recipe
from delineate.review.run_folder import read_run
from delineate.runs.consensus import consensus_folder
from delineate.runs.folder import RunFolder
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, predict_folder
from delineate.runs.quality import Judge
from delineate.runs.review import review_folder
from delineate.runs.review_found import Review
from delineate.runs.review_scores import Scorer
from delineate.uncertainty import Reference, auroc, comparison_table, verification
from domes import dome_model, write_domes

CPU = RunOptions(device="cpu", precision="fp32")
TABLES = ("review-scores.csv", "review-ranking.csv", "review-curve.csv")
EXPERTS = ("review-experts.csv", "review-comparison.csv")


def reference(n: int = 20, metric: str = "dice") -> Reference:
    """Score falls from 0.96 to 0.2 while uncertainty grows from 0.01 to 0.2."""
    u = np.linspace(0.01, 0.2, n)
    return Reference(tuple(f"r{i}" for i in range(n)), tuple(u), tuple(1 - 4 * u), metric)


class Runs:
    """Runs of a semantic model on images whose truth and uncertainty are known."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.truth: dict[str, np.ndarray] = {}

    def make(
        self,
        name: str = "out",
        judge: Judge | None = None,
        classes: int = 2,
        images: int = 6,
        broken: bool = True,
        **method: Any,
    ) -> Path:
        """Image k is the less sure, and the more of it is missed, the higher k is."""
        rng, out = np.random.default_rng(1), self.folder / name
        semantic = Semantic(classes=classes, min_size=0, **method)
        run = RunFolder(out, {"axes": None, "decoding": {}}, Outputs())
        records = []
        for k in range(images):
            labels = disks((48, 64), 6, 6, rng)
            truth = np.where(labels > 0, labels % (classes - 1) + 1, 0).astype(np.uint8)
            found = np.where(np.isin(labels, np.arange(1, 1 + k)), 0, truth)
            file = self.folder / "images" / f"i{k}.tif"
            file.parent.mkdir(exist_ok=True)
            tifffile.imwrite(file, (100 * (truth > 0)).astype(np.uint8))
            self.truth[f"i{k}"] = truth
            sure = 0.98 - 0.06 * k
            maps = np.full((classes, 48, 64), (1 - sure) / (classes - 1), np.float32)
            np.put_along_axis(maps, found[None].astype(np.intp), sure, axis=0)
            prediction = decode_posterior(
                Posterior(maps, None, 1), Image(tifffile.imread(file), "YX"), semantic
            )
            records.append(run.write(ImageFile(file, f"i{k}"), prediction, 0.1))
        if broken:
            gone = ImageFile(self.folder / "images" / "broken.tif", "broken")
            records.append(run.failed(gone, "cannot be read"))
        recipe = Recipe.build({"method": semantic.model_dump()})
        facts = {"model": {"name": "m", "sha256": "0", "path": ""}, "seed": 3,
                 "recipe": recipe.model_dump(mode="json")}  # fmt: skip
        run.finish(records, 1.0, facts, judge)
        return out

    def write(self, folder: str, masks: dict[str, np.ndarray], ending: str = "") -> Path:
        path = self.folder / folder
        path.mkdir(parents=True, exist_ok=True)
        for name, mask in masks.items():
            tifffile.imwrite(path / f"{name}{ending}.tif", mask)
        return path


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def rows(folder: Path, name: str = "images.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def record(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "run.json").read_text()))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def test_without_options_everything_is_written_as_it_was(runs: Runs) -> None:
    out = runs.make(judge=Judge(reference(), 0.8, 3))
    before = contents(out)
    (out / "report.html").unlink()
    found = review_folder(out)
    assert contents(out) == before
    assert (found.done, found.truth, found.beside) == (6, None, ())


def test_another_required_score_gives_other_verdicts_and_nothing_else(runs: Runs) -> None:
    out = runs.make(judge=Judge(reference(), None, 3))
    labels = {k: v for k, v in contents(out).items() if k.startswith((".delineate", "labels"))}
    assert {r["verdict"] for r in rows(out)} == {""}
    found = review_folder(out, required=0.6)
    # Reference scores below 0.6 begin above U = 0.1, predicted 0.98, 0.92 … have p(1 − p).
    expected = {f"i{k}": (0.98 - 0.06 * k) * (0.02 + 0.06 * k) for k in range(6)}
    limit = record(out)["quality"]["u_min"]
    assert limit == pytest.approx(0.11)
    got = {r["image"]: r["verdict"] for r in rows(out) if r["status"] == "done"}
    assert got == {n: "verify" if u >= limit else "accept" for n, u in expected.items()}
    assert found.verify == sum(v == "verify" for v in got.values()) > 0
    kept = {k: v for k, v in contents(out).items() if k.startswith((".delineate", "labels"))}
    assert kept == labels
    assert [r["image"] for r in rows(out)][-1] == "broken"
    again = runs.make("direct", judge=Judge(reference(), 0.6, 3))
    assert (again / "images.csv").read_bytes() == (out / "images.csv").read_bytes()
    assert record(again)["quality"] == record(out)["quality"]


def test_a_review_that_was_killed_is_given_again(runs: Runs) -> None:
    out = runs.make(judge=Judge(reference(), 0.8, 3))
    whole = contents(out)
    for lost in ("images.csv", "report.html"):
        (out / lost).unlink()
        review_folder(out)
        assert contents(out) == whole


def test_a_run_copied_without_hidden_files_can_be_reviewed(runs: Runs) -> None:
    out = runs.make(judge=Judge(reference(), 0.8, 3))
    whole = contents(out)
    shutil.rmtree(out / ".delineate")
    review_folder(out)
    now = contents(out)
    assert now == {k: v for k, v in whole.items() if not k.startswith(".delineate")}


def test_truth_gives_real_scores_and_how_uncertainty_ranks_them(runs: Runs) -> None:
    out = runs.make(judge=Judge(reference(), 0.8, 3))
    truth = runs.write("truth", runs.truth, "_mask")
    found = review_folder(out, truth=truth)
    table = {r["image"]: r for r in rows(out, "review-scores.csv")}
    for name, mask in runs.truth.items():
        classes = tifffile.imread(out / "classes" / f"{name}.tif")
        assert float(table[name]["dice"]) == pytest.approx(dice(mask, classes))
        expected = Semantic(min_size=0).compare(classes, mask)
        assert float(table[name]["map"]) == pytest.approx(expected["map"])
        assert float(table[name]["ap50"]) == pytest.approx(expected["ap50"])
    scored = {r["image"]: r["score"] for r in rows(out)}
    assert scored["broken"] == ""
    assert float(scored["i3"]) == pytest.approx(float(table["i3"]["dice"]), abs=1e-5)
    u = np.array([float(r["uncertainty"]) for r in table.values()])
    score = np.array([float(r["dice"]) for r in table.values()])
    assert found.truth is not None
    assert found.truth["spearman"][0] == pytest.approx(-1)
    failed = score < 0.8
    assert 0 < failed.sum() < 6 and found.truth["failures"] == failed.sum()
    assert found.truth["auroc"][0] == pytest.approx(auroc(u, failed))
    assert found.truth["mean"][0] == pytest.approx(score.mean())
    curve = rows(out, "review-curve.csv")
    assert [float(r["failures_found"]) for r in curve] == pytest.approx(verification(u, failed))
    assert float(curve[0]["risk"]) == pytest.approx(1 - score.mean())
    assert float(curve[-2]["risk"]) == pytest.approx(1 - score[u.argmin()])
    ranking = {r["measure"]: r for r in rows(out, "review-ranking.csv")}
    assert float(ranking["spearman"]["value"]) == pytest.approx(-1)
    assert float(ranking["failures"]["value"]) == failed.sum()
    page = read_run(out)
    assert page.trust.truth is not None and page.trust.truth.name == "Dice"
    lines = "\n".join(found.lines())
    assert "true mean Dice" in lines and "Spearman" in lines and "an estimate" in lines


def test_what_an_earlier_review_found_stays(runs: Runs) -> None:
    out = runs.make(judge=Judge(reference(), 0.8, 3))
    truth = runs.write("truth", runs.truth)
    experts = [runs.write(f"e/{n}", {k: np.roll(m, s, 1) for k, m in runs.truth.items()})
               for n, s in (("anna", 1), ("ben", 2))]  # fmt: skip
    review_folder(out, truth=truth, experts=experts)
    first = contents(out)
    shutil.rmtree(truth)
    review_folder(out)
    assert contents(out) == first
    found = review_folder(out, required=0.3)
    assert found.truth is not None and found.truth["required"] == 0.3
    now = contents(out)
    for name in ("review-scores.csv", *EXPERTS):
        assert now[name] == first[name]
    assert now["review-curve.csv"] != first["review-curve.csv"]
    assert record(out)["review"]["experts"] == json.loads(first["run.json"])["review"]["experts"]
    other = runs.write("other", {"i1": runs.truth["i1"]})
    found = review_folder(out, truth=other)
    assert found.truth is not None and (found.truth["images"], found.truth["without"]) == (1, 5)
    assert not any((out / name).exists() for name in EXPERTS)
    assert "experts" not in record(out)["review"]


def test_experts_stand_beside_the_model_on_the_same_truth(runs: Runs) -> None:
    out = runs.make()
    truth = runs.write("truth", runs.truth)
    shifted = {
        who: {k: np.roll(m, s, 1) for k, m in runs.truth.items() if (who, k) != ("ben", "i0")}
        for who, s in (("anna", 1), ("ben", 3))
    }
    experts = [runs.write(f"e/{who}", {k: 255 * m for k, m in own.items()})
               for who, own in shifted.items()]  # fmt: skip
    found = review_folder(out, truth=truth, experts=experts)
    model = {r["image"]: float(r["dice"]) for r in rows(out, "review-scores.csv")}
    columns = {
        who: [dice(runs.truth[k], own[k]) if k in own else np.nan for k in model]
        for who, own in shifted.items()
    }
    expected = comparison_table(list(model.values()), columns, np.random.default_rng(3))
    got = [r for r in rows(out, "review-comparison.csv") if r["score"] == "dice"]
    for k, row in enumerate(got):
        assert row["expert"] == expected["expert"][k]
        for name in ("n", "model", "expert_score", "difference", "low", "effect", "p_holm"):
            assert float(row[name]) == pytest.approx(float(expected[name][k])), name
    assert [r["n"] for r in got] == ["6", "5"]
    each = rows(out, "review-experts.csv")
    assert {r["annotator"] for r in each} == {"model", "anna", "ben"}
    assert len(each) == 6 + 6 + 5
    assert [b["expert"] for b in found.beside] == ["anna", "ben"]
    assert "model less anna: Dice" in "\n".join(found.lines())
    assert 'id="human"' in (out / "report.html").read_text()


def test_the_folder_of_a_consensus_is_a_truth(runs: Runs) -> None:
    out = runs.make()
    experts = [runs.write(f"e/{n}", {k: np.roll(m, s, 1) for k, m in runs.truth.items()})
               for n, s in (("anna", 0), ("ben", 1), ("carla", 1))]  # fmt: skip
    consensus_folder(experts, runs.folder / "truth", ConsensusSettings("majority"))
    found = review_folder(out, truth=runs.folder / "truth", experts=[runs.folder / "e"])
    assert found.truth is not None and found.truth["images"] == 6
    scores = {r["image"]: float(r["dice"]) for r in rows(out, "review-experts.csv")
              if r["annotator"] == "ben"}  # fmt: skip
    assert all(s == pytest.approx(1) for s in scores.values())  # two of three drew so


def test_classes_and_pixels_to_be_ignored_are_scored_as_in_training(runs: Runs) -> None:
    out = runs.make(classes=3, ignore=255)
    masks = {k: m.copy() for k, m in runs.truth.items()}
    for mask in masks.values():
        mask[:, :20] = 255
    review_folder(out, truth=runs.write("truth", masks))
    for row in rows(out, "review-scores.csv"):
        classes = tifffile.imread(out / "classes" / f"{row['image']}.tif")
        mask = masks[row["image"]]
        counted = mask != 255
        expected = dice(np.where(counted, mask, 0), np.where(counted, classes, 0))
        assert float(row["dice"]) == pytest.approx(expected)


def test_objects_are_scored_by_mean_ap(tmp_path: Path) -> None:
    truth = write_domes(tmp_path / "images", ("a", "b", "12"))
    model, out = dome_model(), tmp_path / "out"
    predict_folder(model, tmp_path / "images", out, Settings(diameter=18, run=CPU))
    (tmp_path / "truth").mkdir()
    for name, labels in truth.items():
        labels[labels == 2] = 0
        tifffile.imwrite(tmp_path / "truth" / f"{name}.tif", labels * np.uint16(7))
    found = review_folder(out, truth=tmp_path / "truth", required=0.9)
    assert found.truth is not None and found.truth["metric"] == "map"
    for row in rows(out, "review-scores.csv"):
        got = tifffile.imread(out / "labels" / f"{row['image']}.tif")
        own = truth[row["image"]]
        assert float(row["map"]) == pytest.approx(average_precision(own, got).mean())
        assert float(row["ap50"]) == pytest.approx(average_precision(own, got)[0])
        assert float(row["dice"]) == pytest.approx(score_objects(own, got).values()["Dice"])
    shutil.rmtree(out / ".delineate")
    again = review_folder(out)
    assert again.truth == found.truth  # an image called 12 is no number


def test_masks_among_labels_and_movies_are_understood(tmp_path: Path) -> None:
    labels = disks((60, 60), 7, 4, np.random.default_rng(0)).astype(np.uint16)
    moved = np.roll(labels, 2, 1)
    for name, frames in {
        "mask": (255 * (labels > 0)).astype(np.uint8),
        "labels": labels,
        "movie": np.stack([labels, moved]),
        "same": np.stack([labels, labels]),
    }.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", frames, photometric="minisblack",
                         metadata={"axes": "TYX" if frames.ndim == 3 else "YX"})  # fmt: skip
    scorer = Scorer(Flows())
    read = {n: scorer.read(tmp_path / f"{n}.tif") for n in ("mask", "labels", "movie", "same")}
    assert scorer.score(read["mask"], read["labels"], predicted=True).map == 1
    one = average_precision(labels, moved).mean()
    assert scorer.score(read["same"], read["movie"]).map == pytest.approx((1 + one) / 2)
    with pytest.raises(LabelError, match=r"movie\.tif: has the shape 2 times 60 × 60"):
        scorer.score(read["labels"], read["movie"])


@pytest.mark.parametrize("spoiled", ["shape", "picture", "classes"])
def test_a_bad_file_is_named_and_nothing_is_written(runs: Runs, spoiled: str) -> None:
    out = runs.make(judge=Judge(reference(), 0.8, 3))
    masks = dict(runs.truth)
    noise = np.random.default_rng(0).integers(0, 255, (48, 64)).astype(np.uint8)
    masks["i3"] = {"shape": masks["i3"][:20], "picture": noise, "classes": masks["i3"] * 3}[spoiled]
    if spoiled == "classes":
        masks["i3"][0, 0] = 9
    before = contents(out)
    with pytest.raises(LabelError, match=r"i3\.tif"):
        review_folder(out, truth=runs.write("truth", masks), required=0.1)
    assert contents(out) == before


def test_what_cannot_be_asked_is_refused(runs: Runs) -> None:
    out = runs.make()
    before = contents(out)
    truth = runs.write("truth", runs.truth)
    for arguments, error, text in (
        ({"required": 0.8}, ModelError, "no reference images"),
        ({"required": 8.0}, DelineateError, "expected 0 to 1"),
        ({"experts": [truth, truth]}, DataError, "add --truth"),
        ({"truth": runs.folder / "nowhere"}, ReadError, "nowhere"),
        (
            {"truth": runs.write("others", {"x": runs.truth["i0"]})},
            DataError,
            "it has for instance x, the run i",
        ),
        ({"truth": truth, "experts": [truth]}, DataError, "folder for each expert"),
        (
            {"truth": truth, "experts": [runs.write("e/model", runs.truth), truth]},
            DataError,
            'called "model"',
        ),
    ):
        with pytest.raises(error, match=text):
            review_folder(out, **arguments)  # type: ignore[arg-type]
    assert contents(out) == before


def test_what_is_no_finished_run_is_refused(runs: Runs) -> None:
    with pytest.raises(ReadError, match="no run here"):
        review_folder(runs.folder)
    out = runs.make()
    (out / "run.json").unlink()
    with pytest.raises(ReadError, match="not finished"):
        review_folder(out)
    shutil.rmtree(out)
    out = runs.make()
    (out / "classes" / "i2.tif").unlink()
    with pytest.raises(ReadError, match=r"i2\.tif: is missing"):
        review_folder(out, truth=runs.write("truth", runs.truth))


def test_predicting_again_keeps_a_review_and_new_images_end_it(tmp_path: Path) -> None:
    """The same command has nothing to do; other results must not carry the scores of the old."""
    truth = write_domes(tmp_path / "images", ("a", "b"))
    model = dome_model()
    described = model.description.model_copy(
        update={"reference": reference(metric="map").to_dict()}
    )
    model, out = replace(model, description=described), tmp_path / "out"
    settings = Settings(diameter=18, run=CPU)
    predict_folder(model, tmp_path / "images", out, settings)
    (tmp_path / "truth").mkdir()
    for name, labels in truth.items():
        tifffile.imwrite(tmp_path / "truth" / f"{name}.tif", labels)
    review_folder(out, truth=tmp_path / "truth", required=0.7)
    before = contents(out)
    predict_folder(model, tmp_path / "images", out, settings)
    assert contents(out) == before
    write_domes(tmp_path / "images", ("c",))
    predict_folder(model, tmp_path / "images", out, settings)
    assert "review" not in record(out)
    assert not any((out / name).exists() for name in TABLES)
    assert "score" not in rows(out)[0]


def test_pictures_of_uncertainty_cannot_take_the_place_of_another_image(tmp_path: Path) -> None:
    write_domes(tmp_path / "images", ("a", "a-uncertainty", "uncertainty/a"))
    out = tmp_path / "out"
    settings = Settings(diameter=18, run=CPU)
    predict_folder(dome_model(), tmp_path / "images", out, settings)
    for room in ("overlays", "uncertainty"):
        found = {p.relative_to(out / room).as_posix() for p in (out / room).rglob("*.jpg")}
        assert found == {"a.jpg", "a-uncertainty.jpg", "uncertainty/a.jpg"}
    shutil.rmtree(tmp_path / "images")
    write_domes(tmp_path / "images", ("b",))
    predict_folder(
        dome_model(), tmp_path / "images", out, replace(settings, diameter=20), overwrite=True
    )
    assert [p.name for p in (out / "uncertainty").rglob("*.jpg")] == ["b.jpg"]
    other = predict_folder(dome_model(), tmp_path, tmp_path / "new", settings)
    assert other.done == 1  # results of the run beside are no images


def test_a_review_of_one_image_says_what_it_can(runs: Runs) -> None:
    out = runs.make(images=1, broken=False)
    file = runs.write("truth", {"anything": runs.truth["i0"]}) / "anything.tif"
    found: Review = review_folder(out, truth=file)
    assert found.truth is not None
    assert found.truth["spearman"] is None and found.truth["auroc"] is None
    assert found.truth["mean"][0] == 1
    assert rows(out)[0]["score"] == "1.0"
