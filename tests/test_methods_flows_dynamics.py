"""From flows to objects: exact for perfect flows, robust against noise, the same however turned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from delineate.errors import LabelError
from delineate.methods.flows import reference
from delineate.methods.flows.dynamics import decode_flows, follow_flows
from delineate.methods.flows.targets import flow_targets

MASKS = st.one_of(
    st.tuples(*[st.integers(1, 12)] * 2), st.tuples(*[st.integers(1, 5)] * 3)
).flatmap(lambda shape: arrays(np.bool_, shape))


def balls(shape: tuple[int, ...], count: int, radius: float, seed: int) -> NDArray[np.int32]:
    """Ellipses or ellipsoids that touch but do not overlap, each of one part."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    grid = np.indices(shape)
    number = 0
    for _ in range(50 * count):
        centre = rng.uniform(0, shape)
        axes = rng.uniform(0.7, 1.3, len(shape)) * radius
        apart = sum(((g - c) / a) ** 2 for g, c, a in zip(grid, centre, axes, strict=True))
        mask = (apart <= 1) & (labels == 0)
        whole = mask.sum() > 0.85 * (apart <= 1).sum()
        if number < count and whole and ndimage.label(mask)[1] == 1:
            number += 1
            labels[mask] = number
    return labels


def agreement(truth: NDArray[np.int32], found: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Largest IoU of each object of the truth with a found one."""
    best = []
    for i in range(1, int(truth.max()) + 1):
        mask = truth == i
        counts = np.bincount(found[mask], minlength=2)
        counts[0] = 0
        j = int(counts.argmax())
        best.append(counts[j] / (mask | (found == j)).sum())
    return np.array(best)


def same_partition(one: NDArray[np.uint32], two: NDArray[np.uint32]) -> bool:
    """Whether two label images differ in their ids only."""
    pairs = np.unique(np.stack([one.ravel(), two.ravel()]), axis=1)
    return bool(pairs.shape[1] == one.max() + 1 == two.max() + 1)


def noisy(labels: NDArray[np.int32], noise: float, seed: int) -> NDArray[np.float32]:
    """Blurred flow with correlated noise of that standard deviation."""
    rng = np.random.default_rng(seed)
    flow = ndimage.gaussian_filter(flow_targets(labels), (0, *[1.0] * labels.ndim))
    grain = ndimage.gaussian_filter(
        rng.standard_normal(flow.shape, np.float32), (0, *[1.0] * labels.ndim)
    )
    return np.asarray(flow + grain * (noise / grain.std()), np.float32)


@pytest.mark.parametrize(
    ("shape", "count", "radius"), [((256, 256), 80, 10), ((40, 60, 70), 40, 7)]
)
def test_perfect_flows_give_the_objects_back(
    shape: tuple[int, ...], count: int, radius: float
) -> None:
    labels = balls(shape, count, radius, seed=0)
    found = decode_flows(flow_targets(labels), labels > 0)
    assert labels.max() > count // 2
    assert found.max() == labels.max()
    assert agreement(labels, found).min() > 0.99
    firsts = np.unique(found, return_index=True)[1][1:]
    assert np.all(np.diff(firsts) > 0)


@pytest.mark.parametrize("shape", [(70, 90), (20, 30, 30)])
def test_ends_equal_the_reference(shape: tuple[int, ...]) -> None:
    labels = balls(shape, 12, 7, seed=4)
    flow = np.asarray(ndimage.gaussian_filter(flow_targets(labels), (0, *[0.7] * len(shape))))
    inside = labels > 0
    settled = follow_flows(flow, inside)
    expected = reference.follow_flows(flow, inside, steps=300)
    apart = np.abs(settled.ends[settled.root[inside]] - expected).max(axis=1)
    assert np.mean(apart < 0.05) > 0.98
    assert settled.pixels.sum() == inside.sum()
    assert np.all(settled.root[~inside] == -1)
    objects = reference.decode_flows(flow, inside, steps=300)
    found = decode_flows(flow, inside)
    assert objects.max() == found.max() == labels.max()
    assert agreement(objects.astype(np.int32), found).min() > 0.9


@pytest.mark.parametrize("radius", [5.0, 12.3, 40.0])
@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_every_pixel_of_a_disk_ends_at_its_centre_anywhere_in_the_image(
    radius: float, fraction: float
) -> None:
    whole = int(np.ceil(radius))
    shape = (2 * whole + 33, 2 * whole + 57)
    grid = np.indices(shape)
    for y, x in [(whole, whole), (whole, shape[1] - 2 - whole), (shape[0] - 2 - whole, whole + 9)]:
        inside = (grid[0] - y - fraction) ** 2 + (grid[1] - x - fraction) ** 2 <= radius**2
        settled = follow_flows(flow_targets(inside), inside)
        assert np.abs(settled.ends - (y + fraction, x + fraction)).max() < 0.05


@pytest.mark.parametrize("direction", ["along x", "along y", "diagonal", "slanted", "along z"])
def test_a_long_rod_stays_one_object(direction: str) -> None:
    if direction == "along z":
        labels = np.zeros((300, 12, 12), np.uint8)
        labels[5:295, 3:8, 2:7] = 1
    else:
        labels = np.zeros((900, 900) if direction in ("diagonal", "slanted") else (20, 900), int)
        if direction in ("diagonal", "slanted"):
            angle = np.pi / 4 if direction == "diagonal" else 0.3
            y, x = np.indices(labels.shape) - 450.0
            along = y * np.sin(angle) + x * np.cos(angle)
            across = y * np.cos(angle) - x * np.sin(angle)
            labels[(np.abs(along) <= 430) & (np.abs(across) <= 4)] = 1
        else:
            labels[6:14, 20:880] = 1
        if direction == "along y":
            labels = np.ascontiguousarray(labels.T)
    found = decode_flows(flow_targets(labels), labels > 0)
    assert np.bincount(found[labels > 0]).max() >= 0.99 * (labels > 0).sum()


@pytest.mark.parametrize("gap", [0.0, 0.6])
@pytest.mark.parametrize("ndim", [2, 3])
def test_rings_and_horseshoes_stay_one_object(gap: float, ndim: int) -> None:
    """Median and centre of mass lie outside the object."""
    y, x = np.indices((81, 87)) - np.array([40, 42])[:, None, None]
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    mask = (radius >= 22) & (radius <= 34) & ~(np.abs(angle) < gap)
    labels = mask.astype(int) if ndim == 2 else np.repeat(mask[None].astype(int), 7, axis=0)
    found = decode_flows(flow_targets(labels), labels > 0)
    assert np.bincount(found[labels > 0]).max() >= 0.98 * labels.sum()


@pytest.mark.parametrize("shape", [(140, 140), (26, 40, 40)])
def test_turning_the_input_turns_the_result(shape: tuple[int, ...]) -> None:
    labels = balls(shape, 25, 8, seed=2)
    flow, inside = noisy(labels, 0.3, seed=1), labels > 0
    found = decode_flows(flow, inside)
    assert found.max() > 10
    for axis in range(len(shape)):
        mirrored = np.flip(flow, axis + 1).copy()
        mirrored[axis] *= -1
        other = decode_flows(mirrored, np.flip(inside, axis))
        assert same_partition(np.flip(found, axis).copy(), other)
    turned = np.rot90(flow, axes=(-2, -1)).copy()
    turned[[-2, -1]] = np.stack([-turned[-1], turned[-2]])
    other = decode_flows(turned, np.rot90(inside, axes=(-2, -1)))
    assert same_partition(np.rot90(found, axes=(-2, -1)).copy(), other)


@pytest.mark.parametrize(("shape", "radius"), [((256, 256), 12), ((40, 60, 60), 9)])
def test_noise_breaks_few_objects(shape: tuple[int, ...], radius: float) -> None:
    labels = balls(shape, 60, radius, seed=7)
    flow = noisy(labels, 0.4, seed=3)
    found = decode_flows(flow, labels > 0)
    assert np.mean(agreement(labels, found) > 0.75) > 0.95


def test_objects_are_connected_and_strays_are_dropped() -> None:
    labels = balls((200, 200), 50, 11, seed=1)
    found = decode_flows(noisy(labels, 0.6, seed=1), labels > 0)
    for i in range(1, int(found.max()) + 1):
        assert ndimage.label(found == i, np.ones((3, 3)))[1] == 1
    assert np.mean(found[labels > 0] > 0) > 0.95


@pytest.mark.parametrize(("width", "columns"), [(4, (7, 12)), (5, (1, 6)), (6, (0, 6))])
def test_of_two_parts_of_a_sink_the_larger_is_kept_of_equal_ones_the_first(
    width: int, columns: tuple[int, int]
) -> None:
    """A block leads over a gap of one column into another, of five by five pixels."""
    inside = np.zeros((5, 12), bool)
    inside[:, 6 - width :] = True
    inside[:, 6] = False
    y, x = np.indices(inside.shape)
    flow = np.stack([np.sign(2 - y), np.sign(9 - x)]).astype(np.float32)
    flow /= np.maximum(np.hypot(*flow), 1)
    expected = np.zeros(inside.shape, np.uint32)
    expected[:, slice(*columns)] = 1
    np.testing.assert_array_equal(decode_flows(flow, inside), expected)


def test_pixels_that_go_nowhere_are_no_object() -> None:
    labels = balls((90, 90), 8, 9, seed=5)
    flow, inside = flow_targets(labels), labels > 0
    inside[60:, 60:] = True
    flow[:, 60:, 60:] = 0
    labels[60:, 60:] = 0
    found = decode_flows(flow, inside)
    assert not found[62:, 62:].any()
    assert agreement(labels, found)[np.unique(labels[:58, :58])[1:] - 1].min() > 0.95


def test_nothing_and_almost_nothing() -> None:
    assert not decode_flows(np.zeros((2, 5, 6), np.float32), np.zeros((5, 6), bool)).any()
    assert decode_flows(np.zeros((2, 0, 6), np.float32), np.zeros((0, 6), bool)).shape == (0, 6)
    one = decode_flows(np.zeros((2, 1, 1), np.float32), np.ones((1, 1), bool))
    assert one.dtype == np.uint32
    assert one.tolist() == [[1]]
    assert decode_flows(np.zeros((3, 1, 1, 1), np.float32), np.ones((1, 1, 1), bool)).max() == 1
    lonely = np.zeros((9, 9), bool)
    lonely[::4, ::4] = True
    assert decode_flows(np.zeros((2, 9, 9), np.float32), lonely).max() == 9


@pytest.mark.parametrize("shape", [(64, 41), (15, 17, 12)])
def test_one_object_fills_the_image(shape: tuple[int, ...]) -> None:
    found = decode_flows(flow_targets(np.ones(shape, int)), np.ones(shape, bool))
    assert np.all(found == 1)


@settings(max_examples=60, deadline=None)
@given(MASKS, st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0, 30.0]))
def test_any_flow_gives_connected_objects_inside(
    inside: NDArray[np.bool_], seed: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    flow = (scale * rng.normal(size=(inside.ndim, *inside.shape))).astype(np.float32)
    found = decode_flows(flow, inside, threads=1)
    assert not found[~inside].any()
    ids = np.unique(found[found > 0])
    assert ids.tolist() == list(range(1, len(ids) + 1))
    for i in ids:
        assert ndimage.label(found == i, np.ones((3,) * inside.ndim))[1] == 1
    np.testing.assert_array_equal(found, decode_flows(flow, inside, threads=2))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_flow_that_is_no_number_harms_its_neighbourhood_only(value: float) -> None:
    labels = balls((120, 120), 20, 9, seed=3)
    flow = flow_targets(labels)
    flow[:, :40, :40] = value
    found = decode_flows(flow, labels > 0)
    far = np.setdiff1d(labels[60:, 60:], np.append(labels[:45, :45], 0))
    assert agreement(labels, found)[far - 1].min() > 0.95


def test_wrong_input_is_said() -> None:
    with pytest.raises(LabelError, match="does not fit"):
        decode_flows(np.zeros((3, 4, 4), np.float32), np.ones((4, 4), bool))
    with pytest.raises(LabelError, match="two or three"):
        decode_flows(np.zeros((1, 4), np.float32), np.ones(4, bool))


@pytest.mark.parametrize("width", [3, 4, 5])
def test_thin_rods_side_by_side_stay_apart(width: int) -> None:
    """The narrowest objects whose neighbours are nearer than their length."""
    labels = np.zeros((40, 6 * width + 10), np.int32)
    for i in range(6):
        labels[3:37, 5 + i * width : 5 + (i + 1) * width] = i + 1
    for turned in (labels, np.ascontiguousarray(labels.T)):
        found = decode_flows(flow_targets(turned), turned > 0)
        assert found.max() == 6
        assert agreement(turned, found).min() > 0.98


def test_small_objects_in_a_dense_lattice_stay_apart() -> None:
    y, x = np.indices((60, 60))
    labels = (y // 3 * 20 + x // 3 + 1).astype(np.int32)
    np.testing.assert_array_equal(decode_flows(flow_targets(labels), labels > 0).max(), 400)
