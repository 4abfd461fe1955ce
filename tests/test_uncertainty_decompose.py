"""Decomposition of the spread: Kwon's formulas over stored draws, bounds and slabs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import special, stats

from delineate.errors import ModelError
from delineate.uncertainty import decompose, energy
from delineate.uncertainty._slabs import slabs


def probabilities(logits: NDArray[Any]) -> NDArray[np.float32]:
    return special.softmax(logits, axis=1).astype(np.float32)


def random_draws(
    rng: np.random.Generator, draws: int = 6, classes: int = 3, shape: tuple[int, ...] = (7, 9)
) -> NDArray[np.float32]:
    return probabilities(rng.normal(0, 3, (draws, classes, *shape)))


def moments_of(draws: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Means over draws of probabilities, of their sums of squares and of their entropies."""
    p = draws.astype(np.float64)
    parts = p, (p * p).sum(axis=1), special.entr(p).sum(axis=1)
    return tuple(part.mean(axis=0) for part in parts)


# Draws by classes by pixels; the logits go to where probabilities are 0 and 1 in float32.
logits_of_draws = st.tuples(st.integers(1, 5), st.integers(2, 5), st.integers(1, 6)).flatmap(
    lambda shape: hnp.arrays(np.float64, shape, elements=st.floats(-150, 150))
)


@settings(max_examples=150, deadline=None)
@given(logits_of_draws)
def test_the_sums_give_what_stored_draws_give(logits: NDArray[Any]) -> None:
    draws = probabilities(logits)
    spread = decompose(*moments_of(draws))
    stored = draws.astype(np.float64)
    mean = stored.mean(axis=0)
    aleatoric = (stored * (1 - stored)).mean(axis=(0, 1))
    epistemic = ((stored - mean) ** 2).mean(axis=(0, 1))
    np.testing.assert_allclose(spread.aleatoric, aleatoric, atol=1e-6)
    np.testing.assert_allclose(spread.epistemic, epistemic, atol=1e-6)
    np.testing.assert_allclose(spread.predictive, (mean * (1 - mean)).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(spread.entropy, stats.entropy(mean, axis=0), atol=1e-5)
    expected = stats.entropy(mean, axis=0) - stats.entropy(stored, axis=1).mean(axis=0)
    np.testing.assert_allclose(spread.mutual_information, expected, atol=1e-5)


@settings(max_examples=100, deadline=None)
@given(logits_of_draws)
def test_bounds_hold_exactly(logits: NDArray[Any]) -> None:
    moments = moments_of(probabilities(logits))
    for single in (moments, [np.float32(m) for m in moments]):
        spread = decompose(*single)
        for image in (spread.aleatoric, spread.epistemic, spread.predictive):
            assert image.dtype == np.float32
            assert image.min() >= 0 and image.max() <= 0.25
        assert spread.mutual_information.min() >= 0
        assert (spread.mutual_information <= spread.entropy).all()


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(6)), st.permutations(range(3)))
def test_order_of_draws_and_of_classes_does_not_matter(
    draw_order: list[int], class_order: list[int]
) -> None:
    draws = random_draws(np.random.default_rng(0))
    one = decompose(*moments_of(draws))
    other = decompose(*moments_of(draws[draw_order][:, class_order]))
    np.testing.assert_allclose(one.epistemic, other.epistemic, atol=1e-7)
    np.testing.assert_allclose(one.aleatoric, other.aleatoric, atol=1e-7)


def test_running_sums_in_single_precision_equal_storing() -> None:
    draws = random_draws(np.random.default_rng(1), draws=20, classes=2, shape=(32, 32))
    mean, squares, entropies = (np.zeros(s, np.float32) for s in ((2, 32, 32), (32, 32), (32, 32)))
    for p in draws:
        mean += p / 20
        squares += (p**2).sum(axis=0) / 20
        entropies += special.entr(p).sum(axis=0) / 20
    ours, exact = decompose(mean, squares, entropies), decompose(*moments_of(draws))
    np.testing.assert_allclose(ours.aleatoric, exact.aleatoric, atol=1e-6)
    np.testing.assert_allclose(ours.epistemic, exact.epistemic, atol=1e-6)
    np.testing.assert_allclose(ours.predictive, (mean * (1 - mean)).mean(axis=0), atol=1e-6)


def test_agreement_is_aleatoric_and_contradiction_is_epistemic() -> None:
    unsure = np.full((4, 2, 1), 0.5)
    spread = decompose(*moments_of(unsure))
    assert (spread.aleatoric[0], spread.epistemic[0]) == (0.25, 0)
    assert spread.entropy[0] == pytest.approx(np.log(2))
    assert spread.mutual_information[0] == 0
    contrary = np.array([[[1.0], [0.0]], [[0.0], [1.0]]])
    spread = decompose(*moments_of(contrary))
    assert (spread.aleatoric[0], spread.epistemic[0]) == (0, 0.25)
    assert spread.mutual_information[0] == pytest.approx(np.log(2))
    certain = decompose(*moments_of(np.array([[[1.0], [0.0]]] * 3)))
    assert certain.predictive[0] == certain.entropy[0] == 0


def test_volumes_views_and_images_without_pixels_work() -> None:
    draws = random_draws(np.random.default_rng(2), shape=(3, 4, 5))
    spread = decompose(*moments_of(draws))
    assert spread.aleatoric.shape == (3, 4, 5)
    cropped = decompose(*(m[..., 1:3] for m in moments_of(draws)))
    np.testing.assert_array_equal(cropped.epistemic, spread.epistemic[..., 1:3])
    nothing = decompose(np.zeros((2, 0, 4)), np.zeros((0, 4)), np.zeros((0, 4)))
    assert nothing.predictive.shape == (0, 4)


def test_what_is_no_probability_is_refused() -> None:
    mean = np.full((2, 3, 3), 0.5)
    flat = np.full((3, 3), 0.5)
    with pytest.raises(ModelError, match="not class probabilities"):
        decompose(mean * 2, flat, flat)
    with pytest.raises(ModelError, match="not class probabilities"):
        decompose(mean, flat + 0.6, flat)
    with pytest.raises(ModelError, match="nan"):
        decompose(mean * np.nan, flat, flat)
    with pytest.raises(ValueError, match=r"\(1, 3, 3\)"):
        decompose(mean[:1], flat, flat)
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        decompose(mean, flat[:, :2], flat)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 7), max_size=4).map(tuple), st.integers(1, 40))
def test_slabs_cover_every_pixel_once(shape: tuple[int, ...], pixels: int) -> None:
    count = np.zeros(shape, int)
    for slab in slabs(shape, pixels):
        count[slab] += 1
        assert count[slab].size <= max(pixels, 1)
    assert (count == 1).all()


def test_energy_is_minus_logsumexp_and_never_overflows() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (4, 6, 7)).astype(np.float32)
    for temperature in (0.5, 1.0, 3.0):
        expected = -temperature * np.log(np.exp(logits / temperature).sum(axis=0))
        np.testing.assert_allclose(energy(logits, temperature), expected, rtol=1e-4, atol=1e-5)
    assert energy(np.array([1e5, 0.0])) == np.float32(-1e5)
    # A constant added to all logits leaves the probabilities, but not the energy, as they were.
    np.testing.assert_allclose(energy(logits + 4), energy(logits) - 4, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="temperature 0"):
        energy(logits, 0)
