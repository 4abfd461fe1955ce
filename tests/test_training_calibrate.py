"""The temperature: found again where it is known, whatever the method, and kept in the model."""

from __future__ import annotations

from dataclasses import replace

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


@pytest.mark.parametrize("flows", [True, False])
def test_pixels_that_cost_nothing_tell_no_temperature(flows):
    method = Flows() if flows else Semantic(classes=3)
    honest = samples(flows, FEWEST)
    lying = []
    for sample in honest:
        cost = np.ones(sample.labels.shape, np.float32)
        cost[60:] = 0
        targets = sample.targets.copy()
        targets[-1, 60:] = 1 - np.minimum(targets[-1, 60:], 1)
        lying.append(replace(sample, targets=targets, cost=cost))
    case = Runner([Echo(2.0)], method, 2, CPU)
    found = calibrate([(case, lying)], seed=0)
    assert found is not None
    assert found.value == pytest.approx(2, rel=0.05)
    fooled = calibrate([(case, [replace(s, cost=None) for s in lying])], seed=0)
    assert fooled is not None and fooled.value > 3


def test_few_images_calibrate_nothing():
    runner = Runner([Echo(1)], Flows(), 2, CPU)
    assert calibrate([(runner, samples(True, FEWEST - 1))], seed=0) is None


def blank(own: list[Sample]) -> list[Sample]:
    """The same without an object: no pixel is of a class but background."""
    centres = np.zeros((0, 2), np.float32)
    return [replace(s, targets=np.zeros_like(s.targets), centres=centres) for s in own]


@pytest.mark.parametrize("flows", [True, False])
def test_images_without_objects_tell_how_sure_the_background_is(flows):
    """Noise that is taken for objects where there are none: the temperature must know of it."""
    method = Flows() if flows else Semantic(classes=3)
    own = samples(flows, 2 * FEWEST)
    filled, mixed = own[:FEWEST], own[:FEWEST] + blank(own[FEWEST:])
    runner = Runner([Echo(1)], method, 2, CPU)
    without, found = (calibrate([(runner, s)], seed=0) for s in (filled, mixed))
    assert without is not None and without.value == pytest.approx(1, rel=0.05)
    assert found is not None and found.n > 1.8 * without.n and found.value > 1.3
    # Half the pixels are background whatever the logits say: fitted by brute force.
    logs, truth = [], []
    for sample in mixed:
        p = method.distribution(torch.from_numpy(runner.maps(sample.image))[None])[0].numpy()
        classes = method.true_classes(sample.targets)
        logs.append(np.log(p[:, classes >= 0]))
        truth.append(classes[classes >= 0])
    log, classes = np.concatenate(logs, axis=1), np.concatenate(truth)
    tried = np.linspace(1, 8, 71)
    losses = []
    for t in tried:
        q = np.exp(log / t)
        losses.append(-np.log((q / q.sum(axis=0))[classes, np.arange(len(classes))]).mean())
    assert found.value == pytest.approx(tried[int(np.argmin(losses))], abs=0.2)


def test_images_of_which_no_pixel_is_known_calibrate_nothing():
    unknown = [replace(s, targets=np.full_like(s.targets, -1)) for s in samples(False, FEWEST)]
    runner = Runner([Echo(1)], Semantic(classes=3), 2, CPU)
    assert calibrate([(runner, unknown)], seed=0) is None
    found = calibrate([(runner, unknown + samples(False, FEWEST))], seed=0)
    assert found is not None and found.value == pytest.approx(1, rel=0.05)
