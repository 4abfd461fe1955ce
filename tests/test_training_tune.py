"""Thresholds are chosen on validation images, among candidates, and only where there are enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from conftest import disks
from delineate.data.samples import Sample
from delineate.inference.runner import Runner, RunOptions
from delineate.methods.flows import Flows
from delineate.training.tune import FEWEST, chosen_samples, tune

METHOD = Flows()


class Shy(nn.Module):
    """Gives back maps that stand in the image, with a probability of 0.35 inside objects."""

    divisor = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = x[:, 2:3]
        logit = torch.where(inside > 0.5, np.log(0.35 / 0.65), -6.0)
        return torch.cat([5 * x[:, :2], logit], dim=1)


def samples(count: int) -> list[Sample]:
    found = []
    for seed in range(count):
        labels = disks((70, 70), 8, 7, np.random.default_rng(seed))
        maps = METHOD.encode(labels)
        centres = np.zeros((int(labels.max()), 2), np.float32)
        found.append(Sample(str(seed), maps, maps, labels, centres, 16.0, 1.0, 1.0))
    return found


def runner() -> Runner:
    return Runner([Shy()], METHOD, 2, RunOptions(device="cpu", precision="fp32"))


def test_a_network_that_is_never_sure_gets_a_lower_threshold():
    tuned = tune([(runner(), samples(FEWEST))])
    assert tuned is not None
    assert isinstance(tuned.method, Flows)
    assert tuned.method.threshold == 0.3
    assert tuned.score > 0.9


def test_what_does_not_count_decides_nothing():
    """What costs nothing is annotated wrongly: inside of other objects than the maps show."""
    wrong = []
    for sample in samples(FEWEST):
        cost = np.ones(sample.labels.shape, np.float32)
        cost[:, 35:] = 0
        elsewhere = np.where(cost > 0, sample.labels, 1 - np.minimum(sample.labels, 1))
        wrong.append(replace(sample, labels=elsewhere.astype(np.int32), cost=cost))
    tuned, blind = tune([(runner(), wrong)]), [replace(s, cost=None) for s in wrong]
    assert tuned is not None
    assert tuned.score > 0.9 > tune([(runner(), blind)]).score
    nothing = [replace(s, cost=np.zeros_like(s.cost), counts=False) for s in wrong]
    assert tune([(runner(), nothing)]) is None


def test_few_images_decide_nothing():
    assert tune([(runner(), samples(FEWEST - 1))]) is None


@pytest.mark.parametrize("images", [1, 16, 19, 30, 100])
def test_the_images_looked_at_are_spread_evenly_over_the_members(images):
    one = samples(1) * images
    cases = [(runner(), one) for _ in range(3)]
    chosen = chosen_samples(cases, most=48)
    assert len(chosen) == min(48, 3 * images)
    assert [sum(r is case[0] for r, _ in chosen) for case in cases] == [len(chosen) // 3] * 3


def test_equal_candidates_leave_the_method_as_it_is():
    class Sure(Shy):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([5 * x[:, :2], 20 * (x[:, 2:3] - 0.5)], dim=1)

    sure = Runner([Sure()], METHOD, 2, RunOptions(device="cpu", precision="fp32"))
    tuned = tune([(sure, samples(2)), (sure, samples(1))])
    assert tuned is not None
    assert tuned.method == METHOD


def test_candidates_keep_a_switched_off_filter_off():
    assert all(m.flow_threshold is None for m in Flows(flow_threshold=None).candidates())
    assert Flows().candidates()[0] == Flows()


def test_images_without_objects_do_not_choose_thresholds():
    empty = [
        Sample(str(k), np.zeros((3, 70, 70), np.float32), np.zeros((3, 70, 70), np.float32),
               np.zeros((70, 70), np.int32), np.zeros((0, 2), np.float32), 16.0, 1.0, 1.0)
        for k in range(5)
    ]  # fmt: skip
    assert tune([(runner(), samples(FEWEST - 1) + empty)]) is None
    alone, beside = tune([(runner(), samples(FEWEST))]), tune([(runner(), samples(3) + empty)])
    assert alone == beside
