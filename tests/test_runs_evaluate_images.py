"""Scoring folders of predicted images: runs, movies, channels, masks, error bars, segmentations."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio

from delineate.cli import main
from delineate.errors import DataError, ImageError, ModelError, ReadError
from delineate.image import Image
from delineate.io import write_image, write_labels
from delineate.metrics import image_scores
from delineate.review.image_scores import Example
from delineate.runs.evaluate_images import Segmenter, evaluate_images
from domes import dome_model, domes

RNG = np.random.default_rng(0)


def put(path: Path, pixels: np.ndarray, axes: str = "YX", channels: tuple[str, ...] = ()) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Image(pixels, axes, channels=channels))


def record(run: Path, *names: str, failed: tuple[str, ...] = (), **facts: object) -> None:
    inputs = [{"name": n, "status": "failed" if n in failed else "done"} for n in names]
    (run / "run.json").write_text(json.dumps({"schema": 1, "inputs": inputs, **facts}))


def scene(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A true image and a prediction of it with noise."""
    truth = 100 + 50 * ndimage.gaussian_filter(RNG.normal(size=shape), 2) / 0.15
    return (truth + RNG.normal(0, 8, shape)).astype(np.float32), truth.astype(np.float32)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_a_run_is_scored_image_by_image_with_masks_and_error_bars(tmp_path: Path) -> None:
    run, truth = tmp_path / "run", tmp_path / "truth"
    pairs = {name: scene((40, 50)) for name in ("plate/a", "b")}
    for name, (prediction, true) in pairs.items():
        put(run / "results" / f"{name}.tif", prediction)
        put(truth / f"{name}.tif", true)
        variance = np.stack([np.full((40, 50), v, np.float32) for v in (64, 50, 14)])
        variance[0] += RNG.random((40, 50))
        put(run / "uncertainty" / f"{name}.tif", variance, "CYX", ("predictive", "a", "e"))
    put(truth / "c.tif", true)
    put(run / "results" / "c.tif", prediction)  # of an earlier run, in which it had not failed
    mask = np.zeros((40, 50), np.uint8)
    mask[:10] = 1
    put(run / "doubtful" / "b.tif", mask)
    record(run, "plate/a", "b", "c", failed=("c",))
    found = evaluate_images(run, truth, tmp_path / "scores")
    assert found.missing == 1
    table = {r["image"]: r for r in rows(tmp_path / "scores" / "scores.csv")}
    assert list(table) == ["plate/a", "b"]
    for name, (prediction, true) in pairs.items():
        span = float(np.ptp(true))
        expected = peak_signal_noise_ratio(
            true.astype(float), prediction.astype(float), data_range=span
        )
        assert float(table[name]["psnr"]) == pytest.approx(expected)
        for score, value in image_scores(prediction, true)._asdict().items():
            assert float(table[name][score]) == pytest.approx(value)
        assert 0.9 < float(table[name]["error_within_95"]) < 1
        assert abs(float(table[name]["error_spearman"])) < 0.1
    prediction, true = pairs["b"]
    expected = image_scores(prediction, true, float(np.ptp(true)), mask == 0)
    assert float(table["b"]["kept_share"]) == 0.75
    assert float(table["b"]["kept_psnr"]) == pytest.approx(expected.psnr)
    assert float(table["b"]["kept_ssim"]) == pytest.approx(expected.ssim)
    error = np.sqrt(np.mean((prediction - true)[10:].astype(float) ** 2))
    assert float(table["b"]["kept_nrmse"]) == pytest.approx(error / true.std(dtype=float), rel=1e-5)
    assert table["plate/a"]["kept_psnr"] == table["plate/a"]["kept_share"] == ""
    summary = {(r["score"], r["averaging"]): r for r in rows(tmp_path / "scores" / "summary.csv")}
    mean = summary["psnr", "mean over images"]
    assert float(mean["value"]) == pytest.approx(
        np.mean([float(t["psnr"]) for t in table.values()])
    )
    assert float(mean["low"]) <= float(mean["value"]) <= float(mean["high"])
    assert mean["images"] == "2"
    assert summary["kept_ssim", "mean over images"]["images"] == "1"
    with Picture.open(tmp_path / "scores" / "scores.png") as picture:
        assert picture.width == 1440
    text = "\n".join(found.lines())
    assert "2 images; 95%" in text and "1 of the true images" in text
    assert "n=1" in text and "channel" not in text


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


def test_a_perfect_run(tmp_path: Path) -> None:
    _, true = scene((16, 20))
    put(tmp_path / "found" / "a.tif", true)
    put(tmp_path / "true" / "a.tif", true)
    found = evaluate_images(tmp_path / "found", tmp_path / "true", tmp_path / "out")
    assert found.tables.images["psnr"].tolist() == [np.inf]
    lines = {line.split()[0]: line.split()[1:] for line in found.lines()}
    assert lines["ssim"] == ["1.000", "1.000"]  # one image has no interval
    assert lines["psnr"][0] == "–"  # an infinite number has no mean
    assert (tmp_path / "out" / "scores.png").exists()


def test_channels_and_time_points_are_scored_apart(tmp_path: Path) -> None:
    true = np.stack([[scene((12, 30, 20))[1] for _ in range(2)] for _ in range(3)])
    true = true.transpose(0, 1, 2, 3, 4)  # TCZYX
    found = true.copy()
    found[1, 1] += RNG.normal(0, 5, found[1, 1].shape)
    names = ("DNA", "actin")
    mask = np.zeros((3, 12, 30, 20), np.uint8)
    mask[1] = 1
    run = tmp_path / "run"
    put(run / "results" / "m.ome.zarr", found, "TCZYX", names)
    (run / "doubtful").mkdir()
    write_labels(run / "doubtful" / "m.tif", mask, axes="TZYX")
    spread = np.ones((3, 6, 12, 30, 20), np.float32)
    spread[:, 3] = 1e6
    kinds = ("predictive", "aleatoric", "epistemic")
    put(
        run / "uncertainty" / "m.tif", spread, "TCZYX",
        tuple(f"{k} {n}" for n in range(2) for k in kinds),
    )  # fmt: skip
    record(run, "m")
    put(tmp_path / "true" / "m.tif", true, "TCZYX")
    table = evaluate_images(run, tmp_path / "true", tmp_path / "out").tables.images
    assert list(table["image"]) == [f"m-t000{t}" for t in (0, 0, 1, 1, 2, 2)]
    assert list(table["channel"]) == [*names] * 3
    assert np.isfinite(table["psnr"]).tolist() == [False, False, False, True, False, False]
    assert table["kept_share"].tolist() == [1, 1, 0, 0, 1, 1]
    assert np.isnan(table["kept_ssim"]).tolist() == [False, False, True, True, False, False]
    assert table["error_within_95"][3] == 1  # by the large variance of the second channel
    summary = rows(tmp_path / "out" / "summary.csv")
    assert {r["channel"] for r in summary} == {*names}


def test_names_of_inputs_and_targets_in_one_folder(tmp_path: Path) -> None:
    prediction, true = scene((20, 20))
    put(tmp_path / "found" / "x_IM.tif", prediction)
    put(tmp_path / "found" / "y.tif", prediction)
    for name, pixels in {"x_IM": 0 * true, "x_GT": true, "x_CM": true, "y_masks": true}.items():
        put(tmp_path / "data" / f"{name}.tif", pixels)
    put(tmp_path / "data" / "z_GT.tif", true)
    found = evaluate_images(tmp_path / "found", tmp_path / "data", tmp_path / "out")
    assert found.missing == 1
    expected = image_scores(prediction, true).pearson
    assert found.tables.images["pearson"] == pytest.approx([expected] * 2)
    single = evaluate_images(
        tmp_path / "found" / "y.tif", tmp_path / "data" / "x_GT.tif", tmp_path / "one",
        data_range=500,
    )  # fmt: skip
    assert single.tables.images["psnr"] == pytest.approx(image_scores(prediction, true, 500).psnr)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    prediction, true = scene((20, 24))
    found, truth, out = tmp_path / "found", tmp_path / "true", tmp_path / "out"
    put(found / "a.tif", prediction)
    put(truth / "b.tif", true)
    with pytest.raises(DataError, match=r"no truth.*first is a"):
        evaluate_images(found, truth, out)
    put(truth / "a.tif", true[1:])
    with pytest.raises(ImageError, match=r"a\.tif.*\(20, 24\).*\(19, 24\)"):
        evaluate_images(found, truth, out)
    put(truth / "a.tif", np.where(true > 100, np.nan, true))
    with pytest.raises(ImageError, match=r"a\.tif.*NaN"):
        evaluate_images(found, truth, out)
    put(truth / "a.tif", true)
    run = tmp_path / "run"
    put(run / "results" / "a.tif", prediction)
    record(run, "a")
    put(run / "uncertainty" / "a.tif", np.ones((3, 20, 24), np.float32), "CYX", ("x", "y", "z"))
    with pytest.raises(ImageError, match=r"x, y, z.*called predictive"):
        evaluate_images(run, truth, out)
    put(run / "uncertainty" / "a.tif", np.ones((20, 24), np.float32), channels=("predictive",))
    put(run / "doubtful" / "a.tif", np.ones((20, 20), np.uint8))
    with pytest.raises(ImageError, match=r"doubtful.*\(20, 20\).*\(20, 24\)"):
        evaluate_images(run, truth, out)
    (run / "results" / "a.tif").unlink()
    with pytest.raises(ReadError, match="is missing"):
        evaluate_images(run, truth, out)


@pytest.mark.parametrize("ndim", [2, 3])
def test_segmentations_of_prediction_and_truth_are_compared(tmp_path: Path, ndim: int) -> None:
    shape = (70, 72) if ndim == 2 else (40, 42, 44)
    true, labels = domes(shape, 8, 4 if ndim == 2 else 2)
    fewer = np.where(labels == 1, 0, true).astype(np.float32)  # one object is not predicted
    axes = "ZYX"[3 - ndim :]
    put(tmp_path / "found" / "a.tif", fewer, axes)
    put(tmp_path / "true" / "a.tif", true, axes)
    model = dome_model(ndim=ndim)
    tables = evaluate_images(
        tmp_path / "found", tmp_path / "true", tmp_path / "out", segmenter=Segmenter(model)
    ).tables
    n = labels.max()
    assert tables.images["objects_truth"].tolist() == [n]
    assert tables.images["objects_prediction"].tolist() == [n - 1]
    assert tables.images["segmentation_AP50"][0] == pytest.approx((n - 1) / n)
    assert tables.images["segmentation_mAP"][0] == pytest.approx((n - 1) / n, abs=0.1)
    segmented = labels > 0
    kept = segmented & (labels != 1)
    assert tables.images["segmentation_Dice"][0] == pytest.approx(
        2 * kept.sum() / (kept.sum() + segmented.sum()), abs=0.05
    )
    names = [r["score"] for r in rows(tmp_path / "out" / "summary.csv") if r["channel"] == ""]
    assert names.count("segmentation_mAP") == 2 and "objects_truth" in names


def test_channels_and_frames_for_the_segmentation(tmp_path: Path) -> None:
    first, _ = domes((60, 60), 8, 3)
    second, _ = domes((60, 60), 8, 2, seed=1)
    movie = np.stack([[np.zeros_like(first), first], [np.zeros_like(first), second]])
    put(tmp_path / "found" / "m.tif", movie, "TCYX")
    put(tmp_path / "true" / "m.tif", movie, "TCYX")
    model = dome_model()
    with pytest.raises(ImageError, match="has 2 channels"):
        evaluate_images(
            tmp_path / "found", tmp_path / "true", tmp_path / "out", segmenter=Segmenter(model)
        )
    found = evaluate_images(
        tmp_path / "found", tmp_path / "true", tmp_path / "out", segmenter=Segmenter(model, [1])
    )
    assert found.tables.images["objects_truth"].tolist() == [3, 3, 2, 2]
    assert found.tables.images["segmentation_mAP"].tolist() == [1] * 4
    assert "objects in all: 5 in the true images, 5 in the predicted" in found.lines()


def test_a_model_that_makes_images_cannot_segment(tmp_path: Path) -> None:
    class Painter:
        name = "painter"

        def predict(self, image: Image, **_: object) -> object:
            return type("Prediction", (), {"labels": None})()

    put(tmp_path / "a.tif", scene((20, 20))[1])
    with pytest.raises(ModelError, match="painter makes images"):
        evaluate_images(
            tmp_path / "a.tif", tmp_path / "a.tif", tmp_path / "out",
            segmenter=Segmenter(Painter()),  # type: ignore[arg-type]
        )  # fmt: skip


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(a) for a in arguments])
    return int(exit_.value.code or 0)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = dome_model().save(tmp_path / "domes")
    run, truth = tmp_path / "run", tmp_path / "true"
    true, _ = domes((60, 60), 8, 3)
    put(run / "results" / "a.tif", true.astype(np.float32))
    record(run, "a")
    put(truth / "a.tif", true)
    assert call("evaluate", run, truth, "--segment", model, "--allow-imports") == 0
    text = capsys.readouterr().out
    assert "segmentation_mAP      1.000 " in text
    assert (run / "scores.csv").exists() and (run / "scores.png").exists()
    assert call("evaluate", run / "results", truth, "--images", "--data-range", 255) == 0
    assert (run / "results-scores" / "summary.csv").exists()
    refused = {
        "--classes is for labels": (run, truth, "--classes", 2),
        "--segment is for images": (truth, truth, "--segment", model),
        "--channels says what": (run, truth, "--channels", 0),
        "a range of 0": (run, truth, "--data-range", 0),
    }
    for message, arguments in refused.items():
        assert call("evaluate", *arguments) != 0
        assert message in capsys.readouterr().err
