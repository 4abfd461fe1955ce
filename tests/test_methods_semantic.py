"""Semantic segmentation in 2D and 3D: label files, targets, maps, decoding and scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import ndimage
from sklearn.metrics import f1_score, jaccard_score

from conftest import disks
from delineate.errors import LabelError
from delineate.methods.semantic import Semantic


def class_scene(shape: tuple[int, ...], k: int, seed: int = 0) -> np.ndarray:
    """Balls of the classes 1 … k − 1 on background."""
    rng = np.random.default_rng(seed)
    labels = disks(shape, min(5, min(shape) // 4), 8, rng)
    kinds = np.concatenate([[0], 1 + np.arange(labels.max()) % (k - 1)])
    return kinds[labels].astype(np.uint8)


def perfect_maps(classes: np.ndarray, k: int, sure: float = 0.8) -> np.ndarray:
    maps = np.full((k, *classes.shape), (1 - sure) / (k - 1), np.float32)
    for c in range(k):
        maps[c][classes == c] = sure
    return maps


# What label files hold


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64, np.float32])
def test_classes_are_taken_as_they_stand(kind):
    classes = class_scene((40, 40), 4)
    targets = Semantic(classes=4).encode(classes.astype(kind))
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, classes[None])


@pytest.mark.parametrize(
    ("value", "kind"), [(1, np.uint8), (255, np.uint8), (255, np.uint16), (65535, np.uint16)]
)
def test_masks_of_two_values(value, kind):
    mask = class_scene((40, 40), 2)
    np.testing.assert_array_equal(Semantic().encode(mask.astype(kind) * kind(value)), mask[None])


def test_masks_of_truth_values_and_of_one_value():
    mask = class_scene((40, 40), 2)
    np.testing.assert_array_equal(Semantic().encode(mask.astype(bool)), mask[None])
    assert not Semantic().encode(np.zeros((5, 5), np.uint8)).any()
    assert Semantic().encode(np.full((5, 5), 255, np.uint8)).all()


@pytest.mark.parametrize(
    ("values", "k", "message"),
    [
        ([0, 1, 2], 2, r"values 0, 1, 2; expected the classes 0 … 1 \(or a mask of 0 and 255\)"),
        ([0, 1, 255], 2, "values 0, 1, 255"),
        ([0, 2], 2, "values 0, 2"),
        ([0, 255], 3, "values 0, 255; expected the classes 0 … 2"),
        ([0, 3], 3, "method.classes"),
        (list(range(9)), 3, "values 0, 1, 2, 3, 4, 5 …"),
    ],
)
def test_other_values_are_no_classes(values, k, message):
    labels = np.resize(np.array(values, np.uint8), (6, 6))
    with pytest.raises(LabelError, match=message):
        Semantic(classes=k).encode(labels)


def test_ignored_pixels_are_minus_one_and_stay_so():
    method = Semantic(classes=3, ignore=255)
    labels = np.array([[0, 1, 255], [2, 255, 0]], np.uint8)
    classes = method.class_image(labels)
    assert classes.tolist() == [[0, 1, -1], [2, -1, 0]]
    np.testing.assert_array_equal(method.class_image(classes), classes)
    np.testing.assert_array_equal(method.encode(labels)[0], classes)
    # With 255 ignored, a mask of 0 and 1 remains one, and 255 is no foreground.
    assert Semantic(ignore=255).class_image(labels * (labels != 2)).max() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": 1},
        {"classes": 3, "ignore": 2},
        {"classes": 3, "threshold": 0.5},
        {"classes": 3, "class_weights": (1, 2)},
        {"class_weights": (1, -2)},
        {"criterion": "hinge"},
    ],
)
def test_settings_that_do_not_fit(wrong):
    with pytest.raises(ValidationError):
        Semantic(**wrong)


# Soft truth


def test_soft_truth_of_two_classes_and_of_several():
    labels = np.zeros((4, 5), np.uint8)
    labels[0, 0] = 255
    foreground = np.random.default_rng(0).random((1, 4, 5)).astype(np.float32)
    targets = Semantic(ignore=255).encode(labels, foreground)
    assert targets.shape == (2, 4, 5)
    assert (targets[:, 0, 0] == -1).all()
    np.testing.assert_array_equal(targets[1].ravel()[1:], foreground.ravel()[1:])
    np.testing.assert_allclose(targets.sum(axis=0).ravel()[1:], 1)
    soft = np.random.default_rng(0).dirichlet(np.ones(3), (4, 5)).transpose(2, 0, 1)
    np.testing.assert_allclose(Semantic(classes=3).encode(labels * 0, soft), soft, atol=1e-6)
    assert Semantic(soft=False).encode(labels * 0, foreground).shape == (1, 4, 5)


@pytest.mark.parametrize(
    ("soft", "method", "message"),
    [
        (np.zeros((2, 4, 4)), Semantic(), "miss a sum of 1"),
        (np.full((1, 4, 4), 255.0), Semantic(), "expected the probabilities"),
        (np.full((1, 4, 4), np.nan), Semantic(), "expected the probabilities"),
        (np.full((3, 4, 4), 1 / 3), Semantic(), r"expected \(2, 4, 4\)"),
        (np.full((1, 4, 5), 0.5), Semantic(), r"expected \(2, 4, 4\)"),
        (np.full((1, 4, 4), 0.5), Semantic(classes=3), r"expected \(3, 4, 4\)"),
        (np.full((1, 4, 4), 0.5), Semantic(criterion="lovasz"), "takes no soft labels"),
    ],
)
def test_soft_truth_that_is_none(soft, method, message):
    with pytest.raises(LabelError, match=message):
        method.encode(np.zeros((4, 4), np.uint8), soft.astype(np.float32))


# Loss

CRITERIA = ["cross-entropy+dice", "cross-entropy", "dice", "focal", "tversky", "lovasz"]


def batch(method: Semantic, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    targets = torch.from_numpy(method.encode(labels))[None]
    return targets, torch.ones_like(targets)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("shape", [(24, 24), (8, 20, 20)])
def test_every_criterion_leads_to_the_truth(criterion, shape):
    method = Semantic(classes=3, criterion=criterion, ignore=255)
    labels = class_scene(shape, 3)
    labels[..., :3] = 255
    targets, valid = batch(method, labels)
    output = torch.zeros(1, 3, *shape, requires_grad=True)
    optimiser = torch.optim.Adam([output], lr=0.5)
    first = last = 0.0
    for step in range(40):
        loss = method.loss(output, targets, valid)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        last = float(loss.detach())
        first = first if step else last
    assert last < 0.1 * first
    found = output.detach()[0].argmax(dim=0).numpy()
    np.testing.assert_array_equal(found[..., 3:], labels[..., 3:])
    assert not output.grad[..., :3].any()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_what_lies_outside_the_image_counts_for_nothing(criterion):
    method = Semantic(criterion=criterion)
    labels = class_scene((24, 24), 2)
    targets, valid = batch(method, labels)
    output = torch.randn(1, 2, 24, 24)
    padded = method.loss(
        torch.nn.functional.pad(output, [5, 0, 0, 3], value=4.0),
        torch.nn.functional.pad(targets, [5, 0, 0, 3]),
        torch.nn.functional.pad(valid, [5, 0, 0, 3]),
    )
    torch.testing.assert_close(padded, method.loss(output, targets, valid))


@pytest.mark.parametrize("criterion", CRITERIA[:-1])
def test_soft_truth_that_is_sure_costs_what_hard_truth_costs(criterion):
    method = Semantic(classes=3, criterion=criterion, ignore=9)
    labels = class_scene((24, 24), 3)
    labels[:2] = 9
    hard, valid = batch(method, labels)
    sure = np.stack([(labels == k).astype(np.float32) for k in range(3)])
    soft = torch.from_numpy(method.encode(labels, sure))[None]
    output = torch.randn(1, 3, 24, 24)
    torch.testing.assert_close(method.loss(output, soft, valid), method.loss(output, hard, valid))


def test_the_default_is_the_mean_of_cross_entropy_and_dice():
    labels = class_scene((24, 24), 2)
    targets, valid = batch(Semantic(), labels)
    output = torch.randn(1, 2, 24, 24)
    parts = [Semantic(criterion=c).loss(output, targets, valid) for c in ("cross-entropy", "dice")]
    torch.testing.assert_close(Semantic().loss(output, targets, valid), sum(parts) / 2)
    weighted = Semantic(class_weights=(1, 5)).loss(output, targets, valid)
    assert not torch.isclose(weighted, sum(parts) / 2)


def test_classes_that_interpolation_left_a_little_off_are_rounded():
    method = Semantic(classes=6)
    targets = torch.full((1, 1, 4, 4), 5.0)
    off = torch.nextafter(targets, torch.zeros(()))
    output = torch.randn(1, 6, 4, 4)
    valid = torch.ones(1, 1, 4, 4)
    assert method.loss(output, off, valid) == method.loss(output, targets, valid)


# Maps and decoding


def test_maps_are_probabilities_and_their_own_distribution():
    maps = Semantic(classes=4).activate(torch.randn(2, 4, 5, 6).to(torch.bfloat16))
    assert maps.dtype == torch.float32
    torch.testing.assert_close(maps.sum(dim=1), torch.ones(2, 5, 6))
    assert Semantic(classes=4).distribution(maps) is maps
    assert Semantic(classes=4).out_channels(3) == 4
    torch.testing.assert_close(Semantic(classes=4).flip(maps, [0, 1]), maps.flip(2, 3))


@pytest.mark.parametrize("shape", [(60, 60), (20, 30, 30)])
@pytest.mark.parametrize("k", [2, 4])
def test_perfect_maps_decode_to_their_classes_and_objects(shape, k):
    classes = class_scene(shape, k)
    method = Semantic(classes=k)
    decoded = method.decode(perfect_maps(classes, k))
    assert decoded.classes is not None
    assert decoded.classes.dtype == np.uint8
    assert decoded.labels.dtype == np.uint32
    np.testing.assert_array_equal(decoded.classes, classes)
    expected = [ndimage.label(classes == c, np.ones([3] * len(shape)))[1] for c in range(1, k)]
    ids = np.unique(decoded.labels[decoded.labels > 0])
    np.testing.assert_array_equal(ids, np.arange(1, sum(expected) + 1))
    assert [(decoded.columns["class"] == c).sum() for c in range(1, k)] == expected
    for number, kind in zip(ids, decoded.columns["class"], strict=True):
        assert (classes[decoded.labels == number] == kind).all()
    np.testing.assert_allclose(decoded.columns["probability"], 0.8, atol=1e-6)


def test_touching_objects_of_different_classes_stay_apart():
    classes = np.zeros((20, 20), np.uint8)
    classes[5:15, 5:10], classes[5:15, 10:15] = 1, 2
    decoded = Semantic(classes=3).decode(perfect_maps(classes, 3))
    assert decoded.labels.max() == 2
    assert sorted(decoded.columns["class"]) == [1, 2]


def test_small_parts_are_no_objects_but_stay_in_the_classes():
    classes = np.zeros((30, 30), np.uint8)
    classes[2:5, 2:5], classes[10:20, 10:20] = 1, 1
    maps = perfect_maps(classes, 2)
    assert Semantic(min_size=0).decode(maps).labels.max() == 2
    decoded = Semantic(min_size=10).decode(maps)
    assert decoded.labels.max() == 1
    assert decoded.labels[15, 15] == 1
    np.testing.assert_array_equal(decoded.classes, classes)


def test_pixels_that_meet_at_a_corner():
    classes = np.zeros((20, 20), np.uint8)
    classes[2:8, 2:8], classes[8:14, 8:14] = 1, 1
    maps = perfect_maps(classes, 2)
    assert Semantic().decode(maps).labels.max() == 1
    assert Semantic(connectivity="faces").decode(maps).labels.max() == 2


def test_threshold_of_two_classes():
    maps = np.stack([np.linspace(1, 0, 100), np.linspace(0, 1, 100)]).astype(np.float32)
    maps = maps.reshape(2, 10, 10)
    for threshold in (0.2, 0.7):
        found = Semantic(threshold=threshold).decode(maps).classes
        np.testing.assert_array_equal(found, maps[1] > threshold)
    np.testing.assert_array_equal(Semantic().decode(maps).classes, maps.argmax(axis=0))
    assert Semantic().candidates()[0] == Semantic()
    assert {m.threshold for m in Semantic().candidates()} == {None, 0.3, 0.4, 0.6, 0.7}
    assert Semantic(classes=3).candidates() == (Semantic(classes=3),)


def test_ties_go_to_the_lower_class_as_in_argmax():
    maps = np.random.default_rng(0).integers(0, 3, (4, 20, 20)).astype(np.float32)
    found = Semantic(classes=4).decode(maps).classes
    np.testing.assert_array_equal(found, maps.argmax(axis=0))


def test_nothing_found_is_an_empty_table():
    decoded = Semantic().decode(perfect_maps(np.zeros((8, 8), np.uint8), 2))
    assert decoded.labels.max() == 0
    assert {k: len(v) for k, v in decoded.columns.items()} == {"class": 0, "probability": 0}


# Scores


@pytest.mark.parametrize("k", [2, 4])
def test_scores_are_those_of_scikit_learn(k):
    truth, pred = class_scene((60, 60), k), np.roll(class_scene((60, 60), k), 3, axis=1)
    scores = Semantic(classes=k).score(perfect_maps(pred, k), truth)
    labels = list(range(1, k))
    both = truth.ravel(), pred.ravel()
    assert scores["dice"] == pytest.approx(f1_score(*both, labels=labels, average="macro"))
    assert scores["iou"] == pytest.approx(jaccard_score(*both, labels=labels, average="macro"))
    assert 0 < scores["map"] < 1
    perfect = Semantic(classes=k).score(perfect_maps(truth, k), truth)
    assert perfect == {"dice": 1, "iou": 1, "map": 1, "ap50": 1}


def test_objects_of_the_wrong_class_are_wrong():
    truth = np.zeros((20, 20), np.uint8)
    truth[5:15, 5:15] = 1
    scores = Semantic(classes=3).score(perfect_maps(truth * 2, 3), truth)
    assert scores == {"dice": 0, "iou": 0, "map": 0, "ap50": 0}


def test_what_is_ignored_is_not_scored():
    method = Semantic(ignore=255)
    truth = class_scene((60, 60), 2)
    pred = truth.copy()
    pred[:30] = 1 - pred[:30]
    hidden = truth.copy()
    hidden[:30] = 255
    assert method.score(perfect_maps(pred, 2), truth)["dice"] < 0.5
    assert method.score(perfect_maps(pred, 2), hidden) == {"dice": 1, "iou": 1, "map": 1, "ap50": 1}


def test_pixels_that_do_not_count_are_scored_as_ignored_ones():
    truth = class_scene((60, 60), 3)
    pred = np.roll(truth, 4, axis=1)
    counted = np.random.default_rng(0).random(truth.shape) < 0.7
    hidden = np.where(counted, truth, 255)
    expected = Semantic(classes=3, ignore=255).score(perfect_maps(pred, 3), hidden)
    assert Semantic(classes=3).score(perfect_maps(pred, 3), truth, counted) == expected
    none = Semantic(classes=3).score(perfect_maps(pred, 3), truth, np.zeros_like(counted))
    assert none.keys() == expected.keys()
    assert all(map(np.isnan, none.values()))


def test_masks_and_empty_images_score():
    empty = np.zeros((20, 20), np.uint8)
    assert Semantic().score(perfect_maps(empty, 2), empty) == {
        "dice": 1,
        "iou": 1,
        "map": 1,
        "ap50": 1,
    }
    mask = class_scene((40, 40), 2) * 255
    scores = Semantic().score(perfect_maps(mask // 255, 2), mask.astype(np.uint8))
    assert scores["dice"] == 1
    full = perfect_maps(np.ones((20, 20), np.uint8), 2)
    assert Semantic().score(full, empty) == {"dice": 0, "iou": 0, "map": 0, "ap50": 0}
