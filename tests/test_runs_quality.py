"""Quality assurance of a run: sorted by uncertainty, judged by the reference of the model."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from conftest import disks, picture
from delineate.errors import DelineateError, ModelError
from delineate.inference.runner import RunOptions
from delineate.model import load
from delineate.runs.decode import decode_folder
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, predict_folder
from delineate.runs.quality import Judge
from delineate.runs.tables import most_uncertain_first
from delineate.uncertainty import Reference, fit_features
from delineate.uncertainty.quality import NOTHING, UNCERTAIN, UNLIKE
from domes import dome_model

CPU = RunOptions(device="cpu", precision="fp32")


def reference(measure: str = "aleatoric", n: int = 20) -> Reference:
    """Score falls from 1 to 0.05 while uncertainty grows from 0.01 to 0.2."""
    u = np.linspace(0.01, 0.2, n)
    return Reference(
        tuple(f"r{i}" for i in range(n)),
        tuple(u),
        tuple(1.05 - 5 * u),
        "map",
        measure,  # type: ignore[arg-type]
        "held-out",
    )


def row(name: str, **values: object) -> dict[str, object]:
    return {"image": name, "status": "done", **values}


def test_the_verdict_goes_by_the_uncertainty_shown_the_estimate_by_what_can_be_compared():
    judge = Judge(reference("aleatoric"), 0.8, 0)
    sure, disagree, unsure, nothing = judge.rows(
        [
            row("sure", uncertainty=0.035, aleatoric=0.03, epistemic=0.005),
            row("disagree", uncertainty=0.2, aleatoric=0.03, epistemic=0.17),
            row("unsure", uncertainty=0.15, aleatoric=0.15, epistemic=0.0),
            row("nothing", uncertainty="", aleatoric="", objects=0),
        ]
    )
    # Scores below 0.8 begin at an uncertainty of 0.05.
    assert [(r["verdict"], r["reason"]) for r in (sure, disagree, unsure, nothing)] == [
        ("accept", ""),
        ("verify", UNCERTAIN),
        ("verify", UNCERTAIN),
        ("verify", NOTHING),
    ]
    assert sure["expected_score"] == pytest.approx(0.9, abs=0.02)
    assert disagree["expected_score"] == sure["expected_score"]
    assert unsure["expected_score"] == pytest.approx(0.3, abs=0.02)
    assert sure["expected_low"] <= sure["expected_score"] <= sure["expected_high"]
    assert np.isnan(nothing["expected_score"]) and nothing["extrapolated"] == ""
    facts = judge.facts([row("sure", aleatoric=0.03), row("unsure", aleatoric=0.15)])
    assert 0.05 < facts["u_min"] < 0.07
    assert facts["expected"]["value"] == pytest.approx(0.6, abs=0.02)
    assert facts["ranking"]["spearman"][0] == pytest.approx(-1)
    assert json.dumps(facts)


def test_of_an_image_unlike_the_training_images_nothing_is_accepted_or_expected():
    seen = [
        row("usual", uncertainty=0.1, image_uncertainty=0.1, novelty=1.2, objects=3),
        row("novel", uncertainty=0.02, image_uncertainty=0.01, novelty=12.0, objects=3),
        row("empty", uncertainty="", image_uncertainty=0.01, novelty=0.9, objects=0),
        row("beyond", uncertainty=0.24, image_uncertainty=0.2, novelty=1.0, objects=1),
        row("stranger", uncertainty="", image_uncertainty=0.01, novelty=30, objects=0),
    ]
    queue = most_uncertain_first(seen)
    assert [r["image"] for r in queue] == ["stranger", "novel", "empty", "beyond", "usual"]
    for required in (0.3, None):
        judge = Judge(reference("predictive"), required, 0)
        judged = {r["image"]: r for r in judge.rows(queue)}
        for name in ("novel", "stranger"):
            assert (judged[name]["verdict"], judged[name]["reason"]) == ("verify", UNLIKE)
            assert np.isnan(judged[name]["expected_score"]) and np.isnan(
                judged[name]["expected_low"]
            )
        assert judged["usual"]["verdict"] == ("" if required is None else "accept")
        flags = {name: r["extrapolated"] for name, r in judged.items()}
        assert flags == {"usual": 0, "beyond": 1, "novel": "", "empty": "", "stranger": ""}
        batch = judge.facts(queue)["expected"]
        counts = [batch[k] for k in ("n", "missing", "novel", "extrapolated")]
        assert counts == [2, 1, 2, 1]  # of five images
        assert batch["value"] == pytest.approx((0.55 + 0) / 2, abs=0.02)


def test_without_a_required_quality_there_is_no_verdict_but_an_estimate():
    judge = Judge(reference(), None, 0)
    judged = judge.rows([row("a", aleatoric=0.1), {"image": "b", "status": "failed"}])
    assert judged[0]["verdict"] == "" and judged[0]["expected_score"] == pytest.approx(
        0.55, abs=0.02
    )
    assert "verdict" not in judged[1]
    facts = judge.facts(judged)
    assert facts["u_min"] is None and "ranking" not in facts


def test_a_reference_without_failures_accepts_all_and_is_valid_json():
    good = Reference(("a", "b"), (0.1, 0.2), (0.9, 0.95), "dice")
    judge = Judge(good, 0.5, 0)
    assert judge.rows([row("x", uncertainty=0.24)])[0]["verdict"] == "accept"
    facts = judge.facts([row("x", uncertainty=0.24)])
    assert facts["u_min"] is None and "at least" in facts["no_expectation"]
    assert json.dumps(facts, allow_nan=False)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, contrast in enumerate((1.0, 0.3)):
        labels = disks((96, 96), 8, 9, rng)
        tifffile.imwrite(folder / f"{number}.tif", contrast * picture(labels, rng))
    tifffile.imwrite(folder / "empty.tif", np.zeros((64, 64), np.uint8))
    (folder / "broken.tif").write_text("no image")
    return folder


def table(out: Path, name: str = "images.csv") -> list[dict[str, str]]:
    with (out / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_is_sorted_and_judged_and_judged_anew_without_predicting(images, tmp_path):
    model = dome_model(members=2)
    described = model.description.model_copy(update={"reference": reference().to_dict()})
    model = replace(model, description=described)
    out = tmp_path / "out"
    settings = Settings(diameter=18, run=CPU, required=0.9)
    done = predict_folder(model, images, out, settings, Outputs(uncertainty=True))
    assert (done.done, done.failed) == (3, 1)
    rows = table(out)
    assert rows[0]["image"] == "empty" and rows[-1]["image"] == "broken"
    ranked = [float(r["uncertainty"]) for r in rows if r["uncertainty"]]
    assert ranked == sorted(ranked, reverse=True) and len(ranked) == 2
    assert rows[0]["verdict"] == "verify" and rows[-1]["verdict"] == ""
    objects = table(out, "objects.csv")
    assert all(0 <= float(o["uncertainty"]) <= 0.25 for o in objects)
    quality = json.loads((out / "run.json").read_text())["quality"]
    assert quality["required"] == 0.9 and len(quality["images"]) == 20
    again = predict_folder(
        model, images, out, replace(settings, required=0.1), Outputs(uncertainty=True)
    )
    assert again.before == 3
    assert json.loads((out / "run.json").read_text())["quality"]["required"] == 0.1
    maps = tifffile.imread(out / "uncertainty" / "0.tif")
    assert maps.shape == (5, 96, 96) and maps.dtype == np.float32
    np.testing.assert_allclose(maps[0], maps[1] + maps[2], atol=1e-7)


def test_a_model_without_reference_cannot_vouch_for_a_quality(images, tmp_path):
    for required, told in ((0.5, "no reference images"), (80, "expected 0 to 1")):
        settings = Settings(diameter=18, run=CPU, required=required)
        with pytest.raises(DelineateError, match=told):
            predict_folder(dome_model(), images, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def test_decoding_anew_keeps_the_judgement_and_refuses_what_has_no_effect(images, tmp_path):
    model = dome_model()
    described = model.description.model_copy(update={"reference": reference().to_dict()})
    settings = Settings(diameter=18, run=CPU, required=0.9)
    run = tmp_path / "run"
    predict_folder(replace(model, description=described), images, run, settings, Outputs(maps=True))
    decode_folder(run, tmp_path / "anew", {})
    first, anew = (
        {r["image"]: (r["verdict"], r["expected_score"]) for r in table(folder) if r["verdict"]}
        for folder in (run, tmp_path / "anew")
    )
    assert len(anew) == 3 and anew == first
    with pytest.raises(ModelError, match="in the maps already"):
        decode_folder(run, tmp_path / "cool", {"temperature": 2.0})


def test_a_model_that_lost_statistics_of_a_member_is_not_loaded(tmp_path):
    rng = np.random.default_rng(0)
    known = tuple(fit_features(rng.normal(size=(8, 4))) for _ in range(2))
    folder = replace(dome_model(members=2), novelty=known).save(tmp_path / "model")
    assert len(load(folder, allow_imports=True).novelty) == 2
    (folder / "novelty-1.safetensors").unlink()
    with pytest.raises(ModelError, match="of 1 members, expected of all 2"):
        load(folder, allow_imports=True)
