"""The options of networks: listed as they are taken, and refused by name before all else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
import yaml
from torch import nn

from command_line import call
from delineate.errors import ModelError
from delineate.networks import BUILT_IN, NetworkOptions, check_name, known_options
from delineate.networks.options import NetworkOption, options_of

if TYPE_CHECKING:
    from decimal import Decimal


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_every_option_has_a_type_a_default_and_a_meaning(name: str) -> None:
    options = known_options(name)
    assert options.known and not options.others
    for option in options.known:
        assert option.kind and option.default and option.meaning, option
        assert "\n" not in option.meaning
        given = NetworkOptions(name=name, options={option.name: yaml.safe_load(option.default)})
        check_name(given)
    with pytest.raises(ModelError, match=f"'wdith'.*; its options are {options.known[0].name} "):
        check_name(NetworkOptions(name=name, options={"wdith": 3}))


def test_own_options_are_told_in_words() -> None:
    features, depth, norm = known_options("fnet").known
    assert features == NetworkOption(
        "features",
        "integer",
        "32",
        "features at full resolution; each level has twice as many as the one above",
    )
    assert (depth.name, depth.default) == ("depth", "4")
    assert norm.kind == "batch or instance or group or none"
    unet = {option.name: option for option in known_options("unet").known}
    assert unet["channels"].kind == "list of integers"
    assert unet["strides"].kind == "list of integers or lists or null"
    assert "channels" not in known_options("swin-unetr").told()
    given = {"spatial_dims", "in_channels", "backbone", "pretrained", "upsample_kernel_size"}
    for name in BUILT_IN:
        assert not given & {option.name for option in known_options(name).known}


class Own(nn.Module):
    """A network.

    Args:
        width (int): of the first layer. It may be
            larger.
        rest, more: two
            things
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: Decimal,
        rest: Sequence[float] = (1.0,),
        *,
        more: Literal["a", "b"] | None = None,
        kind: type = int,
    ) -> None:
        super().__init__()


def anything(in_channels: int, **rest: Any) -> nn.Module:
    raise NotImplementedError


def test_constructors_of_others_are_read_as_far_as_they_tell() -> None:
    """Also where a type is not imported, in the form that Google's docstrings have."""
    options = options_of(Own)
    assert [(o.name, o.default) for o in options.known] == [
        ("width", "required"),
        ("rest", "[1.0]"),
        ("more", "null"),
    ]
    assert [o.meaning for o in options.known] == ["of the first layer", "two things", "two things"]
    assert options.told() == "; its options are width, rest [1.0], more null"
    assert options_of(anything).others and options_of(anything).told() == ""
    assert options_of(dict).unknown({"a": 1}) == []  # compiled


def test_the_command_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("recipes", "--settings") == 0
    sections = capsys.readouterr().out.split("\n\n")[1:]
    heads = [section.splitlines()[0] for section in sections]
    assert "network.options of fnet" in heads
    (unet,) = (head for head in heads if head.startswith("network.options of unet,"))
    assert unet.endswith("handed to monai.networks.nets.unet.UNet")
    listed = {name for head in heads for name in head.split(" of ")[1].split(", ")}
    assert set(BUILT_IN) <= listed
    assert call("recipes", "--network", "residual-unet") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[0] == "network.options.features"
    assert lines[1].endswith(
        "list of integers: features of each scale, from fine to coarse; each scale halves the "
        "resolution"
    )
    own = f"listed_{tmp_path.name}"
    code = "def net(in_channels, out_channels, width=7):\n    raise ValueError\n"
    (tmp_path / f"{own}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert call("recipes", "--network", f"{own}:net") == 2
    assert "--allow-imports" in capsys.readouterr().err and own not in sys.modules
    assert call("recipes", "--network", f"{own}:net", "--allow-imports") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["network.options.width", "7"]
    sys.modules.pop(own)
