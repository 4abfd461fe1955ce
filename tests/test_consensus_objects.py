"""Objects of several experts become one object each: who drew it, its shape and its support."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import disks
from delineate.consensus import fuse_objects, staple
from delineate.consensus.groups import group_objects
from delineate.errors import LabelError
from delineate.metrics import match, overlap_table


def drawn(
    truth: np.ndarray, rng: np.random.Generator, miss: float = 0.0, shift: int = 1
) -> np.ndarray:
    """What an expert makes of the true objects: some missed, the others moved; ids with gaps."""
    labels = np.zeros_like(truth)
    for number in range(1, int(truth.max()) + 1):
        if rng.random() >= miss:
            move = rng.integers(-shift, shift + 1, truth.ndim)
            moved = np.roll(truth == number, move, tuple(range(truth.ndim)))
            labels[moved & (labels == 0)] = 1000 - 7 * number
    return labels


@pytest.mark.parametrize("shape", [(90, 100), (30, 40, 40)])
def test_careful_experts_give_back_the_truth(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    truth = disks(shape, 7, 15, rng)
    fused = fuse_objects([drawn(truth, rng) for _ in range(5)])
    assert match(truth, fused.labels, 0.6).ap == 1
    assert (fused.support == 1).all()
    assert fused.drawn.all()
    assert (fused.shape_agreement > 0.5).all()
    assert fused.n_left_out == 0


def test_equal_drawings_are_kept_to_the_pixel_and_numbered_by_place() -> None:
    truth = disks((60, 60), 6, 8, np.random.default_rng(1)).astype(np.uint64)
    huge = np.where(truth > 0, 2**60 - truth, 0)
    for method in ("staple", "majority"):
        fused = fuse_objects([truth, huge, truth * 3], method=method)
        assert np.array_equal(fused.labels > 0, truth > 0)
        n = int(truth.max())
        assert np.array_equal(np.unique(fused.labels), np.arange(n + 1))
        corners = [np.argwhere(fused.labels == k).min(axis=0).tolist() for k in range(1, n + 1)]
        assert corners == sorted(corners)
        for k, row in enumerate(fused.members, 1):  # members are ids of the experts' own images
            assert set(truth[fused.labels == k]) == {row[0]}
            assert set(huge[fused.labels == k]) == {row[1]}
        assert (fused.shape_agreement == 1).all()
        assert set(np.unique(fused.probability)) == {0, 1}


def test_touching_cells_stay_apart_where_fused_pixels_would_merge() -> None:
    a = np.zeros((20, 30), int)
    a[5:15, 5:15], a[5:15, 15:25] = 1, 2
    b = np.zeros_like(a)
    b[5:15, 5:16], b[5:15, 16:25] = 2, 1
    fused = fuse_objects([a, b, a])
    assert len(fused.support) == 2
    assert np.array_equal(fused.labels, a)


def test_one_who_merged_two_cells_is_outvoted() -> None:
    apart = np.zeros((20, 30), int)
    apart[5:15, 5:14], apart[5:15, 14:25] = 1, 2
    merged = (apart > 0).astype(int)
    fused = fuse_objects([apart, apart, merged, apart, apart])
    assert np.array_equal(fused.labels, apart)
    assert fused.support.tolist() == [0.8, 1.0]  # the merged one went to the larger cell
    assert fused.members.tolist() == [[1, 1, 0, 1, 1], [2, 2, 1, 2, 2]]


def test_support_is_the_share_of_experts_and_decides() -> None:
    images = np.zeros((4, 10, 40), int)
    for objects, experts in enumerate((4, 3, 2, 1)):
        images[:experts, 3:7, 10 * objects + 2 : 10 * objects + 8] = objects + 1
    found = fuse_objects(list(images))
    assert found.support.tolist() == [1, 0.75]
    assert found.n_left_out == 2
    assert found.n_undecided_objects == 1  # half of the experts is no majority
    assert fuse_objects(list(images), support=0.5).support.tolist() == [1, 0.75, 0.5]
    everything = fuse_objects(list(images), support=0)
    assert everything.support.tolist() == [1, 0.75, 0.5, 0.25]
    assert everything.n_left_out == 0
    # What is left out survives as probability.
    assert found.probability[5, 25] == 0.5
    assert found.probability[5, 35] == 0.25
    assert np.array_equal(found.probability, everything.probability)


def test_contested_pixels_go_to_the_higher_support() -> None:
    images = np.zeros((3, 12, 30), int)
    images[:, 2:10, 2:14] = 1
    images[:2, 2:10, 14:26] = 2
    for k in range(2):  # two of three stretch the second object into the first
        images[k, 2:10, 12:14] = 2
    images[2, 2:10, 12:14] = 1
    fused = fuse_objects(list(images), method="majority")
    assert fused.support.tolist() == [1, 2 / 3]
    contested = fused.labels[2:10, 12:14]
    assert (contested == 2).all()  # only the second object claims them: one vote of three is none
    images[0, 2:10, 12:14] = 1
    fused = fuse_objects(list(images), method="majority")
    assert (fused.labels[2:10, 12:14] == 1).all()


def test_the_shape_is_that_of_staple_in_the_box() -> None:
    rng = np.random.default_rng(5)
    y, x = np.indices((40, 40))
    images = [
        (((y - rng.normal(20, 1)) / 8) ** 2 + ((x - rng.normal(20, 1)) / 10) ** 2 < 1).astype(int)
        for _ in range(4)
    ]
    fused = fuse_objects(images)
    union = np.argwhere(np.any(images, axis=0))
    box = tuple(slice(a, b + 1) for a, b in zip(union.min(axis=0), union.max(axis=0), strict=True))
    expected = staple([image[box] for image in images])
    assert np.array_equal(fused.labels[box], expected.classes)
    assert np.allclose(fused.probability[box], expected.foreground, atol=1e-3)
    assert fused.undecided == expected.undecided


def test_no_chain_joins_what_does_not_overlap() -> None:
    images = np.zeros((4, 1, 22), np.uint32)
    for k in range(4):
        images[k, 0, 4 * k : 4 * k + 8] = 1
    groups = group_objects(list(images), 0.25)
    for row in groups:
        overlapping = [images[e] == row[e] for e in np.flatnonzero(row)]
        assert all((a & b).any() for a, b in product(overlapping, overlapping))


def brute_force(images: list[np.ndarray], iou: float) -> set[frozenset[tuple[int, int]]]:
    """Constrained average linkage, every pair of groups looked at in every step."""
    ious: dict[tuple[tuple[int, int], tuple[int, int]], float] = {}
    for a, b in product(range(len(images)), repeat=2):
        if a != b:
            table = overlap_table(images[a], images[b])
            for i, j, value in zip(table.truth_index, table.pred_index, table.ious, strict=True):
                ious[(a, int(table.truth_ids[i])), (b, int(table.pred_ids[j]))] = float(value)
    groups = [
        frozenset({(e, int(k))}) for e, image in enumerate(images) for k in np.unique(image) if k
    ]
    while True:
        best, chosen = iou, None
        for g, h in product(groups, groups):
            if {e for e, _ in g} & {e for e, _ in h}:
                continue
            mean = np.mean([ious.get((p, q), 0.0) for p, q in product(g, h)])
            if mean > best:
                best, chosen = float(mean), (g, h)
        if chosen is None:
            return set(groups)
        groups = [g for g in groups if g not in chosen] + [chosen[0] | chosen[1]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_groups_are_those_of_plain_average_linkage(seed: int, experts: int) -> None:
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(experts):
        cuts = np.sort(rng.choice(np.arange(1, 60), 7, replace=False))
        image = np.searchsorted(cuts, np.arange(60), side="right").astype(np.uint32)
        images.append(image[None])
    iou = 0.2517  # no mean of few pixels is equal to it
    groups = group_objects([image.copy() for image in images], iou)
    found = {frozenset((e, int(k)) for e, k in enumerate(row) if k) for row in groups}
    expected = brute_force(images, iou)
    assert {len(g) for g in found} <= set(range(1, experts + 1))
    covered = sorted(member for g in found for member in g)
    assert covered == sorted(member for g in expected for member in g)
    # Equal means may be joined in another order; without them the groups are the same.
    values = [
        v
        for a in range(experts)
        for b in range(a)
        for v in overlap_table(images[a], images[b]).ious
    ]
    if len({round(v, 12) for v in values}) == len(values):
        assert found == expected


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_of_experts_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = disks((50, 50), 5, 8, rng)
    images = [drawn(truth, rng, miss=0.3) for _ in range(3)]
    order = rng.permutation(3)
    found, moved = fuse_objects(images), fuse_objects([images[e] for e in order])
    assert sorted(found.support) == pytest.approx(sorted(moved.support))
    assert (found.labels > 0).sum() == pytest.approx((moved.labels > 0).sum(), abs=30)
    assert np.allclose(found.probability, moved.probability, atol=0.35)
    assert sorted(found.members.sum(axis=1)) == sorted(moved.members.sum(axis=1))


def test_classes_stay_apart() -> None:
    image = np.zeros((10, 10), int)
    image[2:8, 2:8] = 5
    one, two = np.zeros(6, int), np.zeros(6, int)
    one[5], two[5] = 1, 2
    fused = fuse_objects([image, image, image], classes=[one, two, one])
    assert fused.classes.tolist() == [1]
    assert fused.support.tolist() == [2 / 3]
    assert fused.members.tolist() == [[5, 0, 5]]


def test_nothing_and_one_expert() -> None:
    empty = np.zeros((5, 6), int)
    fused = fuse_objects([empty, empty])
    assert fused.labels.shape == (5, 6)
    assert not fused.labels.any()
    assert fused.support.shape == (0,)
    assert fused.members.shape == (0, 2)
    one = np.array([[0, 4, 4], [9, 0, 0]])
    fused = fuse_objects([one])
    assert fused.labels.tolist() == [[0, 1, 1], [2, 0, 0]]
    assert fused.support.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([], {}, "0 label images"),
        ([np.zeros((2, 2), int), np.zeros((3, 2), int)], {}, r"expert 2 has the shape \(3, 2\)"),
        ([np.zeros((2, 2))], {}, "float64"),
        ([np.zeros((2, 2), int)], {"iou": 0}, "IoU 0"),
        ([np.zeros((2, 2), int)], {"support": 1.5}, "support 1.5"),
    ],
)
def test_what_cannot_be_fused_is_refused(
    labels: list[np.ndarray], options: dict[str, float], message: str
) -> None:
    with pytest.raises((LabelError, ValueError), match=message):
        fuse_objects(labels, **options)
