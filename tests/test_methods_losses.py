"""Losses against MONAI's, against NumPy references, and at what must be their minimum."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from delineate.methods import losses


def scene(k: int, shape: tuple[int, ...] = (3, 9, 8), seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Logits, one-hot truth in which every class occurs, classes, and weights of 1."""
    draw = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(shape[0], k, *shape[1:], generator=draw)
    classes = torch.randint(0, k, shape, generator=draw)
    return logits, losses.one_hot(classes, k), classes, torch.ones(shape[0], 1, *shape[1:])


ALL = {
    "cross-entropy": losses.cross_entropy,
    "focal": losses.focal,
    "tversky": losses.tversky,
    "dice": losses.dice,
    "lovasz": losses.lovasz,
}


def test_one_hot():
    truth = losses.one_hot(torch.tensor([[0, 2, -1]]), 3)
    assert truth.tolist() == [[[1, 0, 0], [0, 0, 0], [0, 1, 0]]]


@pytest.mark.parametrize("k", [2, 5])
@pytest.mark.parametrize("shape", [(3, 9, 8), (2, 4, 5, 6)])
def test_cross_entropy_is_that_of_torch(k, shape):
    logits, truth, classes, weight = scene(k, shape)
    expected = F.cross_entropy(logits, classes)
    torch.testing.assert_close(losses.cross_entropy(logits, truth, weight), expected)
    scale = torch.rand(k) + 0.1
    expected = F.cross_entropy(logits, classes, weight=scale)
    got = losses.cross_entropy(logits, truth, weight, scale.tolist())
    torch.testing.assert_close(got, expected)
    soft = torch.rand(logits.shape).softmax(dim=1)
    expected = F.cross_entropy(logits, soft)
    torch.testing.assert_close(losses.cross_entropy(logits, soft, weight), expected)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_is_that_of_monai(gamma):
    from monai.losses import FocalLoss

    logits, truth, _, weight = scene(4)
    # MONAI means over classes too, of which all but the true one are 0.
    expected = 4 * FocalLoss(use_softmax=True, gamma=gamma)(logits, truth)
    torch.testing.assert_close(losses.focal(logits, truth, weight, gamma), expected)
    assert losses.focal(logits, truth, weight, 0.0) == losses.cross_entropy(logits, truth, weight)


def test_tversky_and_dice_are_those_of_monai():
    from monai.losses import DiceLoss, TverskyLoss

    logits, truth, _, weight = scene(3)
    same = {"softmax": True, "batch": True, "smooth_nr": 0, "smooth_dr": 0}
    for alpha, beta in ((0.3, 0.7), (1.0, 1.0), (0.0, 2.0)):
        expected = TverskyLoss(alpha=alpha, beta=beta, **same)(logits, truth)
        torch.testing.assert_close(losses.tversky(logits, truth, weight, alpha, beta), expected)
    torch.testing.assert_close(losses.dice(logits, truth, weight), DiceLoss(**same)(logits, truth))


def lovasz_by_definition(errors: np.ndarray, truth: np.ndarray) -> float:
    """Berman et al. 2018, eq. 5: errors in falling order, each times the growth of 1 − Jaccard."""

    def jaccard_loss(wrong: np.ndarray) -> float:
        predicted = np.where(wrong, 1 - truth, truth)
        union = np.maximum(predicted, truth).sum()
        return 1 - (predicted * truth).sum() / union if union else 0.0

    total, wrong = 0.0, np.zeros(len(truth), bool)
    for pixel in np.argsort(-errors, kind="stable"):
        before = jaccard_loss(wrong)
        wrong[pixel] = True
        total += errors[pixel] * (jaccard_loss(wrong) - before)
    return total


@pytest.mark.parametrize("k", [2, 4])
def test_lovasz_follows_its_definition(k):
    logits, truth, _, weight = scene(k, (2, 5, 6))
    p = logits.softmax(dim=1).numpy().astype(float)
    expected = [
        lovasz_by_definition(
            np.abs(truth.numpy()[:, c] - p[:, c]).ravel(), truth.numpy()[:, c].ravel()
        )
        for c in range(k)
    ]
    assert float(losses.lovasz(logits, truth, weight)) == pytest.approx(np.mean(expected), abs=1e-5)


def test_lovasz_of_sure_answers_is_one_minus_iou():
    for bits in itertools.product((0, 1), repeat=4):
        truth = losses.one_hot(torch.tensor([[0, 1, 1, 0]]), 2)
        pred = torch.tensor([bits])
        logits = 100 * losses.one_hot(pred, 2)
        iou = [
            float(
                ((pred == c) & (truth[:, c] == 1)).sum() / ((pred == c) | (truth[:, c] == 1)).sum()
            )
            for c in (0, 1)
        ]
        got = float(losses.lovasz(logits, truth, torch.ones(1, 1, 4)))
        assert got == pytest.approx(1 - np.mean(iou), abs=1e-5)


@pytest.mark.parametrize("name", list(ALL))
def test_the_truth_is_best_and_nothing_costs_less_than_nothing(name):
    logits, truth, _, weight = scene(3)
    assert float(ALL[name](20 * truth, truth, weight)) == pytest.approx(0, abs=1e-4)
    assert float(ALL[name](logits, truth, weight)) > 0.1
    assert float(ALL[name](20 * truth.roll(1, dims=1), truth, weight)) > 0.9


@pytest.mark.parametrize("name", list(ALL))
def test_pixels_without_weight_count_for_nothing(name):
    logits, truth, _, weight = scene(3)
    weight[:, :, :4] = 0
    whole = ALL[name](logits, truth, weight)
    other_logits, other_truth = logits.clone(), truth.clone()
    other_logits[:, :, :4], other_truth[:, :, :4] = 7.0, 0.0
    torch.testing.assert_close(ALL[name](other_logits, other_truth, weight), whole)
    cut = ALL[name](logits[:, :, 4:], truth[:, :, 4:], weight[:, :, 4:])
    torch.testing.assert_close(cut, whole)
    logits.requires_grad_()
    ALL[name](logits, truth, weight).backward()
    assert not logits.grad[:, :, :4].any()
    assert logits.grad[:, :, 4:].any()


@pytest.mark.parametrize("name", list(ALL))
def test_a_batch_without_any_pixel_costs_nothing(name):
    logits, truth, _, weight = scene(3)
    logits.requires_grad_()
    loss = ALL[name](logits, truth, 0 * weight)
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", ["cross-entropy", "dice", "tversky"])
def test_soft_truth_is_its_own_best_answer(name):
    """No answer, sharper or flatter, costs less than the probabilities themselves."""
    draw = torch.Generator().manual_seed(3)
    soft = (2 * torch.randn(2, 3, 6, 6, generator=draw)).softmax(dim=1)
    weight = torch.ones(2, 1, 6, 6)
    best = float(ALL[name](soft.log(), soft, weight))
    for sharpness in (0.3, 0.7, 1.5, 4.0):
        assert float(ALL[name](sharpness * soft.log(), soft, weight)) > best + 1e-4
    for seed in range(5):
        noise = torch.randn(soft.shape, generator=torch.Generator().manual_seed(seed))
        assert float(ALL[name](soft.log() + 0.3 * noise, soft, weight)) > best
    if name != "cross-entropy":
        assert best == pytest.approx(0, abs=1e-5)


def test_classes_that_do_not_occur_say_nothing_of_overlap():
    truth = losses.one_hot(torch.zeros(1, 4, 4, dtype=torch.long), 3)
    logits = torch.zeros(1, 3, 4, 4)
    weight = torch.ones(1, 1, 4, 4)
    third = 1 / 3
    assert float(losses.dice(logits, truth, weight)) == pytest.approx(1 - 2 * third / (1 + third))
    assert float(losses.lovasz(logits, truth, weight)) == pytest.approx(1 - third)


@pytest.mark.parametrize("name", list(ALL))
def test_half_precision_logits_give_a_finite_loss(name):
    logits, truth, _, weight = scene(3)
    for kind in (torch.bfloat16, torch.float16):
        loss = ALL[name]((100 * logits).to(kind), truth, weight)
        assert loss.dtype == torch.float32
        assert loss.isfinite()
