"""Scores of images against scikit-image, SciPy and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from skimage import metrics as theirs

from delineate.errors import ImageError
from delineate.metrics import (
    ImageRow,
    MeasuredImage,
    ScoreTables,
    best_scale,
    error_bars,
    image_scores,
    image_table,
    match_scale,
    nrmse,
    pearson,
    psnr,
    score_objects,
    si_psnr,
    ssim,
)

SHAPES = [(40, 33), (14, 20, 17), (11, 11)]


def images(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A smooth truth, and a prediction that is blurred, darker and noisy."""
    rng = np.random.default_rng(seed)
    truth = 200 + 40 * ndimage.gaussian_filter(rng.normal(size=shape), 1.5) / 0.1
    return 0.5 * truth + 30 + rng.normal(0, 5, shape), truth


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_are_those_of_scikit_image_and_scipy(shape: tuple[int, ...]) -> None:
    prediction, truth = images(shape)
    span = float(np.ptp(truth))
    similar = theirs.structural_similarity(
        truth, prediction, data_range=span, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    found = image_scores(prediction, truth)
    assert found.ssim == pytest.approx(similar, abs=1e-12)
    assert found.psnr == pytest.approx(
        theirs.peak_signal_noise_ratio(truth, prediction, data_range=span)
    )
    assert found.pearson == pytest.approx(stats.pearsonr(prediction.ravel(), truth.ravel())[0])
    assert nrmse(prediction, truth, by="range") == pytest.approx(
        theirs.normalized_root_mse(truth, prediction, normalization="min-max")
    )
    fit = stats.linregress(prediction.ravel(), truth.ravel())
    matched = fit.slope * prediction + fit.intercept
    np.testing.assert_allclose(match_scale(prediction, truth), matched)
    np.testing.assert_allclose(best_scale(prediction, truth), fit[:2])
    assert found.si_psnr == pytest.approx(
        theirs.peak_signal_noise_ratio(truth, matched, data_range=span)
    )
    assert found.si_psnr > found.psnr + 3
    assert found.si_ssim == pytest.approx(ssim(matched, truth, span))
    assert found.si_psnr == pytest.approx(
        10 * np.log10(span**2 / (truth.var() * (1 - found.pearson**2)))
    )


def test_scores_worked_out_by_hand() -> None:
    truth = np.array([[0, 2], [4, 6]], np.uint8)
    prediction = np.array([[1, 2], [4, 4]], np.uint8)  # squared errors 1, 0, 0, 4
    assert psnr(prediction, truth, 255) == pytest.approx(10 * np.log10(255**2 / 1.25))
    assert psnr(prediction, truth) == pytest.approx(10 * np.log10(36 / 1.25))
    assert nrmse(prediction, truth) == pytest.approx(np.sqrt(1.25 / 5))
    assert nrmse(prediction, truth, by="range") == pytest.approx(np.sqrt(1.25) / 6)
    # Deviations of p: −1.75, −0.75, 1.25, 1.25; of t: −3, −1, 1, 3.
    assert pearson(prediction, truth) == pytest.approx(11 / np.sqrt(6.75 * 20))
    slope = 11 / 6.75
    np.testing.assert_allclose(
        match_scale(prediction, truth), slope * prediction + 3 - slope * 2.75
    )
    assert si_psnr(prediction, truth, 6) == pytest.approx(
        10 * np.log10(36 / ((20 - 11**2 / 6.75) / 4))
    )


@pytest.mark.parametrize("shape", [(5, 40), (1, 1), (3, 30, 30), (4, 6), (2, 3, 5), (10, 10)])
def test_similarity_of_images_smaller_than_its_window(shape: tuple[int, ...]) -> None:
    prediction, truth = images(shape)
    truth = truth + np.arange(truth.size).reshape(shape)  # never constant … but for one pixel
    # The definition, written out with SciPy, mirrored at the edges.

    def blur(pixels: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(pixels, 1.5, mode="reflect", truncate=3.5)

    span = 300.0
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    mp, mt = blur(prediction), blur(truth)
    vp, vt = blur(prediction**2) - mp**2, blur(truth**2) - mt**2
    both = blur(prediction * truth) - mp * mt
    expected = (2 * mp * mt + c1) * (2 * both + c2) / ((mp**2 + mt**2 + c1) * (vp + vt + c2))
    inner = tuple(slice(5, -5) if n >= 11 else slice(None) for n in shape)
    assert ssim(prediction, truth, span) == pytest.approx(expected[inner].mean(), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    scale=st.floats(0.01, 100) | st.floats(-100, -0.01),
    shift=st.floats(-1000, 1000),
    shape=st.sampled_from([(9, 14), (16, 13), (4, 12, 13)]),
)
def test_brightness_and_contrast_do_not_matter_to_scale_invariant_scores(
    seed: int, scale: float, shift: float, shape: tuple[int, ...]
) -> None:
    prediction, truth = images(shape, seed)
    first = image_scores(prediction, truth)
    other = image_scores(scale * prediction + shift, truth)
    assert other.pearson == pytest.approx(np.sign(scale) * first.pearson, abs=1e-9)
    assert other.si_psnr == pytest.approx(first.si_psnr, abs=1e-6)
    assert other.si_ssim == pytest.approx(first.si_ssim, abs=1e-6)
    assert first.si_psnr >= first.psnr - 1e-9
    # Neither do the units of the files, as long as both change.
    both = image_scores(scale * prediction + shift, scale * truth + shift)
    assert both.psnr == pytest.approx(first.psnr, abs=1e-6)
    assert both.nrmse == pytest.approx(first.nrmse, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, bool])
@pytest.mark.parametrize("shape", [(20, 31), (3, 12, 14)])
def test_an_image_is_equal_to_itself(dtype: type, shape: tuple[int, ...]) -> None:
    truth = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    found = image_scores(truth, truth)
    assert found.psnr == found.si_psnr == np.inf
    assert found.nrmse == 0
    assert (found.ssim, found.si_ssim, found.pearson) == pytest.approx((1, 1, 1))


def test_constant_images() -> None:
    flat, wavy = np.full((12, 12), 0.1), images((12, 12))[1]
    found = image_scores(flat, wavy)  # the prediction knows nothing, but for the brightness
    assert found.pearson == 0
    assert found.si_psnr == pytest.approx(10 * np.log10(np.ptp(wavy) ** 2 / wavy.var()))
    assert nrmse(np.full_like(wavy, wavy.mean()), wavy) == pytest.approx(1)
    assert np.isfinite(found).all()
    same = image_scores(flat, flat)
    assert (same.psnr, same.ssim, same.nrmse) == (np.inf, 1, 0)
    assert np.isnan([same.si_psnr, same.si_ssim, same.pearson]).all()
    assert np.isnan(image_scores(wavy, flat)).all()
    given = image_scores(flat + 0.2, flat, data_range=2)
    assert given.psnr == pytest.approx(20)
    assert 0 < given.ssim < 1
    assert np.isnan([given.si_psnr, given.si_ssim, given.pearson, given.nrmse]).all()
    for score in (psnr, si_psnr, ssim):
        with pytest.raises(ImageError, match="the truth is constant"):
            score(wavy, flat)


def test_only_valid_pixels_count() -> None:
    prediction, truth = images((30, 40))
    valid = np.zeros((30, 40), bool)
    valid[:, :25] = True
    spoilt = prediction.copy()
    spoilt[:, 25:] = 5000
    span = float(np.ptp(truth[:, :25]))
    found, cut = image_scores(spoilt, truth, valid=valid), image_scores(
        prediction[:, :25], truth[:, :25]
    )  # fmt: skip
    for name in ("psnr", "si_psnr", "pearson", "nrmse"):
        assert getattr(found, name) == pytest.approx(getattr(cut, name))
    assert match_scale(spoilt, truth, valid)[:, :25] == pytest.approx(
        match_scale(prediction[:, :25], truth[:, :25])
    )
    _, similar = theirs.structural_similarity(
        truth, prediction, data_range=span, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    assert ssim(prediction, truth, span, valid) == pytest.approx(similar[5:-5, 5:25].mean())
    edge = np.zeros((30, 40), bool)
    edge[0, :4] = True
    assert ssim(prediction, truth, span, edge) == pytest.approx(similar[0, :4].mean())
    everything = np.ones((30, 40), bool)
    assert image_scores(prediction, truth, valid=everything) == image_scores(prediction, truth)
    assert np.isnan(image_scores(prediction, truth, valid=~everything)).all()
    assert np.isnan(image_scores(prediction, truth, 255, ~everything)).all()


def test_what_cannot_be_scored_is_named() -> None:
    prediction, truth = images((12, 12))
    with pytest.raises(ImageError, match=r"\(12, 11\).*\(12, 12\)"):
        image_scores(prediction[:, 1:], truth)
    with pytest.raises(ImageError, match=r"mask \(3, 3\)"):
        pearson(prediction, truth, np.ones((3, 3), bool))
    with pytest.raises(ImageError, match="complex"):
        ssim(prediction + 1j, truth)
    truth[3, 3] = np.nan
    with pytest.raises(ImageError, match="truth has pixels that are NaN"):
        psnr(prediction, truth)
    for wrong in (0, -1, np.inf, np.nan):
        with pytest.raises(ImageError, match="a range of"):
            image_scores(prediction, prediction, wrong)


def test_error_bars_against_scipy_and_a_normal_distribution() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(100, 20, (300, 400))
    deviation = rng.uniform(0.5, 8, truth.shape)
    prediction = truth + rng.normal(0, deviation)
    found = error_bars(prediction, truth, deviation**2)
    assert found.within == pytest.approx(0.95, abs=0.003)
    expected = stats.spearmanr(deviation.ravel(), np.abs(prediction - truth).ravel()).statistic
    assert found.spearman == pytest.approx(expected)
    assert error_bars(prediction, truth, deviation**2 / 4).within == pytest.approx(0.673, abs=0.005)
    large = error_bars(*(np.tile(x, (3, 4)) for x in (prediction, truth, deviation**2)))
    assert large.pixels == 12 * truth.size
    assert large.spearman == pytest.approx(found.spearman, abs=0.005)
    assert large.within == pytest.approx(found.within)


def test_error_bars_that_say_nothing() -> None:
    truth = np.arange(12.0).reshape(3, 4)
    flat = error_bars(truth + 1, truth, np.ones_like(truth))
    assert np.isnan(flat.spearman)
    assert flat.within == 1
    assert np.isnan(error_bars(truth[:0], truth[:0], truth[:0])).tolist() == [True, True, False]
    for wrong in (-1, np.nan):
        with pytest.raises(ImageError, match="variance"):
            error_bars(truth, truth, np.full_like(truth, wrong))
    with pytest.raises(ImageError, match=r"variance \(2, 4\)"):
        error_bars(truth, truth, truth[1:])


def summary_of(tables: ScoreTables, score: str, channel: str = "a") -> dict[str, dict[str, float]]:
    """Rows of a score by how it was averaged."""
    s = tables.summary
    places = np.flatnonzero((s["score"] == score) & (s["channel"] == channel))
    return {str(s["averaging"][i]): {k: float(s[k][i]) for k in NUMBERS} for i in places}


NUMBERS = ("value", "low", "high", "images")
AVERAGED, POOLED = "mean over images", "pooled over images"


def test_one_image_pools_to_its_own_scores() -> None:
    prediction, truth = images((30, 31))
    measured = MeasuredImage.of(prediction, truth)
    tables = image_table([ImageRow("x", "a", measured)], np.random.default_rng(0))
    for name, value in image_scores(prediction, truth)._asdict().items():
        rows = summary_of(tables, name)
        for averaging in (AVERAGED, POOLED):
            # One image tells nothing of how much others differ.
            expected = [value, np.nan, np.nan, 1]
            found = [rows[averaging][k] for k in NUMBERS]
            assert found == pytest.approx(expected, nan_ok=True)


def test_pooled_scores_weigh_pixels() -> None:
    large, small = images((40, 40)), images((20, 20), 1)
    rows = [
        ImageRow("x", "a", MeasuredImage.of(*large)),
        ImageRow("y", "a", MeasuredImage.of(*small)),
    ]
    tables = image_table(rows, np.random.default_rng(0))
    scores = [row.whole.scores for row in rows]
    weights = [1600, 400]
    assert summary_of(tables, "ssim")[POOLED]["value"] == pytest.approx(
        np.average([s.ssim for s in scores], weights=weights)
    )
    assert summary_of(tables, "psnr")[AVERAGED]["value"] == pytest.approx(
        np.mean([s.psnr for s in scores])
    )
    relative = [((p - t) ** 2 / np.ptp(t) ** 2).ravel() for p, t in (large, small)]
    assert summary_of(tables, "psnr")[POOLED]["value"] == pytest.approx(
        -10 * np.log10(np.concatenate(relative).mean())
    )
    p, t = (
        np.concatenate([(pair[k] - pair[k].mean()).ravel() for pair in (large, small)])
        for k in (0, 1)
    )
    assert summary_of(tables, "pearson")[POOLED]["value"] == pytest.approx(stats.pearsonr(p, t)[0])
    errors = np.concatenate([(pair[0] - pair[1]).ravel() for pair in (large, small)])
    expected = np.sqrt((errors**2).mean() / (t**2).mean())
    assert summary_of(tables, "nrmse")[POOLED]["value"] == pytest.approx(expected)
    spread = summary_of(tables, "nrmse")[POOLED]
    assert spread["low"] < spread["value"] < spread["high"]


def test_images_without_an_answer_are_left_out_and_counted() -> None:
    prediction, truth = images((24, 24))
    flat = np.zeros_like(truth)
    rows = [
        ImageRow("plain", "a", MeasuredImage.of(prediction, truth)),
        ImageRow("equal", "a", MeasuredImage.of(truth, truth)),
        ImageRow("empty", "a", MeasuredImage.of(prediction, flat)),
    ]
    tables = image_table(rows, np.random.default_rng(0))
    own = rows[0].whole.scores
    psnr_rows = summary_of(tables, "psnr")
    assert (psnr_rows[AVERAGED]["value"], psnr_rows[AVERAGED]["images"]) == (own.psnr, 1)
    # Of both images whose range is known, one is perfect: half the error.
    assert psnr_rows[POOLED]["value"] == pytest.approx(own.psnr + 10 * np.log10(2))
    assert summary_of(tables, "ssim")[AVERAGED]["images"] == 2
    assert np.isnan(tables.images["pearson"]).tolist() == [False, False, True]
    only = image_table(rows[2:], np.random.default_rng(0))
    assert np.isnan(summary_of(only, "pearson")[POOLED]["value"])
    assert summary_of(only, "pearson")[AVERAGED]["images"] == 0


def test_channels_masks_and_objects_have_rows_and_columns_of_their_own() -> None:
    prediction, truth = images((24, 24))
    valid = np.zeros((24, 24), bool)
    valid[:, :18] = True
    kept = MeasuredImage.of(prediction, truth, valid=valid)
    whole = MeasuredImage.of(prediction, truth)
    rows = [
        ImageRow("x", "a", whole, kept, 0.75, error_bars(prediction, truth, np.abs(truth))),
        ImageRow("x", "b", MeasuredImage.of(truth, truth)),
    ]
    labels = np.zeros((24, 24), int)
    labels[2:8, 2:8], labels[12:18, 12:18] = 1, 2
    objects = {"x": score_objects(labels, np.where(labels == 1, 1, 0))}
    tables = image_table(rows, np.random.default_rng(0), objects)
    table = tables.images
    assert table["kept_share"][0] == 0.75
    assert table["kept_psnr"][0] == kept.scores.psnr != whole.scores.psnr
    assert np.isnan(table["kept_psnr"][1])
    assert summary_of(tables, "kept_psnr")[POOLED]["value"] == pytest.approx(kept.scores.psnr)
    assert POOLED not in summary_of(tables, "kept_psnr", "b")
    assert summary_of(tables, "error_within_95")[AVERAGED]["images"] == 1
    assert table["segmentation_AP50"].tolist() == [0.5, 0.5]
    assert (table["objects_truth"][0], table["objects_prediction"][0]) == (2, 1)
    assert summary_of(tables, "segmentation_Dice", "")[POOLED]["value"] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="no images"):
        image_table([], np.random.default_rng(0))


def test_errors_of_some_pixels_are_held_against_the_spread_of_the_whole_truth() -> None:
    """PSNR and NRMSE of a part then order images alike: one is a function of the other."""
    prediction, truth = images((40, 33))
    keep = np.zeros(truth.shape, bool)
    keep[:9] = True
    span, spread = float(np.ptp(truth)), float(truth.std())
    found = MeasuredImage.of(prediction, truth, span, keep, spread)
    assert found.scores.nrmse * spread / span == pytest.approx(10 ** (-found.scores.psnr / 20))
    both = [found, MeasuredImage.of(2 * prediction, 2 * truth, 2 * span, ~keep, 2 * spread)]
    errors = [m.sums.error for m in both]
    held = [spread**2 * keep.sum(), (2 * spread) ** 2 * (~keep).sum()]
    rows = [ImageRow(str(n), "", m) for n, m in enumerate(both)]
    summary = image_table(rows, np.random.default_rng(0), n=10).summary
    pooled = dict(zip(summary["score"], summary["value"], strict=True))["nrmse"]  # the last row
    assert pooled == pytest.approx(np.sqrt(sum(errors) / sum(held)))
    assert np.isnan(nrmse(prediction, truth, 0.0, keep))
    assert nrmse(truth, truth, 0.0) == 0
