"""Which part of true images a run is scored by, and in which units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from delineate.data.normalise import Normalise
from delineate.errors import ImageError, ReadError
from delineate.metrics import image_scores
from delineate.review.image_scores import Example
from delineate.runs.evaluate_images import evaluate_images
from delineate.runs.segmenter import Segmenter
from domes import dome_model, domes
from scored_images import call, put, record, rows, scene


def test_results_in_units_of_their_own_are_scored_after_the_best_brightness_and_contrast(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Targets that were matched to their images: results have the units of these."""
    run, truth = tmp_path / "run", tmp_path / "truth"
    prediction, true = scene((60, 70))
    noise = float(np.std(prediction - true))
    put(run / "results" / "a.tif", 7 + prediction / 40)
    variance = np.full((60, 70), (noise / 40) ** 2, np.float32)
    variance[:30] *= 1.01
    parts = np.stack([variance, variance, 0 * variance])
    put(run / "uncertainty" / "a.tif", parts, "CYX", ("predictive", "aleatoric", "epistemic"))
    mask = np.zeros((60, 70), np.uint8)
    mask[:20] = 1
    put(run / "doubtful" / "a.tif", mask)
    put(truth / "a.tif", true)
    recipe = {"method": {"name": "regression"}, "normalise_target": {"kind": "match"}}
    record(run, "a", recipe=recipe, delineate="0.1.0")
    (run / "images.csv").write_text("image,status\na,done\n")
    assert call("evaluate", run, truth) == 0
    (row,) = rows(run / "scores.csv")
    expected = image_scores(prediction, true)
    for name in ("si_psnr", "si_ssim", "pearson"):
        assert float(row[name]) == pytest.approx(getattr(expected, name), rel=1e-4)
    for name in ("psnr", "ssim", "nrmse"):
        assert name not in row and f"kept_{name}" not in row
    assert float(row["kept_pearson"]) > 0.9
    assert float(row["error_within_95"]) == pytest.approx(0.95, abs=0.02)
    said = capsys.readouterr()
    (line,) = [line for line in said.out.splitlines() if "units of the images" in line]
    assert "read si_psnr, si_ssim and pearson" in line
    names = {r["score"] for r in rows(run / "summary.csv")}
    assert "si_ssim" in names and not names & {"psnr", "ssim", "nrmse", "kept_nrmse"}
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "scale-invariant SSIM" in report and "NRMSE" not in report
    assert "have the units of the images that they were made from" in report
    plain = evaluate_images(run / "results", truth, tmp_path / "plain").tables.images
    assert plain["nrmse"][0] > 1  # nobody says of which run they are


def test_what_is_shown_of_them_is_in_the_scale_of_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction, true = scene((24, 30))
    put(tmp_path / "run" / "results" / "a.tif", 3 - prediction / 40)
    put(tmp_path / "truth" / "a.tif", true)
    record(tmp_path / "run", "a", recipe={"normalise_target": {"kind": "match"}})
    shown: list[Example] = []

    def keep(images: object, examples: list[Example], *_: object) -> None:
        shown.extend(examples)

    monkeypatch.setattr("delineate.review.image_scores.image_scores_figure", keep)
    evaluate_images(tmp_path / "run", tmp_path / "truth", tmp_path / "out")
    (example,) = shown
    assert example.matched
    slope, offset = np.polyfit(prediction.ravel(), true.ravel(), 1)
    np.testing.assert_allclose(example.prediction, slope * prediction + offset, atol=0.02)
    assert example.ssim == pytest.approx(image_scores(prediction, true).si_ssim, rel=1e-4)


def test_the_truth_is_the_part_of_its_files_that_the_model_learned(tmp_path: Path) -> None:
    """One file holds image and target, as training takes it; planes serve as channels."""
    pixels = np.stack([[scene((4, 20, 24))[1] for _ in range(3)] for _ in range(2)])  # TCZYX
    run, data = tmp_path / "run", tmp_path / "data"
    put(data / "images" / "m.tif", 0 * pixels, "TCZYX", ("seen", "DNA", "actin"))
    put(data / "targets" / "m.tif", pixels, "TCZYX", ("seen", "DNA", "actin"))
    put(run / "results" / "m.tif", pixels[:, 2, 1], "TYX")
    learned = {"target_channels": [2], "planes": [1], "z_channels": True}
    record(run, "m", recipe={"data": learned})
    table = evaluate_images(run, data, tmp_path / "out").tables.images
    assert table["nrmse"].tolist() == [0, 0]
    # Files that hold what was learned, and nothing else.
    put(tmp_path / "alone" / "m.tif", pixels[:, 2, 1], "TYX")
    assert evaluate_images(run, tmp_path / "alone", tmp_path / "out").tables.images["nrmse"][1] == 0
    # Planes as channels, in the order of the recipe.
    put(run / "results" / "m.tif", pixels[:, 1][:, [3, 0]], "TCYX", ("DNA z3", "DNA z0"))
    record(run, "m", recipe={"data": learned | {"target_channels": [1], "planes": [3, 0]}})
    found = evaluate_images(run, data, tmp_path / "out")
    assert found.tables.images["nrmse"].tolist() == [0] * 4
    # Volumes keep their Z.
    put(run / "results" / "m.tif", pixels[:, 0, 1:3], "TZYX")
    record(run, "m", recipe={"data": learned | {"target_channels": [0], "planes": [1, 2]}})
    assert evaluate_images(run, data, tmp_path / "out").tables.images["nrmse"].tolist() == [0, 0]
    # Where nothing is known of the truth, a model learned of the channels of images.
    put(run / "results" / "m.tif", pixels[:, 1], "TZYX")
    blind = {"data": {"channels": [0]}, "regime": {"name": "blind-spot"}}
    record(run, "m", recipe=blind, settings={"channels": [1]})
    assert evaluate_images(run, data, tmp_path / "out").tables.images["nrmse"].tolist() == [0, 0]


def test_the_part_of_the_truth_can_be_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.stack([scene((4, 20, 24))[1] for _ in range(3)])  # CZYX
    found, data = tmp_path / "found", tmp_path / "data"
    put(found / "m.tif", pixels[2, 1])
    put(data / "m.tif", pixels, "CZYX")
    chosen = ("--images", "--truth-channels", 2, "--truth-planes", 1)
    assert call("evaluate", found, data, *chosen) == 0
    assert float(rows(tmp_path / "found-scores" / "scores.csv")[0]["nrmse"]) == 0
    capsys.readouterr()
    refused = {
        r"(4, 20, 24) are meant): expected images": ("--images", "--truth-channels", 2),
        "has 3 channels, numbered from 0: --truth-channels asks for 3": (*chosen[:2], "0,3"),
        "--truth-planes a: expected numbers": (*chosen[:-1], "a"),
        "--truth-channels is for images": ("--truth-channels", 0),
    }
    for message, options in refused.items():
        assert call("evaluate", found, data, *options) != 0
        assert message in capsys.readouterr().err.replace("\n", " "), message


@pytest.mark.parametrize("kind", ["mask", "macenko"])
def test_what_has_no_units_is_compared_as_it_was_learned(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    shape = (2, 30, 40) if kind == "mask" else (3, 60, 60)
    true = np.where(rng.random(shape) > 0.5, 255, 0).astype(np.uint8)
    if kind == "macenko":  # two stains
        amount = rng.random((2, 60, 60))
        densities = np.einsum("sc,syx->cyx", [[0.56, 0.72, 0.41], [0.22, 0.80, 0.56]], amount)
        true = (240 * 10**-densities).astype(np.uint8)
    rule = Normalise(kind=kind)  # type: ignore[arg-type]
    made = rule.fit(true).apply(true)
    put(tmp_path / "run" / "results" / "a.tif", made, "CYX")
    put(tmp_path / "truth" / "a.tif", true, "CYX")
    learned = {"normalise_target": rule.model_dump(mode="json")}
    record(tmp_path / "run", "a", recipe=learned)
    found = evaluate_images(tmp_path / "run", tmp_path / "truth", tmp_path / "out").tables.images
    assert found["nrmse"] == pytest.approx(np.zeros(len(made)), abs=1e-6)
    record(tmp_path / "run", "a", recipe={"normalise_target": {"kind": kind, "strange": 1}})
    with pytest.raises(ReadError, match=r"run\.json: normalise_target"):
        evaluate_images(tmp_path / "run", tmp_path / "truth", tmp_path / "out")


def test_a_truth_without_time_is_that_of_all_time_points(tmp_path: Path) -> None:
    true, _ = domes((60, 60), 8, 3)
    put(tmp_path / "true" / "m.tif", true)
    put(tmp_path / "found" / "m.tif", np.stack([true, 2 * true]), "TYX")
    table = evaluate_images(
        tmp_path / "found", tmp_path / "true", tmp_path / "out", segmenter=Segmenter(dome_model())
    ).tables.images
    assert table["image"].tolist() == ["m-t0000", "m-t0001"]
    assert table["nrmse"][0] == 0 < table["nrmse"][1]
    assert table["objects_truth"].tolist() == [3, 3]
    with pytest.raises(ImageError, match="same pixels"):
        evaluate_images(tmp_path / "true", tmp_path / "found", tmp_path / "out")
