"""Targets that are brought to the scale of their noisy image."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from delineate.data.intensity import Intensity
from delineate.data.normalise import Normalise, matched
from delineate.data.pairs import Pair
from delineate.data.samples import Preparation, prepare
from delineate.errors import DataError, RecipeError
from delineate.methods.regression import Regression
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


@pytest.mark.parametrize("value", [0, 7.5])
def test_a_constant_image_is_called_so(value: float) -> None:
    _, target = pair(1, 0)
    image = np.full_like(target, value)
    with pytest.raises(DataError, match=r"^the image is constant, so that the target cannot"):
        matched(target, image, Normalise().fit(image))
    noisy, _ = pair(1, 0)
    two = np.concatenate([noisy, image])
    with pytest.raises(DataError, match="the image is constant"):
        matched(np.concatenate([target, target]), two, Normalise().fit(two))
    flat = np.full_like(target, 3)
    found = matched(flat, image, Intensity(np.zeros(1, np.float32), np.ones(1, np.float32)))
    np.testing.assert_allclose(found.apply(flat), value)


def test_the_files_of_pairs_that_cannot_be_matched_are_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    target = rng.random((24, 24)).astype(np.float32)
    how = Preparation(
        Regression(), Normalise(), None, 1, None, 2, None, normalise_target=Normalise(kind="match")
    )
    for image, said in ((0 * target, "the image is constant"), (1 - target, "not look like")):
        files = {}
        for role, pixels in (("image", image), ("target", target)):
            files[role] = tmp_path / f"{role}.tif"
            tifffile.imwrite(files[role], pixels)
        with pytest.raises(DataError, match=said) as caught:
            prepare([Pair("a", **files)], how, tmp_path / "cache")
        assert all(str(file) in str(caught.value) for file in files.values())


def test_images_themselves_are_not_matched() -> None:
    with pytest.raises(RecipeError, match="normalise_target"):
        Recipe.build({"normalise": {"kind": "match"}})
