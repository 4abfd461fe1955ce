"""A temperature is shown on images that it was not fitted on; objects keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from delineate.uncertainty import (
    PixelSample,
    apply_temperature,
    fit_temperature,
    join_samples,
    pixel_reliability,
)
from delineate.uncertainty.crossfit import FEWEST, cross_fit
from delineate.uncertainty.matched import object_reliability


def image(seed: int, factor: float, n: int = 4000) -> PixelSample:
    """Pixels whose logits are too large by a factor."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 3))
    honest = special.softmax(logits, axis=1)
    truth = (honest.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    stated = special.softmax(logits * factor, axis=1).astype(np.float32)
    return PixelSample(stated, truth, np.ones(n))


def ece(parts: list[tuple[PixelSample, float]]) -> float:
    """Of images, each with a temperature; by brute force over 15 bins."""
    scaled = [(special.softmax(np.log(s.probabilities) / t, axis=1), s.classes) for s, t in parts]
    p = np.concatenate([q for q, _ in scaled])
    right = p.argmax(axis=1) == np.concatenate([c for _, c in scaled])
    stated = p.max(axis=1)
    total = 0.0
    for k in range(15):
        inside = (stated > k / 15) & (stated <= (k + 1) / 15)
        if inside.any():
            total += abs(stated[inside].sum() - right[inside].sum())
    return total / len(stated)


def test_each_image_has_the_temperature_of_the_others() -> None:
    images = [image(k, factor) for k, factor in enumerate((1.0, 2.0, 3.0, 4.0))]
    found = cross_fit(images, folds=4)
    temperatures = [
        fit_temperature(*join_samples(*(other for other in images if other is not own))).value
        for own in images
    ]
    assert found.temperatures == pytest.approx(temperatures, rel=1e-3)
    assert found.before.ece == pytest.approx(ece([(i, 1.0) for i in images]), abs=1e-4)
    expected = ece(list(zip(images, temperatures, strict=True)))
    assert found.after.ece == pytest.approx(expected, abs=1e-4)
    assert found.before.n == found.after.n == 16_000
    assert found.how == "fitted on the other images"


def test_a_fit_that_serves_only_its_own_images_is_seen_through() -> None:
    """Sure images and unsure ones: what one half asks for is wrong for the other."""
    images = [image(k, 0.4 if k < 3 else 2.5) for k in range(6)]
    whole = join_samples(*images)
    own = pixel_reliability(
        apply_temperature(whole.probabilities.T, fit_temperature(*whole).value), whole.classes
    )
    honest = cross_fit(images, folds=2)
    assert honest.temperatures == pytest.approx((2.5, 0.4), rel=0.1)
    assert honest.after.ece > honest.before.ece > 0
    assert honest.after.ece > own.ece + 0.05


def test_images_alike_gain_by_the_temperature_of_the_others() -> None:
    images = [image(k, 2.5) for k in range(7)]
    found = cross_fit(images)
    assert len(found.temperatures) == 5
    assert found.temperatures == pytest.approx([2.5] * 5, rel=0.1)
    assert found.after.ece < 0.25 * found.before.ece


def test_too_few_images_are_not_split() -> None:
    nothing = PixelSample(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), np.zeros(0))
    few = [image(k, 2.0) for k in range(FEWEST - 1)] + [nothing]
    found = cross_fit(few, fallback=2.0)
    assert (found.temperatures, found.how) == ((), "that of the model")
    assert found.after.ece == pytest.approx(ece([(s, 2.0) for s in few[:-1]]), abs=1e-4)
    assert cross_fit(few).after.ece == found.before.ece
    for images, folds in (([], 5), ([nothing], 5), (few, 1)):
        with pytest.raises(ValueError, match="folds"):
            cross_fit(images, folds=folds)


def labels(*boxes: tuple[int, int, int]) -> NDArray:
    """Rows of objects: id, first and last column."""
    pixels = np.zeros((4, 60), np.uint16)
    for number, first, last in boxes:
        pixels[:, first:last] = number
    return pixels


def test_objects_are_right_where_they_match_a_true_one() -> None:
    truth = labels((1, 0, 10), (2, 20, 30), (3, 40, 50))
    found = labels((7, 0, 10), (3, 20, 25), (9, 42, 55), (4, 56, 58), (5, 58, 60))
    # IoU 1, 0.5, 8 / 15, and nothing twice; object 5 states nothing, object 11 is not there.
    stated = {7: 0.95, 3: 0.95, 9: 0.65, 4: 0.65, 11: 0.1, 5: np.nan}
    result = object_reliability(truth, found, list(stated), list(stated.values()))
    assert result.n == 4
    assert {k: (int(n), int(c)) for k, (n, c) in enumerate(
        zip(result.count, result.correct, strict=True)) if n} == {6: (2, 1), 9: (2, 2)}  # fmt: skip
    assert result.ece == pytest.approx((abs(1.9 - 2) + abs(1.3 - 1)) / 4)
    strict = object_reliability(truth, found, list(stated), list(stated.values()), 0.6)
    assert strict.ece == pytest.approx((abs(1.9 - 1) + abs(1.3 - 0)) / 4)


def test_objects_without_truth_or_image_without_objects() -> None:
    nothing = np.zeros((4, 60), np.uint16)
    assert object_reliability(nothing, labels((1, 0, 9)), [1], [0.8]).ece == pytest.approx(0.8)
    assert object_reliability(labels((1, 0, 9)), nothing, [], []).n == 0
    with pytest.raises(ValueError, match="two equal columns"):
        object_reliability(nothing, nothing, [1, 2], [0.5])


def test_synthetic_objects_have_the_error_that_was_put_in() -> None:
    """A share p of the objects that state p + 0.1 is matched."""
    n, truth, found, stated = 0, np.zeros((3, 4000), np.int32), np.zeros((3, 4000), np.int32), []
    for p in (0.25, 0.5, 0.75):
        for k in range(100):
            n += 1
            found[:2, 4 * n : 4 * n + 3] = n
            if k < 100 * p:
                truth[:2, 4 * n : 4 * n + 3] = n
            stated.append(p + 0.1)
    result = object_reliability(truth, found, np.arange(1, n + 1), stated)
    assert result.n == 300
    assert result.ece == pytest.approx(0.1)
