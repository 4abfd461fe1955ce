"""Agreement of experts: against the metrics of the package, by hand, and over images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from delineate.consensus import agreement, annotation, compare, majority
from delineate.consensus.tables import (
    ImageConsensus,
    agreement_table,
    as_table,
    experts_table,
    images_table,
    pairs_table,
    summaries,
)
from delineate.errors import LabelError
from delineate.metrics import average_precision, dice


def blobs(seed: int, shape: tuple[int, ...] = (60, 70)) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    return noise > noise.std()


def test_objects_of_a_mask_are_its_parts_corners_included() -> None:
    mask = blobs(0)
    found = annotation(mask)
    expected, n = ndimage.label(mask, np.ones((3, 3)))
    assert found.n_objects == n
    assert np.array_equal(found.labels > 0, expected > 0)
    assert (found.classes == 1).all()
    assert annotation([[1, 0], [0, 1]]).n_objects == 1


def test_parts_of_different_classes_are_different_objects() -> None:
    found = annotation(np.array([[1, 1, 2], [0, 0, 2]]))
    assert found.n_objects == 2
    assert sorted(found.classes) == [1, 2]
    volume = np.zeros((3, 3, 3), int)
    volume[0, 0, 0] = volume[1, 1, 1] = volume[2, 2, 0] = 3
    assert annotation(volume).n_objects == 1


def test_scores_are_those_of_the_metrics() -> None:
    masks = [blobs(k) | blobs(9) for k in range(3)]
    each = [annotation(m) for m in masks]
    estimate = majority(masks).classes
    found = agreement(each, annotation(estimate))
    for k, comparison in enumerate(found.with_estimate):
        assert comparison.dice == pytest.approx(dice(estimate > 0, masks[k]))
        expected = average_precision(annotation(estimate).labels, each[k].labels)
        assert np.allclose(comparison.ap, expected)
        assert comparison.ap50 == expected[0]
        assert comparison.map == pytest.approx(expected.mean())
        assert comparison.n_second == each[k].n_objects
        assert comparison.n_first == annotation(estimate).n_objects
    assert set(found.pairs) == {(0, 1), (0, 2), (1, 2)}
    assert found.pairs[0, 2].dice == pytest.approx(dice(masks[0], masks[2]))
    assert found.mean_pair_dice == pytest.approx(np.mean([c.dice for c in found.pairs.values()]))


def test_dice_of_classes_is_their_mean() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (2, 20, 20))
    assert compare(annotation(a), annotation(b)).dice == pytest.approx(dice(a, b))
    b[b == 3] = 0
    assert compare(annotation(a), annotation(b)).dice == pytest.approx(dice(a, b))


def test_objects_of_different_classes_never_match() -> None:
    a = np.zeros((10, 10), int)
    a[2:8, 2:8] = 1
    found = compare(annotation(a), annotation(2 * a))
    assert found.ap50 == 0
    assert found.dice == 0
    assert found.pixels == (0, 36, 36)


def test_ignored_pixels_do_not_count_against_an_expert() -> None:
    estimate = np.zeros((6, 10), int)
    estimate[1:5, 1:5] = 1
    expert = estimate.copy()
    expert[1:5, 5:7] = 1
    ignore = expert != estimate
    with_all = agreement([annotation(expert)], annotation(estimate)).with_estimate[0]
    without = agreement([annotation(expert)], annotation(estimate), ignore).with_estimate[0]
    assert with_all.dice < 1
    assert without.dice == without.map == 1


def test_nothing_against_nothing_and_something() -> None:
    nothing, something = np.zeros((4, 4), int), np.ones((4, 4), int)
    found = agreement([annotation(nothing), annotation(something)], annotation(nothing))
    assert [c.dice for c in found.with_estimate] == [1, 0]
    assert [c.ap50 for c in found.with_estimate] == [1, 0]
    assert not found.disjoint  # one drew nothing: there is nothing to share


def test_experts_who_share_no_pixel_are_told() -> None:
    a, b, c = np.zeros((3, 5, 5), int)
    a[0], b[2], c[4] = 1, 1, 1
    assert agreement([annotation(m) for m in (a, b, c)], annotation(a)).disjoint
    c[0, 0] = 1
    assert not agreement([annotation(m) for m in (a, b, c)], annotation(a)).disjoint


def test_a_mask_of_another_image_is_a_stranger_and_a_careful_one_is_not() -> None:
    mine, other = blobs(1), blobs(2) & ~blobs(1)
    few = ndimage.binary_erosion(mine, iterations=2)
    estimate = annotation(mine)
    masks = [annotation(m) for m in (mine, few, other, blobs(1))]
    assert agreement(masks, estimate).strangers == (2,)
    assert agreement(masks[:2] + masks[3:], estimate).strangers == ()
    assert agreement(masks[:1] + masks[2:3], estimate).strangers == ()  # two: either may be wrong
    nothing = annotation(np.zeros((60, 70), int))
    assert agreement([*masks[:2], nothing], estimate).strangers == ()


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(LabelError, match=r"expert 1 has the shape \(2, 2\), the estimate \(3, 3\)"):
        agreement([annotation(np.ones((2, 2), int))], annotation(np.ones((3, 3), int)))


def image(name: str, experts: tuple[str, ...], masks: list[np.ndarray]) -> ImageConsensus:
    estimate = majority(masks)
    found = agreement([annotation(m) for m in masks], annotation(estimate.classes))
    return ImageConsensus(
        name, experts, tuple({"a", "b", "c"} - {*experts}), masks[0].size, estimate.undecided,
        3, 0.2, 0, True, estimate.confusion, estimate.sensitivity, estimate.specificity, found,
    )  # fmt: skip


def test_tables_are_over_the_images_that_an_expert_has() -> None:
    masks = [blobs(k) | blobs(8) for k in range(6)]
    images = [
        image("one", ("a", "b", "c"), masks[:3]),
        image("two", ("a", "c"), masks[3:5]),
        image("none", ("a", "b"), [np.zeros((60, 70), bool)] * 2),
    ]
    single, double = summaries(images, ("a", "b", "c"))
    table = experts_table(single, 3)
    assert table["images"].tolist() == [3, 2, 2]
    assert table["missing"].tolist() == [0, 1, 1]
    dices = [i.agreement.with_estimate[0].dice for i in images]
    assert table["dice"][0] == pytest.approx(np.mean(dices))
    assert table["dice_low"][0] <= table["dice"][0] <= table["dice_high"][0]
    # Where nothing is there is no sensitivity: the mean is over the other images.
    known = [i.sensitivity[0] for i in images[:2]]
    assert table["sensitivity"][0] == pytest.approx(np.mean(known))
    pairs = pairs_table(double)
    assert list(zip(pairs["first"], pairs["second"], strict=True)) == [
        ("a", "b"), ("a", "c"), ("b", "c"),
    ]  # fmt: skip
    assert pairs["images"].tolist() == [2, 2, 1]
    assert pairs["dice"][2] == images[0].agreement.pairs[1, 2].dice
    assert np.isnan([pairs["dice_low"][2], pairs["dice_high"][2]]).all()  # of one image
    rows = agreement_table(images)
    assert rows["expert"].tolist() == ["a", "b", "c", "a", "c", "a", "b"]
    assert rows["dice"][4] == images[1].agreement.with_estimate[1].dice
    shown = images_table(images, [("bad", "is broken")])
    assert shown["status"].tolist() == ["done"] * 3 + ["failed"]
    assert shown["missing"].tolist() == ["", "b", "c", None]
    assert shown["error"].tolist() == ["", "", "", "is broken"]


def test_several_classes_have_a_confusion_matrix() -> None:
    rng = np.random.default_rng(0)
    masks = list(rng.integers(0, 3, (2, 20, 20)))
    images = [image("one", ("a", "b"), masks)]
    table = experts_table(summaries(images, ("a", "b"))[0], 1)
    names = [f"confusion_{t}_{s}" for t in range(3) for s in range(3)]
    assert [n for n in table if n.startswith("confusion")] == names
    assert sum(table[f"confusion_1_{s}"][0] for s in range(3)) == pytest.approx(1)


def test_a_table_without_rows_has_its_columns() -> None:
    assert {k: len(v) for k, v in as_table([], ("image", "status")).items()} == {
        "image": 0, "status": 0,
    }  # fmt: skip
