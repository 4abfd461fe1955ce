"""Draws: turned and brought back, averaged without being stored, and what their spread says."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from delineate.errors import ModelError
from delineate.image import Image
from delineate.inference.decode import decode_planes, decode_posterior
from delineate.inference.posterior import Posterior, Turn, turns, whole_spread
from delineate.inference.runner import Runner, RunOptions
from delineate.methods.flows import Flows
from delineate.methods.semantic import Semantic
from delineate.uncertainty import LIMIT

CPU = {"device": "cpu", "precision": "fp32"}


class Slopes(nn.Module):
    """Flow along the gradient of the image and a logit: turned with it whatever the turn."""

    divisor = 1

    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        self.bias = bias
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(x.shape))
        axes = tuple(range(2, x.ndim))
        central = [(torch.roll(x[:, :1], -1, a) - torch.roll(x[:, :1], 1, a)) / 2 for a in axes]
        return torch.cat([*central, x[:, :1] + self.bias], dim=1)


class Crooked(nn.Module):
    """Depends on where in the tile a pixel lies, so that turns see it otherwise."""

    divisor = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ramp = torch.linspace(-2, 2, x.shape[-1]).expand_as(x[:, :1])
        return torch.cat([*([x[:, :1]] * (x.ndim - 2)), x[:, :1] + ramp], dim=1)


def picture(ndim: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(1, *((9, 40, 52)[-ndim:]))).astype(np.float32)


def options(**values: object) -> RunOptions:
    return RunOptions(**CPU, **values)


@pytest.mark.parametrize(("ndim", "number"), [(2, 2), (2, 4), (2, 8), (3, 8), (3, 16)])
def test_an_equivariant_network_gives_the_same_maps_whatever_the_turns(ndim, number):
    data = picture(ndim)
    plain = Runner([Slopes()], Flows(), ndim, options()).posterior(data)
    turned = Runner([Slopes()], Flows(), ndim, options(turns=number)).posterior(data)
    assert turned.draws == number
    # The margin around the image is the same on all sides, the rolled-in edge is beyond it.
    np.testing.assert_allclose(turned.maps, plain.maps, atol=1e-6)
    spread = whole_spread(turned, Flows())
    np.testing.assert_allclose(spread.epistemic, 0, atol=1e-6)
    np.testing.assert_allclose(spread.mutual_information, 0, atol=1e-5)


def test_turns_are_all_different_and_begin_with_the_image_as_it_is():
    square = torch.arange(9.0).reshape(1, 1, 3, 3)
    seen = [tuple(t.apply(square).flatten().tolist()) for t in turns(8, 2)]
    assert len(set(seen)) == 8
    assert turns(1, 2) == (Turn(),)
    assert all(not t.swap for t in turns(4, 2))
    with pytest.raises(ModelError, match="1 to 8 in 2D"):
        Runner([Slopes()], Flows(), 2, options(turns=9))


@pytest.mark.parametrize("tile", [128, 32])
def test_streaming_equals_storing(tile):
    data, method = picture(2), Flows()
    networks = [Crooked(), Slopes(0.7), Slopes(-1.0)]
    both = {"tile": tile, "overlap": 4}
    found = Runner(networks, method, 2, options(turns=4, **both)).posterior(data)
    assert found.draws == 12 and found.spread is not None
    # Every draw alone: one member, and one turn by the difference of the sums of t and t−1 turns.
    stored = []
    for network in networks:
        sums = [
            number * Runner([network], method, 2, options(turns=number, **both)).maps(data)
            for number in (1, 2, 3, 4)
        ]
        stored += [sums[0], *(b - a for a, b in pairwise(sums))]
    draws = np.stack(stored).astype(np.float64)
    np.testing.assert_allclose(found.maps, draws.mean(axis=0), atol=1e-5)
    if tile == 128:  # with one tile, each pixel has exactly twelve draws
        p = np.stack([1 - draws[:, 2], draws[:, 2]], axis=1)
        spread = whole_spread(found, method)
        mean = p.mean(axis=0)
        np.testing.assert_allclose(
            spread.aleatoric, (p * (1 - p)).mean(axis=(0, 1)), rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            spread.epistemic, ((p - mean) ** 2).mean(axis=(0, 1)), rtol=1e-4, atol=1e-6
        )
        assert float(spread.epistemic.max()) > 0.01


@pytest.mark.parametrize("number", [1, 4])
def test_aleatoric_and_epistemic_add_up_and_stay_below_a_quarter(number):
    runner = Runner([Crooked(), Slopes()], Flows(), 2, options(turns=number, tile=32, overlap=6))
    found = runner.posterior(picture(2))
    spread = whole_spread(found, Flows())
    p = found.maps[2]
    np.testing.assert_allclose(spread.aleatoric + spread.epistemic, p * (1 - p), atol=2e-7)
    assert spread.predictive.min() >= 0 and spread.predictive.max() <= LIMIT


def test_a_single_draw_has_no_epistemic_part():
    found = Runner([Crooked()], Flows(), 2, options(tile=32)).posterior(picture(2))
    assert found.draws == 1 and found.spread is None
    spread = whole_spread(found, Flows())
    assert not spread.epistemic.any()
    assert spread.aleatoric.max() > 0.1
    np.testing.assert_allclose(spread.mutual_information, 0, atol=1e-6)


def test_transposed_tiles_need_not_be_square():
    network = Slopes()
    Runner([network], Flows(), 2, options(turns=8, tile=32)).maps(picture(2))
    shapes = {s[2:] for s in network.seen}
    assert {s[::-1] for s in shapes} == shapes


def test_class_probabilities_are_what_spreads_where_there_are_classes():
    maps = torch.zeros(1, 6, 4, 4)
    maps[:, 3], maps[:, 4] = 0.25, 0.75
    assert torch.equal(Flows(classes=2).distribution(maps), maps[:, 3:])
    assert torch.equal(Flows().distribution(maps[:, :3])[:, 0], 1 - maps[:, 2])


def two_planes() -> np.ndarray:
    """Maps of two planes with the same two squares, in the second larger and more probable."""
    maps = np.zeros((3, 2, 24, 48), np.float32)
    y, x = np.mgrid[:24, :48].astype(np.float32)
    for plane, (half, p) in enumerate([(5, 0.6), (7, 0.9)]):
        for centre in (12, 34):
            inside = (abs(y - 12) <= half) & (abs(x - centre) <= half)
            length = np.maximum(np.hypot(y - 12, x - centre), 1e-6)
            maps[0, plane][inside] = ((12 - y) / length)[inside]
            maps[1, plane][inside] = ((centre - x) / length)[inside]
            maps[2, plane][inside] = p
    return maps


def test_objects_joined_over_planes_keep_the_columns_of_the_method():
    method = Flows(flow_threshold=None)
    decoded = decode_planes(two_planes(), method)
    assert decoded.labels.max() == 2
    assert set(decoded.columns) == {"probability", "flow_error"}
    areas = np.array([121.0, 225.0])
    expected = (areas * [0.6, 0.9]).sum() / areas.sum()
    np.testing.assert_allclose(decoded.columns["probability"], expected, rtol=1e-5)


def test_the_class_of_an_object_of_several_planes_is_that_of_most_area():
    """Two planes of 81 pixels say 1, one of 225 says 3; of another object all say 2."""
    planes = [(4, (1, 2)), (4, (1, 2)), (7, (3, 2))]
    maps = np.zeros((7, 3, 24, 48), np.float32)
    y, x = np.mgrid[:24, :48].astype(np.float32)
    for z, (half, classes) in enumerate(planes):
        for centre, number in zip((12, 34), classes, strict=True):
            inside = (abs(y - 12) <= half) & (abs(x - centre) <= half)
            away = np.stack([12 - y, centre - x])
            away /= np.maximum(np.hypot(*away), 1e-6)
            maps[:2, z, inside] = away[:, inside]
            maps[2, z, inside] = 1
            maps[3 + number, z, inside] = 0.5 + 0.1 * z
    decoded = decode_planes(maps, Flows(classes=3, flow_threshold=None))
    assert decoded.labels.max() == 2
    assert decoded.columns["class"].tolist() == [3, 2]
    areas = np.array([81.0, 81.0, 225.0])
    expected = (areas * [0.5, 0.6, 0.7]).sum() / areas.sum()
    np.testing.assert_allclose(decoded.columns["class_probability"], expected, rtol=1e-5)


def test_scores_of_a_movie_are_over_its_pixels_not_its_time_points():
    """A small object of p = 0.9 and one sixteen times as large of 0.6."""
    inside = np.full((2, 40, 40), 0.02, np.float32)
    inside[0, 5:10, 5:10] = 0.9
    inside[1, 10:30, 10:30] = 0.6
    movie = Image(np.zeros(inside.shape, np.uint8), "TYX")
    found = decode_posterior(Posterior(np.stack([1 - inside, inside]), None, 1), movie, Semantic())
    assert found.labels.max() == 2
    pixels, variances = np.array([25, 400]), np.array([0.09, 0.24])
    expected = (pixels * variances).sum() / pixels.sum()
    assert found.scores.uncertainty == pytest.approx(expected, rel=1e-5)
    assert found.scores.uncertainty == pytest.approx(
        found.predictive[found.foreground].mean(), rel=1e-5
    )
    assert found.scores.image_uncertainty == pytest.approx(found.predictive.mean(), rel=1e-5)


def test_kept_draws_of_a_movie_of_volumes_decode_point_by_point():
    maps = np.stack([two_planes(), np.zeros_like(two_planes())], axis=1)
    image = Image(np.zeros((2, 2, 24, 48), np.uint8), "TZYX")
    found = decode_posterior(
        Posterior(maps, None, 1, by_plane=True),
        image,
        Flows(flow_threshold=None),
        keep_spread=True,
    )
    assert found.labels.shape == image.shape and found.labels[0].max() == 2
    assert not found.labels[1].any()
    assert found.predictive.shape == image.shape
    assert found.spread is not None and found.spread.entropy.shape == image.shape
    # Only the first time point has foreground; the whole-image score is over both.
    first = found.foreground[0]
    assert found.scores.uncertainty == pytest.approx(found.predictive[0][first].mean(), rel=1e-5)
    assert found.scores.image_uncertainty == pytest.approx(found.predictive.mean(), rel=1e-5)
    np.testing.assert_allclose(found.objects["uncertainty"], found.objects["aleatoric"], atol=1e-9)


def test_kept_draws_of_volumes_are_not_taken_for_planes():
    """A semantic method has as many maps in 3D as in 2D."""
    inside = np.zeros((2, 12, 24), np.float32)
    inside[0, 2:9, 2:10] = inside[1, 2:9, 9:17] = 1  # they meet, but hardly overlap
    maps = np.stack([1 - inside, inside])
    image = Image(np.zeros(inside.shape, np.uint8), "ZYX")
    for by_plane, objects in ((False, 1), (True, 2)):
        found = decode_posterior(Posterior(maps, None, 1, by_plane=by_plane), image, Semantic())
        assert found.labels.max() == objects


def test_pixels_too_few_to_be_an_object_are_nothing_found():
    maps = np.zeros((2, 2, 30, 30), np.float32)
    maps[1] = 0.1
    maps[1, 0, 2:5, 2:5] = maps[1, :, 10:20, 10:20] = 0.9
    maps[1, 1, 10:20, 10:20] = 0.1
    maps[1, 1, 2:5, 2:5] = 0.9
    maps[0] = 1 - maps[1]
    method = Semantic(min_size=10)
    movie = Image(np.zeros((2, 30, 30), np.uint8), "TYX")
    both = decode_posterior(Posterior(maps, None, 1), movie, method)
    first, second = (
        decode_posterior(
            Posterior(np.ascontiguousarray(maps[:, t]), None, 1), movie.select(T=t), method
        )
        for t in range(2)
    )
    assert (first.labels.max(), second.labels.max()) == (1, 0)
    assert second.classes.any() and np.isnan(second.scores.uncertainty)
    assert second.scores.image_uncertainty == pytest.approx(0.09, rel=1e-5)
    assert both.scores.uncertainty == first.scores.uncertainty


def test_nothing_found_has_no_uncertainty_but_the_image_has():
    maps = np.full((3, 8, 8), 0.1, np.float32)
    found = decode_posterior(Posterior(maps, None, 1), Image(np.zeros((8, 8)), "YX"), Flows())
    assert np.isnan(found.scores.uncertainty)
    assert found.scores.image_uncertainty == pytest.approx(0.09, rel=1e-5)
