"""Normalisation of stains against images made from known stains and amounts."""

from __future__ import annotations

import numpy as np
import pytest

from delineate.data.normalise import Normalise, intensity_from_dict
from delineate.data.stain import StainReference, find_stains
from delineate.errors import ImageError

RUIFROK = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105]]).T
"""Haematoxylin and eosin of Ruifrok & Johnston 2001."""

OTHER = np.array([[0.5, 0.75, 0.43], [0.2, 0.85, 0.49]]).T


def amounts(shape=(120, 130), seed=0):
    """Concentrations of two stains; parts of the tissue take one of them only, some none."""
    rng = np.random.default_rng(seed)
    found = rng.gamma(3, 0.25, (2, *shape))
    found[0, :12], found[1, 12:24], found[:, 24:40] = 0, 0, 0
    return found


def rendered(vectors, concentrations, white=240.0):
    """8-bit picture by the law of Lambert and Beer, without rounding."""
    vectors = vectors / np.linalg.norm(vectors, axis=0)
    light = white * np.exp(-np.tensordot(vectors, concentrations, axes=1)) - 1
    return np.clip(light, 0, 255) / 255


@pytest.mark.parametrize("vectors", [RUIFROK, OTHER, RUIFROK[:, ::-1]])
def test_stains_that_made_an_image_are_found_haematoxylin_first(vectors):
    found = find_stains(rendered(vectors, amounts()))
    wanted = vectors / np.linalg.norm(vectors, axis=0)
    wanted = wanted[:, np.argsort(-wanted[0])]
    cosines = (found.vectors * wanted).sum(axis=0)
    assert np.rad2deg(np.arccos(np.clip(cosines, -1, 1))).max() < 1.5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_image_made_from_the_reference_stays_as_it_is(dtype):
    picture = rendered(RUIFROK, amounts())
    top = np.iinfo(dtype).max if dtype != np.float32 else 1
    picture = np.round(picture * top).astype(dtype) if top > 1 else picture.astype(dtype)
    stains = find_stains(picture)
    first, second = (tuple(stain) for stain in stains.vectors.T.tolist())
    reference = StainReference(haematoxylin=first, eosin=second, maxima=tuple(stains.maxima))
    normalise = Normalise(kind="macenko", reference=reference)
    intensity = normalise.fit(picture)
    same = intensity.apply(picture)
    assert same.dtype == np.float32
    # Clipping and rounding of dark pixels are all that is lost.
    np.testing.assert_allclose(same, picture / top, atol=0.01)
    np.testing.assert_allclose(intensity.invert(same), picture, atol=0.01 * top)


def test_two_renderings_of_the_same_tissue_become_alike():
    concentrations = amounts()
    pictures = [
        np.round(255 * rendered(v, s[:, None, None] * concentrations)).astype(np.uint8)
        for v, s in ((RUIFROK, np.array([1, 1])), (OTHER, np.array([0.8, 1.2])))
    ]
    normalise = Normalise(kind="macenko")
    first, second = (normalise.fit(p).apply(p) for p in pictures)
    assert np.abs(pictures[0].astype(float) - pictures[1]).mean() > 15
    assert np.abs(first - second).mean() < 0.01
    assert np.quantile(np.abs(first - second), 0.99) < 0.05
    assert first.min() >= 0
    assert first.max() <= 1


def test_the_reference_decides_the_colours():
    picture = rendered(RUIFROK, amounts())
    wanted = StainReference(haematoxylin=(0.5, 0.75, 0.43), eosin=(0.2, 0.85, 0.49))
    done = Normalise(kind="macenko", reference=wanted).fit(picture).apply(picture)
    got = find_stains(done).vectors
    expected = OTHER / np.linalg.norm(OTHER, axis=0)
    np.testing.assert_allclose(got, expected, atol=0.04)


def test_tiles_are_normalised_as_the_whole_and_planes_too():
    picture = np.round(255 * rendered(RUIFROK, amounts())).astype(np.uint8)
    intensity = Normalise(kind="macenko").fit(picture)
    whole = intensity.apply(picture)
    np.testing.assert_allclose(intensity.apply(picture[:, 30:70, 50:]), whole[:, 30:70, 50:])
    volume = np.stack([picture, picture], axis=1)
    np.testing.assert_allclose(intensity.apply(volume)[:, 1], whole)
    kept = intensity_from_dict(intensity.to_dict())
    np.testing.assert_array_equal(kept.apply(picture), whole)
    assert intensity.for_channels(3) is intensity
    with pytest.raises(ImageError, match="target of 1 channels"):
        intensity.for_channels(1)


def test_images_without_two_stains_are_refused():
    normalise = Normalise(kind="macenko")
    with pytest.raises(ImageError, match=r"three channels, this image has 1"):
        normalise.fit(np.zeros((1, 30, 30), np.uint8))
    with pytest.raises(ImageError, match="no stained tissue: 0 of the pixels"):
        normalise.fit(np.full((3, 30, 30), 240, np.uint8))
    grey = np.random.default_rng(0).integers(20, 200, (1, 50, 50), np.uint8)
    with pytest.raises(ImageError, match=r"one stain only, or is grey"):
        normalise.fit(np.broadcast_to(grey, (3, 50, 50)))
    with pytest.raises(ImageError, match=r"fractions 0 … 1; this image is of type float32"):
        normalise.fit(np.full((3, 30, 30), 200, np.float32))
    with pytest.raises(ImageError, match="type int32"):
        normalise.fit(np.full((3, 30, 30), 200, np.int32))


def test_an_image_of_one_stain_is_doubted_though_its_background_is_coloured(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng = np.random.default_rng(0)
    violet, grey = np.array([0.6, 0.7, 0.3]), np.array([0.58, 0.58, 0.57])
    dye, shade = rng.random((2, 64, 64))
    density = violet[:, None, None] * dye + 0.4 * grey[:, None, None] * shade
    Normalise(kind="macenko").fit(np.rint(240 * np.exp(-density)).astype(np.uint8))
    assert "second stain" in caplog.text
    caplog.clear()
    reference = StainReference()
    eosin, blue = np.array(reference.eosin), np.array(reference.haematoxylin)
    density = blue[:, None, None] * dye + eosin[:, None, None] * shade
    Normalise(kind="macenko").fit(np.rint(240 * np.exp(-density)).astype(np.uint8))
    assert not caplog.text
