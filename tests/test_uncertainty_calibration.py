"""Reliability against scikit-learn and brute force; temperature against two other fits."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import optimize, special
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from delineate.errors import ModelError
from delineate.uncertainty import (
    Reliability,
    apply_temperature,
    fit_temperature,
    join_samples,
    pixel_reliability,
    reliability,
    sample_pixels,
)


def cases(n: int, temperature: float, classes: int, seed: int) -> tuple[NDArray, NDArray]:
    """Probabilities (n, K) that are right only once tempered, and classes drawn accordingly."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes))
    honest = special.softmax(logits, axis=1)
    truth = (honest.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return special.softmax(logits * temperature, axis=1).astype(np.float32), truth


def brute_force(confidence: NDArray, correct: NDArray, bins: int) -> float:
    """ECE as Guo et al. write it."""
    gaps, weights = [], []
    for m in range(bins):
        low, high = m / bins, (m + 1) / bins
        inside = (confidence > low) & (confidence <= high) | (confidence == 0) & (m == 0)
        if inside.any():
            gaps.append(abs(confidence[inside].mean() - correct[inside].mean()))
            weights.append(inside.mean())
    return float(np.dot(gaps, weights))


def test_bins_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.beta(2, 1, 5000)
    correct = rng.random(5000) < confidence**2
    ours = reliability(confidence, correct, bins=10)
    accuracy, mean = calibration_curve(correct, confidence, n_bins=10)
    np.testing.assert_allclose(ours.accuracy[ours.count > 0], accuracy)
    np.testing.assert_allclose(ours.confidence[ours.count > 0], mean)
    assert ours.n == 5000
    assert ours.ece == pytest.approx(brute_force(confidence, correct, 10))


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)),
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
)
def test_pieces_add_up_and_errors_are_bounded(confidence: NDArray, bins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    correct = rng.random(len(confidence)) < 0.5
    whole = reliability(confidence, correct, bins)
    cut = rng.integers(0, len(confidence) + 1)
    parts = reliability(confidence[:cut], correct[:cut], bins) + reliability(
        confidence[cut:], correct[cut:], bins
    )
    np.testing.assert_array_equal(parts.count, whole.count)
    assert parts.ece == pytest.approx(whole.ece)
    assert -1e-12 <= whole.ece <= 1 + 1e-9
    saved = Reliability.from_dict(json.loads(json.dumps(whole.to_dict())))
    assert saved.ece == whole.ece


def test_edges_of_bins_belong_to_the_lower_bin() -> None:
    found = reliability([0.0, 0.5, 0.5000001, 1.0], [0, 1, 1, 1], bins=2)
    assert found.count.tolist() == [2, 2]
    assert found.edges.tolist() == [0, 0.5, 1]


def test_degenerate_input() -> None:
    nothing = reliability([], [])
    assert nothing.n == 0 and math.isnan(nothing.ece)
    assert (nothing + reliability([1.0], [1])).ece == 0
    assert reliability([1.0, 1.0], [0, 0]).ece == 1
    for wrong in ([1.5], [-0.5], [math.nan]):
        with pytest.raises(ValueError, match=r"expected them in \[0, 1\]"):
            reliability(wrong, [1])
    with pytest.raises(ValueError, match="15 and 10 bins"):
        nothing + reliability([], [], bins=10)
    with pytest.raises(ModelError, match="count"):
        Reliability.from_dict({})
    with pytest.raises(ModelError, match="one length"):
        Reliability.from_dict({"count": [1], "confidence_sum": [1.0, 2.0], "correct": [1]})


def test_pixels_are_judged_by_their_most_probable_class() -> None:
    p, truth = cases(600_000, 1.5, 3, 1)
    image, classes = p.T.reshape(3, 600, 1000), truth.reshape(600, 1000)
    ours = pixel_reliability(image, classes)
    plain = reliability(p.max(axis=1), p.argmax(axis=1) == truth)
    np.testing.assert_array_equal(ours.count, plain.count)
    assert ours.ece == pytest.approx(plain.ece)
    kept = truth != 1
    ignoring = pixel_reliability(image, classes, ignore=1)
    expected = reliability(p.max(axis=1)[kept], (p.argmax(axis=1) == truth)[kept])
    np.testing.assert_array_equal(ignoring.correct, expected.correct)
    with pytest.raises(ValueError, match="same spatial axes"):
        pixel_reliability(image, classes[:5])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("classes", [2, 4])
def test_a_known_temperature_is_found(temperature: float, classes: int) -> None:
    p, truth = cases(60_000, temperature, classes, 2)
    found = fit_temperature(p, truth)
    assert found.value == pytest.approx(temperature, rel=0.03)
    assert found.nll_after <= found.nll_before
    assert found.n == 60_000


def test_the_fit_is_that_of_logistic_regression() -> None:
    """With two classes 1/T is the slope of a logistic regression on the log odds."""
    p, truth = cases(5_000, 2.0, 2, 3)
    weights = np.random.default_rng(0).uniform(0.2, 3, 5_000)
    odds = (np.log(p[:, 1]) - np.log(p[:, 0]))[:, None].astype(np.float64)
    reference = LogisticRegression(C=1e10, fit_intercept=False, tol=1e-10)
    slope = reference.fit(odds, truth, sample_weight=weights).coef_[0, 0]
    assert fit_temperature(p, truth, weights).value == pytest.approx(1 / slope, rel=1e-3)


def test_the_fit_is_the_optimum_of_another_minimiser() -> None:
    p, truth = cases(4_000, 1.7, 5, 4)
    logs = np.log(p.astype(np.float64))
    rows = np.arange(len(truth))

    def nll(beta: NDArray) -> float:
        return float(-special.log_softmax(beta[0] * logs, axis=1)[rows, truth].mean())

    best = optimize.minimize(nll, [1.0], method="Nelder-Mead", options={"xatol": 1e-6})
    found = fit_temperature(p, truth)
    assert found.value == pytest.approx(1 / best.x[0], rel=1e-3)
    assert found.nll_after == pytest.approx(best.fun, abs=1e-7)
    assert found.nll_before == pytest.approx(nll(np.ones(1)))


def test_scaling_calibrates_cases_that_it_was_not_fitted_on() -> None:
    p, truth = cases(20_000, 2.5, 3, 5)
    fitted = fit_temperature(p[:10_000], truth[:10_000])
    held_out, classes = p[10_000:].T, truth[10_000:]
    before = pixel_reliability(held_out, classes).ece
    after = pixel_reliability(apply_temperature(held_out, fitted.value), classes).ece
    assert before > 0.08
    assert after < 0.02


def test_the_temperature_of_samples_is_that_of_all_pixels() -> None:
    rng = np.random.default_rng(6)
    images = [cases(90_000, 2.0, 3, seed) for seed in (7, 8)]
    samples = [
        sample_pixels(p.T.reshape(3, 300, 300), t.reshape(300, 300), rng, n)
        for (p, t), n in zip(images, (20_000, 40_000), strict=True)
    ]
    joined = join_samples(*samples)
    assert joined.probabilities.shape == (60_000, 3)
    assert joined.weights.sum() == pytest.approx(180_000)
    whole = fit_temperature(*(np.concatenate(part) for part in zip(*images, strict=True)))
    assert fit_temperature(*joined).value == pytest.approx(whole.value, rel=0.03)


def test_drawn_pixels_keep_their_classes_and_are_never_drawn_twice() -> None:
    truth = np.arange(1000).reshape(10, 10, 10) % 4
    image = np.stack([np.arange(1000).reshape(truth.shape) / 1000] * 4)
    sample = sample_pixels(image, truth, np.random.default_rng(0), 300)
    numbers = np.rint(sample.probabilities[:, 0] * 1000).astype(int)
    assert len(set(numbers.tolist())) == 300
    np.testing.assert_array_equal(numbers % 4, sample.classes)
    again = sample_pixels(image, truth, np.random.default_rng(0), 300)
    np.testing.assert_array_equal(again.probabilities, sample.probabilities)
    everything = sample_pixels(image, truth, np.random.default_rng(0), ignore=2)
    assert len(everything.classes) == 750 and (everything.weights == 1).all()
    sparse = np.full((500, 500), -1)  # scribbles: 40 of 250,000 pixels are labelled
    sparse[7, 20:60] = 1
    even = np.full((2, 500, 500), 0.5)
    few = sample_pixels(even, sparse, np.random.default_rng(0), 20, ignore=-1)
    assert 10 <= len(few.classes) <= 30 and few.weights.sum() == pytest.approx(40, rel=0.5)
    with pytest.raises(ValueError, match="0 samples"):
        join_samples()


@settings(max_examples=80, deadline=None)
@given(
    hnp.arrays(np.float64, (3, 4), elements=st.floats(1e-6, 1)),
    st.floats(0.1, 10),
    st.floats(0.1, 10),
)
def test_temperatures_multiply_and_keep_the_class(raw: NDArray, one: float, two: float) -> None:
    p = raw / raw.sum(axis=0)
    once = apply_temperature(p, one)
    np.testing.assert_allclose(once, special.softmax(np.log(p) / one, axis=0), atol=1e-6)
    np.testing.assert_allclose(once.sum(axis=0), 1, atol=1e-6)
    gap = np.sort(p, axis=0)[-1] - np.sort(p, axis=0)[-2]
    clear = gap > 1e-3
    np.testing.assert_array_equal(once.argmax(0)[clear], p.argmax(0)[clear])
    # Two temperatures in turn are their product (unless single precision has lost a class).
    if once.min() > 1e-30:
        np.testing.assert_allclose(
            apply_temperature(once, two), apply_temperature(p, one * two), atol=1e-5
        )


def test_certain_predictions_stay_finite() -> None:
    p = np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(apply_temperature(p, 3.0), p)
    right = fit_temperature(p, [0, 1])
    assert math.isfinite(right.nll_after)
    wrong = fit_temperature(p, [1, 0])
    assert wrong.value > 10 and wrong.nll_after < wrong.nll_before


def test_what_cannot_be_fitted_is_refused() -> None:
    p = np.full((3, 2), 0.5)
    for arguments in ((p, [0, 1]), (p[:0], []), (p, [0, 1, 2]), (p, [0, 1, 1], [0, 0, 0])):
        with pytest.raises(ValueError, match="expected"):
            fit_temperature(*arguments)
    for temperature in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="positive"):
            apply_temperature(p, temperature)
