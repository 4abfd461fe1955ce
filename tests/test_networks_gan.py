"""Discriminators: scales, sizes, how far a score sees."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from delineate.errors import RecipeError
from delineate.networks.discriminators import Discriminator, PatchDiscriminator
from delineate.networks.scales import fitting_scales, smallest_side


@pytest.mark.parametrize("shape", [(96, 96), (97, 130), (50, 48, 61)])
@pytest.mark.parametrize("norm", ["instance", "none"])
@pytest.mark.parametrize("spectral", [False, True])
def test_every_scale_gives_features_and_scores(shape, norm, spectral):
    network = Discriminator(
        3, len(shape), scales=2, layers=3, features=4, norm=norm, spectral=spectral
    )
    found = network(torch.rand(2, 3, *shape))
    assert len(found) == 2
    for scale, layers in enumerate(found):
        assert [f.shape[1] for f in layers] == [4, 8, 16, 32, 1]
        assert all(len(f) == 2 and f.isfinite().all() for f in layers)
        halved = [(n + 1) // 2 if scale else n for n in shape]
        assert layers[-1].shape[2:] == tuple(n // 8 - 2 for n in halved)


@pytest.mark.parametrize(
    ("ndim", "layers", "reach"), [(2, 1, 16), (2, 2, 34), (2, 3, 70), (3, 1, 16), (3, 2, 34)]
)
def test_a_score_sees_the_published_number_of_pixels(ndim, layers, reach):
    """Isola et al. 2017, §6.1.2: 16², 34² and 70² patches."""
    network = PatchDiscriminator(1, ndim, layers, 2, "none", False)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_().add_(0.01)  # no path is cut by a ReLU or a zero
    side = 2 * reach + 2**layers
    image = torch.rand(1, 1, *[side] * ndim, requires_grad=True)
    scores = network(image)[-1]
    middle = tuple(n // 2 for n in scores.shape[2:])
    scores[(0, 0, *middle)].backward()
    seen = image.grad[0, 0].nonzero()
    extent = seen.amax(dim=0) - seen.amin(dim=0) + 1
    assert extent.tolist() == [reach] * ndim


def test_the_second_scale_sees_twice_as_far():
    network = Discriminator(1, 2, scales=2, layers=1, features=2, norm="none")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_().add_(0.01)
    image = torch.rand(1, 1, 96, 96, requires_grad=True)
    scores = network(image)[1][-1]
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    seen = image.grad[0, 0].nonzero()
    # 16 pixels at half the resolution, each the mean of 3: 2 · 15 + 3.
    assert (seen.amax(dim=0) - seen.amin(dim=0) + 1).tolist() == [33, 33]


@pytest.mark.parametrize(("scales", "side"), [(1, 24), (2, 47), (3, 93)])
def test_an_image_is_judged_at_every_scale_or_refused(scales, side):
    """What is too small for the last scale leaves it with weights that never learn."""
    network = Discriminator(1, 2, scales=scales, layers=3, features=2)
    assert len(network(torch.rand(1, 1, side, 96))) == scales
    with pytest.raises(RecipeError, match=rf"patches of {side - 1} × 96 pixels.*train\.patch"):
        network(torch.rand(1, 1, side - 1, 96))


def test_the_refusal_says_which_patch_is_needed_and_how_many_scales_fit():
    network = Discriminator(1, 3, scales=4, layers=3, features=2)
    with pytest.raises(RecipeError, match=r"scales 4, .*need 185 .*discriminator\.scales to 2$"):
        network.check((60, 200, 200))
    with pytest.raises(
        RecipeError, match=r"20 × 64 × 64.*needs 24 .*185 at 4 scales.*discriminator\.layers$"
    ):
        network.check((20, 64, 64))
    network.check((185, 200, 190))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_smallest_sides_are_those_that_convolutions_ask_for(layers):
    """Against the sizes that torch computes."""
    network = PatchDiscriminator(1, 2, layers, 1, "none", False)

    def judged(side: int, scales: int) -> bool:
        image = torch.rand(1, 1, side, side)
        for _ in range(scales - 1):
            image = nn.functional.avg_pool2d(image, 3, stride=2, padding=1)
        try:
            return network(image)[-1].numel() > 0
        except RuntimeError:
            return False

    for scales in (1, 2, 3):
        side = smallest_side(layers, scales)
        assert judged(side, scales)
        assert not judged(side - 1, scales)
        assert fitting_scales(side, layers) == scales
        assert fitting_scales(side - 1, layers) == scales - 1


def test_spectral_norm_bounds_every_convolution():
    network = Discriminator(1, 2, scales=1, layers=2, features=4, norm="none", spectral=True)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.parametrizations.weight.original.mul_(50)
        for _ in range(50):
            network(torch.rand(1, 1, 32, 32))  # every pass refines the estimate
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            largest = torch.linalg.matrix_norm(module.weight.detach().flatten(1), 2)
            assert float(largest) == pytest.approx(1.0, abs=0.05)


def test_each_image_is_judged_for_itself():
    network = Discriminator(2, 2, scales=2, layers=2, features=4)
    images = torch.rand(3, 2, 48, 48)
    together = network(images)
    for i in range(3):
        alone = network(images[i : i + 1])
        for a, b in zip(alone, together, strict=True):
            torch.testing.assert_close(a[-1][0], b[-1][i], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"scales": 0}, {"layers": 0}, {"features": 0}, {"norm": "x"}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        Discriminator(1, 2, **wrong)
