"""The temperature: found again where it is known, whatever the method, and kept in the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from delineate.data.samples import Sample
from delineate.inference.runner import Runner, RunOptions
from delineate.methods.flows import Flows
from delineate.methods.semantic import Semantic
from delineate.training.calibrate import calibrate
from delineate.training.tune import FEWEST

CPU = RunOptions(device="cpu", precision="fp32")


class Echo(nn.Module):
    """Gives back the image, which holds logits, times a factor: too sure by that factor."""

    divisor = 1

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


def samples(flows: bool, count: int) -> list[Sample]:
    """Images of honest logits: each pixel has its class with the probability that they state."""
    rng = np.random.default_rng(1)
    found = []
    for number in range(count):
        logits = rng.normal(0, 2, (3, 120, 120)).astype(np.float32)
        if flows:
            inside = rng.random((120, 120)) < 1 / (1 + np.exp(-logits[2]))
            targets = np.stack([*np.zeros((2, 120, 120)), inside]).astype(np.float32)
        else:
            noisy = logits + rng.gumbel(size=logits.shape)
            targets = noisy.argmax(axis=0)[None].astype(np.float32)
            targets[:, :10] = -1
        labels = np.ones((120, 120), np.int32)
        centre = np.full((1, 2), 60, np.float32)
        found.append(Sample(str(number), logits, targets, labels, centre, 16.0, 1.0, 1.0))
    return found


@pytest.mark.parametrize("factor", [0.5, 3.0])
@pytest.mark.parametrize("flows", [True, False])
def test_the_temperature_is_the_factor_by_which_logits_are_too_large(factor, flows):
    method = Flows() if flows else Semantic(classes=3)
    own = samples(flows, FEWEST)
    # Two members that differ share one temperature between them.
    cases = [(Runner([Echo(factor)], method, 2, CPU), own[:1])]
    cases.append((Runner([Echo(factor)], method, 2, CPU), own[1:]))
    found = calibrate(cases, seed=0)
    assert found is not None
    assert found.value == pytest.approx(factor, rel=0.05)
    assert found.nll_after < found.nll_before
    mended = method.model_copy(update={"temperature": found.value})
    again = calibrate([(r.with_method(mended), s) for r, s in cases], seed=0)
    assert again is not None and again.value == pytest.approx(1, abs=0.05)


def test_few_images_calibrate_nothing():
    runner = Runner([Echo(1)], Flows(), 2, CPU)
    assert calibrate([(runner, samples(True, FEWEST - 1))], seed=0) is None
