"""Patches: what is warped, how vectors turn, and that a patch is a function of its number."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

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


# Poses that interpolate nothing


def crops(image: np.ndarray, patch: tuple[int, ...]) -> dict[bytes, np.ndarray]:
    """Every crop of a shape, in all ways to mirror it and to turn it by a right angle in YX."""
    found = {}
    for start in np.ndindex(*(n - m + 1 for n, m in zip(image.shape[1:], patch, strict=True))):
        cut = (slice(None), *(slice(s, s + m) for s, m in zip(start, patch, strict=True)))
        for turned in (np.rot90(image[cut], k, axes=(-2, -1)) for k in range(4)):
            for flips in np.ndindex(*[2] * len(patch)):
                axes = [a + 1 for a, f in enumerate(flips) if f]
                crop = np.ascontiguousarray(np.flip(turned, axes))
                found[crop.tobytes()] = crop
    return found


@pytest.mark.parametrize(("shape", "patch"), [((20, 21), (8, 8)), ((7, 13, 13), (4, 6, 6))])
@pytest.mark.parametrize("quarter_turns", [False, True])
def test_flips_and_quarter_turns_copy_pixels_bit_by_bit(shape, patch, quarter_turns):
    """Noise keeps its statistics: each pixel of a patch is one pixel of the image."""
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    labels = np.zeros(shape, np.int32)
    sample = Sample("a", image, image, labels, np.zeros((0, len(shape))), 1, 1, 1, soft=True)
    sample = dataclasses.replace(sample, kind="image")
    augment = STILL.model_copy(update={"flip": True, "quarter_turns": quarter_turns})
    known, turns, whole = crops(image, patch), set(), 0
    rng = np.random.default_rng(1)
    for number in range(60):
        half = np.array(patch) / 2
        centre = rng.uniform(half, np.array(shape) - half) if number % 2 else np.array(shape) / 2
        pose = random_pose(augment, centre, patch, rng)
        found = warp(sample.image, sample.targets, None, pose, patch)
        if found.inside.all():
            assert found.image.tobytes() in known
            whole += 1
        np.testing.assert_array_equal(found.image, found.targets)
        turns.add(bool(abs(pose.matrix[-1, -2])))
    assert whole > 40
    assert turns == ({False, True} if quarter_turns else {False})


def test_quarter_turns_are_drawn_evenly_and_not_beside_rotations():
    augment = STILL.model_copy(update={"quarter_turns": True})
    rng = np.random.default_rng(0)
    drawn = [random_pose(augment, np.zeros(2), (4, 4), rng).matrix for _ in range(2000)]
    angles = [round(np.rad2deg(np.arctan2(m[1, 0], m[0, 0]))) % 360 for m in drawn]
    values, counts = np.unique(angles, return_counts=True)
    assert values.tolist() == [0, 90, 180, 270]
    assert counts.min() > 400
    with pytest.raises(ValueError, match=r"quarter_turns and augment\.rotate \(360\) exclude"):
        Augment(quarter_turns=True)
    assert Augment(quarter_turns=True, rotate=0).quarter_turns


@pytest.mark.parametrize(
    "augment",
    [
        STILL.model_copy(update={"quarter_turns": True}),
        STILL.model_copy(update={"quarter_turns": True, "flip": True}),
        STILL.model_copy(update={"rotate": 360.0, "flip": True, "scale": (0.8, 1.2)}),
    ],
    ids=["quarter turns", "quarter turns and flips", "any angle"],
)
@pytest.mark.parametrize(("shape", "side", "radius"), [((121, 130), 96, 18), ((36, 40, 44), 32, 6)])
def test_flow_in_patches_points_to_where_the_centre_is_there(augment, shape, side, radius):
    """Of a disk (ball) that is whole in every patch: its centre is the mean of its pixels."""
    ndim = len(shape)
    away = np.indices(shape) - (np.array(shape) * 0.48).round().reshape(-1, *[1] * ndim)
    sample = sample_of(((away**2).sum(axis=0) <= radius**2).astype(np.int32))
    patches = Patches([sample], Flows(), augment, (side,) * ndim, 8, seed=1, centred=1.0)
    for index in range(8):
        targets = patches[index].targets.numpy()
        at = np.argwhere(targets[ndim] > 0.5).T
        inward = at.mean(axis=1, keepdims=True) - at
        length = np.sqrt((inward**2).sum(axis=0))
        far = length > radius / 2
        flow = targets[:ndim, *at][:, far]
        cosine = (flow * inward[:, far] / length[far]).sum(axis=0)
        assert far.sum() > 300
        assert cosine.min() > 0.9
        assert cosine.mean() > 0.98
        np.testing.assert_allclose(np.sqrt((flow**2).sum(axis=0)), 1, atol=0.1)


@pytest.mark.parametrize(
    ("shape", "patch", "margin"), [((90, 120), (48, 40), 16), ((40, 60, 50), (20, 24, 24), 8)]
)
def test_patches_reach_beyond_the_image_by_the_margin_and_no_farther(shape, patch, margin):
    """Networks learn there where an image ends; farther out there is nothing to learn."""
    sample = sample_of(np.zeros(shape, np.int32))
    patches = Patches([sample], Flows(), STILL, patch, 60, seed=0)
    beyond = []
    for index in range(60):
        inside = patches[index].inside.numpy()[0]
        lines = [
            inside.any(axis=tuple(a for a in range(len(patch)) if a != axis))
            for axis in range(len(patch))
        ]
        beyond.append([np.count_nonzero(~line) for line in lines])
        assert inside.sum() == np.prod([line.sum() for line in lines])
    assert np.max(beyond, axis=0).tolist() == [margin] * len(patch)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    ("step", "inside"), [(0.4, [1, 1, 1]), (-0.4, [1, 1, 1]), (0.6, [1, 1, 0]), (-0.6, [0, 1, 1])]
)
def test_the_outer_half_of_a_pixel_at_the_edge_is_inside(axis, step, inside):
    """It has the value of the pixel, as SciPy says; half a pixel farther out there is nothing."""
    image = np.random.default_rng(0).random((1, 3, 3, 3), np.float32)
    pose = Pose(np.eye(3), np.eye(3)[axis] * step)
    found = warp(image, image, np.ones((3, 3, 3), np.int32), pose, (3, 3, 3))
    places = np.indices((3, 3, 3)) + pose.offset.reshape(3, 1, 1, 1)
    there = np.moveaxis(np.broadcast_to(inside, (3, 3, 3)), -1, axis)
    expected = map_coordinates(image[0], places, order=1, mode="nearest") * there
    np.testing.assert_array_equal(found.inside[0], there)
    np.testing.assert_array_equal(found.weight[0], there)
    np.testing.assert_allclose(found.image[0], expected, atol=1e-6)
    np.testing.assert_allclose(found.targets[0], expected, atol=1e-6)


def test_a_patch_that_is_bent_or_scaled_is_not_snapped():
    rng = np.random.default_rng(0)
    centre = np.array([10.3, 11.7])
    scaled = STILL.model_copy(update={"scale": (0.9, 0.9)})
    assert (random_pose(scaled, centre, (8, 8), rng).offset % 1).any()
    still = random_pose(STILL, centre, (8, 8), rng)
    np.testing.assert_array_equal(still.offset, [7, 8])


# Parts of large sets


def names_drawn(patches: Patches) -> set[float]:
    return {float(patches[i].image.max()) for i in range(len(patches))}


def numbered(count: int) -> list[Sample]:
    found = []
    for number in range(count):
        sample = sample_of(np.zeros((20, 20), np.int32))
        sample.image[:] = number + 1
        found.append(sample)
    return found


def test_a_part_of_the_images_serves_a_round_and_another_the_next():
    patches = Patches(numbered(10), Flows(), STILL, (8, 8), 80, seed=0, part=4)
    rounds = []
    for epoch in range(6):
        patches.epoch = epoch
        rounds.append(names_drawn(patches))
        assert 3 <= len(rounds[-1]) <= 4
    assert set.union(*rounds[:3]) == set.union(*rounds[3:]) == set(range(1, 11))
    assert rounds[:3] != rounds[3:]
    again = Patches(numbered(10), Flows(), STILL, (8, 8), 80, seed=0, part=4)
    again.epoch = 4
    assert names_drawn(again) == rounds[4]
    few = Patches(numbered(3), Flows(), STILL, (8, 8), 80, seed=0, part=4)
    assert names_drawn(few) == {1, 2, 3}


def test_images_of_no_weight_are_in_no_part():
    samples = [dataclasses.replace(s, weight=float(n > 2)) for n, s in enumerate(numbered(6))]
    patches = Patches(samples, Flows(), STILL, (8, 8), 30, seed=0, part=1)
    seen = set()
    for epoch in range(3):
        patches.epoch = epoch
        seen |= names_drawn(patches)
    assert seen == {4, 5, 6}
