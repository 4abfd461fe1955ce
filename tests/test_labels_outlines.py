"""Outlines, boundaries, border objects and stitching."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage
from skimage import segmentation
from skimage.measure import points_in_poly

from delineate.errors import LabelError
from delineate.labels import boundaries, clear_border, outlines, stitch

planes = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=10), elements=st.integers(0, 2)
)
labels_nd = hnp.arrays(
    np.int64,
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=7),
    elements=st.integers(0, 3),
)


def signed_area(ring: NDArray[np.float64]) -> float:
    """Area by the shoelace formula, positive where the ring runs clockwise with y downwards."""
    y, x = ring.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def filled(ring: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels whose centre lies in the ring, by scikit-image's test of points."""
    grid = np.indices(shape).reshape(2, -1).T + 0.5
    return points_in_poly(grid, ring).reshape(shape)


@settings(max_examples=200, deadline=None)
@given(planes)
def test_filling_the_outlines_gives_back_the_pixels(labels: NDArray[np.int64]) -> None:
    found = outlines(labels * 1000)
    assert [o.label for o in found] == [i * 1000 for i in np.unique(labels) if i]
    painted = np.zeros_like(labels)
    for outline in found:
        mask = labels == outline.label // 1000
        parts, n_parts = ndimage.label(mask)
        assert len(outline.parts) == n_parts
        for number, polygon in enumerate(outline.parts, start=1):
            part = filled(polygon.exterior, labels.shape)
            for hole in polygon.holes:
                inside = filled(hole, labels.shape)
                assert not (inside & ~part).any()
                part &= ~inside
            np.testing.assert_array_equal(part, parts == number)
            painted[part] += outline.label // 1000
            area = signed_area(polygon.exterior) + sum(map(signed_area, polygon.holes))
            assert area == part.sum()
            assert signed_area(polygon.exterior) > 0
            assert all(signed_area(hole) < 0 for hole in polygon.holes)
    np.testing.assert_array_equal(painted, labels)


@settings(max_examples=100, deadline=None)
@given(planes)
def test_rings_keep_corners_only(labels: NDArray[np.int64]) -> None:
    for outline in outlines(labels):
        for polygon in outline.parts:
            for ring in (polygon.exterior, *polygon.holes):
                step = np.roll(ring, -1, axis=0) - ring
                assert ((step == 0).sum(axis=1) == 1).all()
                along_y = step[:, 0] != 0
                assert (along_y != np.roll(along_y, 1)).all()


def test_a_ring_in_a_ring() -> None:
    labels = np.zeros((9, 9), np.uint16)
    labels[1:8, 1:8] = 4
    labels[2:7, 2:7] = 0
    labels[3:6, 3:6] = 4
    labels[4, 4] = 60_000
    four, other = outlines(labels)
    assert (four.label, other.label) == (4, 60_000)
    assert [len(p.holes) for p in four.parts] == [1, 1]
    np.testing.assert_array_equal(other.parts[0].exterior, [[4, 4], [4, 5], [5, 5], [5, 4]])
    np.testing.assert_array_equal(four.parts[0].exterior, [[1, 1], [1, 8], [8, 8], [8, 1]])


def test_outlines_of_nothing_and_of_a_volume() -> None:
    assert outlines(np.zeros((0, 0), int)) == []
    assert outlines(np.zeros((4, 3), int)) == []
    with pytest.raises(LabelError, match="3 axes"):
        outlines(np.zeros((2, 2, 2), int))


@settings(max_examples=60, deadline=None)
@given(labels_nd)
def test_boundaries_are_the_inner_ones_of_scikit_image(labels: NDArray[np.int64]) -> None:
    expected = segmentation.find_boundaries(labels, connectivity=1, mode="inner")
    np.testing.assert_array_equal(boundaries(labels), expected)


@settings(max_examples=60, deadline=None)
@given(labels_nd)
def test_clear_border_is_that_of_scikit_image(labels: NDArray[np.int64]) -> None:
    # scikit-image clears parts that touch the border; here whole objects go, so one part each.
    parts = np.asarray(ndimage.label(labels)[0], np.int64)
    expected = segmentation.clear_border(parts)
    np.testing.assert_array_equal(clear_border(parts * 2**40), expected * 2**40)


def test_clear_border_along_some_axes() -> None:
    labels = np.zeros((3, 5, 5), np.uint8)
    labels[:, 2, 2] = 7
    labels[1, 0, 4] = 8
    np.testing.assert_array_equal(np.unique(clear_border(labels, (-2, -1))), [0, 7])
    assert not clear_border(labels).any()


def disk(centre: tuple[float, float], radius: float, shape: tuple[int, int]) -> NDArray[np.bool_]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def test_stitching_recovers_balls_whatever_their_ids_in_the_planes() -> None:
    z, y, x = np.ogrid[:20, :40, :40]
    volume = np.zeros((20, 40, 40), np.uint32)
    for number, centre in enumerate([(9, 10, 10), (9, 10, 28), (10, 29, 20)], start=1):
        ball = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= 7.5**2
        volume[ball] = number
    rng = np.random.default_rng(1)
    planes = [np.array([0, *(rng.permutation(3) + 5)])[plane] * 10**12 for plane in volume]
    stitched = stitch(planes)
    assert stitched.dtype == np.uint32
    pairs = np.unique(np.stack([volume.ravel(), stitched.ravel()]), axis=1)
    assert pairs.shape == (2, 4)
    np.testing.assert_array_equal(np.unique(stitched), [0, 1, 2, 3])


def test_ids_never_collide_over_an_empty_plane() -> None:
    plane = np.zeros((20, 40), int)
    plane[disk((10, 10), 5, plane.shape)] = 1
    plane[disk((10, 30), 5, plane.shape)] = 2
    stitched = stitch(np.stack([plane, plane, plane * 0, plane, plane * 0, plane[:, ::-1]]))
    ids = [set(np.unique(p)) - {0} for p in stitched]
    assert ids[0] == ids[1] == {1, 2}
    assert ids[2] == ids[4] == set()
    assert ids[3] == {3, 4}
    assert ids[5] == {5, 6}


def test_two_objects_of_a_plane_never_become_one() -> None:
    one, two = np.zeros((10, 20), int), np.zeros((10, 20), int)
    one[:, :] = 1
    two[:, :11], two[:, 11:] = 1, 2
    stitched = stitch([one, two, one], threshold=0.3)
    assert set(np.unique(stitched[1])) == {1, 2}
    assert stitched[1, 0, 0] == 1
    assert (stitched[2] == 1).all()
    assert (stitch([one, two, one], threshold=0.6)[1:] > 1).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_partners_are_found_from_the_best_iou_downwards(mirrored: bool) -> None:
    """The second object overlaps both of the plane below, by 3 of 17 and by 9 of 15 pixels."""
    below, above = np.zeros((1, 24), int), np.zeros((1, 24), int)
    below[0, :8], below[0, 8:20] = 1, 2
    above[0, 5:17], above[0, 17:20] = 1, 2
    if mirrored:
        below, above = below[:, ::-1], above[:, ::-1]
    stitched = stitch([below, above], threshold=0.1)
    assert set(stitched[1][above == 1]) == {2}
    assert set(stitched[1][above == 2]) == {3}
    np.testing.assert_array_equal(stitched[0], below)


@pytest.mark.parametrize(("threshold", "objects"), [(0.5, 1), (np.nextafter(0.5, 1), 2)])
def test_an_iou_of_just_the_threshold_joins(threshold: float, objects: int) -> None:
    below, above = np.zeros((3, 8), int), np.zeros((3, 8), int)
    below[1], above[1, :4] = 1, 1
    assert stitch([below, above], threshold=threshold).max() == objects


def test_planes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LabelError, match=r"plane 1 .*\(3, 4\).*\(4, 4\)"):
        stitch([np.zeros((4, 4), int), np.zeros((3, 4), int)])
    with pytest.raises(LabelError, match="plane 0"):
        stitch([np.zeros(4, int)])
    with pytest.raises(ValueError, match="threshold"):
        stitch([], threshold=0)
    empty: list[Any] = []
    assert stitch(empty).shape == (0, 0, 0)
