"""fnet and the ResNet generator: shapes, structure, folding, what the package asks of a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from delineate.errors import ModelError
from delineate.networks import NetworkOptions, build
from delineate.networks.adapter import encoder_of

SMALL = {
    "fnet": {"features": 4, "depth": 2},
    "resnet-generator": {"features": 4, "halvings": 2, "blocks": 2},
}
DEEPEST = 16
NORMS = ("batch", "instance", "group", "none")


def small(name: str, ndim: int = 2, **options: object) -> nn.Module:
    torch.manual_seed(0)
    given = NetworkOptions(name=name, options={**SMALL[name], **options})
    return build(given, 2, ndim + 1, ndim)


def stirred(network: nn.Module) -> nn.Module:
    """In evaluation, with norms that do something."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
    return network.eval()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(32, 48), (33, 47), (5, 70), (1, 1), (8, 21, 18), (3, 4, 5)])
def test_outputs_have_the_size_of_inputs(name, shape):
    for norm in NORMS:
        network = small(name, len(shape), norm=norm).train()
        output = network(torch.rand(2, 2, *shape))
        assert output.shape == (2, len(shape) + 1, *shape)
        assert output.isfinite().all()


@pytest.mark.parametrize("name", SMALL)
def test_sizes_that_are_multiples_need_no_padding(name):
    network = small(name).eval()
    assert network.divisor == 4
    image = torch.rand(1, 2, 30, 45)
    padded = nn.functional.pad(image, [0, 3, 0, 2], mode="replicate")
    with torch.inference_mode():
        torch.testing.assert_close(network(image), network(padded)[:, :, :30, :45])


def test_fnet_has_the_published_structure():
    network = build(NetworkOptions(name="fnet"), 1, 1, 3)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv3d)]
    up = [m for m in network.modules() if isinstance(m, nn.ConvTranspose3d)]
    # Two convolutions at 5 levels down and 4 up, 4 that halve, and the last.
    assert len(convolutions) == 2 * (5 + 4) + 4 + 1
    assert [(m.in_channels, m.out_channels) for m in up] == [
        (64, 32),
        (128, 64),
        (256, 128),
        (512, 256),
    ]
    assert sum(m.stride == (2, 2, 2) for m in convolutions) == 4
    assert sum(isinstance(m, nn.BatchNorm3d) for m in network.modules()) == 2 * 9 + 4 + 4
    assert network.divisor == 16
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 23.3


def test_fnet_joins_the_skips():
    """Without what comes from below, the image still reaches the output at full resolution."""
    network = small("fnet", norm="none").eval()
    with torch.no_grad():
        for grow in network.grow:
            grow.conv.weight.zero_()
        image = torch.rand(1, 2, 16, 16)
        assert network(image).std() > 0
        changed = image.clone()
        changed[..., 8, 8] += 1
        different = (network(image) != network(changed)).any(dim=1)[0]
    assert different[8, 8]
    # Two convolutions down, two up and the last reach five pixels.
    assert different.nonzero().min() >= 3
    assert different.nonzero().max() <= 13


@pytest.mark.parametrize("name", SMALL)
def test_output_is_linear_in_the_last_layer(name):
    """Nothing bounds the output: it can be any number."""
    network = small(name).eval()
    with torch.no_grad():
        network.head.bias.fill_(-1000.0)
        assert (network(torch.rand(1, 2, 16, 16)) < -500).all()


@pytest.mark.parametrize("ndim", [2, 3])
def test_fnet_hands_on_intensities_with_all_their_digits_under_bfloat16(ndim):
    """Weights that hand the image through give it back; in bfloat16 a ramp would be a staircase."""
    torch.manual_seed(0)
    network = build(
        NetworkOptions(name="fnet", options={**SMALL["fnet"], "norm": "none"}), 1, 1, ndim
    )
    middle = (0, 0, *[1] * ndim)
    with torch.no_grad():
        for block in (network.down[0], network.up[0]):  # up: the skips come first
            for layer in block:
                layer.conv.weight.zero_()[middle] = 1
                layer.conv.bias.zero_()
        network.head.weight.zero_()[middle] = 1
        network.head.bias.zero_()
    shape = (16, 512) if ndim == 2 else (8, 8, 512)
    ramp = torch.linspace(0.2, 1, shape[-1]).expand(1, 1, *shape)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = network.eval()(ramp)
    assert found.dtype == torch.float32
    assert len(found.unique()) == shape[-1]
    torch.testing.assert_close(found, ramp, rtol=1e-6, atol=0)


def test_generator_leaves_no_checkerboard():
    """A constant image gives a constant output, whatever the weights: nothing overlaps unevenly."""
    network = small("resnet-generator", norm="none").eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.normal_()
        output = network(torch.full((1, 2, 24, 24), 0.7))
    spread = output.amax(dim=(2, 3)) - output.amin(dim=(2, 3))
    assert (spread <= 1e-4 * output.abs().amax()).all()
    assert output.abs().amax() > 0


def test_generator_has_the_published_structure():
    network = build(NetworkOptions(name="resnet-generator"), 3, 3, 2)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    # c7s1-64, d128, d256, nine blocks of two, u128, u64, c7s1-3
    assert len(convolutions) == 1 + 2 + 18 + 2 + 1
    assert [m.kernel_size for m in (convolutions[0], convolutions[-1])] == [(7, 7), (7, 7)]
    assert network.divisor == 4
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 11.4


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(40, 37), (9, 20, 24)])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_folded_network_gives_the_same_output(name, shape, norm):
    network = stirred(small(name, len(shape), norm=norm))
    image = torch.rand(1, 2, *shape)
    with torch.inference_mode():
        expected = network(image)
        folded = network.folded()
        torch.testing.assert_close(folded(image), expected, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(folded.style_vector(image), network.style_vector(image))
        torch.testing.assert_close(network(image), expected)
    assert not any(isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d) for m in folded.modules())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(40, 40), (12, 20, 20)])
def test_features_are_the_mean_of_the_deepest_map(name, shape):
    network = small(name, len(shape)).eval()
    image = torch.rand(3, 2, *shape)
    seen = []
    handle = network.feature_layer.register_forward_hook(lambda m, i, o: seen.append(o))
    with torch.inference_mode():
        network(image)
        handle.remove()
        features, style = network.features(image), network.style_vector(image)
    assert features.shape == (3, DEEPEST)
    torch.testing.assert_close(features, seen[0].mean(dim=tuple(range(2, image.ndim))))
    torch.testing.assert_close(style.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("name", SMALL)
def test_encoder_parts_hold_all_that_the_deepest_map_depends_on(name):
    network = small(name).train()
    inside = {id(p) for part in encoder_of(network) for p in part.parameters()}
    network.features(torch.rand(2, 2, 16, 16)).sum().backward()
    used = {id(p) for p in network.parameters() if p.grad is not None}
    assert used == inside


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fnet", {"features": 0}),
        ("fnet", {"depth": 0}),
        ("fnet", {"norm": "layer"}),
        ("resnet-generator", {"size": 4}),
        ("resnet-generator", {"blocks": 0}),
        ("resnet-generator", {"dept": 4}),
    ],
)
def test_wrong_options_are_refused(name, options):
    with pytest.raises(ModelError, match=name):
        build(NetworkOptions(name=name, options=options), 1, 3, 2)
