"""Losses in several processes: the mean of their gradients is that of the joint batch."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import distributed

from delineate.methods.base import Method
from delineate.methods.flows import Flows
from delineate.methods.regression import Regression
from delineate.methods.semantic import Semantic
from delineate.training.launch import launch

METHODS: dict[str, Method] = {
    "l1": Regression(),
    "l2": Regression(l1=0, l2=1, channels=2),
    "huber": Regression(l1=0, huber=1),
    "ssim": Regression(l1=0, ssim=1),
    "noise": Regression(noise=True),
    "cross-entropy": Semantic(criterion="cross-entropy", classes=3),
    "weighted": Semantic(criterion="cross-entropy", class_weights=(0.2, 3.0)),
    "focal": Semantic(criterion="focal"),
    "flows": Flows(),
    "classes": Flows(classes=2),
}
SIDE = 20


def batch(method: Method) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output, targets and weights of four patches, of which the last ones know little."""
    draw = torch.Generator().manual_seed(1)
    output = torch.randn(4, method.out_channels(2), SIDE, SIDE, generator=draw)
    targets = torch.rand(4, {"image": getattr(method, "channels", 1)}.get(method.truth, 1),
                         SIDE, SIDE, generator=draw)  # fmt: skip
    if isinstance(method, Semantic):
        targets = (targets * method.classes).floor()
    if isinstance(method, Flows):
        more = torch.randn(4, 2, SIDE, SIDE, generator=draw)
        classes = [(targets * 3).floor()] if method.classes else []
        targets = torch.cat([more, targets.round(), *classes], dim=1)
    weight = torch.rand(4, 1, SIDE, SIDE, generator=draw) + 0.1
    weight[2:, :, 8:] = 0
    weight[3] *= 5
    return output.requires_grad_(), targets, weight


class Half:
    """What one of two processes finds of its half of each batch."""

    def __call__(self, tell: Any) -> None:
        rank = int(os.environ["LOCAL_RANK"])
        distributed.init_process_group("gloo", rank=rank, world_size=2)
        own = slice(2 * rank, 2 * rank + 2)
        found = {}
        for name, method in METHODS.items():
            output, targets, weight = batch(method)
            loss = method.loss(output[own], targets[own], weight[own])
            loss.backward()
            assert output.grad is not None
            both = torch.stack([output.grad / 2, torch.zeros_like(output)])
            both[1, 0, 0, 0, 0] = loss.detach() / 2
            distributed.all_reduce(both)
            found[name] = both[0], float(both[1, 0, 0, 0, 0])
        if rank == 0:
            # The other one validates nothing meanwhile, and need not.
            output, targets, weight = batch(METHODS["l1"])
            with torch.no_grad():
                alone = float(METHODS["l1"].loss(output[own], targets[own], weight[own]))
            tell((found, alone))
        distributed.barrier()


@pytest.fixture(scope="module")
def found() -> tuple[dict[str, tuple[torch.Tensor, float]], float]:
    heard: list[Any] = []
    launch(Half(), 2, heard.append)
    (said,) = heard
    return said


@pytest.mark.parametrize("name", list(METHODS))
def test_the_mean_gradient_of_two_processes_is_that_of_the_joint_batch(found, name):
    output, targets, weight = batch(METHODS[name])
    loss = METHODS[name].loss(output, targets, weight)
    loss.backward()
    gradient, value = found[0][name]
    assert value == pytest.approx(float(loss.detach()), rel=1e-5)
    torch.testing.assert_close(gradient, output.grad, rtol=1e-4, atol=1e-8)


def test_what_validates_is_divided_by_its_own_weights(found):
    method = METHODS["l1"]
    output, targets, weight = (values[:2] for values in batch(method))
    expected = float(method.loss(output.detach(), targets, weight))
    assert found[1] == pytest.approx(expected, rel=1e-6)
