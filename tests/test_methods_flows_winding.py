"""Flow of winding and thin objects: linear in time, one object when decoded, and true to heat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from delineate.methods.flows import far, reference
from delineate.methods.flows import targets as flows_targets
from delineate.methods.flows.dynamics import decode_flows
from delineate.methods.flows.targets import flow_error, flow_targets

Labels = NDArray[np.int32]
UPDATES = 128  # of a pixel at most while heat is carried on


def spiral(side: int, width: int = 1, gap: int = 1) -> Labels:
    """Square spiral from the top left corner inward."""
    labels = np.zeros((side, side), np.int32)
    y, x, length, turn = 0, 0, side - width, 0
    while length > 0:
        dy, dx = ((0, 1), (1, 0), (0, -1), (-1, 0))[turn % 4]
        stop_y, stop_x = y + dy * length, x + dx * length
        labels[min(y, stop_y) : max(y, stop_y) + width, min(x, stop_x) : max(x, stop_x) + width] = 1
        y, x, turn = stop_y, stop_x, turn + 1
        if turn >= 3 and turn % 2:
            length -= width + gap
    return labels


def serpentine(side: int, width: int, gap: int) -> Labels:
    """Lines across the image, joined at their right and left ends in turn."""
    labels = np.zeros((side, side), np.int32)
    tops = range(0, side - width + 1, width + gap)
    for k, top in enumerate(tops):
        labels[top : top + width] = 1
        if k + 1 < len(tops):
            end = slice(side - width, side) if k % 2 == 0 else slice(0, width)
            labels[top : top + width + gap, end] = 1
    return labels


def helix(shape: tuple[int, int, int], turns: int, radius: float, thickness: float) -> Labels:
    """Helix along the first axis."""
    t = np.linspace(0, 1, 4000 * turns)
    z = thickness + 1 + t * (shape[0] - 2 * thickness - 3)
    y = shape[1] / 2 + radius * np.sin(2 * np.pi * turns * t)
    x = shape[2] / 2 + radius * np.cos(2 * np.pi * turns * t)
    labels = np.zeros(shape, np.int32)
    labels[tuple(np.round([z, y, x]).astype(int))] = 1
    return (ndimage.distance_transform_edt(labels == 0) <= thickness).astype(np.int32)


def round_spiral(side: int, turns: int) -> Labels:
    """Irregular line one pixel wide."""
    t = np.linspace(0, 1, 8 * side * turns)
    radius, angle = 2 + t * (side / 2 - 4), 2 * np.pi * turns * t
    labels = np.zeros((side, side), np.int32)
    y, x = side / 2 + radius * np.sin(angle), side / 2 + radius * np.cos(angle)
    labels[np.round(y).astype(int), np.round(x).astype(int)] = 1
    return labels


def ring(side: int, width: float) -> Labels:
    y, x = np.indices((side, side)) - (side - 1) / 2
    radius = np.hypot(y, x)
    return ((radius <= side / 2) & (radius > side / 2 - width)).astype(np.int32)


def comb() -> Labels:
    """Teeth of one to ten pixels' width on a line: their heat falls at very different rates."""
    labels = np.zeros((700, 200), np.int32)
    labels[:3] = 1
    for k in range(10):
        labels[:, 20 * k : 20 * k + 1 + k] = 1
    return labels


SHAPES: dict[str, Callable[[], Labels]] = {
    "spiral 31": lambda: spiral(31),
    "spiral 91": lambda: spiral(91),
    "spiral 301": lambda: spiral(301),
    "spiral 121, 3 wide": lambda: spiral(121, 3),
    "spiral 401, 20 wide": lambda: spiral(401, 20, 3),
    "round spiral": lambda: round_spiral(201, 15),
    "serpentine": lambda: serpentine(121, 1, 1),
    "serpentine, 8 wide": lambda: serpentine(181, 8, 1),
    "serpentine, 30 wide": lambda: serpentine(377, 30, 2),
    "helix": lambda: helix((60, 40, 40), 6, 15, 1),
    "thin helix": lambda: helix((60, 60, 60), 8, 25, 0),
    "rod": lambda: np.pad(np.ones((860, 8), np.int32), 3),
    "line": lambda: np.ones((1, 5001), np.int32),
    "ring": lambda: ring(101, 6),
    "thin ring": lambda: ring(701, 1.5),
    "comb": comb,
}


def largest_share(flow: NDArray[np.float32], labels: Labels) -> float:
    """Share of the pixels that decoding gives to one object."""
    found = decode_flows(flow, labels > 0, threads=1)
    return float(np.bincount(found[found > 0]).max() / labels.sum())


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Updates that carrying on heat took, and pixels, of each part for which it is done."""
    seen: list[tuple[int, int]] = []

    def counted(parts, number, *rest):  # type: ignore[no-untyped-def]
        first, stop = parts.first[number : number + 2]
        pixels = int((parts.stops - parts.starts)[first:stop].sum())
        seen.append((winding_flow(parts, number, *rest), pixels))
        return seen[-1][0]

    winding_flow = far.winding_flow
    monkeypatch.setattr(far, "winding_flow", counted)
    monkeypatch.setattr(flows_targets, "winding_flow", counted)
    return seen


@pytest.mark.parametrize("name", SHAPES)
def test_perfect_flows_give_the_object_back(name: str) -> None:
    labels = SHAPES[name]()
    assert ndimage.label(labels, np.ones((3,) * labels.ndim))[1] == 1
    flow = flow_targets(labels, threads=1)
    assert flow_error(labels, flow, threads=1)[0] < 1e-12
    assert largest_share(flow, labels) >= 0.99
    assert ((np.abs(flow).max(axis=0) == 0) & (labels > 0)).sum() <= 1  # the centre


@pytest.mark.parametrize("make", [spiral, lambda side: helix((side, 60, 60), side // 5, 25, 0)])
def test_updates_grow_with_the_pixels_only(
    make: Callable[[int], Labels], updates: list[tuple[int, int]]
) -> None:
    """Iterations from the centre alone would be in the square of the length."""
    for side in (61, 121, 241):
        labels = make(side)
        flow_error(labels, flow_targets(labels, threads=1), threads=1)
    assert len(updates) == 6
    for count, pixels in updates:
        assert 0 < count <= UPDATES * pixels


def test_ordinary_and_moderately_long_objects_need_no_more_than_before(
    updates: list[tuple[int, int]],
) -> None:
    for labels in (ring(101, 6), np.ones((860, 8), np.int32), np.ones((40, 50, 9), np.int32)):
        flow_targets(labels, threads=1)
    assert not updates


@pytest.mark.parametrize("labels", [spiral(41, 3), helix((54, 36, 36), 10, 15, 1)])
def test_heat_carried_on_is_heat_from_the_centre(
    labels: Labels, updates: list[tuple[int, int]]
) -> None:
    """Against plain iterations on the logarithm of heat, twice as many as the way is long."""
    mask = np.pad(labels, 1) > 0
    places = np.argwhere(mask)
    number = np.full(mask.shape, len(places))
    number[mask] = np.arange(len(places))
    offsets = np.indices((3,) * mask.ndim).reshape(mask.ndim, -1).T - 1
    around = np.stack([number[tuple((places + o).T)] for o in offsets], axis=1)
    source = number[tuple(reference.centres(mask).T)]
    log_heat = np.full(len(places) + 1, -np.inf)  # the last is what lies outside
    iterations, reach = 0, None
    while reach is None or iterations < 2 * reach:
        log_heat[source] = np.logaddexp(log_heat[source], -np.log(len(source)))
        log_heat[:-1] = np.logaddexp.reduce(log_heat[around], axis=1) - np.log(len(offsets))
        iterations += 1
        if reach is None and np.isfinite(log_heat[:-1]).all():
            reach = iterations
    assert reach > 2 * sum(labels.shape)  # more than the iterations from the centre
    heat = np.exp(log_heat[around] - log_heat[around].max(axis=1, keepdims=True))
    steps = [
        int(np.flatnonzero((offsets == e).all(axis=1))[0]) for e in np.eye(mask.ndim, dtype=int)
    ]
    slope = np.stack([heat[:, k] - heat[:, len(offsets) - 1 - k] for k in steps])
    slope /= np.sqrt((slope**2).sum(axis=0))
    flow = flow_targets(labels, threads=1)
    assert len(updates) == 1
    cosine = (slope * flow[:, labels > 0]).sum(axis=0)
    assert cosine.mean() > 0.999
    assert np.quantile(cosine, 0.02) > 0.99


def test_a_long_tail_leaves_the_body_as_it_is() -> None:
    labels = np.zeros((101, 701), np.int32)
    y, x = np.indices(labels.shape)
    labels[(y - 50) ** 2 + (x - 60) ** 2 <= 45**2] = 1
    body = labels > 0
    labels[50, 100:] = 1
    expected = reference.flow_targets(labels)
    flow = flow_targets(labels, threads=1)
    np.testing.assert_allclose(flow[:, body], expected[:, body], atol=1e-5)
    np.testing.assert_allclose(flow[1, 50, 110:], -1, atol=1e-3)
    assert largest_share(flow, labels) == 1


@pytest.mark.parametrize(
    ("labels", "coarse"),
    [
        (spiral(201, 6, 1), False),
        (serpentine(151, 10, 1), False),
        (helix((60, 70, 70), 8, 28, 1.5), False),
        (ring(181, 40), True),
        (np.ones((150, 170), np.int32), True),
        (np.ones((30, 33, 36), np.int32), True),
    ],
)
def test_very_large_objects_are_coarsened_unless_their_turns_grow_together(
    labels: Labels,
    coarse: bool,
    monkeypatch: pytest.MonkeyPatch,
    updates: list[tuple[int, int]],
) -> None:
    monkeypatch.setattr(flows_targets, "LARGEST", 3e5)
    flow = flow_targets(labels, threads=1)
    whole = [count for count, pixels in updates if pixels == labels.sum()]
    assert len(whole) == (not coarse)
    assert all(count <= UPDATES * labels.sum() for count in whole)
    assert flow_error(labels, flow, threads=1)[0] < 1e-12
    assert largest_share(flow, labels) >= 0.99


def test_flows_do_not_depend_on_threads_or_neighbours() -> None:
    one, two = spiral(61), serpentine(61, 1, 1)
    both = np.concatenate([one, 2 * two], axis=1)
    flow = flow_targets(both, threads=2)
    np.testing.assert_array_equal(flow[:, :, :61] * one, flow_targets(one, threads=1))
    np.testing.assert_array_equal(flow[:, :, 61:] * two, flow_targets(two, threads=1))
