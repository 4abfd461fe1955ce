"""Scoring folders of predicted images: runs, movies, channels, masks, error bars, segmentations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from skimage.metrics import peak_signal_noise_ratio

from delineate.errors import DataError, ImageError, ModelError, ReadError
from delineate.image import Image
from delineate.io import write_labels
from delineate.metrics import image_scores
from delineate.runs.evaluate_images import evaluate_images
from delineate.runs.segmenter import Segmenter
from domes import dome_model, domes
from scored_images import RNG, call, put, record, rows, scene


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


def test_images_without_truth_are_told_and_the_others_scored(tmp_path: Path) -> None:
    prediction, true = scene((20, 20))
    run = tmp_path / "run"
    for name in "abc":
        put(run / "results" / f"{name}.tif", prediction)
    record(run, *"abc")
    for name in "bd":
        put(tmp_path / "true" / f"{name}.tif", true)
    found = evaluate_images(run, tmp_path / "true", tmp_path / "out")
    assert [row["image"] for row in rows(tmp_path / "out" / "scores.csv")] == ["b"]
    assert (found.missing, found.without) == (1, ("a", "c"))
    assert found.lines()[-2:] == [
        "not scored, since not predicted: 1 of the true images",
        "not scored, without truth: 2 of the predictions (the first is a)",
    ]


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    prediction, true = scene((20, 24))
    found, truth, out = tmp_path / "found", tmp_path / "true", tmp_path / "out"
    put(found / "a.tif", prediction)
    put(truth / "b.tif", true)
    with pytest.raises(DataError, match=r"none .* has a truth.*called a, the true files b; give"):
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
