"""STAPLE and majority votes against SimpleITK, by hand, and by what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.consensus import majority, staple
from delineate.consensus.votes import count_votes
from delineate.errors import LabelError


def binary_masks(
    rng: np.random.Generator, shape: tuple[int, ...], errors: list[float]
) -> list[np.ndarray]:
    """Masks of experts who err at random pixels, each as often as `errors` says."""
    truth = rng.random(shape) < 0.3
    return [(truth ^ (rng.random(shape) < e)).astype(np.uint8) for e in errors]


def class_masks(
    rng: np.random.Generator, shape: tuple[int, ...], n: int, errors: list[float]
) -> list[np.ndarray]:
    truth = rng.integers(0, n, shape)
    return [
        np.where(rng.random(shape) < e, rng.integers(0, n, shape), truth).astype(np.uint8)
        for e in errors
    ]


@pytest.mark.parametrize("shape", [(50, 61), (9, 20, 21)])
@pytest.mark.parametrize("errors", [[0.1, 0.3], [0.05, 0.2, 0.4], [0.01, 0.1, 0.2, 0.3, 0.4]])
def test_binary_equals_simpleitk(shape: tuple[int, ...], errors: list[float]) -> None:
    masks = binary_masks(np.random.default_rng(len(errors)), shape, errors)
    reference = SimpleITK.STAPLEImageFilter()
    expected = SimpleITK.GetArrayFromImage(
        reference.Execute([SimpleITK.GetImageFromArray(m) for m in masks])
    )
    found = staple(masks)
    assert np.abs(found.foreground - expected).max() < 1e-6
    assert np.allclose(found.sensitivity, reference.GetSensitivity(), atol=1e-9)
    assert np.allclose(found.specificity, reference.GetSpecificity(), atol=1e-9)
    assert found.iterations == reference.GetElapsedIterations() + 1
    assert found.converged
    assert np.array_equal(found.classes, expected > 0.5)


def test_experts_who_differ_in_places_equal_simpleitk() -> None:
    """Shapes as people draw them: whole objects missed, borders moved."""
    y, x = np.indices((64, 64))
    masks = []
    for radius, objects in ((6, (1, 2, 3)), (8, (1, 2)), (5, (2, 3)), (7, (1, 2, 3)), (9, (4,))):
        mask = np.zeros((64, 64), np.uint8)
        for k in objects:
            mask |= (y - 12 * k) ** 2 + (x - 13 * k) ** 2 < radius**2
        masks.append(mask)
    reference = SimpleITK.STAPLEImageFilter()
    expected = SimpleITK.GetArrayFromImage(
        reference.Execute([SimpleITK.GetImageFromArray(m) for m in masks])
    )
    found = staple(masks)
    assert np.abs(found.foreground - expected).max() < 1e-6
    assert np.allclose(found.sensitivity, reference.GetSensitivity(), atol=1e-6)


@pytest.mark.parametrize("experts", [3, 4, 5])
@pytest.mark.parametrize("n", [3, 5])
def test_classes_equal_simpleitk(experts: int, n: int) -> None:
    errors = [0.05, 0.1, 0.2, 0.3, 0.15][:experts]
    masks = class_masks(np.random.default_rng(n), (50, 60), n, errors)
    reference = SimpleITK.MultiLabelSTAPLEImageFilter()
    reference.SetTerminationUpdateThreshold(1e-10)  # its own 1e-5 stops short of the solution
    expected = SimpleITK.GetArrayFromImage(
        reference.Execute([SimpleITK.GetImageFromArray(m) for m in masks])
    )
    found = staple(masks, undecided=n, tolerance=1e-10)
    assert np.array_equal(found.classes, expected)
    for expert in range(experts):
        rows = np.array(reference.GetConfusionMatrix(expert)).reshape(n + 1, n)
        assert np.allclose(found.confusion[expert], rows[:n].T, atol=1e-6)


def test_classes_start_and_stop_as_simpleitk_where_no_vote_is_tied() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, (40, 40))
    masks = [truth.copy() for _ in range(5)]
    for mask in masks[:2]:  # at most two of five differ: the vote has a winner everywhere
        wrong = rng.random(truth.shape) < 0.25
        mask[wrong] = rng.integers(0, 3, int(wrong.sum()))
    images = [SimpleITK.GetImageFromArray(m.astype(np.uint8)) for m in masks]
    reference = SimpleITK.MultiLabelSTAPLEImageFilter()
    reference.Execute(images)
    found = staple(masks, tolerance=1e-5)
    for expert in range(5):
        rows = np.array(reference.GetConfusionMatrix(expert)).reshape(4, 3)
        assert np.allclose(found.confusion[expert], rows[:3].T, atol=1e-12)


@pytest.mark.parametrize("n", [2, 4])
def test_majority_equals_simpleitk(n: int) -> None:
    masks = class_masks(np.random.default_rng(0), (40, 50), n, [0.4, 0.5, 0.3, 0.6])
    images = [SimpleITK.GetImageFromArray(m) for m in masks]
    expected = SimpleITK.GetArrayFromImage(SimpleITK.LabelVoting(images, 200))
    found = majority(masks, undecided=200)
    assert np.array_equal(found.classes, expected)
    assert found.undecided == int((expected == 200).sum()) > 0
    assert np.array_equal(found.undecided_mask, expected == 200)


def test_majority_by_hand() -> None:
    masks = [[1, 1, 0, 2], [1, 2, 0, 2], [1, 0, 0, 0]]
    found = majority(masks, undecided=9)
    assert found.classes.tolist() == [1, 9, 0, 2]
    assert np.allclose(found.probability[:, 1], 1 / 3)
    assert found.foreground.tolist() == pytest.approx([1, 2 / 3, 0, 2 / 3])
    # The third expert: background once right, class 1 once right, class 2 taken for background.
    assert found.confusion[2].tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert found.sensitivity.tolist() == [1, 1, 0.5]


def test_a_sloppy_expert_counts_less() -> None:
    """Two careful experts outvote three careless ones, which a majority cannot see."""
    rng = np.random.default_rng(1)
    truth = rng.random((80, 80)) < 0.3
    masks = [truth ^ (rng.random(truth.shape) < e) for e in (0.02, 0.02, 0.35, 0.35, 0.35)]
    by_staple, by_vote = staple(masks), majority(masks)
    assert (by_staple.classes != truth).mean() < 0.5 * (by_vote.classes != truth).mean()
    assert (by_staple.sensitivity[:2] > 0.95).all()
    assert (by_staple.sensitivity[2:] < 0.75).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 4))
def test_order_of_experts_and_pixels_does_not_matter(seed: int, experts: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    masks = class_masks(rng, (6, 7), n, rng.uniform(0, 0.6, experts).tolist())
    order, pixels = rng.permutation(experts), rng.permutation(42)
    for method in (staple, majority):
        found = method(masks, n)
        moved = method([masks[e].ravel()[pixels] for e in order], n)
        assert np.allclose(
            moved.probability, found.probability.reshape(n, -1)[:, pixels], atol=1e-5
        )
        assert np.allclose(moved.confusion, found.confusion[order], atol=1e-5, equal_nan=True)
        assert np.allclose(found.probability.sum(axis=0), 1, atol=1e-6)
        assert np.isfinite(found.probability).all()
        known = np.isfinite(found.confusion).all(axis=2)
        assert np.allclose(found.confusion.sum(axis=2)[known], 1)


def test_one_expert_is_the_truth() -> None:
    mask = np.array([[0, 1], [1, 1]], bool)
    for method in (staple, majority):
        found = method([mask])
        assert np.array_equal(found.classes, mask)
        assert found.sensitivity[0] == found.specificity[0] == 1


@pytest.mark.parametrize("value", [0, 1])
def test_a_class_that_nobody_drew_is_no_number_but_no_error(value: int) -> None:
    masks = [np.full((5, 5), value)] * 3
    for method in (staple, majority):
        found = method(masks)
        assert (found.classes == value).all()
        assert found.undecided == 0
        missing = found.sensitivity if value == 0 else found.specificity
        assert np.isnan(missing).all()
        assert (found.foreground == value).all()


def test_an_absent_class_between_others_stays_absent() -> None:
    masks = [[0, 2, 2, 0, 0], [0, 2, 0, 0, 0], [0, 2, 2, 0, 2]]
    found = staple(masks, n_classes=4)
    assert set(found.classes.tolist()) <= {0, 2}
    assert np.isnan(found.confusion[:, [1, 3]]).all()
    assert found.probability.shape == (4, 5)


def test_experts_who_agree_on_nothing_leave_ties() -> None:
    masks = [[1, 1, 0, 0], [0, 0, 1, 1]]
    found = staple(masks, undecided=7)
    assert found.undecided == 4
    assert found.classes.tolist() == [7, 7, 7, 7]
    assert majority(masks, undecided=7).undecided == 4
    assert staple([[1, 2, 0], [2, 0, 1]], undecided=9).undecided == 3


def test_giving_up_is_told() -> None:
    masks = binary_masks(np.random.default_rng(0), (30, 30), [0.1, 0.2, 0.3])
    found = staple(masks, max_iterations=2)
    assert found.iterations == 2
    assert not found.converged
    three = class_masks(np.random.default_rng(0), (30, 30), 3, [0.1, 0.2, 0.3])
    assert not staple(three, max_iterations=2).converged


@pytest.mark.parametrize(("experts", "n"), [(1, 2), (5, 2), (18, 2), (9, 5), (30, 3)])
def test_patterns_are_the_votes(experts: int, n: int) -> None:
    rng = np.random.default_rng(experts)
    masks = rng.integers(0, n, (experts, 11, 13))
    votes = count_votes(list(masks), n)
    assert np.array_equal(votes.patterns[votes.rows], np.moveaxis(masks, 0, -1))
    assert np.array_equal(np.bincount(votes.rows.ravel()), votes.counts)
    expected = np.unique(masks.reshape(experts, -1), axis=1).T
    assert np.array_equal(votes.patterns, expected)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([], "no masks"),
        ([np.zeros((2, 3), int), np.zeros((3, 2), int)], r"expert 2 has the shape \(3, 2\)"),
        ([np.zeros(3)], "float64"),
        ([np.array([0, -1])], "-1"),
        ([np.array([0, 255])], "mask > 0"),
    ],
)
def test_what_is_no_mask_is_refused(masks: list[np.ndarray], message: str) -> None:
    for method in (staple, majority):
        with pytest.raises(LabelError, match=message):
            method(masks)
    with pytest.raises(LabelError, match="value 3, classes are 0 to 2"):
        staple([[0, 3]], n_classes=3)
