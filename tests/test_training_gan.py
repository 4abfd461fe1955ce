"""pix2pix and CycleGAN: both sides learn, a killed run goes on exactly, borders do not matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from delineate.data.augment import Augment
from delineate.data.patches import Batch
from delineate.data.samples import Sample
from delineate.errors import RecipeError
from delineate.methods.regression import Regression
from delineate.methods.semantic import Semantic
from delineate.training.fit import fit
from delineate.training.gan_options import CycleGANOptions, DiscriminatorOptions, Pix2PixOptions
from delineate.training.options import TrainOptions
from delineate.training.setting import Setting

JUDGE = DiscriminatorOptions(scales=2, layers=1, features=4)
SIDE = {2: 16, 3: 12}
REGRESSION, SEMANTIC = Regression(), Semantic(criterion="cross-entropy")


def generator(n_in: int, n_out: int, ndim: int) -> nn.Module:
    conv = nn.Conv2d if ndim == 2 else nn.Conv3d
    return nn.Sequential(conv(n_in, 4, 3, padding=1), nn.ReLU(), conv(4, n_out, 1))


def setting(
    method: Any = REGRESSION, ndim: int = 2, channels: int = 1, samples: Any = (), **train: Any
) -> Setting:
    torch.manual_seed(0)
    values = {"steps": 12, "learning_rate": 0.02, "batch": 2, "weight_decay": 0.0, **train}
    options = TrainOptions(**values)
    return Setting(
        generator(channels, method.out_channels(ndim), ndim),
        method,
        options,
        options.steps,
        samples,
        ndim,
        channels,
        lambda network, n_in, n_out: generator(n_in, n_out, ndim),
    )


def batch(
    seed: int, method: Any = REGRESSION, ndim: int = 2, n: int = 2, channels: int = 1
) -> Batch:
    """Bright and dark stripes, of which the target is the inverse, or the bright class."""
    rng = np.random.default_rng(seed)
    shape = (n, 1, *[SIDE[ndim]] * ndim)
    wide = np.sin(np.arange(SIDE[ndim]) / 2 + rng.random((n, 1, *[1] * ndim)) * 6)
    pattern = np.broadcast_to(wide, shape)
    image = torch.tensor(pattern + 0.05 * rng.normal(size=shape)).float()
    target = torch.tensor(pattern > 0).float() if method is SEMANTIC else 0.5 - image
    return Batch(image.repeat(1, channels, *[1] * ndim), target, torch.ones(shape))


def pairs(count: int, **options: Any) -> list[tuple[Batch, Batch]]:
    return [(batch(i, **options), batch(100 + i, **options)) for i in range(count)]


class Recorder(lightning.Callback):
    """Notes what happens after each batch."""

    def __init__(self, look: Callable[[Any], Any]) -> None:
        self.look = look
        self.seen: list[Any] = []
        self.losses: list[float] = []
        self.metrics: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        self.seen.append((trainer.global_step, self.look(module)))
        self.losses.append(float(outputs["loss"]))

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self.metrics.append({k: float(v) for k, v in trainer.callback_metrics.items()})


def run(
    module: lightning.LightningModule,
    batches: Sequence[Any],
    epochs: int = 1,
    look: Callable[[Any], Any] = lambda module: None,
    resume: Path | None = None,
    save: Path | None = None,
    validate: int = 0,
    precision: Any = "32-true",
) -> Recorder:
    recorder = Recorder(look)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        precision=precision,
        callbacks=[recorder],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    loader = DataLoader(list(batches), batch_size=None)
    scored = DataLoader(range(validate), batch_size=None) if validate else None
    trainer.fit(module, loader, scored, ckpt_path=resume, weights_only=True)
    if save is not None:
        trainer.save_checkpoint(save)
    return recorder


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor], prefix: str) -> bool:
    return any(not torch.equal(before[n], after[n]) for n in before if n.startswith(prefix))


def pix2pix(given: Setting, **options: Any) -> Any:
    return Pix2PixOptions(discriminator=JUDGE, **options).module(given)


def cyclegan(given: Setting, **options: Any) -> Any:
    return CycleGANOptions(discriminator=JUDGE, **options).module(given)


@pytest.mark.parametrize(
    ("adversarial", "ndim"),
    [("least-squares", 2), ("least-squares", 3), ("hinge", 2), ("vanilla", 2)],
)
def test_pix2pix_lowers_its_reconstruction(adversarial, ndim):
    module = pix2pix(setting(ndim=ndim, steps=40), adversarial=adversarial)
    probe = batch(1000, ndim=ndim, n=4)

    def error(module: Any) -> float:
        with torch.no_grad():
            return float((module.network(probe.image) - probe.targets).abs().mean())

    before, first = weights(module), error(module)
    recorder = run(module, [batch(i, ndim=ndim) for i in range(40)], look=error)
    assert [step for step, _ in recorder.seen] == list(range(1, 41))
    assert recorder.seen[-1][1] < 0.25 * first
    for part in ("network.", "judge.scales.0.", "judge.scales.1."):
        assert changed(before, weights(module), part)
    assert {"gan_g", "gan_d", "gan_features"} <= set(recorder.metrics[-1])
    assert all(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize(("method", "ndim"), [(REGRESSION, 2), (SEMANTIC, 2), (REGRESSION, 3)])
def test_cyclegan_comes_back_to_where_it_started(method, ndim):
    module = cyclegan(setting(method, ndim, steps=40))
    before = weights(module)
    data = pairs(40, method=method, ndim=ndim)
    run(module, data, epochs=1)
    after = weights(module)
    for part in ("network.", "back.", "judge.", "back_judge."):
        assert changed(before, after, part)

    def cycle(state: dict[str, Tensor]) -> float:
        module.load_state_dict(state)
        with torch.no_grad():
            image = batch(1000, method=method, ndim=ndim, n=4).image
            return float((module.way_back(module.picture(module(image))) - image).abs().mean())

    assert cycle(after) < 0.5 * cycle(before)


def test_steps_count_once_and_every_pair_of_batches_logs():
    module = cyclegan(setting(steps=6))
    recorder = run(module, pairs(3), epochs=2)
    assert [step for step, _ in recorder.seen] == [1, 2, 3, 4, 5, 6]
    assert {"gan_g", "gan_d", "gan_cycle", "gan_identity"} <= set(recorder.metrics[-1])


def test_identity_is_left_out_where_channels_differ():
    module = cyclegan(setting(channels=2, steps=2))
    recorder = run(module, pairs(2, channels=2))
    assert "gan_identity" not in recorder.metrics[-1]
    assert "gan_cycle" in recorder.metrics[-1]
    assert all(np.isfinite(recorder.losses))


def test_targets_can_be_compared_by_the_loss_of_the_method():
    losses = {}
    for kind in ("l1", "method"):
        module = cyclegan(setting(SEMANTIC), target_cycle=kind, weight_adversarial=0)
        losses[kind] = run(module, pairs(1, method=SEMANTIC)).losses[0]
    module = cyclegan(setting(SEMANTIC))
    pair = pairs(1, method=SEMANTIC)[0]
    with torch.no_grad():
        output = module.network(module.back(pair[1].targets))
        there = SEMANTIC.loss(output, pair[1].targets, pair[1].valid)
        l1 = (output.softmax(dim=1)[:, 1:] - pair[1].targets).abs().mean()
    assert losses["method"] - losses["l1"] == pytest.approx(10 * float(there - l1), rel=1e-4)


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
    for side, total in zip(module.configure_optimizers(), (12, 8), strict=True):
        share = side["lr_scheduler"]["scheduler"].lr_lambdas[0]
        first = int(0.75 * total)
        assert share(first) > 0.1
        assert [share(step) for step in range(first, total + 1)] == [share(first)] * (
            total + 1 - first
        )
        assert share(first) == {"linear": 0.5, "constant": 1.0}.get(kind, share(first))


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


def framed(given: Batch, outside: float) -> Batch:
    """A batch whose left quarter lies outside of the image; there are such numbers there."""
    image, targets, valid = (t.clone() for t in given)
    valid[..., :4] = 0
    image[..., :4] = outside
    targets[..., :4] = outside
    return Batch(image, targets, valid)


def test_judges_see_image_and_picture_together_and_nothing_beyond_the_border():
    module = pix2pix(setting(channels=2, steps=1))
    shown: list[Tensor] = []
    module.judge.register_forward_pre_hook(lambda m, inputs: shown.append(inputs[0].detach()))
    given = framed(batch(0, channels=2), 7.0)
    with torch.no_grad():
        made = module.network(given.image)
    run(module, [given])
    real, fooled, fake = shown
    for picture in shown:
        assert picture.shape[1] == 3
        assert (picture[..., :4] == 0).all()
        torch.testing.assert_close(picture[:, :2, :, 4:], given.image[..., 4:])
    torch.testing.assert_close(real[:, 2:, :, 4:], given.targets[..., 4:])
    torch.testing.assert_close(fooled[:, 2:, :, 4:], made[..., 4:])
    torch.testing.assert_close(fake, fooled)


def test_what_lies_outside_of_an_image_teaches_nothing():
    data = [(batch(i), batch(100 + i)) for i in range(3)]
    found = []
    for outside in (0.0, 5.0):
        module = cyclegan(setting(steps=3))
        run(module, [tuple(framed(b, outside) for b in pair) for pair in data])
        found.append(weights(module))
    torch.testing.assert_close(found[0], found[1])


def test_only_images_of_the_first_and_targets_of_the_second_are_used():
    found = []
    for noise in (0.0, 1.0):
        module = cyclegan(setting(steps=2))
        run(
            module,
            [
                (a._replace(targets=a.targets + noise), b._replace(image=b.image[:, :0]))
                for a, b in pairs(2)
            ],
        )
        found.append(weights(module))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


@pytest.mark.parametrize("make", [pix2pix, cyclegan])
def test_whole_images_validate(make):
    one = batch(0, n=1)
    arrays = [t[0].numpy() for t in one[:2]]
    sample = SimpleNamespace(image=arrays[0], targets=arrays[1], truth=arrays[1], cost=None)
    module = make(setting(samples=[sample], steps=2))
    data = pairs(2) if make is cyclegan else [batch(i) for i in range(2)]
    recorder = run(module, data, validate=1)
    with torch.no_grad():
        expected = float((module.whole(one.image) - one.targets).abs().mean())
    assert recorder.metrics[-1]["val_loss"] == pytest.approx(expected, rel=1e-5)
    assert "val_pearson" in recorder.metrics[-1]


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


@pytest.mark.parametrize("make", [pix2pix, cyclegan])
def test_brain_floats_train_and_half_precision_is_refused(make, monkeypatch):
    data = pairs(3) if make is cyclegan else [batch(i) for i in range(3)]
    module = make(setting())
    before = weights(module)
    recorder = run(module, data, precision="bf16-mixed")
    assert all(np.isfinite(recorder.losses))
    assert changed(before, weights(module), "network.")
    assert changed(before, weights(module), "judge.")
    # Lightning itself refuses it on a processor; what it would say elsewhere is put in its mouth.
    monkeypatch.setattr(lightning.Trainer, "precision", "16-mixed")
    with pytest.raises(RecipeError, match="not in fp16"):
        run(make(setting()), data)


def test_a_loss_that_is_no_number_names_the_rate():
    module = pix2pix(setting())
    given = batch(0)
    with pytest.raises(RecipeError, match=r"train\.learning_rate"):
        run(module, [given._replace(targets=given.targets * torch.nan)])


def test_patches_that_are_too_small_are_refused():
    options = Pix2PixOptions(discriminator=DiscriminatorOptions(layers=3))
    with pytest.raises(RecipeError, match=r"16 × 16.*needs 24.*train\.patch"):
        run(options.module(setting()), [batch(0)])


def test_options_import_no_torch():
    import subprocess
    import sys

    code = "import sys; from delineate.training import gan_options; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = found.stdout.split()
    assert "delineate.training.gan_options" in modules
    assert not {"torch", "lightning"} & set(modules)


def test_a_gradient_without_bounds_changes_nothing(tmp_path):
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
