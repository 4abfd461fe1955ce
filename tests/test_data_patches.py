"""Patches: what is warped, how vectors turn, and that a patch is a function of its number."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from conftest import disks
from delineate.data.augment import Augment, Pose, change_intensity, random_pose, warp
from delineate.data.patches import Patches
from delineate.data.samples import Sample
from delineate.methods.flows import Flows

STILL = Augment(
    rotate=0, flip=False, scale=(1, 1), brightness=0, contrast=0, gamma=0, noise=0, channel_gain=0
)


def sample_of(labels: np.ndarray) -> Sample:
    method = Flows()
    rng = np.random.default_rng(1)
    image = rng.random((2, *labels.shape), np.float32)
    ids = range(1, int(labels.max()) + 1)
    centres = np.array([np.argwhere(labels == i).mean(axis=0) for i in ids], np.float32)
    return Sample("a", image, method.encode(labels), labels, centres, 18.0, 1.0, 1.0)


@pytest.mark.parametrize("shape", [(40, 50), (12, 40, 50)])
def test_identity_pose_copies(shape):
    sample = sample_of(disks(shape, 4, 6, np.random.default_rng(0)))
    pose = Pose(np.eye(len(shape)), np.zeros(len(shape)))
    image, targets, valid, _ = warp(sample.image, sample.targets, sample.labels, pose, shape)
    np.testing.assert_array_equal(image, sample.image)
    np.testing.assert_array_equal(targets, sample.targets)
    assert valid.all()


@pytest.mark.parametrize("shape", [(41, 41), (9, 41, 41)])
def test_quarter_turn_equals_encoding_the_turned_labels(shape):
    """Warping targets by 90° and turning the vectors gives the targets of the turned labels."""
    labels = disks(shape, 4 if len(shape) == 3 else 6, 8, np.random.default_rng(2))
    sample = sample_of(labels)
    linear = np.eye(len(shape))
    linear[-2:, -2:] = [[0, -1], [1, 0]]
    middle = (np.array(shape) - 1) / 2
    pose = Pose(linear, middle - linear @ middle)
    _, targets, valid, _ = warp(sample.image, sample.targets, sample.labels, pose, shape)
    turned = Flows().reorient(targets, np.linalg.inv(linear))
    expected = Flows().encode(np.rot90(labels, 1, axes=(-2, -1)).copy())
    other = Flows().encode(np.rot90(labels, -1, axes=(-2, -1)).copy())
    error = min(np.abs(turned - expected).max(), np.abs(turned - other).max())
    assert valid.all()
    assert error < 1e-3


def test_rotated_vectors_point_to_the_rotated_centre():
    grid = np.indices((81, 81)) - 40
    labels = ((grid**2).sum(axis=0) <= 30**2).astype(np.int32)
    sample = sample_of(labels)
    rng = np.random.default_rng(5)
    augment = Augment(rotate=360, flip=True, scale=(0.8, 1.2))
    for _ in range(5):
        pose = random_pose(augment, np.array([40.0, 40.0]), (61, 61), rng)
        _, targets, _, _ = warp(sample.image, sample.targets, sample.labels, pose, (61, 61))
        flow = Flows().reorient(targets, np.linalg.inv(pose.matrix))[:2]
        inward = 30 - np.indices((61, 61))
        far = (inward**2).sum(axis=0) > 8**2
        inside = (targets[2] > 0.5) & far
        unit = inward / np.sqrt((inward**2).sum(axis=0) + 1e-9)
        cosine = (flow * unit).sum(axis=0)[inside]
        assert np.quantile(cosine, 0.05) > 0.98
        assert cosine.min() > 0.9
        np.testing.assert_allclose(np.sqrt((flow**2).sum(axis=0))[inside], 1, atol=0.02)


def test_nothing_mixes_across_a_border():
    """Two touching objects with opposite flow keep unit vectors at their border."""
    labels = np.zeros((40, 40), np.int32)
    labels[10:30, 10:20], labels[10:30, 20:30] = 1, 2
    sample = sample_of(labels)
    pose = Pose(np.eye(2), np.array([0.3, 0.5]))
    _, targets, _, _ = warp(sample.image, sample.targets, sample.labels, pose, (39, 39))
    length = np.sqrt((targets[:2] ** 2).sum(axis=0))
    border = length[14:26, 18:21]
    assert border.min() > 0.9
    assert set(np.unique(targets[2])) == {0.0, 1.0}


def test_outside_the_image_is_not_valid():
    sample = sample_of(disks((30, 30), 5, 3, np.random.default_rng(0)))
    pose = Pose(np.eye(2), np.array([-10.0, 0.0]))
    _, targets, valid, _ = warp(sample.image, sample.targets, sample.labels, pose, (30, 30))
    assert not valid[0, :10].any()
    assert valid[0, 10:].all()
    assert not targets[:, :10].any()


def test_a_patch_is_a_function_of_seed_epoch_and_number():
    sample = sample_of(disks((60, 60), 6, 8, np.random.default_rng(0)))
    make = lambda: Patches([sample], Flows(), Augment(), (32, 32), 10, seed=3)  # noqa: E731
    first, second = make(), make()
    second[5]
    for a, b in zip(first[2], second[2], strict=True):
        assert (a == b).all()
    second.epoch = 1
    assert not (first[2].image == second[2].image).all()
    assert not (first[2].image == first[3].image).all()


def test_weights_decide_how_often_an_image_is_drawn():
    labels = disks((40, 40), 5, 4, np.random.default_rng(0))
    heavy, never = sample_of(labels), sample_of(labels)
    never = dataclasses.replace(never, weight=0.0)
    never.image[:] = 99
    patches = Patches([never, heavy], Flows(), STILL, (16, 16), 40, seed=0)
    assert max(float(patches[i].image.max()) for i in range(40)) < 2


def test_intensity_changes_keep_the_shape_and_stay_finite():
    rng = np.random.default_rng(0)
    image = rng.normal(0.5, 0.5, (3, 20, 20)).astype(np.float32)
    strong = Augment(invert=1, blur=2, noise=0.5, gamma=0.9, contrast=0.9, brightness=1)
    changed = change_intensity(strong, image, rng)
    assert changed.shape == image.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert np.corrcoef(changed[0].ravel(), image[0].ravel())[0, 1] < 0  # inverted
    np.testing.assert_allclose(change_intensity(STILL, image, rng), image, atol=1e-6)
