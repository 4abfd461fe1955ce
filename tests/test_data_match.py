"""Targets that are brought to the scale of their noisy image."""

import numpy as np
import pytest

from delineate.data.intensity import Intensity
from delineate.data.normalise import Normalise, matched
from delineate.errors import DataError, RecipeError
from delineate.recipe import Recipe


def pair(gain: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """A noisy image in its own units, and what is wanted in others."""
    rng = np.random.default_rng(0)
    truth = rng.random((1, 128, 128))
    image = 40 + 100 * truth + rng.normal(0, 30, truth.shape)
    return image, shift + gain * truth


@pytest.mark.parametrize(("gain", "shift"), [(1.0, 0.0), (255.0, 7.0), (1e-3, -2.0)])
def test_normalised_targets_are_what_the_image_would_be_without_noise(
    gain: float, shift: float
) -> None:
    image, target = pair(gain, shift)
    own = Normalise(kind="mean-std").fit(image)
    found = matched(target, image, own).apply(target)
    clean = (target - shift) / gain
    assert np.abs(found - own.apply(40 + 100 * clean)).max() < 0.05


def test_a_target_without_structure_takes_the_mean_of_its_image() -> None:
    image, _ = pair(1, 0)
    own = Intensity(np.zeros(1, np.float32), np.ones(1, np.float32))
    flat = np.full((1, 128, 128), 9.0)
    assert np.allclose(matched(flat, image, own).apply(flat), image.mean(), rtol=1e-4)


def test_a_target_of_the_other_polarity_is_refused() -> None:
    image, target = pair(-1, 0)
    with pytest.raises(DataError, match="does not look like its image"):
        matched(target, image, Normalise(kind="mean-std").fit(image))


def test_images_themselves_are_not_matched() -> None:
    with pytest.raises(RecipeError, match="normalise_target"):
        Recipe.build({"normalise": {"kind": "match"}})
