"""Losses of both sides against numbers worked out by hand, and the buffer of past fakes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from delineate.networks.discriminators import Discriminator
from delineate.training.adversarial import (
    discriminator_loss,
    feature_matching,
    generator_loss,
    held,
    shown,
)
from delineate.training.buffer import ImageBuffer

KINDS = ("least-squares", "hinge", "vanilla")


def scores(*scales: list[list[float]]) -> list[list[Tensor]]:
    """What a discriminator without features would put out: for each scale, a row an image."""
    return [[torch.tensor(rows)[:, None]] for rows in scales]


REAL = scores([[2.0, 1.0], [-1.0, 0.5]], [[0.5], [3.0]])
FAKE = scores([[0.0, -1.0], [4.0, 0.5]], [[1.0], [-2.0]])
"""Two images; two scales of two scores and of one."""


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


BY_HAND = {
    "least-squares": (
        # scale 1: real (1 + 0 + 4 + 0.25)/4, fake (0 + 1 + 16 + 0.25)/4
        # scale 2: real (0.25 + 4)/2, fake (1 + 4)/2
        0.5 * (0.5 * (5.25 / 4 + 17.25 / 4) + 0.5 * (4.25 / 2 + 5 / 2)),
        # (1 + 4 + 9 + 0.25)/4 and (0 + 9)/2
        0.5 * (14.25 / 4 + 9 / 2),
    ),
    "hinge": (
        # real max(0, 1 − s): 0, 0, 2, 0.5 and 0.5, 0; fake max(0, 1 + s): 1, 0, 5, 1.5 and 2, 0
        0.5 * (0.5 * (2.5 / 4 + 7.5 / 4) + 0.5 * (0.5 / 2 + 2 / 2)),
        -0.5 * (3.5 / 4 - 1 / 2),
    ),
    "vanilla": (
        0.5
        * (
            0.5 * sum(map(softplus, [-2, -1, 1, -0.5])) / 4
            + 0.5 * sum(map(softplus, [0, -1, 4, 0.5])) / 4
            + 0.5 * sum(map(softplus, [-0.5, -3])) / 2
            + 0.5 * sum(map(softplus, [1, -2])) / 2
        ),
        0.5 * (sum(map(softplus, [0, 1, -4, -0.5])) / 4 + sum(map(softplus, [-1, 2])) / 2),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_worked_out_by_hand(kind):
    judged, fooled = BY_HAND[kind]
    assert float(discriminator_loss(kind, REAL, FAKE)) == pytest.approx(judged, rel=1e-6)
    assert float(generator_loss(kind, FAKE)) == pytest.approx(fooled, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_of_a_batch_and_every_scale_counts(kind):
    leaves = [(f + 0.1).requires_grad_() for (f,) in FAKE]
    generator_loss(kind, [[leaf] for leaf in leaves]).backward()
    assert all((leaf.grad != 0).all() for leaf in leaves)
    backwards = [[f.flip(0)] for (f,) in FAKE]
    torch.testing.assert_close(generator_loss(kind, backwards), generator_loss(kind, FAKE))


def test_vanilla_is_the_cross_entropy_of_logits():
    real, fake = torch.randn(3, 1, 5, 5), torch.randn(3, 1, 5, 5)
    entropy = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    torch.testing.assert_close(
        discriminator_loss("vanilla", [[real]], [[fake]]),
        0.5 * (entropy(real, ones) + entropy(fake, zeros)),
    )
    torch.testing.assert_close(generator_loss("vanilla", [[fake]]), entropy(fake, ones))
    huge = torch.full((1, 1, 2, 2), 1e4)
    assert discriminator_loss("vanilla", [[-huge]], [[huge]]).isfinite()


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_scores_are_compared_in_full(kind):
    half = [[f.bfloat16()] for (f,) in FAKE]
    assert generator_loss(kind, half).dtype == torch.float32
    assert discriminator_loss(kind, half, half).dtype == torch.float32


def test_feature_matching_compares_features_and_not_scores():
    real = [
        [torch.zeros(2, 3, 4, 4), torch.ones(2, 1, 2, 2)],
        [torch.zeros(2, 3, 2, 2), REAL[1][0]],
    ]
    fake = [
        [torch.stack([torch.zeros(3, 4, 4), torch.full((3, 4, 4), 2.0)]), torch.zeros(2, 1, 2, 2)],
        [torch.full((2, 3, 2, 2), -4.0), FAKE[1][0]],
    ]
    # scale 1: the second image differs by 2, the first not at all; scale 2: both by 4
    assert float(feature_matching(real, fake)) == pytest.approx((1 + 4) / 2)
    other = [[layers[0], layers[1] + 100] for layers in fake]
    assert float(feature_matching(real, other)) == pytest.approx((1 + 4) / 2)


def test_feature_matching_of_equal_pictures_is_zero_and_its_truth_has_no_gradient():
    network = Discriminator(1, 2, scales=2, layers=2, features=2)
    real, fake = (torch.rand(2, 1, 32, 32, requires_grad=True) for _ in range(2))
    assert feature_matching(network(real), network(real.detach())).item() == 0
    feature_matching(network(real), network(fake)).backward()
    assert real.grad is None
    assert (fake.grad.abs().amax(dim=(1, 2, 3)) > 0).all()


def test_weights_that_are_held_pass_the_gradient_on_and_learn_again_after():
    network = Discriminator(1, 2, scales=1, layers=1, features=2)
    first = next(network.parameters())
    first.requires_grad_(False)  # held by someone else
    image = torch.rand(1, 1, 16, 16, requires_grad=True)
    with held(network):
        loss = generator_loss("hinge", network(image))
    loss.backward()
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.parameters())
    assert [p.requires_grad for p in network.parameters()] == [False] + [True] * (
        len(list(network.parameters())) - 1
    )


def test_pictures_are_black_outside_whatever_the_weights_inside():
    picture = torch.full((1, 2, 2, 2), 3.0)
    picture[0, 0, 0, 0] = torch.nan
    valid = torch.tensor([[[[0.0, 0.5], [2.0, 1.0]]]])
    expected = torch.tensor([[0.0, 3.0], [3.0, 3.0]]).expand(1, 2, 2, 2)
    torch.testing.assert_close(shown(picture, valid), expected)


def numbered(first: int, count: int) -> Tensor:
    """Images whose pixels are their number."""
    return torch.arange(first, first + count).float().reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def test_the_buffer_hands_out_new_images_until_it_is_full():
    buffer = ImageBuffer(50, 0)
    torch.testing.assert_close(buffer.exchange(numbered(0, 30)), numbered(0, 30))
    torch.testing.assert_close(buffer.exchange(numbered(30, 20)), numbered(30, 20))
    assert len(buffer.images) == 50


def test_then_half_of_what_it_hands_out_is_past_and_comes_from_any_place():
    buffer = ImageBuffer(50, 0)
    buffer.exchange(numbered(0, 50))
    new = numbered(50, 4000)
    numbers = buffer.exchange(new)[:, 0, 0, 0]
    past = numbers != new[:, 0, 0, 0]
    assert abs(float(past.float().mean()) - 0.5) < 4 * 0.5 / 4000**0.5
    assert len(buffer.images) == 50
    # An image is handed out once: what was swapped out is gone.
    assert len(set(numbers.tolist())) == 4000
    # It stays for 100 new images on average: exchanged with a probability of 1/2 · 1/50.
    age = (new[:, 0, 0, 0] - numbers)[past][500:]
    assert abs(float(age.mean()) - 100) < 15


def test_without_a_size_there_is_no_past():
    buffer = ImageBuffer(0, 0)
    for i in range(5):
        torch.testing.assert_close(buffer.exchange(numbered(i, 3)), numbered(i, 3))
    assert buffer.images == []


def test_a_buffer_goes_on_exactly_from_its_state(tmp_path):
    buffer = ImageBuffer(4, 1)
    buffer.exchange(numbered(0, 9))
    torch.save(buffer.state_dict(), tmp_path / "state")
    again = ImageBuffer(4, 2)
    again.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for i in range(10, 60, 5):
        torch.testing.assert_close(
            again.exchange(numbered(i, 5)), buffer.exchange(numbered(i, 5)), rtol=0, atol=0
        )


def test_images_in_the_buffer_have_no_gradient_and_do_not_change():
    buffer = ImageBuffer(2, 0)
    image = torch.rand(2, 1, 4, 4, requires_grad=True)
    given = buffer.exchange(image)
    assert not given.requires_grad
    before = image.detach().clone()
    with torch.no_grad():
        image.zero_()
    torch.testing.assert_close(torch.stack(buffer.images), before)
