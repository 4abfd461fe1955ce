"""Flow targets and the flow error: against plain references, and what users rely on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from delineate.errors import LabelError
from delineate.methods.flows import reference
from delineate.methods.flows import targets as flows_targets
from delineate.methods.flows.components import find_components
from delineate.methods.flows.dynamics import decode_flows
from delineate.methods.flows.targets import flow_error, flow_targets

SHAPES = st.one_of(
    st.tuples(*[st.integers(1, 14)] * 2),
    st.tuples(*[st.integers(1, 6)] * 3),
)
IMAGES = SHAPES.flatmap(lambda shape: arrays(np.int32, shape, elements=st.integers(0, 3)))


def ball(shape: tuple[int, ...], centre: tuple[float, ...], radius: tuple[float, ...]) -> Any:
    """Mask of an ellipse or ellipsoid."""
    grid = np.indices(shape)
    return sum(
        ((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radius, strict=True)
    ) <= 1  # fmt: skip


def blobs(shape: tuple[int, ...], seed: int) -> NDArray[np.int32]:
    """Touching objects of irregular shape, some of several parts, some of one pixel."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.random((6, *shape)), (0, *[2.0] * len(shape)))
    labels = noise.argmax(axis=0).astype(np.int32)
    labels[tuple(rng.integers(0, shape, (5, len(shape))).T)] = 9
    return labels


def walk(flow: NDArray[np.float32], start: tuple[int, ...]) -> NDArray[np.float64]:
    """Where half steps along the interpolated flow end."""
    at = np.array(start, float)
    for _ in range(4 * sum(flow.shape)):
        at += 0.5 * np.array([ndimage.map_coordinates(f, at[:, None], order=1)[0] for f in flow])
    return at


@settings(max_examples=80, deadline=None)
@given(IMAGES)
def test_targets_equal_the_reference(labels: NDArray[np.int32]) -> None:
    np.testing.assert_allclose(
        flow_targets(labels, threads=1), reference.flow_targets(labels), atol=1e-5
    )


@pytest.mark.parametrize("shape", [(70, 90), (14, 25, 30)])
def test_targets_of_blobs_equal_the_reference(shape: tuple[int, ...]) -> None:
    labels = blobs(shape, seed=3)
    flow = flow_targets(labels, threads=2)
    np.testing.assert_allclose(flow, reference.flow_targets(labels), atol=1e-6)
    length = np.sqrt((flow.astype(float) ** 2).sum(axis=0))
    assert np.all(length[labels == 0] == 0)
    assert np.all((np.abs(length - 1) < 1e-6) | (length == 0))


@settings(max_examples=80, deadline=None)
@given(IMAGES)
def test_components_equal_scipy(labels: NDArray[np.int32]) -> None:
    parts = find_components(labels)
    full = np.ones((3,) * labels.ndim)
    found = np.zeros(labels.shape, int)
    rows = found.reshape(-1, labels.shape[-1])
    for part in range(parts.labels.size):
        for run in range(parts.first[part], parts.first[part + 1]):
            rows[parts.rows[run], parts.starts[run] : parts.stops[run]] = part + 1
        box = ndimage.find_objects((found == part + 1).astype(int))[0]
        assert parts.low[part].tolist() == [s.start for s in box]
        assert parts.high[part].tolist() == [s.stop for s in box]
    total = 0
    for value in (1, 2, 3):
        expected, count = ndimage.label(labels == value, structure=full)
        total += count
        inside = labels == value
        pairs = np.unique(np.stack([expected[inside], found[inside]]), axis=1)
        assert pairs.shape[1] == count
        assert set(parts.labels[pairs[1] - 1].tolist()) <= {value}
    assert parts.labels.size == total
    firsts = [np.flatnonzero(found == p + 1)[0] for p in range(total)]
    assert firsts == sorted(firsts)


@pytest.mark.parametrize("radius", [2.0, 5.0, 5.5, 12.3, 30.0])
@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_flow_of_a_disk_ends_at_its_centre_anywhere_in_the_image(
    radius: float, fraction: float
) -> None:
    whole = int(np.ceil(radius))
    shape = (2 * whole + 33, 2 * whole + 57)
    for y, x in [(whole, whole), (whole, shape[1] - 2 - whole), (shape[0] - 2 - whole, whole + 9)]:
        centre = (y + fraction, x + fraction)
        labels = ball(shape, centre, (radius, radius)).astype(np.uint8)
        flow = flow_targets(labels, threads=1)
        inside = np.argwhere(labels)
        for start in inside[:: max(1, len(inside) // 10)]:
            assert np.abs(walk(flow, tuple(start)) - centre).max() < 0.05


def test_flow_of_a_ball_in_anisotropic_voxels_ends_at_its_centre() -> None:
    centre = (6, 15, 17)
    labels = ball((13, 31, 35), centre, (5, 13, 15)).astype(np.int64)
    flow = flow_targets(labels)
    for start in np.argwhere(labels)[::500]:
        assert np.abs(walk(flow, tuple(start)) - centre).max() < 0.05


@pytest.mark.parametrize("shape", [(60, 60), (16, 20, 24)])
def test_flips_and_turns(shape: tuple[int, ...]) -> None:
    labels = blobs(shape, seed=5)
    for label in range(1, 6):  # objects of one part: ties of far apart centres have no symmetry
        labels[labels == label] = label * (ndimage.label(labels == label)[0][labels == label] == 1)
    flow = flow_targets(labels)
    for axis in range(len(shape)):
        mirrored = np.flip(flow, axis + 1).copy()
        mirrored[axis] *= -1
        np.testing.assert_array_equal(flow_targets(np.flip(labels, axis)), mirrored)
    turned = np.rot90(flow, axes=(-2, -1)).copy()
    turned[[-2, -1]] = np.stack([-turned[-1], turned[-2]])
    np.testing.assert_allclose(flow_targets(np.rot90(labels, axes=(-2, -1))), turned, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_ids_do_not_matter(dtype: type) -> None:
    labels = blobs((40, 50), seed=1)
    huge = np.array([0, *np.linspace(7, np.iinfo(dtype).max, 9)], dtype=np.float64)
    ids = np.array([min(int(v), np.iinfo(dtype).max) for v in huge], dtype=dtype)
    np.testing.assert_array_equal(flow_targets(ids[labels]), flow_targets(labels))


def test_nested_object_does_not_change_when_its_ring_goes() -> None:
    nested = ball((60, 60), (30, 30), (25, 25)).astype(np.int32)
    inner = ball((60, 60), (28, 31), (9, 7))
    nested[inner] = 2
    alone = np.where(inner, 2, 0)
    np.testing.assert_array_equal(
        flow_targets(nested)[:, inner], flow_targets(alone)[:, inner]
    )  # fmt: skip
    assert np.all(np.abs(flow_targets(nested)).max(axis=0)[nested == 1] > 0)


def test_each_part_of_an_object_has_its_own_centre() -> None:
    labels = np.zeros((30, 60), np.int32)
    labels[ball((30, 60), (14, 14), (9, 9)) | ball((30, 60), (14, 45), (9, 9))] = 4
    flow = flow_targets(labels)
    np.testing.assert_allclose(walk(flow, (14, 8)), (14, 14), atol=0.05)
    np.testing.assert_allclose(walk(flow, (14, 39)), (14, 45), atol=0.05)


def test_nothing_and_almost_nothing() -> None:
    assert not flow_targets(np.zeros((5, 6), int)).any()
    assert flow_targets(np.zeros((0, 6), int)).shape == (2, 0, 6)
    assert flow_targets(np.zeros((3, 4, 0), int)).shape == (3, 3, 4, 0)
    assert not flow_targets(np.ones((1, 1), int)).any()
    assert not flow_targets(np.ones((1, 1, 1), bool)).any()
    lonely = np.arange(1, 17).reshape(4, 4)
    assert not flow_targets(lonely).any()


@pytest.mark.parametrize("shape", [(33, 21), (9, 11, 7)])
def test_one_object_fills_the_image(shape: tuple[int, ...]) -> None:
    flow = flow_targets(np.ones(shape, int))
    centre = [(s - 1) // 2 for s in shape]
    for corner in np.ndindex(*(2,) * len(shape)):
        start = tuple(c * (s - 1) for c, s in zip(corner, shape, strict=True))
        np.testing.assert_allclose(walk(flow, start), centre, atol=0.05)


@pytest.mark.parametrize("shape", [(140, 150), (30, 33, 36)])
def test_a_coarse_copy_serves_for_very_large_objects(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ball(shape, tuple(s / 2 for s in shape), tuple(s / 2.2 for s in shape)).astype(int)
    exact = flow_targets(labels)
    monkeypatch.setattr(flows_targets, "LARGEST", 1e5)
    coarse = flow_targets(labels)
    assert not np.array_equal(coarse, exact)
    cosine = (exact * coarse).sum(axis=0)[labels > 0]
    assert np.quantile(cosine, 0.05) > 0.93
    assert np.mean(cosine) > 0.98
    np.testing.assert_allclose(flow_error(labels, exact)[0], 2 - 2 * cosine.mean(), atol=0.01)
    assert np.all(decode_flows(coarse, labels > 0) == labels)


def test_long_lines_keep_their_direction() -> None:
    """Heat in a line one pixel wide leaves the range of doubles after 340 pixels."""
    labels = np.ones((1, 2001), int)
    flow = flow_targets(labels)
    np.testing.assert_array_equal(flow[1, 0, :1000], 1)
    np.testing.assert_array_equal(flow[1, 0, 1001:], -1)
    diagonal = np.eye(900, dtype=int)
    flow = flow_targets(diagonal)
    inside = np.arange(449)
    np.testing.assert_allclose(flow[:, inside, inside], np.sqrt(0.5), rtol=1e-6)


def test_extended_range_equals_double_range() -> None:
    """A line of two pixels' width: the half within reach of doubles agrees with a short one."""
    short = flow_targets(np.ones((2, 601), int))[:, :, 100:301]
    long = flow_targets(np.ones((2, 1401), int))[:, :, 500:701]
    np.testing.assert_allclose(short, long, atol=1e-3)


def test_a_spiral_leads_to_its_centre() -> None:
    """Its length is many times the iterations that its box asks for."""
    labels = np.zeros((125, 125), np.int32)
    turn = np.linspace(0, 18 * np.pi, 20000)
    radius = 4 + turn / (18 * np.pi) * 54
    y, x = 62 + radius * np.sin(turn), 62 + radius * np.cos(turn)
    labels[np.round(y).astype(int), np.round(x).astype(int)] = 1
    labels = ndimage.binary_dilation(labels).astype(np.int32)
    assert labels.sum() > 3 * 2 * 2 * sum(labels.shape)
    flow = flow_targets(labels)
    assert np.mean(np.abs(flow).max(axis=0)[labels > 0] > 0) > 0.995
    found = decode_flows(flow, labels > 0)
    assert np.bincount(found[labels > 0]).max() > 0.95 * labels.sum()


@settings(max_examples=40, deadline=None)
@given(IMAGES, st.integers(0, 2**32 - 1))
def test_flow_error_equals_the_reference(labels: NDArray[np.int32], seed: int) -> None:
    rng = np.random.default_rng(seed)
    flow = rng.normal(size=(labels.ndim, *labels.shape)).astype(np.float32)
    found = flow_error(labels, flow, threads=1)
    np.testing.assert_allclose(found, reference.flow_error(labels, flow), rtol=1e-5)


def test_objects_whose_flow_differs_are_told_by_their_ids() -> None:
    labels = np.zeros((40, 90), np.uint32)
    for i, x in enumerate((15, 45, 75), start=1):
        labels[ball((40, 90), (20, x), (11, 11))] = 2 * i
    flow = flow_targets(labels)
    flow[:, :, 30:60] *= -1
    error = flow_error(labels, flow)
    assert np.isnan(error[[0, 2, 4]]).all()
    assert error[1] == error[5] == 0
    assert error[3] == pytest.approx(4, rel=0.02)


def test_wrong_input_is_said() -> None:
    with pytest.raises(LabelError, match="float64"):
        flow_targets(np.zeros((4, 4)))
    with pytest.raises(LabelError, match="axes"):
        flow_targets(np.zeros(4, int))
    with pytest.raises(LabelError, match="negative"):
        flow_targets(np.full((4, 4), -1))
    with pytest.raises(LabelError, match="expected shape"):
        flow_error(np.zeros((4, 4), int), np.zeros((3, 4, 4), np.float32))
    for huge in (np.full((4, 4), 2**31), np.full((4, 4), 2**64 - 1, np.uint64)):
        with pytest.raises(LabelError, match="relabel"):
            flow_error(huge, np.zeros((2, 4, 4), np.float32))
