"""Networks on a device: what they must give, that they are made ready once, and their precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from delineate.errors import ModelError
from delineate.inference import runner as runner_module
from delineate.inference.runner import Runner, RunOptions, has_fast_bf16
from delineate.methods.flows import Flows
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
    with pytest.raises(ModelError, match="device 'toaster' is not usable here"):
        Runner([torch.nn.Identity()], Flows(), 2, RunOptions(device="toaster"))


def test_bfloat16_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated bfloat16 is slower than float32; a torch that lacks the question says no."""
    cpu = torch.device("cpu")
    monkeypatch.setattr(runner_module.platform, "machine", lambda: "x86_64")
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert not has_fast_bf16(cpu)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert has_fast_bf16(cpu)
    assert not has_fast_bf16(torch.device("mps"))
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name)
    assert not has_fast_bf16(cpu)
