"""Label algebra: numbering, holes, small objects and diameters."""

from __future__ import annotations

import doctest
import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import relabel_sequential

from delineate.errors import LabelError
from delineate.labels import (
    compact,
    diameters,
    fill_holes,
    median_diameter,
    object_sizes,
    relabel,
    remove_small,
    smallest_dtype,
)

HUGE = 2**64 - 1

small_labels = hnp.arrays(
    np.int64,
    hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9),
    elements=st.integers(0, 4),
)


def spread(labels: NDArray[Any]) -> NDArray[np.uint64]:
    """The same objects with gaps and huge ids, in the same order."""
    ids = np.array([0, 7, 70_000, 2**40, HUGE], np.uint64)
    return ids[labels]


@settings(max_examples=60, deadline=None)
@given(small_labels)
def test_relabel_is_that_of_scikit_image_and_ignores_gaps(labels: NDArray[np.int64]) -> None:
    expected = relabel_sequential(labels)[0]
    assert relabel(labels).dtype == np.uint32
    np.testing.assert_array_equal(relabel(labels), expected)
    np.testing.assert_array_equal(relabel(spread(labels)), expected)
    np.testing.assert_array_equal(relabel(relabel(labels)), expected)
    numbered, ids = compact(spread(labels))
    np.testing.assert_array_equal(
        np.concatenate([np.zeros(1, np.uint64), ids])[numbered], spread(labels)
    )


@settings(max_examples=60, deadline=None)
@given(small_labels)
def test_sizes_are_those_of_unique(labels: NDArray[np.int64]) -> None:
    ids, sizes = object_sizes(spread(labels))
    expected_ids, expected = np.unique(spread(labels), return_counts=True)
    kept = expected_ids != 0
    np.testing.assert_array_equal(ids, expected_ids[kept])
    np.testing.assert_array_equal(sizes, expected[kept])


def test_many_objects_make_the_table_grow() -> None:
    labels = np.random.default_rng(0).permutation(60_000).reshape(200, 300) * 2**33
    ids, sizes = object_sizes(labels)
    np.testing.assert_array_equal(ids, np.arange(1, 60_000) * 2**33)
    assert (sizes == 1).all()
    np.testing.assert_array_equal(relabel(labels), labels // 2**33)


def holes_by_the_definition(labels: NDArray[Any]) -> NDArray[Any]:
    """Every part of the background by itself, in plain SciPy."""
    result = labels.copy()
    parts, n = ndimage.label(labels == 0)
    frame = np.ones(labels.shape, bool)
    frame[(slice(1, -1),) * labels.ndim] = False
    for part in range(1, n + 1):
        mask = parts == part
        around = np.unique(labels[ndimage.binary_dilation(mask) & ~mask])
        if around.size == 1 and not (mask & frame).any():
            result[mask] = around[0]
    return result


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(
        np.int64,
        st.one_of(st.tuples(st.integers(3, 9), st.integers(3, 9)), st.just((4, 4, 5))),
        elements=st.sampled_from([0, 1, 1, 1, 1, 1, 2]),
    )
)
def test_holes_follow_their_definition(labels: NDArray[np.int64]) -> None:
    expected = holes_by_the_definition(labels)
    np.testing.assert_array_equal(fill_holes(labels), expected)
    np.testing.assert_array_equal(fill_holes(spread(labels)), spread(expected))


def test_a_nested_object_survives_and_its_own_hole_is_filled() -> None:
    labels = np.zeros((11, 11), np.uint16)
    labels[0:11, 0:11] = 3
    labels[2:9, 2:9] = 0
    labels[3:8, 3:8] = 9
    labels[5, 5] = 0
    filled = fill_holes(labels)
    assert filled.dtype == np.uint16
    assert filled[5, 5] == 9
    assert (filled[2, 2:9] == 0).all()
    labels[5, 5] = 9
    np.testing.assert_array_equal(filled, labels)


def test_a_hole_in_3d_is_closed_on_all_sides() -> None:
    labels = np.zeros((5, 5, 5), np.int32)
    labels[1:4, 1:4, 1:4] = 2
    labels[2, 2, 2] = 0
    assert fill_holes(labels)[2, 2, 2] == 2
    labels[1, 2, 2] = 0
    np.testing.assert_array_equal(fill_holes(labels), labels)


@settings(max_examples=60, deadline=None)
@given(small_labels, st.integers(0, 8))
def test_small_objects_go_and_others_stay(labels: NDArray[np.int64], min_size: int) -> None:
    kept = remove_small(spread(labels), min_size)
    expected = spread(labels).copy()
    for value in np.unique(expected):
        if (expected == value).sum() < min_size:
            expected[expected == value] = 0
    np.testing.assert_array_equal(kept, expected)


def test_removing_leaves_the_input_alone_and_reads_any_memory_order() -> None:
    labels = np.asfortranarray(np.array([[1, 1, 2], [0, 1, 2]], np.uint8))
    np.testing.assert_array_equal(remove_small(labels, 3), [[1, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(labels, [[1, 1, 2], [0, 1, 2]])
    np.testing.assert_array_equal(relabel(labels[:, ::-1]), labels[:, ::-1])
    np.testing.assert_array_equal(fill_holes(labels.T), labels.T)


def test_diameters_are_those_of_disks_and_balls() -> None:
    y, x = np.ogrid[:101, :101]
    disk = ((y - 50) ** 2 + (x - 50) ** 2 <= 30**2).astype(np.uint8)
    assert diameters(disk) == pytest.approx([60], abs=0.3)
    z, y, x = np.ogrid[:41, :41, :41]
    ball = ((z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 15**2).astype(np.uint8)
    assert diameters(ball) == pytest.approx([30], abs=0.3)
    assert median_diameter(disk) == diameters(disk)[0]
    assert np.isnan(median_diameter(np.zeros((3, 3), int)))


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1), (1, 1, 1), (2, 0, 3)])
def test_images_without_objects_or_pixels(shape: tuple[int, ...]) -> None:
    empty = np.zeros(shape, np.uint16)
    for function in (relabel, fill_holes):
        assert function(empty).shape == shape
    assert remove_small(empty, 5).shape == shape
    assert diameters(empty).size == 0
    full = np.ones(shape, np.uint16)
    np.testing.assert_array_equal(fill_holes(full), full)


@pytest.mark.parametrize("function", [relabel, fill_holes, diameters, object_sizes])
def test_what_is_not_a_label_image_is_refused(function: Any) -> None:
    with pytest.raises(LabelError, match="float64"):
        function(np.zeros((3, 3)))
    with pytest.raises(LabelError, match="bool"):
        function(np.zeros((3, 3), bool))
    with pytest.raises(LabelError, match="-1"):
        function(np.full((3, 3), -1))
    with pytest.raises(LabelError, match="4 axes"):
        fill_holes(np.zeros((1, 1, 1, 1), int))


@pytest.mark.parametrize(
    ("n", "name"),
    [(0, "uint8"), (255, "uint8"), (256, "uint16"), (65_536, "uint32"), (2**32, "uint64")],
)
def test_smallest_type(n: int, name: str) -> None:
    assert smallest_dtype(n) == np.dtype(name)


@pytest.mark.parametrize("name", ["relabel", "fill_holes", "outlines"])
def test_the_examples_of_the_docstrings_hold(name: str) -> None:
    tried = doctest.testmod(importlib.import_module(f"delineate.labels.{name}"))
    assert tried.attempted > 0
    assert tried.failed == 0
