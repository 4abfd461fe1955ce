"""Quality assurance of a run: sorted by uncertainty, judged by the reference of the model."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from conftest import disks, picture
from delineate.errors import DelineateError, ModelError
from delineate.inference.runner import RunOptions
from delineate.model import load
from delineate.runs.decode import decode_folder
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, predict_folder
from delineate.runs.quality import Judge
from delineate.runs.review import review_folder
from delineate.runs.tables import most_uncertain_first
from delineate.uncertainty import MINIMUM_REFERENCES, Reference, fit_features
from delineate.uncertainty.quality import NOTHING, UNCERTAIN, UNLIKE
from delineate.uncertainty.thresholds import RISKY, UNPROVEN
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


def test_a_risk_accepts_what_one_bad_reference_image_would_forbid():
    u = np.linspace(0.01, 0.2, 40)
    scores = np.where(np.arange(40) < 24, 0.9, 0.3)
    scores[0] = 0.55
    known = Reference(tuple(f"r{i}" for i in range(40)), tuple(u), tuple(scores), "map")
    rows = [row(str(v), uncertainty=v) for v in (0.011, 0.09, 0.19)]
    by_u_min, by_risk = Judge(known, 0.6, 0), Judge(known, 0.6, 0, 0.25)
    assert [r["verdict"] for r in by_u_min.rows(rows)] == ["verify"] * 3
    one, nothing = by_u_min.lines(rows)
    assert one.startswith("to verify: 3 of 3 images (mAP of 0.6 required, from an uncertainty of ")
    assert nothing.startswith("one of 40 reference images decides: r0 has mAP 0.550")
    assert "none of the others is more certain; without it" in nothing
    # At 0.2 the test would begin with 14 images, of which none may fail.
    assert nothing.endswith("A lower --required need not hang on one image")
    more = Judge(Reference(known.images * 2, known.uncertainty * 2, known.score * 2, "map"), 0.6, 0)
    assert "or --risk 0.2 (so many of the accepted may miss it), need" in more.lines(rows)[1]
    judged = by_risk.rows(rows)
    assert [(r["verdict"], r["reason"]) for r in judged] == [
        ("accept", ""), ("accept", ""), ("verify", RISKY)
    ]  # fmt: skip
    assert "with 95% confidence at most 25% of such images miss mAP 0.6" in by_risk.lines(rows)[1]
    facts = by_risk.facts(rows)
    assert (facts["required"], facts["risk"]) == (0.6, 0.25)
    assert facts["rests_on"]["reference"] == 40 and facts["rests_on"]["failed"] >= 1
    assert facts["u_min"] == u[facts["rests_on"]["below"]]
    assert Judge.of_run(facts, 0) == by_risk and by_risk.judged_so(facts)
    assert not by_u_min.judged_so(facts) and Judge(known, None, 0).judged_so(facts)


@pytest.mark.parametrize(
    ("n", "required", "said"),
    [
        (
            20,
            0.1,
            "it takes 29 reference images of which none misses mAP 0.1, and the model has 20",
        ),
        (40, 0.8, "of the 29 most certain reference images 20 miss mAP 0.8, and none may"),
    ],
)
def test_where_a_risk_accepts_nothing_it_is_said_why(n: int, required: float, said: str):
    judge = Judge(reference("predictive", n), required, 0, 0.1)
    judged = judge.rows([row("x", uncertainty=0.0)])[0]
    assert (judged["verdict"], judged["reason"]) == ("verify", UNPROVEN)
    assert said in judge.lines([row("x", uncertainty=0.0)])[1]
    assert judge.facts([row("x", uncertainty=0.0)])["u_min"] == 0


def test_a_verdict_that_rests_on_many_images_is_left_uncommented():
    u = np.linspace(0.01, 0.2, 40)
    known = Reference(tuple(f"r{i}" for i in range(40)), tuple(u), tuple(1.05 - 5 * u), "map")
    judge = Judge(known, 0.5, 0)
    assert len(judge.lines([row("x", uncertainty=0.05)])) == 1
    assert "none is accepted: none is more certain than r" in judge.lines(
        [row("x", uncertainty=0.19)]
    )[1]  # fmt: skip
    assert judge.lines([row("x", uncertainty="", objects=0), {"image": "b", "status": "failed"}])
    assert Judge(known, None, 0).lines([row("x", uncertainty=0.05)]) == ()


def test_a_reference_that_is_too_small_for_estimates_is_told():
    small = Reference(("a", "b"), (0.1, 0.2), (0.9, 0.3), "map")
    rows = [row("x", uncertainty=0.05)]
    said = (
        "expected mean mAP: no estimate, since 2 reference images have an uncertainty; an estimate "
        f"needs at least {MINIMUM_REFERENCES}"
    )
    assert Judge(small, None, 0).lines(rows) == (said,)
    told = Judge(small, 0.5, 0).lines(rows)
    assert told[0].startswith("to verify: ") and told[-1] == said


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
    assert again.verdicts[0].startswith("to verify: 1 of 3 images (mAP of 0.1 required")
    assert json.loads((out / "run.json").read_text())["quality"]["required"] == 0.1
    risky = replace(settings, required=0.1, risk=0.2)
    risked = predict_folder(model, images, out, risky, Outputs(uncertainty=True))
    assert risked.before == 3 and "at a risk of 0.2" in risked.verdicts[0]
    assert json.loads((out / "run.json").read_text())["quality"]["risk"] == 0.2
    maps = tifffile.imread(out / "uncertainty" / "0.tif")
    assert maps.shape == (5, 96, 96) and maps.dtype == np.float32
    np.testing.assert_allclose(maps[0], maps[1] + maps[2], atol=1e-7)


def test_a_model_without_reference_cannot_vouch_for_a_quality(images, tmp_path):
    for required, told in ((0.5, "no reference images"), (80, "expected 0 to 1")):
        settings = Settings(diameter=18, run=CPU, required=required)
        with pytest.raises(DelineateError, match=told):
            predict_folder(dome_model(), images, tmp_path / "out", settings)
    for required, risk, told in ((None, 0.2, "add --required"), (0.5, 20, "between 0 and 1")):
        settings = Settings(diameter=18, run=CPU, required=required, risk=risk)
        with pytest.raises(DelineateError, match=told):
            predict_folder(dome_model(), images, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def test_decoding_anew_keeps_the_judgement_and_refuses_what_has_no_effect(images, tmp_path):
    model = dome_model()
    described = model.description.model_copy(update={"reference": reference().to_dict()})
    settings = Settings(diameter=18, run=CPU, required=0.9, risk=0.3)
    run = tmp_path / "run"
    predict_folder(replace(model, description=described), images, run, settings, Outputs(maps=True))
    decode_folder(run, tmp_path / "anew", {})
    first, anew = (
        {r["image"]: (r["verdict"], r["expected_score"]) for r in table(folder) if r["verdict"]}
        for folder in (run, tmp_path / "anew")
    )
    assert len(anew) == 3 and anew == first
    assert json.loads((tmp_path / "anew" / "run.json").read_text())["quality"]["risk"] == 0.3
    with pytest.raises(ModelError, match="in the maps already"):
        decode_folder(run, tmp_path / "cool", {"temperature": 2.0})


def test_the_reference_tells_nothing_of_images_that_were_decoded_otherwise(
    images, tmp_path, caplog
):
    model = dome_model()
    described = model.description.model_copy(update={"reference": reference().to_dict()})
    model = replace(model, description=described)
    own = model.recipe.method.threshold
    asked = Settings(diameter=18, run=CPU, required=0.9)
    with pytest.raises(ModelError, match=f"threshold 0.8 in place of {own}.*--required"):
        predict_folder(model, images, tmp_path / "no", replace(asked, decoding={"threshold": 0.8}))
    assert not (tmp_path / "no").exists()
    predict_folder(model, images, tmp_path / "run", asked, Outputs(maps=True))
    strict = Settings(diameter=18, run=CPU, decoding={"threshold": 0.8})
    predict_folder(model, images, tmp_path / "strict", strict)
    assert any("threshold 0.8 in place" in text for text in caplog.messages)
    caplog.clear()
    decode_folder(tmp_path / "run", tmp_path / "later", {"threshold": 0.8})
    assert any("threshold 0.8 in place" in text for text in caplog.messages)
    caplog.clear()
    for name in ("strict", "later"):
        rows = table(tmp_path / name)
        assert len(rows) == (4 if name == "strict" else 3)
        assert "verdict" not in rows[0] and "expected_score" not in rows[0]
        assert json.loads((tmp_path / name / "run.json").read_text()).get("quality") is None
        with pytest.raises(ModelError, match="decoded like these"):
            review_folder(tmp_path / name, required=0.9)
    decode_folder(tmp_path / "run", tmp_path / "same", {"threshold": own})
    assert not caplog.messages
    assert all(r["verdict"] for r in table(tmp_path / "same"))


def test_a_model_that_lost_statistics_of_a_member_is_not_loaded(tmp_path):
    rng = np.random.default_rng(0)
    known = tuple(fit_features(rng.normal(size=(8, 4))) for _ in range(2))
    folder = replace(dome_model(members=2), novelty=known).save(tmp_path / "model")
    assert len(load(folder, allow_imports=True).novelty) == 2
    (folder / "novelty-1.safetensors").unlink()
    with pytest.raises(ModelError, match=r"not complete: novelty-1\.safetensors missing"):
        load(folder, allow_imports=True)
    older = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    del older["files"]  # a model that does not list its files
    (folder / "model.yaml").write_text(yaml.safe_dump(older), encoding="utf-8")
    with pytest.raises(ModelError, match="of 1 members, expected of all 2"):
        load(folder, allow_imports=True)
