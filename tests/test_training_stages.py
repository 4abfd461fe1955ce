"""The frozen stage, the schedule of two stages, pretrained weights, and the rate finder."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from conftest import disks
from delineate.cli import main
from delineate.data.augment import Augment
from delineate.data.points import class_points
from delineate.data.samples import Sample
from delineate.errors import ModelError
from delineate.methods.flows import Flows
from delineate.methods.semantic import Semantic
from delineate.networks import NetworkOptions, build
from delineate.networks.adapter import encoder_of
from delineate.training import callbacks
from delineate.training.fit import Fitted, fit
from delineate.training.options import TrainOptions
from delineate.training.rates import HIGHEST, LOWEST, Rates, find_rate, read_rates
from delineate.training.regimes import SupervisedOptions
from delineate.training.setting import Setting

METHOD = Semantic(min_size=0)
SMALL: dict[str, dict[str, Any]] = {
    "residual-unet": {"features": [4, 8]},
    "unet": {"channels": [4, 8, 16], "num_res_units": 1},
}


def samples(count: int = 3) -> list[Sample]:
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        labels = (disks((64, 64), 7, 6, rng) > 0).astype(np.int32)
        image = (labels + rng.normal(0, 0.3, labels.shape))[None].astype(np.float32)
        targets, centres = METHOD.encode(labels), np.zeros((1, 2), np.float32)
        points = class_points(labels)
        found.append(Sample(str(seed), image, targets, labels, centres, 14.0, 1.0, 1.0, points))
    return found


def network_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build(NetworkOptions(name=name, options=SMALL[name]), 1, 2, 2)


def options(**changes: Any) -> TrainOptions:
    values = {
        "steps": 6,
        "frozen_steps": 4,
        "validate_every": 2,
        "patch": 32,
        "batch": 2,
        "precision": "fp32",
        "device": "cpu",
        "learning_rate": 0.01,
        "patience": None,
    }
    return TrainOptions(**{**values, **changes})


def trained(name: str, folder: Path, how: TrainOptions, network: nn.Module | None = None) -> Fitted:
    data = samples()
    first = network or network_of(name)
    setting = Setting(first, METHOD, how, how.total, data[2:], 2, 1, lambda *_: first)
    return fit(setting, SupervisedOptions(), data[:2], Augment(), seed=0, folder=folder)


def encoder_state(network: nn.Module) -> list[torch.Tensor]:
    return [v.clone() for part in encoder_of(network) for v in part.state_dict().values()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> list[bool]:
    return [torch.equal(x, y) for x, y in zip(a, b, strict=True)]


def test_not_one_bit_of_the_encoder_changes_while_it_is_frozen(tmp_path, monkeypatch):
    """Weights, statistics of norms and their counters; decoder and head learn from the first."""
    network = network_of("unet")
    before, rest = encoder_state(network), [v.clone() for v in network.state_dict().values()]
    seen: list[tuple[int, list[bool], int]] = []
    end = callbacks.Log.on_train_batch_end

    def look(self: Any, trainer: Any, module: Any, *more: Any) -> None:
        end(self, trainer, module, *more)
        now = list(module.network.state_dict().values())
        kept = same(encoder_state(module.network), before)
        seen.append((trainer.global_step, kept, sum(not k for k in same(now, rest))))

    monkeypatch.setattr(callbacks.Log, "on_train_batch_end", look)
    trained("unet", tmp_path, options(weight_decay=0.1), network)
    assert [step for step, _, _ in seen] == list(range(1, 11))
    for step, kept, changed in seen:
        assert changed > 0
        assert all(kept) if step <= 4 else not any(kept)


def test_gradients_are_taken_of_all_weights_after_the_frozen_stage(tmp_path):
    network = network_of("residual-unet")
    trained("residual-unet", tmp_path, options(), network)
    assert all(p.requires_grad for p in network.parameters())
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    tracked = {int(m.num_batches_tracked) for m in encoder_of(network)[0].modules() if m in norms}
    assert tracked == {6}
    assert int(network.norm.num_batches_tracked) == 10


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_a_training_killed_in_either_stage_ends_the_same(tmp_path, monkeypatch, optimizer, epoch):
    """Rounds of two steps, of which the first two rounds are frozen."""
    how = options(optimizer=optimizer)
    whole = trained("unet", tmp_path / "whole", how)
    save = callbacks.Keep._save

    def dying(self: Any, trainer: Any, name: str) -> None:
        save(self, trainer, name)
        if trainer.current_epoch == epoch and name == "last.ckpt":
            raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(callbacks.Keep, "_save", dying)
        with pytest.raises(ZeroDivisionError):
            trained("unet", tmp_path / "died", how)
    resumed = trained("unet", tmp_path / "died", how)
    assert whole.state.keys() == resumed.state.keys()
    for name, value in whole.state.items():
        torch.testing.assert_close(resumed.state[name], value, rtol=0, atol=0)
    assert whole.scores == resumed.scores


def test_stages_that_end_within_a_round(tmp_path):
    """With batches gathered, the stage changes between two steps of the optimiser."""
    fitted = trained("unet", tmp_path, options(frozen_steps=3, steps=4, accumulate=2))
    assert fitted.steps <= 8
    assert all(v.isfinite().all() for v in fitted.state.values())


def test_each_stage_has_a_cycle_of_its_own():
    how = TrainOptions(steps=250, frozen_steps=50, validate_every=100)
    assert how.total == 300
    rates = np.array([how.rate(step, how.total) for step in range(301)])
    alone = TrainOptions(steps=50)
    np.testing.assert_allclose(rates[:50], [alone.rate(s, 50) for s in range(50)])
    full = TrainOptions(steps=250)
    np.testing.assert_allclose(rates[50:], [full.rate(s, 250) for s in range(251)])
    assert rates[49] < 0.01 < rates[50]
    assert min(rates[:50].max(), rates[50:].max()) > 0.99


def test_a_network_without_an_encoder_cannot_be_frozen(tmp_path):
    plain = nn.Conv2d(1, 2, 3, padding=1)
    with pytest.raises(ModelError, match="does not say what its encoder is"):
        trained("", tmp_path, options(), plain)
    assert not (tmp_path / "checkpoints").exists()


# The rate finder


def found_rate(network: nn.Module, **changes: Any) -> Any:
    how = options(**changes)
    return find_rate(network, METHOD, samples(), how, Augment(), ndim=2, seed=0, steps=60)


def test_the_finder_suggests_a_rate_that_learns_and_leaves_the_network_alone():
    network = network_of("unet")
    before = [v.clone() for v in network.state_dict().values()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    found = found_rate(network)
    torch.testing.assert_close(torch.rand(3), expected)
    assert all(same(list(network.state_dict().values()), before))
    assert found.suggested is not None
    assert 1e-4 < found.suggested < 0.5
    assert len(found.rates) == len(found.losses) == len(found.smooth) <= 60
    np.testing.assert_allclose(found.rates, np.geomspace(LOWEST, HIGHEST, 60)[: len(found.rates)])
    again = found_rate(network)
    np.testing.assert_array_equal(again.losses, found.losses)


def test_the_finder_stops_where_the_loss_explodes():
    found = found_rate(network_of("residual-unet"), optimizer="sgd", clip=None)
    assert np.isfinite(found.losses).all()
    assert found.losses.max() <= 4 * found.losses.min() * 4


def test_the_suggestion_is_where_the_loss_falls_most_steeply():
    rates = np.geomspace(1e-6, 1, 100)
    noise = np.random.default_rng(0).normal(0, 0.01, 100)
    x = np.log10(rates)
    losses = 1 - 0.7 / (1 + np.exp(-4 * (x + 3))) + 2 * np.clip(x + 1, 0, None) ** 2 + noise
    found = read_rates(rates, losses)
    assert found.suggested == pytest.approx(1e-3, rel=0.6)
    assert read_rates(rates, 1 + np.linspace(0, 1, 100)).suggested is None
    assert read_rates(rates[:2], np.array([1.0, 2.0])).suggested is None


def test_curve_as_table_and_picture(tmp_path):
    rates = np.geomspace(1e-6, 1, 50)
    found = read_rates(rates, 2 - np.linspace(0, 1, 50))
    table, picture = found.save(tmp_path)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(r["learning_rate"]) for r in rows] == pytest.approx(list(rates))
    assert float(rows[-1]["loss"]) == 1
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_find_rate_on_the_command_line(dataset, tmp_path, capsys):
    arguments = ["train", dataset, "-o", tmp_path / "r", "--find-rate", "--train.patch", "32"]
    small = ["--network.options", "{features: [4, 8]}", "--train.batch", "2"]
    with pytest.raises(SystemExit) as exit_:
        main([str(a) for a in [*arguments, *small, "--train.device", "cpu"]])
    assert exit_.value.code == 0
    assert "rates.png" in capsys.readouterr().err
    assert {p.name for p in (tmp_path / "r").iterdir()} == {"rates.csv", "rates.png"}


def test_the_command_line_says_why_no_rate_is_suggested(dataset, tmp_path, capsys, monkeypatch):
    none = Rates(np.ones(2), np.ones(2), np.ones(2), None, "the loss rose from the first step")
    monkeypatch.setattr("delineate.runs.rates.find_rates", lambda *_, **__: none)
    with pytest.raises(SystemExit) as exit_:
        main(["train", str(dataset), "-o", str(tmp_path / "r"), "--find-rate"])
    assert exit_.value.code == 0
    said = capsys.readouterr().err
    assert "no rate is suggested: the loss rose from the first step; see " in said


def test_flows_are_found_a_rate_for_too():
    labels = disks((64, 64), 7, 6, np.random.default_rng(0))
    image = (labels > 0)[None].astype(np.float32)
    centres = np.argwhere(labels > 0)[:3].astype(np.float32)
    sample = Sample("a", image, Flows().encode(labels), labels, centres, 14.0, 1.0, 1.0)
    network = build(NetworkOptions(options={"features": [4, 8]}), 1, 3, 2)
    how = options(frozen_steps=0)
    found = find_rate(network, Flows(), [sample], how, Augment(), ndim=2, seed=0, steps=20)
    assert len(found.losses) > 5
