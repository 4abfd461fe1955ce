"""The regression method: losses beside independent references, noise, spread over draws."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from skimage.metrics import structural_similarity

from delineate.errors import LabelError
from delineate.methods import image_losses as losses
from delineate.methods.regression import Regression


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32))


@pytest.mark.parametrize("shape", [(2, 3, 17, 20), (1, 2, 9, 12, 14)])
def test_losses_are_weighted_means_over_pixels_and_channels(shape: tuple[int, ...]) -> None:
    x, y = images(*shape), images(*shape, seed=1)
    w = images(shape[0], 1, *shape[2:], seed=2)
    error = (x - y).numpy()
    weight = np.broadcast_to(w.numpy(), shape)
    assert_allclose(losses.l1(x, y, w), np.average(abs(error), weights=weight), rtol=1e-5)
    assert_allclose(losses.l2(x, y, w), np.average(error**2, weights=weight), rtol=1e-5)
    delta = 0.2
    huber = np.where(abs(error) < delta, error**2 / 2, delta * (abs(error) - delta / 2))
    assert_allclose(losses.huber(x, y, w, delta), np.average(huber, weights=weight), rtol=1e-5)


@pytest.mark.parametrize("shape", [(31, 40), (13, 17, 19)])
def test_ssim_is_that_of_scikit_image(shape: tuple[int, ...]) -> None:
    x, y = images(*shape).numpy(), images(*shape, seed=1).numpy()
    _, full = structural_similarity(
        x, y, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        full=True,
    )  # fmt: skip
    inner = tuple(slice(5, n - 5) for n in shape)
    own = losses.ssim(*(torch.from_numpy(a)[None, None] for a in (x, y)), torch.ones(1, 1, *shape))
    assert_allclose(1 - float(own), full[inner].mean(), atol=1e-4)


def test_ssim_of_small_and_equal_images() -> None:
    x = images(1, 1, 4, 30)
    assert float(losses.ssim(x, x, torch.ones_like(x))) == pytest.approx(0, abs=1e-5)


def test_the_likelihood_is_least_where_the_variance_is_that_of_the_errors() -> None:
    rng = np.random.default_rng(0)
    target = torch.from_numpy(rng.normal(0, 0.3, (1, 1, 200, 200)).astype(np.float32))
    mean, weight = torch.zeros_like(target), torch.ones_like(target)
    values = [
        float(
            losses.gaussian_likelihood(mean, torch.full_like(mean, 2 * np.log(s)), target, weight)
        )
        for s in (0.2, 0.3, 0.4)
    ]
    assert values[1] < min(values[0], values[2])


def test_noise_gives_the_variance_and_learns_it_alone() -> None:
    method = Regression(channels=2, noise=True, l1=0)
    output = torch.cat([images(1, 2, 8, 8), torch.full((1, 2, 8, 8), -2.0)], dim=1)
    maps = method.activate(output)
    assert method.out_channels(2) == 4
    assert_allclose(maps[:, 2:].numpy(), np.exp(-2), rtol=1e-6)
    spread = method.spread(maps, None)
    assert spread is not None
    assert_allclose(spread.aleatoric, np.exp(-2), rtol=1e-6)
    assert not spread.epistemic.any()


def test_spread_is_the_variance_of_the_draws() -> None:
    method = Regression(channels=2)
    draws = torch.from_numpy(
        np.random.default_rng(0).normal(size=(5, 1, 2, 6, 7)).astype(np.float32)
    )
    maps = draws.mean(dim=0)
    moments = torch.stack([method.moments(d) for d in draws]).mean(dim=0)
    spread = method.spread(maps, moments)
    assert spread is not None
    assert_allclose(spread.epistemic, draws.numpy().var(axis=0).mean(axis=1), rtol=1e-4, atol=1e-6)
    assert method.spread(maps, None) is None  # one draw cannot disagree with itself


def test_score_is_one_for_the_truth_and_less_for_noise() -> None:
    method = Regression()
    truth = images(1, 64, 64).numpy()
    assert method.score(truth, truth)["pearson"] == pytest.approx(1)
    noisy = truth + np.random.default_rng(1).normal(0, 0.3, truth.shape).astype(np.float32)
    assert method.score(noisy, truth)["pearson"] < 0.9


def test_wrong_channels_and_an_empty_loss_are_refused() -> None:
    with pytest.raises(LabelError, match=r"has 3 channels.*gives 1"):
        Regression().encode(np.zeros((3, 4, 4), np.float32))
    with pytest.raises(ValidationError, match="no term"):
        Regression(l1=0)
