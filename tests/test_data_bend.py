"""Elastic and grid distortion, and adaptive equalisation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates

from conftest import disks
from delineate.data.augment import Augment, Pose, change_intensity, equalise, random_pose, warp
from delineate.data.bend import elastic_shift, grid_shift
from delineate.data.patches import Patches
from delineate.data.samples import Sample
from delineate.errors import RecipeError
from delineate.methods.flows import Flows
from delineate.methods.semantic import Semantic


def jacobian(shift: np.ndarray) -> np.ndarray:
    """Determinant of the derivative of voxel + shift."""
    ndim = len(shift)
    matrix = np.stack([np.stack(np.gradient(s), axis=-1) for s in shift.astype(float)], axis=-2)
    return np.linalg.det(matrix + np.eye(ndim))


@pytest.mark.parametrize("patch", [(90, 70), (30, 40, 35)])
@pytest.mark.parametrize("strength", [0.1, 0.4])
def test_elastic_deformation_is_smooth_bounded_and_never_folds(patch, strength):
    for seed in range(5):
        shift = elastic_shift(patch, strength, 16, np.random.default_rng(seed))
        assert shift.shape == (len(patch), *patch)
        assert shift.dtype == np.float32
        assert 0.2 * strength * 16 < np.abs(shift).max() <= strength * 16
        assert jacobian(shift).min() > 0
        for axis in range(len(patch)):
            assert np.abs(np.diff(shift, 2, axis=axis + 1)).max() < strength


def test_elastic_deformation_is_a_tensor_product_of_b_splines():
    """Against SciPy's splines, with the same random control points."""
    patch, distance = (33, 21), 8.0
    found = elastic_shift(patch, 0.3, distance, np.random.default_rng(4))
    points = [int((n - 1) / distance) + 4 for n in patch]
    control = np.random.default_rng(4).uniform(-1, 1, (2, *points)) * 0.3 * distance
    expected = control
    for axis, n in enumerate(patch):
        knots = np.arange(-3, points[axis] + 1)  # the first spline is centred at -1
        spline = BSpline(knots, np.moveaxis(expected, axis + 1, 0), 3)
        expected = np.moveaxis(spline(np.arange(n) / distance), 0, axis + 1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("patch", [(90, 71), (20, 40, 35)])
def test_grid_distortion_keeps_the_edges_and_the_order(patch):
    shift = grid_shift(patch, 0.5, 4, np.random.default_rng(0))
    for axis, n in enumerate(patch):
        line = np.moveaxis(shift[axis], axis, 0).reshape(n, -1)
        assert np.ptp(line, axis=1).max() == 0
        np.testing.assert_allclose(line[[0, -1]], 0, atol=1e-5)
        assert np.diff(line[:, 0]).min() > -1
        assert np.abs(line).max() > 0.5
    assert not grid_shift(patch, 0.0, 4, np.random.default_rng(0)).round(4).any()


@pytest.mark.parametrize("shape", [(60, 50), (16, 40, 30)])
def test_bent_images_are_those_of_scipy_and_classes_are_of_the_nearest_pixel(shape):
    rng = np.random.default_rng(0)
    image = rng.random((2, *shape), np.float32)
    classes = (disks(shape, 3, 12, rng) % 4).astype(np.int32)
    patch = tuple(n - 6 for n in shape)
    shift = elastic_shift(patch, 0.4, 12, rng) + grid_shift(patch, 0.3, 3, rng)
    angle = 0.2
    linear = np.eye(len(shape))
    linear[-2:, -2:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    middle = (np.array(patch) - 1) / 2
    offset = (np.array(shape) - 1) / 2 - linear @ middle
    found = warp(
        image, classes[None].astype(np.float32), classes, Pose(linear, offset, shift), patch
    )
    places = np.tensordot(linear, np.indices(patch) + shift, axes=1)
    places += offset.reshape(-1, *([1] * len(patch)))
    size = np.array(shape).reshape(-1, *([1] * len(patch)))
    inside = ((places >= -0.5) & (places < size - 0.5)).all(axis=0)
    deep = ((places >= 0) & (places <= size - 1)).all(axis=0)
    np.testing.assert_array_equal(found.inside[0] > 0, inside)
    for channel in range(2):
        expected = map_coordinates(image[channel], places, order=1)
        np.testing.assert_allclose(found.image[channel][deep], expected[deep], atol=1e-4)
    nearest = np.floor(places + 0.5).astype(int)
    expected = classes[tuple(p.clip(0, n - 1) for p, n in zip(nearest, shape, strict=True))]
    wrong = (np.rint(found.targets[0]) != expected) & inside
    assert wrong.sum() <= 2  # pixels half way between two, rounded otherwise


def test_bending_is_off_by_default_and_draws_nothing_then():
    centre = np.array([20.0, 20.0])
    first, second = (np.random.default_rng(1) for _ in range(2))
    pose = random_pose(Augment(), centre, (16, 16), first)
    assert pose.shift is None
    bent = random_pose(Augment(elastic=0.2, grid=0.2), centre, (16, 16), second)
    assert bent.shift is not None
    assert bent.shift.shape == (2, 16, 16)
    np.testing.assert_array_equal(pose.matrix, bent.matrix)


def sample_of(method: Flows | Semantic) -> Sample:
    labels = disks((60, 60), 6, 8, np.random.default_rng(0)) > 0
    image = np.random.default_rng(1).random((1, 60, 60), np.float32)
    targets = method.encode(labels.astype(np.int32))
    centres = np.zeros((0, 2), np.float32)
    return Sample("a", image, targets, labels.astype(np.int32), centres, 12.0, 1.0, 1.0)


def test_vectors_are_not_bent():
    for bend in ({"elastic": 0.2}, {"grid": 0.3}):
        with pytest.raises(RecipeError, match=r"augment\.elastic and augment\.grid .* flows"):
            Patches([sample_of(Flows())], Flows(), Augment(**bend), (32, 32), 4, 0)
        patch = Patches([sample_of(Semantic())], Semantic(), Augment(**bend), (32, 32), 4, 0)[1]
        assert set(np.unique(patch.targets.round())) <= {0, 1}


# Adaptive equalisation


@pytest.mark.parametrize("shape", [(2, 64, 60), (1, 5, 64, 60)])
def test_equalisation_raises_contrast_plane_by_plane_and_keeps_the_range(shape):
    rng = np.random.default_rng(0)
    image = (2 + 0.1 * rng.random(shape) + np.linspace(0, 1, 60)).astype(np.float32)
    result = equalise(image, 0.02)
    assert result.shape == shape
    assert result.dtype == np.float32
    planes, before = result.reshape(-1, 64, 60), image.reshape(-1, 64, 60)
    for plane, old in zip(planes, before, strict=True):
        assert plane.min() >= old.min() - 1e-5
        assert plane.max() <= old.max() + 1e-5
        # Locally, contrast grows.
        assert plane[:, 20:28].std() > 1.5 * old[:, 20:28].std()
        alone = equalise(old[None], 0.02)[0]
        np.testing.assert_array_equal(plane, alone)
    np.testing.assert_array_equal(equalise(0 * image, 0.02), 0 * image)


def test_equalisation_is_drawn_with_its_probability():
    image = np.random.default_rng(0).random((1, 40, 40), np.float32)
    still = {"brightness": 0, "contrast": 0, "gamma": 0, "noise": 0, "channel_gain": 0}
    rng = np.random.default_rng(0)
    augment = Augment(clahe=0.5, **still)
    changed = [not np.allclose(change_intensity(augment, image, rng), image) for _ in range(60)]
    assert 15 < sum(changed) < 45
    never = change_intensity(Augment(**still), image, rng)
    np.testing.assert_allclose(never, image, atol=1e-6)
