"""Networks on a device: what they must give, that they are made ready once, and their precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from delineate.errors import ModelError
from delineate.inference import device as device_module
from delineate.inference.device import has_fast_bf16
from delineate.inference.runner import Runner, RunOptions
from delineate.methods.flows import Flows
from delineate.methods.regression import Regression
from delineate.networks import NetworkOptions, build
from domes import EXACT, dome_model


def test_a_network_of_the_wrong_shape_is_named() -> None:
    class Two(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, x], dim=1)

    runner = Runner([Two()], Flows(), 2, EXACT)
    with pytest.raises(ModelError, match=r"shape \(2, 40, 40\).*flows takes \(3, 40, 40\)"):
        runner.maps(np.zeros((1, 8, 8), np.float32))


def test_values_that_overflow_are_an_error_not_an_empty_result() -> None:
    class Large(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full((len(x), 3, *x.shape[2:]), float("nan"))

    options = RunOptions(device="cpu", precision="bf16")
    with pytest.raises(ModelError, match="not finite; try --precision fp32"):
        Runner([Large()], Flows(), 2, options).maps(np.zeros((1, 8, 8), np.float32))


def test_networks_are_made_ready_once_for_all_images_of_a_run() -> None:
    model = dome_model()
    runner = model.runner(EXACT)
    assert model.runner(EXACT) is runner
    assert model.runner(EXACT, threshold=0.9).method.threshold == 0.9
    assert model.runner(RunOptions(tile=64, device="cpu")).grid((200, 200)).tile == (64, 64)
    assert model.runner(EXACT).method == runner.method


def test_devices_that_are_not_there() -> None:
    for name in ("toaster", "gpu", "cuda:first", "vulkan", "cpu:x"):
        with pytest.raises(ModelError) as error:
            Runner([torch.nn.Identity()], Flows(), 2, RunOptions(device=name))
        assert str(error.value) == (
            f"device '{name}' is not usable here: expected auto, cpu, cuda, cuda:1 or mps"
        )
    with pytest.raises(ModelError, match=r"^device 'cuda:99' is not usable here: [^\n]+$"):
        Runner([torch.nn.Identity()], Flows(), 2, RunOptions(device="cuda:99"))


def test_bfloat16_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated bfloat16 is slower than float32; a torch that lacks the question says no."""
    cpu = torch.device("cpu")
    monkeypatch.setattr(device_module.platform, "machine", lambda: "x86_64")
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert not has_fast_bf16(cpu)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert has_fast_bf16(cpu)
    assert not has_fast_bf16(torch.device("mps"))
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name)
    assert not has_fast_bf16(cpu)


def ramp_through(network: torch.nn.Module, precision: str) -> np.ndarray:
    """What a network makes of a picture of 400 intensities."""
    runner = Runner([network], Regression(), 2, RunOptions(device="cpu", precision=precision))
    ramp = np.tile(np.linspace(0, 1, 400, dtype=np.float32), (1, 24, 1))
    return runner.maps(ramp)[0]


class Plain(torch.nn.Module):
    """A network of which nothing is known."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(1, 8, 3, padding=1)
        self.last = torch.nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.first(x)))


def fnet() -> torch.nn.Module:
    torch.manual_seed(0)
    options = {"features": 8, "depth": 2, "norm": "none"}
    return build(NetworkOptions(name="fnet", options=options), 1, 1, 2).eval()


def test_images_keep_their_intensities_unless_bfloat16_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """bfloat16 has eight binary digits: half a percent of an intensity, steps in a ramp."""
    monkeypatch.setattr(device_module, "has_fast_bf16", lambda device: True)
    plain, known = Plain(), fnet()
    np.testing.assert_array_equal(ramp_through(plain, "auto"), ramp_through(plain, "fp32"))
    assert len(np.unique(ramp_through(plain, "bf16")[12])) < 350
    wanted, found = ramp_through(known, "fp32"), ramp_through(known, "auto")
    assert 0 < np.sqrt(np.mean((found - wanted) ** 2)) < 0.02 * wanted.std()  # it was 0.1
    assert len(np.unique(found[12])) > 380  # there were 13


def test_objects_and_networks_that_keep_intensities_take_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_module, "has_fast_bf16", lambda device: True)
    options = RunOptions(device="cpu")
    assert Runner([Plain()], Flows(), 2, options).dtype == torch.bfloat16
    assert Runner([fnet()], Regression(), 2, options).dtype == torch.bfloat16
    assert Runner([Plain()], Regression(), 2, options).dtype == torch.float32
    assert Runner([fnet(), Plain()], Regression(), 2, options).dtype == torch.float32
