"""Losses of class probabilities, for hard and for soft truth: plain functions of tensors.

All take

- ``logits`` (B, K, …): the network's output,
- ``truth`` (B, K, …): the probability of each class, one-hot where the truth is hard,
- ``weight`` (B, 1, …): 0 where a pixel counts for nothing, else 1 (or its weight),

and give a scalar. Overlap losses (Dice, Tversky, Lovász) are of the whole batch, one for each class
that the batch's truth holds, background among them, and then averaged: classes that do not occur
say nothing of overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributed
from torch.nn import functional as F

_TINY = 1e-6


def weight_sum(weight: Tensor) -> Tensor:
    """The sum of the weights of pixels, which the sum of their losses is divided by.

    Of processes that train together it is the mean of their sums, so that the mean of their
    gradients is the gradient of the batch that they are together, however unequal the shares of it
    that count: with S and W the sums of losses and of weights of n processes,
    1/n Σ (S / (1/n Σ W)) = Σ S / Σ W. All of them must call this, as they do where gradients are
    taken; where none are, as in validation, each is by itself.
    """
    total = weight.detach().sum()
    if not (torch.is_grad_enabled() and distributed.is_available()):
        return total
    if not (distributed.is_initialized() and distributed.get_world_size() > 1):
        return total
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


def one_hot(classes: Tensor, k: int) -> Tensor:
    """Classes (B, …) as probabilities (B, k, …), float32; all 0 where a class is negative."""
    index = classes[:, None].long()
    truth = torch.zeros(classes.shape[0], k, *classes.shape[1:], device=classes.device)
    return truth.scatter_(1, index.clamp(min=0), (index >= 0).float())


def cross_entropy(
    logits: Tensor, truth: Tensor, weight: Tensor, class_weights: Sequence[float] | None = None
) -> Tensor:
    """Mean over pixels of −Σ_k q_k log p_k; with soft truth q it is least where p = q.

    With `class_weights` c it is Σ_k c_k q_k (−log p_k) over Σ_k c_k q_k.
    """
    return focal(logits, truth, weight, 0.0, class_weights)


def focal(
    logits: Tensor,
    truth: Tensor,
    weight: Tensor,
    gamma: float = 2.0,
    class_weights: Sequence[float] | None = None,
) -> Tensor:
    """Mean over pixels of −Σ_k q_k (1 − p_k)^γ log p_k (Lin et al. 2017, eq. 5, for K classes).

    Soft truth is taken as an expectation over classes, but only with γ = 0, which is the
    cross-entropy, is p = q best: a larger γ pulls probabilities towards the even.
    `class_weights` is the α of the paper, normalised as in `cross_entropy`.
    """
    log_p = F.log_softmax(logits.float(), dim=1)
    counted = truth * weight
    if class_weights is not None:
        scale = torch.tensor(class_weights, dtype=torch.float32, device=truth.device)
        counted = counted * scale.reshape(1, -1, *([1] * (truth.ndim - 2)))
    each = -counted * log_p
    if gamma:
        each = each * (1 - log_p.exp()).clamp(min=0) ** gamma
    return each.sum() / weight_sum(counted).clamp(min=_TINY)


def tversky(
    logits: Tensor, truth: Tensor, weight: Tensor, alpha: float = 0.3, beta: float = 0.7
) -> Tensor:
    """1 − TP / (TP + α FP + β FN), mean over the classes that occur (Salehi et al. 2017, eq. 4).

    TP = Σ min(p, q), FP = Σ (p − q)₊, FN = Σ (q − p)₊. With hard truth these are the products of
    the paper; with soft truth they make p = q the best answer, which products do not (Wang et al.
    2023, "Dice semimetric losses").

    Parameters
    ----------
    alpha, beta : what a false positive and a false negative cost, 0 or more.
    """
    p = logits.float().softmax(dim=1)
    axes = [0, *range(2, p.ndim)]
    tp = (torch.minimum(p, truth) * weight).sum(axes)
    fp = (F.relu(p - truth) * weight).sum(axes)
    fn = (F.relu(truth - p) * weight).sum(axes)
    index = (tp + _TINY) / (tp + alpha * fp + beta * fn + _TINY)
    return _mean_of_present(1 - index, (truth * weight).sum(axes))


def dice(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """1 − 2 TP / (2 TP + FP + FN): `tversky` with α = β = ½ (Milletari et al. 2016).

    With soft truth see `tversky`.
    """
    return tversky(logits, truth, weight, 0.5, 0.5)


def lovasz(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Lovász-softmax: the convex extension of 1 − IoU to probabilities (Berman et al. 2018, eq. 9).

    For hard truth only: with soft truth the set of right pixels, on which the extension is
    defined, does not exist. A pixel counts where its weight is above 0.
    """
    p = logits.float().softmax(dim=1)
    counted = weight[:, 0] > 0
    losses = []
    present = (truth * weight).sum([0, *range(2, p.ndim)])
    for k in range(p.shape[1]):
        q = truth[:, k][counted]
        error, order = (q - p[:, k][counted]).abs().sort(descending=True)
        losses.append((error * _jaccard_steps(q[order])).sum())
    return _mean_of_present(torch.stack(losses), present)


def _jaccard_steps(truth: Tensor) -> Tensor:
    """What each pixel in turn adds to the Jaccard loss once it and those before it are wrong."""
    total = truth.sum()
    missed = truth.cumsum(0)
    loss = 1 - (total - missed) / (total + (1 - truth).cumsum(0)).clamp(min=_TINY)
    return torch.diff(loss, prepend=loss.new_zeros(1))


def _mean_of_present(losses: Tensor, amount: Tensor) -> Tensor:
    """Mean of the losses (K,) of classes of which there is any amount (K,); 0 where none is."""
    present = (amount > 0).float()
    return (losses * present).sum() / present.sum().clamp(min=1)
