"""The regression method: losses beside independent references, noise, spread over draws."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from delineate.errors import LabelError
from delineate.methods import image_losses as losses
from delineate.methods.regression import LOG_VARIANCE, Regression


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
    assert float(losses.l1(x, y, 0 * w)) == float(losses.l2(x, y, 0 * w)) == 0


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


def similarity(x: np.ndarray, y: np.ndarray) -> float:
    """Mean SSIM over the pixels in full windows, in float64."""
    _, full = structural_similarity(
        x.astype(float), y.astype(float), data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    return float(full[tuple(slice(5, n - 5) for n in x.shape)].mean())


def smooth_pair(shape: tuple[int, ...] = (48, 52)) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth image of 0 … 1, and the same with some noise."""
    rng = np.random.default_rng(4)
    image = gaussian_filter(rng.random(shape), 2)
    image = ((image - image.min()) / np.ptp(image)).astype(np.float32)
    noisy = (image + 0.02 * rng.normal(size=shape)).astype(np.float32)
    return torch.from_numpy(image)[None, None], torch.from_numpy(noisy)[None, None]


@pytest.mark.parametrize(("contrast", "offset"), [(1.0, 0.0), (0.1, 0.45), (1.0, 2.0)])
def test_ssim_is_as_exact_where_networks_compute_in_bfloat16(contrast, offset) -> None:
    x, y = (contrast * image + offset for image in smooth_pair())
    weight = torch.ones_like(x)
    found, slopes = [], []
    for half in (False, True):
        own = y.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = losses.ssim(own, x, weight)
            assert float(losses.ssim(x, x, weight)) == 0
        (slope,) = torch.autograd.grad(loss, own)
        found.append(float(loss.detach()))
        slopes.append(slope)
    assert found[0] == found[1]
    assert torch.equal(*slopes)


@pytest.mark.parametrize("offset", [-1e3, 1.0, 1e3, 1e4])
@pytest.mark.parametrize("shape", [(40, 44), (14, 15, 16)])
def test_ssim_far_from_zero_is_that_of_float64(offset, shape) -> None:
    x, y = (image + offset for image in smooth_pair(shape))
    expected = 1 - similarity(y[0, 0].numpy(), x[0, 0].numpy())
    assert 1e-3 < expected < 0.5
    loss = losses.ssim(y, x, torch.ones_like(x))
    assert_allclose(float(loss), expected, rtol=1e-2, atol=1e-5)
    # Each channel has its own level.
    both = losses.ssim(
        *(torch.cat([a, b], dim=1) for a, b in zip((y, x), smooth_pair(shape)[::-1], strict=True)),
        torch.ones_like(x),
    )
    near = 1 - similarity(*(image[0, 0].numpy() for image in smooth_pair(shape)[::-1]))
    assert_allclose(float(both), (expected + near) / 2, rtol=1e-2, atol=1e-5)
    # An output that has not yet found the level of its target.
    lost = losses.ssim(smooth_pair(shape)[1], x, torch.ones_like(x))
    reference = 1 - similarity(smooth_pair(shape)[1][0, 0].numpy(), x[0, 0].numpy())
    assert_allclose(float(lost), reference, rtol=1e-3)


def masked_similarity(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """1 − SSIM by its definition, window by window, over the pixels of each that count."""
    reach = np.arange(-5, 6)
    gauss = np.exp(-0.5 * (reach / 1.5) ** 2)
    window, losses_, counted = np.outer(gauss, gauss), [], []
    for i in range(5, x.shape[0] - 5):
        for j in range(5, x.shape[1] - 5):
            at = np.s_[i - 5 : i + 6, j - 5 : j + 6]
            w = window * (weight[at] > 0)
            if not weight[i, j]:
                continue
            w = w / w.sum()
            mx, my = (w * x[at]).sum(), (w * y[at]).sum()
            vx, vy = (w * (x[at] - mx) ** 2).sum(), (w * (y[at] - my) ** 2).sum()
            cov = (w * (x[at] - mx) * (y[at] - my)).sum()
            losses_.append(
                1 - (2 * mx * my + 1e-4) * (2 * cov + 9e-4)
                / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
            )  # fmt: skip
            counted.append(weight[i, j])
    return float(np.average(losses_, weights=counted))


def test_pixels_without_weight_are_in_no_window_of_ssim() -> None:
    x, y = smooth_pair((30, 32))
    weight = images(1, 1, 30, 32, seed=5) + 0.5
    weight[..., :12] = 0
    weight[..., 20:23, 20:23] = 0
    whole = losses.ssim(y, x, weight)
    expected = masked_similarity(*(a[0, 0].double().numpy() for a in (y, x, weight)))
    assert_allclose(float(whole), expected, rtol=1e-4)
    for rubbish in (0.0, 1e6, torch.nan, torch.inf):
        own, wanted = (torch.where(weight > 0, a, rubbish).requires_grad_() for a in (y, x))
        loss = losses.ssim(own, wanted, weight)
        assert torch.equal(loss, whole)
        loss.backward()
        for image in (own, wanted):
            assert image.grad is not None
            assert not image.grad[weight == 0].any()
            assert image.grad[weight > 0].isfinite().all()
            assert image.grad[weight > 0].any()


def test_ssim_of_few_pixels_and_of_none() -> None:
    x, y = smooth_pair((24, 24))
    weight = torch.zeros_like(x)
    own = y.clone().requires_grad_()
    losses.ssim(own, x, weight).backward()
    assert own.grad is not None and not own.grad.any()
    weight[..., 10, 11] = 1
    assert float(losses.ssim(x, x, weight)) == 0
    a, b = float(x[0, 0, 10, 11]), float(y[0, 0, 10, 11])
    expected = (a - b) ** 2 / (a**2 + b**2 + 1e-4)  # one pixel has a level and no structure
    assert float(losses.ssim(y, x, weight)) == pytest.approx(expected, rel=1e-4)


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


@pytest.mark.parametrize("log_variance", [-30.0, -9.5, 4.5, 40.0])
def test_an_expected_noise_far_off_still_learns(log_variance) -> None:
    """Errors of variance 1 call the noise back from wherever it went."""
    method = Regression(noise=True)
    output = torch.cat([torch.ones(1, 1, 4, 4), torch.full((1, 1, 4, 4), log_variance)], dim=1)
    output.requires_grad_()
    zeros, weight = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    method.loss(output, zeros, weight).backward()
    slope = output.grad[:, 1]
    assert (slope * np.sign(log_variance) > 1e-5).all()
    steps = torch.optim.Rprop([output], lr=0.5)
    for _ in range(300):
        steps.zero_grad()
        method.loss(
            torch.cat([torch.ones(1, 1, 4, 4), output[:, 1:]], dim=1), zeros, weight
        ).backward()
        steps.step()
    assert_allclose(method.activate(output.detach())[:, 1].numpy(), 1, rtol=0.05)


def test_the_expected_noise_is_as_put_out_within_its_range_and_bounded_beyond() -> None:
    method = Regression(noise=True, l1=0)
    values = torch.linspace(-60, 60, 24001).double().float()
    output = torch.stack([torch.zeros_like(values), values])[None, :, None]
    found = method.activate(output)[0, 1, 0].log()
    low, high = LOG_VARIANCE
    inside = (values >= low) & (values <= high)
    assert_allclose(found[inside].numpy(), values[inside].numpy(), atol=1e-5)
    assert (found.diff() > -1e-5).all()
    assert low - 1 < found.min() < low and high < found.max() < high + 1
    # Loss and maps are of one variance: the likelihood of no error is half its logarithm.
    one = torch.tensor([0.0, 7.0]).reshape(1, 2, 1, 1)
    loss = method.loss(one, torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))
    assert float(loss) == pytest.approx(0.5 * float(method.activate(one)[0, 1].log()), rel=1e-6)
    # The slope is 1 to the ends of the range and has no step there.
    ends = torch.tensor([low - 1e-3, low + 1e-3, high - 1e-3, high + 1e-3], requires_grad=True)
    output = torch.stack([torch.zeros_like(ends), ends])[None, :, None]
    method.activate(output)[0, 1].log().sum().backward()
    assert_allclose(ends.grad.numpy(), 1, atol=0.01)


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


def test_pixels_that_do_not_count_are_in_no_score() -> None:
    method = Regression(channels=2)
    rng = np.random.default_rng(3)
    truth = images(2, 40, 44).numpy()
    found = truth + rng.normal(0, 0.1, truth.shape).astype(np.float32)
    counted = np.ones(truth.shape[1:], bool)
    assert method.score(found, truth, counted) == method.score(found, truth)
    counted[:, 20:] = False
    for rubbish in (1e4, np.nan):
        other = np.where(counted, truth, np.float32(rubbish))
        assert method.score(found, other, counted) == method.score(found, truth * counted, counted)
        assert method.score(truth, other, counted)["pearson"] == pytest.approx(1)
        assert method.score(truth, other, counted)["ssim"] == pytest.approx(1)
    near = method.score(found[:, :, :20], truth[:, :, :20])
    score = method.score(found, truth, counted)
    assert score["pearson"] == pytest.approx(near["pearson"])
    assert score["si_psnr"] == pytest.approx(near["si_psnr"])
    assert all(map(np.isnan, method.score(found, truth, ~counted & counted).values()))


def test_wrong_channels_and_an_empty_loss_are_refused() -> None:
    with pytest.raises(LabelError, match=r"has 3 channels.*gives 1"):
        Regression().encode(np.zeros((3, 4, 4), np.float32))
    with pytest.raises(ValidationError, match="no term"):
        Regression(l1=0)
