"""Steps of pix2pix and CycleGAN: counts, rates, warm-up and bounds, and after being killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from delineate.data.augment import Augment
from delineate.data.patches import Batch
from delineate.data.samples import Sample
from delineate.methods.regression import Regression
from delineate.training.fit import fit
from delineate.training.gan_options import CycleGANOptions, Pix2PixOptions
from gan_games import JUDGE, batch, changed, cyclegan, pairs, pix2pix, run, setting, weights


def test_steps_count_once_and_every_pair_of_batches_logs():
    module = cyclegan(setting(steps=6))
    recorder = run(module, pairs(3), epochs=2)
    assert [step for step, _ in recorder.seen] == [1, 2, 3, 4, 5, 6]
    assert {"gan_g", "gan_d", "gan_cycle", "gan_identity"} <= set(recorder.metrics[-1])


def interrupted(make: Callable[[], Any], data: list[Any], folder: Path) -> tuple[Any, Any]:
    """One run of four rounds, and another that ends after two, as if killed, and goes on."""
    whole = make()
    run(whole, data, epochs=4)
    first, second = make(), make()
    run(first, data, epochs=2, save=folder / "last.ckpt")
    torch.manual_seed(99)
    recorder = run(second, data, epochs=4, resume=folder / "last.ckpt")
    assert recorder.seen[0][0] == 2 * len(data) // first.options.accumulate + (
        first.options.accumulate == 1
    )
    return whole, second


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_killed_run_of_pix2pix_goes_on_to_the_same_weights(tmp_path, spectral, accumulate):
    judge = JUDGE.model_copy(update={"spectral": spectral})
    options = Pix2PixOptions(discriminator=judge, discriminator_rate=0.5, warmup_steps=2)
    whole, resumed = interrupted(
        lambda: options.module(setting(accumulate=accumulate)),
        [batch(i) for i in range(4)],
        tmp_path,
    )
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)


def test_a_killed_run_of_cyclegan_goes_on_to_the_same_weights(tmp_path):
    """Its past fakes and their draws are part of the state."""
    whole, resumed = interrupted(
        lambda: cyclegan(setting(), buffer=3, discriminator_schedule="linear"), pairs(4), tmp_path
    )
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    assert len(resumed.past["judge"].images) == 3


@pytest.mark.parametrize("kind", ["pix2pix", "cyclegan"])
def test_accumulated_batches_are_one_larger_batch(kind):
    def joined(parts: list[Any]) -> Any:
        if kind == "cyclegan":
            return tuple(joined_batches([p[i] for p in parts]) for i in range(2))
        return joined_batches(parts)

    def joined_batches(parts: list[Batch]) -> Batch:
        return Batch(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))

    small = pairs(4) if kind == "cyclegan" else [batch(i) for i in range(4)]
    large = [joined(small[:2]), joined(small[2:])]
    make = pix2pix if kind == "pix2pix" else cyclegan
    options = {"buffer": 0} if kind == "cyclegan" else {}
    one = make(setting(optimizer="sgd"), **options)
    several = make(setting(optimizer="sgd", accumulate=2), **options)
    a, b = run(one, large), run(several, small)
    assert [step for step, _ in a.seen] == [1, 2]
    assert [step for step, _ in b.seen] == [0, 1, 1, 2]
    torch.testing.assert_close(weights(several), weights(one), rtol=1e-4, atol=1e-6)
    # Each is divided, as Lightning divides where it accumulates itself.
    assert sum(b.losses[:2]) == pytest.approx(a.losses[0], rel=1e-4)


def test_each_side_has_its_own_rate_schedule_and_clip():
    given = setting(optimizer="sgd", clip=1e-3, learning_rate=0.5)
    module = pix2pix(
        given,
        discriminator_rate=0.1,
        generator_schedule="constant",
        discriminator_schedule="linear",
        weight_adversarial=1.0,
    )
    before = weights(module)
    run(module, [batch(0)])
    after = weights(module)

    def length(prefix: str) -> float:
        moved = [(after[n] - before[n]).flatten() for n in before if n.startswith(prefix)]
        return float(torch.cat(moved).norm())

    assert length("network.") == pytest.approx(0.5 * 1e-3, rel=1e-3)
    assert length("judge.") == pytest.approx(0.05 * 1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "shares"),
    [
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 1, 0.5, 0]),
        ("one-cycle", None),
        ("cellpose", None),
    ],
)
def test_schedules(kind, shares):
    given = setting(optimizer="sgd", learning_rate=1.0)
    module = pix2pix(given, generator_schedule=kind)
    steps = (0, 6, 9, 12)
    if shares is None:
        follow = given.options.model_copy(update={"schedule": kind})
        shares = [follow.rate(step, 12) for step in steps]
    for side in module.configure_optimizers():  # the discriminators follow the generators
        share = side["lr_scheduler"]["scheduler"].lr_lambdas[0]
        assert [share(step) for step in steps] == pytest.approx(shares)


@pytest.mark.parametrize("kind", ["linear", "constant", "one-cycle", "cellpose"])
def test_the_rate_stays_while_a_mean_is_taken(kind):
    given = setting(average="swa", average_from=0.75)
    module = pix2pix(given, generator_schedule=kind, warmup_steps=4)
    known = {"linear": 0.5, "constant": 1.0}
    plain = given.options.model_copy(update={"schedule": kind, "average": None})
    for side, total in zip(module.configure_optimizers(), (12, 8), strict=True):
        share = side["lr_scheduler"]["scheduler"].lr_lambdas[0]
        first = int(0.75 * total)
        assert share(first) > 0.1
        assert [share(step) for step in range(first, total + 1)] == [share(first)] * (
            total + 1 - first
        )
        assert share(first) == (known[kind] if kind in known else plain.rate(first, total))


def test_optimisers_have_the_momentum_of_adversarial_trainings():
    for side in pix2pix(setting(), beta=0.3).configure_optimizers():
        assert side["optimizer"].param_groups[0]["betas"] == (0.3, 0.999)


def test_the_generator_warms_up_alone():
    module = pix2pix(setting(), warmup_steps=3)
    start = weights(module)

    def look(module: Any) -> tuple[bool, bool, int]:
        now = weights(module)
        return (
            changed(start, now, "network."),
            changed(start, now, "judge."),
            module.lr_schedulers()[1].last_epoch,
        )

    recorder = run(module, [batch(i) for i in range(5)], look=look)
    assert [seen for _, seen in recorder.seen] == [
        (True, False, 0),
        (True, False, 0),
        (True, False, 0),
        (True, True, 1),
        (True, True, 2),
    ]


def test_the_warm_up_is_a_supervised_training():
    from delineate.training.supervised import Supervised

    data = [batch(i) for i in range(4)]
    game = pix2pix(setting(optimizer="sgd", clip=None), warmup_steps=4)
    plain = Supervised(setting(optimizer="sgd", clip=None))
    run(game, data)
    run(plain, data)
    torch.testing.assert_close(weights(game.network), weights(plain.network))


def test_a_gradient_without_bounds_changes_nothing():
    """It is left out and counted, and the training goes on."""
    module = pix2pix(setting(Regression()))
    weights = list(module.network.parameters())
    before = [w.detach().clone() for w in weights]
    logged = {}
    module.log = lambda name, value, **_: logged.update({name: value})
    for weight in weights:
        weight.grad = torch.full_like(weight, float("inf"))
    module._clip(weights)
    assert logged == {"gan_skipped": 1.0}
    torch.optim.SGD(weights, lr=1.0).step()
    assert all(torch.equal(a, b) for a, b in zip(before, weights, strict=True))
    for weight in weights:
        weight.grad = torch.full_like(weight, 1e3)
    module._clip(weights)
    assert logged == {"gan_skipped": 0.0}
    total = torch.cat([w.grad.flatten() for w in weights]).norm()
    assert float(total) == pytest.approx(module.options.clip, rel=1e-4)


@pytest.mark.parametrize("kind", [Pix2PixOptions, CycleGANOptions])
def test_the_last_weights_are_kept_with_their_scores(kind, tmp_path, monkeypatch):
    """The score falls while discriminators teach; training neither stops nor goes back."""
    samples = []
    for seed in range(2):
        image, target = (t[0].numpy() for t in batch(seed, n=1)[:2])
        samples.append(
            Sample(
                name=str(seed),
                image=image,
                targets=target,
                labels=np.zeros(image.shape[1:], np.int32),
                centres=np.zeros((0, 2), np.float32),
                diameter=float("nan"),
                scale=1.0,
                weight=1.0,
                soft=True,
                kind="image",
            )
        )
    values = {"validate_every": 2, "patience": 1, "device": "cpu", "precision": "fp32", "patch": 48}
    given = setting(samples=samples, steps=8, **values)
    falling = iter([score for score in (0.9, 0.8, 0.7, 0.6) for _ in samples])
    monkeypatch.setattr(Regression, "score", lambda *_: {"pearson": next(falling)})
    regime = kind(discriminator=JUDGE)
    fitted = fit(given, regime, samples, Augment(), seed=0, folder=tmp_path)
    assert fitted.steps == 8
    assert fitted.scores["val_pearson"] == pytest.approx(0.6)
    assert "val_loss" in fitted.scores
    assert not (tmp_path / "checkpoints" / "best.ckpt").exists()
