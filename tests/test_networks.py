"""Networks: size, shapes, style, and what may be built."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from delineate.errors import ModelError
from delineate.networks import NetworkOptions, build, check_name
from delineate.networks.residual_unet import ResidualUNet


def small(ndim: int, **options: object) -> nn.Module:
    network = NetworkOptions(options={"features": [4, 8, 16], **options})
    return build(network, 2, ndim + 1, ndim).eval()


def test_published_size():
    network = build(NetworkOptions(), 2, 3, 2)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 6.6


@pytest.mark.parametrize("shape", [(32, 48), (33, 47), (5, 70), (1, 1), (8, 21, 18), (3, 4, 5)])
def test_outputs_have_the_size_of_inputs(shape):
    network = small(len(shape))
    with torch.inference_mode():
        output = network(torch.rand(2, 2, *shape))
    assert output.shape == (2, len(shape) + 1, *shape)
    assert output.isfinite().all()


def test_padding_leaves_the_rest_of_the_image_alone():
    """An image that must be padded gives what its edge-padded copy gives."""
    network = small(2)
    image = torch.rand(1, 2, 30, 45)
    padded = nn.functional.pad(image, [0, 3, 0, 2], mode="replicate")
    with torch.inference_mode():
        torch.testing.assert_close(network(image), network(padded)[:, :, :30, :45])


@pytest.mark.parametrize("shape", [(40, 40), (12, 20, 20)])
def test_style_has_unit_length_and_no_place(shape):
    network = small(len(shape))
    image = torch.rand(3, 2, *shape)
    with torch.inference_mode():
        style = network.style_vector(image)
        flipped = network.style_vector(image.flip(-1))
    assert style.shape == (3, 16)
    torch.testing.assert_close(style.norm(dim=1), torch.ones(3))
    assert flipped.shape == style.shape


def test_style_changes_the_output_and_can_be_left_out():
    with_style, without = small(2), small(2, style=False)
    names = {n for n, _ in with_style.named_parameters()}
    plain = {n for n, _ in without.named_parameters()}
    assert plain < names
    assert all("style" in n for n in names - plain)
    image = torch.rand(1, 2, 24, 24)
    with torch.inference_mode():
        before = with_style(image)
        for name, value in with_style.named_parameters():
            if "style.bias" in name:
                value.add_(1.0)
        assert not torch.equal(before, with_style(image))
        assert without(image).shape == before.shape


@pytest.mark.parametrize("shape", [(40, 37), (9, 20, 24)])
def test_folded_network_gives_the_same_output(shape):
    network = small(len(shape))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
    assert isinstance(network, ResidualUNet)
    image = torch.rand(1, 2, *shape)
    with torch.inference_mode():
        expected = network(image)
        torch.testing.assert_close(network.folded()(image), expected, rtol=1e-3, atol=1e-3)
        assert network.folded().style_vector(image).shape == (1, 16)
        torch.testing.assert_close(network(image), expected)


def test_unknown_names_list_what_there_is():
    with pytest.raises(ModelError, match=r"no network 'u-net'.*residual-unet.*module:Class"):
        build(NetworkOptions(name="u-net"), 1, 3, 2)


@pytest.mark.parametrize(
    "options",
    [
        {"feature": [8, 16]},
        {"features": "wide"},
        {"features": []},
        {"features": [8, -4]},
        {"features": 8},
        {"out_channels": 9},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ModelError, match="residual-unet"):
        build(NetworkOptions(options=options), 1, 3, 2)


@pytest.mark.parametrize(
    ("name", "wrong", "options"),
    [
        ("residual-unet", {"channels": 8}, r"features \[32, 64, 128, 256\], style true"),
        ("fnet", {"channels": 8}, "features 32, depth 4, norm batch"),
        ("resnet-generator", {"channels": 8}, "features 64, .*norm instance, size null"),
        ("unet", {"features": 8}, r"channels \[32, .*dropout 0.0, bias true"),
        ("resnet34-unet", {"features": 8}, r"decoder_channels \[256, .*is_pad true"),
    ],
)
def test_wrong_options_are_answered_by_those_there_are(name, wrong, options):
    network = NetworkOptions(name=name, options=wrong)
    with pytest.raises(ModelError, match=f"; its options are {options}"):
        build(network, 1, 1, 2)


def test_options_are_checked_before_images_are_prepared():
    check_name(NetworkOptions(options={"features": [4, 8]}))
    with pytest.raises(ModelError, match="'channels'; its options are features"):
        check_name(NetworkOptions(options={"channels": 8}))
    with pytest.raises(ModelError, match="its options set ndim"):
        check_name(NetworkOptions(options={"ndim": 2}))


OUTSIDE = """
from torch import nn

class Plain(nn.Sequential):
    def __init__(self, in_channels, out_channels, ndim, width=4):
        super().__init__(nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(width, out_channels, 1))

def spatial(in_channels, out_channels, spatial_dims=3, width=4):
    return Plain(in_channels, out_channels, ndim=spatial_dims, width=spatial_dims)

def older(dimensions, in_channels, out_channels):
    return Plain(in_channels, out_channels, ndim=dimensions, width=dimensions)

def flat(in_channels, out_channels):
    return Plain(in_channels, out_channels, ndim=2, width=2)

def anything(**given):
    return Plain(**given, width=given["ndim"])

def named_otherwise(n_channels, n_classes):
    return Plain(n_channels, n_classes, 2)

def number(in_channels, out_channels, ndim):
    return 7

def broken(in_channels, out_channels, ndim):
    raise RuntimeError("out of luck")
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A module that is not the package's; its name is new each time."""
    name = f"outside_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_an_outside_class_is_imported_with_permission_only(outside):
    network = NetworkOptions(name=f"{outside}:Plain", options={"width": 6})
    with pytest.raises(ModelError, match="--allow-imports"):
        build(network, 2, 3, 2)
    assert outside not in sys.modules
    built = build(network, 2, 3, 2, allow_imports=True)
    assert built(torch.rand(1, 2, 9, 11)).shape == (1, 3, 9, 11)


@pytest.mark.parametrize("name", ["spatial", "older", "flat", "anything"])
def test_axes_are_handed_over_by_the_name_that_a_constructor_has(outside, name):
    """Each puts the number that it was given into the width of its first layer."""
    built = build(NetworkOptions(name=f"{outside}:{name}"), 2, 3, 2, allow_imports=True)
    assert built[0].weight.shape == (2, 2, 3, 3)
    assert built(torch.rand(1, 2, 9, 11)).shape == (1, 3, 9, 11)


def test_axes_are_not_set_by_options_under_any_name(outside):
    options = NetworkOptions(name=f"{outside}:spatial", options={"spatial_dims": 3})
    with pytest.raises(ModelError, match="its options set spatial_dims, which data and method"):
        build(options, 2, 3, 2, allow_imports=True)


@pytest.mark.parametrize(
    ("name", "options"), [("named_otherwise", {}), ("Plain", {"depth": 3}), ("flat", {"ndim": 2})]
)
def test_a_constructor_that_does_not_fit_is_told_what_it_is_given(outside, name, options):
    said = "in_channels and out_channels, and ndim, spatial_dims or dimensions"
    network = NetworkOptions(name=f"{outside}:{name}", options=options)
    with pytest.raises(ModelError, match=f"does not take its options: .*{said}"):
        build(network, 2, 3, 2, allow_imports=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Net", "cannot be imported"),
        ("{}:Missing", "cannot be imported"),
        (":Plain", "cannot be imported"),
        ("builtins:dict", "expected a torch.nn.Module"),
        ("{}:number", "expected a torch.nn.Module"),
        ("{}:__name__", "cannot be called"),
        ("{}:broken", "out of luck"),
    ],
)
def test_outside_names_that_lead_to_no_network(outside, name, message):
    with pytest.raises(ModelError, match=message):
        build(NetworkOptions(name=name.format(outside)), 1, 3, 2, allow_imports=True)
