"""Networks of MONAI by name: sizes, what lies deepest, encoders, and what can go wrong."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from delineate.errors import ModelError
from delineate.networks import BUILT_IN, NetworkOptions, build
from delineate.networks.adapter import encoder_of

SMALL = {
    "residual-unet": {"features": [4, 8, 16]},
    "unet": {"channels": [4, 8, 16], "num_res_units": 1},
    "unet++": {"features": [4, 4, 8, 8, 16, 4]},
    "attention-unet": {"channels": [4, 8, 16]},
    "segresnet": {"init_filters": 8, "blocks_down": [1, 1, 1]},
    "dynunet": {"filters": [4, 8, 16]},
    "swin-unetr": {"feature_size": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 2]},
    "resnet18-unet": {"decoder_channels": [32, 16, 8, 8, 4]},
    "efficientnet-b0-unet": {"decoder_channels": [32, 16, 8, 8, 4]},
}
"""One of each kind, made small."""

DEEPEST = {"unet": 16, "unet++": 16, "segresnet": 32, "swin-unetr": 192, "resnet18-unet": 512}


def small(name: str, ndim: int = 2, in_channels: int = 1, out_channels: int = 3) -> nn.Module:
    torch.manual_seed(0)
    options = NetworkOptions(name=name, options=SMALL[name])
    return build(options, in_channels, out_channels, ndim)


def settled(name: str) -> nn.Module:
    """In evaluation, after the norms have seen images: fresh ones let little through."""
    network = small(name)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
    with torch.no_grad():
        for level in (0, 3):
            network(level + torch.rand(4, 1, 64, 64))
    return network.eval()


def all_names() -> set[str]:
    return {n for n, path in BUILT_IN.items() if n not in SMALL and "monai" in path}


@pytest.mark.parametrize("name", list(SMALL))
@pytest.mark.parametrize("ndim", [2, 3])
def test_outputs_have_the_size_of_inputs_whatever_it_is(name, ndim):
    network = small(name, ndim, in_channels=2).eval()
    shapes = [(33, 47), (5, 70), (1, 1)] if ndim == 2 else [(5, 33, 18)]
    for shape in shapes:
        with torch.inference_mode():
            output = network(torch.rand(2, 2, *shape))
        assert output.shape == (2, 3, *shape)
        assert output.isfinite().all()


@pytest.mark.parametrize("name", list(SMALL))
def test_every_network_learns_with_all_its_encoder(name):
    """One step changes the output, and a gradient reaches every weight of the encoder."""
    network = small(name).train()
    image = torch.rand(2, 1, 64, 64)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    loss = (network(image) - image).square().mean()
    loss.backward()
    without = [
        key
        for part in encoder_of(network)
        for key, value in part.named_parameters()
        if value.grad is None or not value.grad.isfinite().all()
    ]
    assert not without
    optimiser.step()
    assert float((network(image) - image).square().mean().detach()) < float(loss.detach())


def test_gradients_pass_through_the_shortcuts_of_resnets():
    """The first stage alone makes the deepest map, when all residual branches are cut."""
    network = small("resnet18-unet").eval()
    (encoder,) = encoder_of(network)
    with torch.no_grad():
        for name, module in encoder.named_modules():
            if name.endswith("bn2"):
                module.weight.zero_()
                module.bias.zero_()
    image = torch.rand(1, 1, 64, 64, requires_grad=True)
    network.features(image).sum().backward()
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize("name", list(SMALL))
def test_features_tell_images_apart_and_need_no_way_up(name):
    network = settled(name)
    dark, bright = torch.rand(1, 1, 64, 64), 3 + torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        first, again, other = (network.features(x) for x in (dark, dark, bright))
        both = network.features(torch.cat([dark, bright]))
        output = network(dark)
        style = network.style_vector(dark)
    torch.testing.assert_close(style, first / first.norm())
    assert first.ndim == 2
    assert first.shape[1] == DEEPEST.get(name, first.shape[1])
    torch.testing.assert_close(first, again)
    assert float((first - other).norm() / first.norm()) > 0.05
    for one, alone in zip(both, (first[0], other[0]), strict=True):
        assert float((one - alone).norm() / alone.norm()) < 1e-3
    with torch.inference_mode():
        torch.testing.assert_close(network(dark), output)


@pytest.mark.parametrize("name", list(SMALL))
def test_the_feature_layer_puts_out_the_deepest_map_in_passing(name):
    """Also of a copy: a hook on it sees what `features` averages."""
    network = copy.deepcopy(small(name)).eval()
    image = torch.rand(2, 1, 64, 96)
    seen: list[torch.Tensor] = []
    handle = network.feature_layer.register_forward_hook(lambda m, i, o: seen.append(o))
    with torch.inference_mode():
        network(image)
        handle.remove()
        expected = network.features(image)
    assert len(seen) == 1
    torch.testing.assert_close(seen[0].float().mean(dim=(2, 3)), expected)
    assert seen[0].shape[2] <= 64 // 4


@pytest.mark.parametrize("name", list(SMALL))
def test_encoders_hold_what_leads_to_the_deepest_map(name):
    """Wiping everything else leaves the features as they are."""
    network = small(name).eval()
    kept = {id(p) for part in encoder_of(network) for p in part.parameters()}
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        before = network.features(image)
        others = [p for p in network.parameters() if id(p) not in kept]
        for p in others:
            p.zero_()
        torch.testing.assert_close(network.features(image), before)
    assert others


@pytest.mark.parametrize("name", list(SMALL))
def test_weights_come_back_by_name(name):
    network, other = small(name), small(name)
    state = {k: v.clone() for k, v in network.state_dict().items()}
    with torch.no_grad():
        for p in other.parameters():
            p.add_(1)
    other.load_state_dict(state, strict=True)
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(other.eval()(image), network.eval()(image))


@pytest.mark.parametrize("name", sorted(all_names()))
def test_larger_relatives_build(name):
    network = build(NetworkOptions(name=name), 3, 2, 2).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 40, 64)).shape == (1, 2, 40, 64)
    assert network.divisor == 32


def test_anisotropic_strides():
    options = {"channels": [4, 8, 16], "strides": [[1, 2, 2], [2, 2, 2]]}
    network = build(NetworkOptions(name="unet", options=options), 1, 2, 3).eval()
    assert network.divisor == 4
    with torch.inference_mode():
        assert network(torch.rand(1, 1, 6, 20, 23)).shape == (1, 2, 6, 20, 23)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unet", {"channel": [4, 8]}, "no .channel.; its options are channels"),
        ("unet", {"channels": [4]}, "network 'unet' cannot be built"),
        ("resnet34-unet", {"backbone": "resnet18"}, "network 'resnet34-unet'"),
        ("segresnet", {"out_channels": 4}, "its options set out_channels"),
        ("swin-unetr", {"feature_size": 7}, "network 'swin-unetr' cannot be built"),
    ],
)
def test_options_that_do_not_fit_are_explained(name, options, message):
    with pytest.raises(ModelError, match=message):
        build(NetworkOptions(name=name, options=options), 1, 2, 2)


@pytest.mark.parametrize("shape", [(40, 33), (32, 20, 17)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("BasicUNet", {"features": [4, 4, 8, 8, 8, 4]}),
        ("SegResNet", {"init_filters": 8, "blocks_down": [1], "blocks_up": []}),
    ],
)
def test_a_class_of_monai_by_its_import_path(name, options, shape):
    """Its constructor calls the number of axes spatial_dims, 3 if it is not told."""
    network = NetworkOptions(name=f"monai.networks.nets:{name}", options=options)
    with pytest.raises(ModelError, match="--allow-imports"):
        build(network, 2, 3, len(shape))
    built = build(network, 2, 3, len(shape), allow_imports=True).eval()
    with torch.inference_mode():
        assert built(torch.rand(1, 2, *shape)).shape == (1, 3, *shape)


def test_a_network_that_names_no_encoder():
    with pytest.raises(ModelError, match="does not say what its encoder is"):
        encoder_of(nn.Sequential(nn.Conv2d(1, 1, 1)))
    plain = nn.Module()
    plain.encoder = nn.Conv2d(1, 2, 3)
    assert encoder_of(plain) == [plain.encoder]
