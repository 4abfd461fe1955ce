"""Averaged weights: what is averaged, when, what sees the mean, and that a killed run goes on."""

from __future__ import annotations

from itertools import islice
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from conftest import small_recipe
from delineate.data.patches import Batch
from delineate.runs import train as runs
from delineate.runs.train import Silent
from delineate.training.average import Average
from delineate.training.norms import FreshNorms
from delineate.training.options import TrainOptions

STEPS, ROUNDS = 6, 3
"""Steps of a round, and rounds."""


class Noise(Dataset[Any]):
    """Images of noise around 3, each a function of its number; as pairs where asked for."""

    def __init__(self, pairs: bool = False) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return 4 * STEPS

    def __getitem__(self, index: int) -> Any:
        image = 3 + torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(index))
        every = torch.ones_like(image)
        batch = Batch(image, -image, every, every)
        return (batch, batch) if self.pairs else batch


class Same:
    """A method whose pictures are the targets."""

    def true_picture(self, targets: Tensor) -> Tensor:
        return targets


class Trained(lightning.LightningModule):
    """A network with a batch norm; with a way back and manual steps where `manual`."""

    def __init__(self, manual: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
        self.back = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)) if manual else None
        self.judge = nn.Conv2d(1, 1, 1) if manual else None
        self.method = Same()
        self.automatic_optimization = not manual
        self.validated: list[dict[str, Tensor]] = []

    def training_step(self, batch: Any, _: int) -> Tensor:
        if self.automatic_optimization:
            return self.network(batch.image).square().mean()
        forth, back = batch
        loss: Tensor = self.network(forth.image).square().mean()
        loss = loss + (self.back(back.targets) - 1).square().mean()
        first, second = self.optimizers()[0], self.optimizers(use_pl_optimizer=False)[1]
        first.zero_grad()
        self.manual_backward(loss)
        first.step()
        second.zero_grad()
        self.manual_backward(self.judge(forth.image).square().mean())
        second.step()
        return loss

    def validation_step(self, *_: Any) -> None:
        self.validated.append(snapshot(self))

    def configure_optimizers(self) -> Any:
        if self.automatic_optimization:
            return torch.optim.AdamW(self.parameters(), lr=0.03)
        weights = [*self.network.parameters(), *self.back.parameters()]
        return [torch.optim.Adam(weights, 0.03), torch.optim.Adam(self.judge.parameters(), 0.01)]


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


class Trail(Callback):
    """Notes the weights after each step."""

    def __init__(self) -> None:
        self.after: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        self.after.append(snapshot(module))


class Save(Callback):
    """Saves a checkpoint after each round."""

    def __init__(self, folder: Any) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}.ckpt")


def run(
    folder: Any,
    average: Callback | None,
    manual: bool = False,
    validate: bool = True,
    start: Any = None,
    rounds: int = ROUNDS,
    accumulate: int = 1,
) -> tuple[Trained, list[dict[str, Tensor]]]:
    module, trail = Trained(manual), Trail()
    folder.mkdir(exist_ok=True)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=rounds,
        accumulate_grad_batches=accumulate,
        callbacks=[trail, *([average] if average else []), Save(folder)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(
        module,
        DataLoader(Noise(manual), 4),
        DataLoader(range(1), batch_size=None) if validate else None,
        ckpt_path=start,
        weights_only=True,
    )
    return module, trail.after


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name].numpy(), b[name].numpy(), err_msg=name)


def learnt(state: dict[str, Tensor], norms: bool) -> dict[str, np.ndarray]:
    """The weights of the networks, and the statistics of batch norms where asked for."""
    return {
        name: value.numpy().astype(np.float64)
        for name, value in state.items()
        if name.startswith(("network.", "back."))
        and "tracked" not in name
        and (norms or "running" not in name)
    }


def test_ema_follows_its_formula_and_does_not_change_the_training(tmp_path):
    _, plain = run(tmp_path / "plain", None)
    module, after = run(tmp_path / "run", Average("ema", 0.8, 0))
    assert_equal(after[-1], plain[-1])
    assert_equal(snapshot(module), plain[-1])
    expected = learnt(after[0], True)
    for n, state in enumerate(after[1:], 1):
        d = min(0.8, (1 + n) / (10 + n))
        expected = {k: d * expected[k] + (1 - d) * v for k, v in learnt(state, True).items()}
    for found in (
        module.validated[-1],
        torch.load(tmp_path / "run" / "2.ckpt", weights_only=True)["state_dict"],
    ):
        for name, value in learnt(found, True).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


def statistics(state: dict[str, Tensor], batches: int = STEPS) -> dict[str, Tensor]:
    """By hand: means over batches of mean and unbiased variance before the norm."""
    means, variances = [], []
    for batch in islice(DataLoader(Noise(), 4), batches):
        x = nn.functional.conv2d(batch.image, state["network.0.weight"], state["network.0.bias"])
        x = x.transpose(0, 1).flatten(1)
        means.append(x.mean(1))
        variances.append(x.var(1))
    found = {"running_mean": means, "running_var": variances}
    return {f"network.1.{name}": torch.stack(values).mean(0) for name, values in found.items()}


@pytest.mark.parametrize("validate", [True, False])
def test_fresh_statistics_are_validated_and_kept_and_change_no_step(tmp_path, validate):
    _, plain = run(tmp_path / "plain", None, validate=validate)
    module, after = run(tmp_path / "run", FreshNorms(4), validate=validate)
    for a, b in zip(plain, after, strict=True):
        assert all(np.array_equal(v, learnt(b, False)[k]) for k, v in learnt(a, False).items())
    state = torch.load(tmp_path / "run" / "2.ckpt", weights_only=True)["state_dict"]
    for name, expected in statistics(state, 4).items():
        torch.testing.assert_close(state[name], expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(plain[-1][name], expected, rtol=1e-2)
        if validate:
            torch.testing.assert_close(module.validated[-1][name], expected)


def test_fresh_statistics_and_averages_exclude_each_other():
    with pytest.raises(ValueError, match=r"norm_batches \(8\) and train\.average \(ema\)"):
        TrainOptions(average="ema", norm_batches=8)


@pytest.mark.parametrize("validate", [True, False])
def test_swa_is_the_plain_mean_with_statistics_of_its_own(tmp_path, validate):
    first = 8
    module, after = run(tmp_path / "run", Average("swa", 0.9, first), validate=validate)
    state = torch.load(tmp_path / "run" / "2.ckpt", weights_only=True)["state_dict"]
    late = [learnt(s, False) for s in after[first:]]
    for name, value in learnt(state, False).items():
        expected = np.mean([weights[name] for weights in late], axis=0)
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6, err_msg=name)
    for name, expected in statistics(state).items():
        torch.testing.assert_close(state[name], expected, rtol=1e-4, atol=1e-5)
        if validate:
            torch.testing.assert_close(module.validated[-1][name], expected)
    # Before the mean began, the weights themselves were validated and kept.
    early = torch.load(tmp_path / "run" / "0.ckpt", weights_only=True)
    assert "trained" not in early
    assert_equal(early["state_dict"], after[STEPS - 1])
    if validate:
        assert_equal(module.validated[0], after[STEPS - 1])


@pytest.mark.parametrize("manual", [False, True])
@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_a_killed_run_goes_on_with_the_same_weights_and_the_same_mean(tmp_path, kind, manual):
    whole, after = run(tmp_path / "whole", Average(kind, 0.9, 3), manual)
    run(tmp_path / "half", Average(kind, 0.9, 3), manual, rounds=2)
    start = tmp_path / "half" / "1.ckpt"
    again, later = run(tmp_path / "half", Average(kind, 0.9, 3), manual, start=start)
    assert len(later) == STEPS
    assert_equal(later[-1], after[-1])
    assert_equal(again.validated[-1], whole.validated[-1])
    ends = [torch.load(tmp_path / n / "2.ckpt", weights_only=True) for n in ("whole", "half")]
    assert_equal(ends[0]["state_dict"], ends[1]["state_dict"])
    assert_equal(ends[0]["trained"], ends[1]["trained"])


def test_both_ways_are_averaged_under_manual_steps_and_the_judge_is_not(tmp_path):
    _, after = run(tmp_path / "run", Average("swa", 0.9, 10), manual=True)
    state = torch.load(tmp_path / "run" / "2.ckpt", weights_only=True)
    for name in ("network.0.weight", "back.0.weight"):
        expected = torch.stack([s[name] for s in after[10:]]).mean(0)
        torch.testing.assert_close(state["state_dict"][name], expected)
        assert not torch.equal(state["trained"][name], state["state_dict"][name])
    assert not [name for name in state["trained"] if name.startswith("judge")]
    assert torch.equal(state["state_dict"]["judge.weight"], after[-1]["judge.weight"])
    # The way back is shown targets, which are the images with their sign changed.
    x = torch.cat([b.targets for b, _ in DataLoader(Noise(True), 4)])
    x = nn.functional.conv2d(
        x, state["state_dict"]["back.0.weight"], state["state_dict"]["back.0.bias"]
    )
    torch.testing.assert_close(
        state["state_dict"]["back.1.running_mean"], x.mean((0, 2, 3)), rtol=1e-4, atol=1e-5
    )


def test_batches_that_are_accumulated_count_once(tmp_path):
    average = Average("swa", 0.9, 0)
    _, after = run(tmp_path / "run", average, accumulate=2)
    assert average.updates == ROUNDS * STEPS // 2
    state = torch.load(tmp_path / "run" / "2.ckpt", weights_only=True)["state_dict"]
    expected = torch.stack([s["network.2.weight"] for s in after[1::2]]).mean(0)
    torch.testing.assert_close(state["network.2.weight"], expected)


class KillReporter(Silent):
    """Kills a training after a step."""

    def __init__(self, after: int) -> None:
        self.after = after

    def step(self, progress: Any) -> None:
        if progress.step == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_a_recipe_keeps_the_average_and_goes_on_after_a_kill(dataset, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(runs, "_draw_curves", lambda metrics: None)
    recipe = small_recipe(
        data__images=dataset,
        data__validation=0,
        train__steps=8,
        train__validate_every=2,
        train__patch=32,
        train__batch=2,
        train__average=kind,
        train__average_from=0.5,
        network__options={"features": [4, 8]},
    )
    whole = runs.train(recipe, tmp_path / "whole").members[0]
    with pytest.raises(KeyboardInterrupt):
        runs.train(recipe, tmp_path / "again", reporter=KillReporter(7))
    again = runs.train(recipe, tmp_path / "again").members[0]
    assert_equal(dict(again), dict(whole))
    last = torch.load(tmp_path / "whole" / "checkpoints" / "last.ckpt", weights_only=True)
    for name, value in whole.items():
        assert torch.equal(value, last["state_dict"][f"network.{name}"]), name
    assert any(not torch.equal(v, last["trained"][f"network.{n}"]) for n, v in whole.items())
    assert last["callbacks"]["Average"]["updates"] == (8 if kind == "ema" else 4)


def test_a_killed_run_with_fresh_statistics_ends_alike(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_draw_curves", lambda metrics: None)
    recipes = [
        small_recipe(
            data__images=dataset,
            data__validation=0,
            train__steps=8,
            train__validate_every=2,
            train__patch=32,
            train__batch=2,
            train__norm_batches=batches,
            network__options={"features": [4, 8]},
        )
        for batches in (0, 2)
    ]
    plain = runs.train(recipes[0], tmp_path / "plain").members[0]
    whole = runs.train(recipes[1], tmp_path / "whole").members[0]
    with pytest.raises(KeyboardInterrupt):
        runs.train(recipes[1], tmp_path / "again", reporter=KillReporter(7))
    assert_equal(dict(runs.train(recipes[1], tmp_path / "again").members[0]), dict(whole))
    assert any(not torch.equal(v, plain[n]) for n, v in whole.items() if "running_var" in n)


def test_the_learning_rate_stays_where_the_plain_mean_begins():
    plain = TrainOptions(steps=100, frozen_steps=10)
    mean = plain.model_copy(update={"average": "swa", "average_from": 0.6})
    rates = [mean.rate(step, 110) for step in range(110)]
    assert rates[:67] == [plain.rate(step, 110) for step in range(67)]
    assert set(rates[66:]) == {plain.rate(66, 110)}
    assert rates[-1] > 0.1
