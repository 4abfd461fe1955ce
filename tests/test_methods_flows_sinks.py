"""Sinks made by hand: which are one, which is none, and where a ring of pixels ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from delineate.methods.flows.sinks import Sinks, find_sinks, unite_sinks
from delineate.methods.flows.walk import find_roots

HEIGHT = 21
"""Rows of the images here: sinks lie in the middle one, and their basins are whole columns."""


def row_of_sinks(
    columns: Sequence[int], starts: Sequence[int], width: int, places: int = 9
) -> tuple[Sinks, NDArray[np.int64]]:
    """Sinks at some columns of the middle row, and their basins, which begin at some columns."""
    basin = np.searchsorted(starts, np.arange(width), side="right") - 1
    number = np.tile(basin, (HEIGHT, 1))
    pixels = np.bincount(number.ravel()).astype(float)
    peaks = np.array([(0, HEIGHT // 2, column) for column in columns], float)
    none = np.zeros(0, np.int64)
    return Sinks(none, peaks, pixels, np.full(len(columns), places)), number


def flow_along(steps: Sequence[float]) -> NDArray[np.float32]:
    """Flow along the rows, alike in all of them."""
    along = np.tile(np.asarray(steps, np.float32), (HEIGHT, 1))
    return np.stack([np.zeros_like(along), along])


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_sink_on_the_border_of_two_objects_joins_the_nearer_and_unites_no_others(
    mirrored: bool,
) -> None:
    """Small, between two large ones: 0.2 pixels of walking from the first, 0.3 from the last."""
    sinks, number = row_of_sinks([10, 20, 30], [0, 19, 22], 41)
    flow = np.zeros(41)
    flow[11:19], flow[19] = -1, 0.3
    flow[22:30], flow[21] = 1, -0.5
    if mirrored:
        flow = -flow[::-1]
    expected = [0, 2, 2] if mirrored else [0, 0, 2]
    assert unite_sinks(sinks, number, flow_along(flow)).tolist() == expected
    assert unite_sinks(sinks, number, flow_along(flow), threads=2).tolist() == expected


def test_a_chain_of_sinks_is_one_as_the_largest() -> None:
    """Each is nearest to its neighbour; the largest is neither the first nor the last."""
    starts = [0, 4, 10, 28]
    sinks, number = row_of_sinks([2, 7, 18, 30], starts, 33)
    assert sinks.pixels.argsort().tolist() == [0, 3, 1, 2]
    still = flow_along(np.zeros(33))
    assert unite_sinks(sinks, number, still).tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize(("against", "united"), [(0.65, [0, 0]), (0.75, [0, 1])])
def test_two_sinks_are_one_if_little_walking_against_the_flow_is_between_them(
    against: float, united: list[int]
) -> None:
    """Of 0.7 pixels: the flow leads away from the middle, `against` pixels on either side."""
    sinks, number = row_of_sinks([10, 18], [0, 15], 29)
    flow = np.zeros(29)
    flow[11:14], flow[15:18] = -against / 3, against / 3
    assert unite_sinks(sinks, number, flow_along(flow)).tolist() == united


def test_sinks_farther_apart_than_the_radius_of_both_are_two() -> None:
    """The disk of 21 by 8 pixels has a radius of 7.3."""
    for column, united in ((7, [0, 0]), (8, [0, 1])):
        sinks, number = row_of_sinks([0, column], [0, 4], 9)
        sinks = sinks._replace(pixels=np.array([85.0, 83.0]))
        assert unite_sinks(sinks, number, flow_along(np.zeros(9))).tolist() == united


@pytest.mark.parametrize(
    ("pixels", "places", "kept"),
    [(30, 15, True), (30, 16, False), (200, 100, True), (200, 101, False), (9, 9, True),
     (10, 9, False)],
)  # fmt: skip
def test_a_sink_needs_two_pixels_a_place_unless_it_has_few(
    pixels: int, places: int, kept: bool
) -> None:
    sinks, number = row_of_sinks([3], [0], 7, places)
    sinks = sinks._replace(pixels=np.array([float(pixels)]))
    assert unite_sinks(sinks, number, flow_along(np.zeros(7))).tolist() == [0 if kept else -1]


@pytest.mark.parametrize("lowest", [20, 400])
def test_peaks_of_density_are_one_unless_a_fifth_of_the_lower_is_between_them(lowest: int) -> None:
    """Two places of 1000 and `lowest` pixels, four apart, and one midway of a fifth or more."""
    ends = np.array([[5.0, 8.0], [5.0, 10.0], [5.0, 12.0]])
    fifth = lowest // 5
    for between, number in ((fifth, [0, 0, 1]), (fifth + 1, [0, 0, 0])):
        found = find_sinks(ends, np.array([1000, between, lowest]), (11, 20))
        assert found.number.tolist() == number
        parts = np.bincount(number, [1000, between, lowest])
        assert found.pixels.tolist() == parts.tolist()
        assert found.places.tolist() == np.bincount(number).tolist()
        assert found.peaks.tolist() == [[0, 5, 8], [0, 5, 12]][: len(parts)]


@pytest.mark.parametrize("least", [1, 2, 3, 4])
def test_a_ring_of_pixels_ends_where_the_flow_is_least(least: int) -> None:
    """1 leads to 2, 3, 4 and back to 1; 0 and 5 lead into the ring, 6 is outside, 7 is alone."""
    lengths = np.array([0.01, 1.0, 0.9, 0.8, 0.7, 0.02, 0.0, 1.0], np.float32)
    lengths[least] = 0.5
    for angle in (0.0, 0.7, 4.0):
        flow = np.stack([np.sin(angle) * lengths, np.cos(angle) * lengths]).astype(np.float32)
        target = np.array([1, 2, 3, 4, 1, 0, -1, 7])
        assert find_roots(flow, target).tolist() == [least, 7]
        assert target.tolist() == [*[least] * 6, -1, 7]


def test_of_equal_flow_the_first_pixel_of_a_ring_is_its_root() -> None:
    """Wherever the ring is entered: 1, 3, 2 and 4, 5 lead round, 0 and 6 into them."""
    flow = np.ones((2, 7), np.float32)
    target = np.array([5, 3, 1, 2, 5, 4, 2])
    assert find_roots(flow, target).tolist() == [1, 4]
    assert target.tolist() == [4, 1, 1, 1, 4, 4, 1]
