"""The flows method as a whole: channels, targets, loss, activation, turning, decoding, classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional as F

from conftest import disks
from delineate.errors import LabelError
from delineate.methods.flows import FLOW_GAIN, Flows


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return disks((72, 80), 9, 9, np.random.default_rng(3))


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    return disks((24, 36, 40), 7, 4, np.random.default_rng(4))


def perfect(labels: np.ndarray, method: Flows | None = None) -> np.ndarray:
    """Maps that a perfect network would give."""
    return (method or Flows()).encode(labels)


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1).shape[1]
    return pairs == len(np.unique(a)) == len(np.unique(b))


@pytest.mark.parametrize(
    ("ndim", "classes", "channels"), [(2, 0, 3), (3, 0, 4), (2, 2, 6), (3, 5, 10)]
)
def test_channels(ndim: int, classes: int, channels: int) -> None:
    method = Flows(classes=classes)
    assert method.out_channels(ndim) == channels
    assert method.vectors(ndim) == (slice(0, ndim),)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.5}, {"flow_threshold": 0}, {"min_size": -1}, {"speed": 3}]
)
def test_wrong_parameters(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Flows(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("which", ["labels", "volume"])
def test_targets(which: str, request: pytest.FixtureRequest) -> None:
    truth = request.getfixturevalue(which)
    maps = perfect(truth)
    ndim = truth.ndim
    assert maps.dtype == np.float32
    assert maps.shape == (ndim + 1, *truth.shape)
    assert np.array_equal(maps[ndim], truth > 0)
    length = np.sqrt((maps[:ndim] ** 2).sum(axis=0))
    assert not length[truth == 0].any()
    assert np.median(length[truth > 0]) == pytest.approx(1, abs=1e-3)
    assert length.max() < 1 + 1e-4


@pytest.mark.parametrize("which", ["labels", "volume"])
def test_perfect_maps_decode_to_the_labels(which: str, request: pytest.FixtureRequest) -> None:
    truth = request.getfixturevalue(which)
    found = Flows().decode(perfect(truth))
    assert same_partition(found.labels, truth)
    n = len(np.unique(truth)) - 1
    assert found.labels.dtype == np.uint32
    assert np.unique(found.labels).tolist() == list(range(n + 1))
    assert set(found.columns) == {"probability", "flow_error"}
    assert all(len(column) == n for column in found.columns.values())
    np.testing.assert_allclose(found.columns["probability"], 1)
    assert (found.columns["flow_error"] < 0.05).all()


def test_gaps_and_huge_ids_make_no_difference(labels: np.ndarray) -> None:
    odd = np.where(labels > 0, labels.astype(np.int64) * 7919 + 2**33, 0)
    np.testing.assert_allclose(perfect(odd), perfect(labels), atol=1e-6)


def test_nothing_is_nothing() -> None:
    maps = perfect(np.zeros((16, 16), np.int32))
    assert not maps.any()
    found = Flows().decode(maps)
    assert not found.labels.any()
    assert all(len(column) == 0 for column in found.columns.values())


def test_thresholds_of_decoding(labels: np.ndarray) -> None:
    maps = perfect(labels).copy()
    n = labels.max()
    maps[2][labels == 1] = 0.4
    assert Flows().decode(maps).labels.max() == n - 1
    assert Flows(threshold=0.3).decode(maps).labels.max() == n
    assert Flows(min_size=10_000).decode(maps).labels.max() == 0
    maps[:2, labels == 2] *= -1  # flow that leads out of the object
    strict, lax = Flows().decode(maps).labels, Flows(flow_threshold=None).decode(maps).labels
    assert not strict[labels == 2].any()
    assert lax[labels == 2].any()


def test_objects_of_a_flow_error_above_the_threshold_are_dropped() -> None:
    """A flow of length a misses by (1 − a)²: 0.09, 0.36 and 0.46; the threshold is 0.4."""
    y, x = np.indices((24, 72))
    labels = np.where((y - 12) ** 2 + (x % 24 - 12) ** 2 <= 100, 1 + x // 24, 0)
    maps = perfect(labels)
    maps[:2] *= np.array([0, 0.7, 0.4, 0.32], np.float32)[labels]
    every = Flows(flow_threshold=None).decode(maps)
    ids = [int(labels[every.labels == row].max()) for row in (1, 2, 3)]
    errors = dict(zip(ids, every.columns["flow_error"], strict=True))
    assert [errors[i] for i in (1, 2, 3)] == pytest.approx([0.09, 0.36, 0.4624], abs=0.02)
    kept = Flows().decode(maps).labels
    assert set(np.unique(labels[kept > 0])) == {1, 2}
    edge = float(errors[2])
    for threshold, left in ((edge, {1, 2}), (np.nextafter(edge, 0), {1})):
        kept = Flows(flow_threshold=threshold).decode(maps).labels
        assert set(np.unique(labels[kept > 0])) == left


def test_columns_follow_the_objects(labels: np.ndarray) -> None:
    """After objects are dropped, each row is still that of its object."""
    maps = perfect(labels).copy()
    wanted = 0.6 + 0.04 * np.arange(labels.max() + 1)
    maps[2] = np.where(labels > 0, wanted[labels], 0)
    maps[2][labels == 3] = 0.1
    found = Flows().decode(maps)
    for row, value in enumerate(found.columns["probability"], 1):
        (true,) = np.unique(labels[found.labels == row])
        assert value == pytest.approx(wanted[true], abs=1e-4)


def test_loss_is_that_of_the_paper(labels: np.ndarray) -> None:
    """Stringer et al. 2021: half the squared error to five times the flow, and cross-entropy."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.from_numpy(perfect(labels))[None]
    output = torch.randn(targets.shape, generator=generator)
    loss = Flows().loss(output, targets, torch.ones(1, 1, *labels.shape))
    expected = 0.5 * F.mse_loss(output[:, :2], 5 * targets[:, :2])
    expected = expected + F.binary_cross_entropy_with_logits(output[:, 2], targets[:, 2])
    torch.testing.assert_close(loss, expected)
    best = torch.cat([FLOW_GAIN * targets[:, :2], 40 * (2 * targets[:, 2:] - 1)], dim=1)
    assert Flows().loss(best, targets, torch.ones(1, 1, *labels.shape)).item() < 1e-6


def test_loss_sees_valid_pixels_only(labels: np.ndarray) -> None:
    generator = torch.Generator().manual_seed(0)
    method = Flows(classes=2)
    classes = np.where(labels > 0, 1 + labels % 2, 0)
    targets = torch.from_numpy(method.encode(labels, classes))[None]
    output = torch.randn((1, 6, *labels.shape), generator=generator)
    valid = torch.zeros(1, 1, *labels.shape)
    valid[..., :40] = 1
    loss = method.loss(output, targets, valid)
    spoiled, other = output.clone(), targets.clone()
    spoiled[..., 40:] = 99
    other[..., 40:] = 1
    torch.testing.assert_close(method.loss(spoiled, other, valid), loss)
    cropped = torch.ones(1, 1, labels.shape[0], 40)
    torch.testing.assert_close(method.loss(output[..., :40], targets[..., :40], cropped), loss)
    assert method.loss(output, targets, 0 * valid).item() == 0


def test_loss_has_a_gradient_in_half_precision(labels: np.ndarray) -> None:
    targets = torch.from_numpy(perfect(labels))[None]
    output = torch.zeros(targets.shape, dtype=torch.bfloat16, requires_grad=True)
    loss = Flows().loss(output, targets, torch.ones(1, 1, *labels.shape))
    loss.backward()
    assert loss.dtype == torch.float32
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()


def test_activation_undoes_what_the_loss_asks_for(labels: np.ndarray) -> None:
    method = Flows(classes=2)
    logits = torch.tensor([0.0, 3.0, -1.0])
    output = torch.zeros(1, 6, *labels.shape)
    targets = torch.from_numpy(perfect(labels))[None]
    output[:, :2] = FLOW_GAIN * targets[:, :2]
    output[:, 2] = 2.0
    output[:, 3:] = logits[:, None, None]
    maps = method.activate(output)
    torch.testing.assert_close(maps[:, :2], targets[:, :2])
    torch.testing.assert_close(maps[:, 2], torch.full_like(maps[:, 2], 2.0).sigmoid())
    torch.testing.assert_close(maps[0, 3:, 0, 0], logits.softmax(dim=0))
    assert maps.dtype == method.activate(output.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_flipped_maps_are_the_maps_of_the_flipped_image(
    labels: np.ndarray, axes: tuple[int, ...]
) -> None:
    method = Flows()
    flipped = method.flip(torch.from_numpy(perfect(labels))[None], axes)[0].numpy()
    expected = perfect(np.ascontiguousarray(np.flip(labels, axes)))
    # The centre of an object of even width is a choice between two pixels.
    away = np.abs(flipped - expected).max(axis=0)
    assert np.median(away[np.flip(labels, axes) > 0]) < 0.05
    assert same_partition(method.decode(flipped).labels, np.flip(labels, axes))
    back = method.flip(torch.from_numpy(flipped.copy())[None], axes)[0].numpy()
    np.testing.assert_array_equal(back, perfect(labels))


def test_flips_in_3d(volume: np.ndarray) -> None:
    method = Flows()
    for axes in ((0,), (2,), (0, 1, 2)):
        flipped = method.flip(torch.from_numpy(perfect(volume))[None], axes)[0].numpy()
        assert same_partition(method.decode(flipped).labels, np.flip(volume, axes))


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_quarter_turns_turn_the_flow(labels: np.ndarray, quarter: int) -> None:
    """y' = −x, x' = y for one turn of `np.rot90`."""
    linear = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), quarter)
    turned = np.rot90(perfect(labels), quarter, axes=(1, 2)).copy()
    maps = Flows().reorient(turned, linear)
    assert same_partition(Flows().decode(maps).labels, np.rot90(labels, quarter))


@settings(max_examples=25, deadline=None)
@given(angle=st.floats(-np.pi, np.pi), stretch=st.floats(0.5, 2.0), mirror=st.booleans())
def test_reorienting_keeps_lengths_and_scalars(angle: float, stretch: float, mirror: bool) -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(3, 4, 5)).astype(np.float32)
    linear = stretch * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirror:
        linear = linear @ np.diag([1.0, -1.0])
    before = maps.copy()
    after = Flows().reorient(maps, linear)
    np.testing.assert_array_equal(after[2], before[2])
    lengths = [np.sqrt((m[:2] ** 2).sum(axis=0)) for m in (before, after)]
    np.testing.assert_allclose(lengths[1], lengths[0], rtol=1e-5)
    expected = np.einsum("ij,jyx->iyx", linear / stretch, before[:2])
    np.testing.assert_allclose(after[:2], expected, atol=1e-5)
    back = Flows().reorient(after.copy(), np.linalg.inv(linear))
    np.testing.assert_allclose(back, before, atol=1e-5)


def test_still_pixels_stay_still() -> None:
    maps = np.zeros((3, 4, 4), np.float32)
    assert not Flows().reorient(maps, np.array([[0.0, -1.0], [1.0, 0.0]])).any()


def test_classes_of_targets(labels: np.ndarray) -> None:
    method = Flows(classes=3)
    classes = np.where(labels > 0, 1 + labels % 3, 0)
    targets = method.encode(labels, classes)
    assert targets.shape == (4, *labels.shape)
    assert np.array_equal(targets[3], classes)
    ignored = method.encode(labels, np.where(labels > 0, classes, 2))
    assert not ignored[3][labels == 0].any()


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        (None, "no image of classes was given"),
        (np.full((72, 80), 4), "classes up to 4"),
        (np.ones((3, 3), int), r"shape \(3, 3\)"),
    ],
)
def test_classes_that_do_not_suit(
    labels: np.ndarray, classes: np.ndarray | None, told: str
) -> None:
    with pytest.raises(LabelError, match=told):
        Flows(classes=3).encode(labels, classes)


def test_class_of_each_object_by_the_mean_over_its_pixels(labels: np.ndarray) -> None:
    """A class that wins few pixels strongly does not beat one that wins most of the object."""
    method = Flows(classes=2)
    n = int(labels.max())
    true = 1 + np.arange(n + 1) % 2
    maps = np.zeros((6, *labels.shape), np.float32)
    maps[:3] = perfect(labels)
    share = np.where(true[labels] == 2, 0.7, 0.2)
    maps[3] = 0.1
    maps[4], maps[5] = 0.9 - share, share
    for value in range(1, n + 1):
        ys, xs = np.nonzero(labels == value)
        maps[4:, ys[:5], xs[:5]] = maps[4:, ys[:5], xs[:5]][::-1]
    found = method.decode(maps)
    assert found.labels.max() == n
    for row in range(n):
        (old,) = np.unique(labels[found.labels == row + 1])
        assert found.columns["class"][row] == true[old]
    assert (found.columns["class_probability"] > 0.6).all()
    empty = method.decode(np.zeros_like(maps))
    assert len(empty.columns["class"]) == len(empty.columns["class_probability"]) == 0


def test_each_of_many_classes_is_told(labels: np.ndarray) -> None:
    """Also the last, which no column but its own says."""
    method = Flows(classes=4)
    true = 1 + np.arange(int(labels.max()) + 1) % 4
    maps = np.zeros((8, *labels.shape), np.float32)
    maps[:3] = perfect(labels)
    maps[3:] = 0.1
    for k in range(1, 5):
        maps[3 + k][(true[labels] == k) & (labels > 0)] = 0.6
    found = method.decode(maps)
    old = [labels[found.labels == row].max() for row in range(1, int(found.labels.max()) + 1)]
    assert set(true[old]) == {1, 2, 3, 4}
    np.testing.assert_array_equal(found.columns["class"], true[old])
    np.testing.assert_allclose(found.columns["class_probability"], 0.6, rtol=1e-6)


def test_score(labels: np.ndarray) -> None:
    method = Flows()
    assert method.score(perfect(labels), labels) == {"map": 1.0, "ap50": 1.0}
    half = np.where(labels % 2 == 0, labels, 0)
    share = (len(np.unique(half)) - 1) / labels.max()
    assert method.score(perfect(half), labels)["ap50"] == pytest.approx(share)
    assert method.monitor in method.score(perfect(labels), labels)


def test_objects_where_nothing_is_known_are_not_scored(labels: np.ndarray) -> None:
    method = Flows()
    counted = np.ones(labels.shape, bool)
    counted[..., : labels.shape[-1] // 2] = False
    half = np.where(counted, labels, 0)
    assert method.score(perfect(half), labels)["map"] < 0.9
    assert method.score(perfect(half), labels, counted) == {"map": 1.0, "ap50": 1.0}
    assert method.score(perfect(labels), half, counted) == {"map": 1.0, "ap50": 1.0}
    assert np.isnan(method.score(perfect(labels), labels, np.zeros_like(counted))["map"])
