"""Several processes: they train what one would with a larger batch, go on, and fail as one does."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import small_recipe
from delineate.data.augment import MARGIN, Augment
from delineate.data.samples import Sample
from delineate.errors import ModelError, RecipeError
from delineate.methods.regression import Regression
from delineate.networks import NetworkOptions, build
from delineate.recipe import Recipe
from delineate.training import processes
from delineate.training.callbacks import Progress
from delineate.training.fit import Fitted, check_options, fit
from delineate.training.gan_options import CycleGANOptions, DiscriminatorOptions, Pix2PixOptions
from delineate.training.launch import launch
from delineate.training.options import TrainOptions
from delineate.training.processes import Place, Share, gathered, together
from delineate.training.regimes import SupervisedOptions
from delineate.training.setting import Setting

METHOD = Regression()
NETWORK = NetworkOptions(
    name="resnet-generator", options={"features": 4, "halvings": 1, "blocks": 1, "size": 3}
)
"""Instance norms: each patch is normalised by itself, whichever patches are beside it."""
JUDGE = DiscriminatorOptions(scales=1, layers=1, features=4)
SIDE = 16
CLOSE = 5e-5
"""Rounding, after steps that change weights by 0.1."""
MOVING = Augment()
"""Patches reach beyond the image, each in another way: in no two as many pixels count."""


def sample(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    wide = np.sin(np.arange(SIDE) / 2 + 6 * rng.random((1, SIDE, 1)))
    image = (wide + 0.1 * rng.normal(size=(1, SIDE, SIDE))).astype(np.float32)
    cost = (rng.random((SIDE, SIDE)) + seed).astype(np.float32)
    cost[: 4 * (seed % 3)] = 0
    return Sample(
        name=str(seed),
        image=image,
        targets=0.5 - image,
        labels=np.zeros((SIDE, SIDE), np.int32),
        centres=np.zeros((0, 2), np.float32),
        diameter=float("nan"),
        scale=1.0,
        weight=1.0,
        soft=True,
        cost=cost,
        kind="image",
    )


def train(
    folder: Path,
    count: int,
    batch: int,
    regime: Any = None,
    tell: Any = None,
    validated: int = 3,
    **changes: Any,
) -> Fitted:
    values = {
        "steps": 6,
        "validate_every": 2,
        "patch": SIDE + 2 * MARGIN[2],
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "weight_decay": 0.0,
        "device": "cpu",
        "precision": "fp32",
        "batch": batch,
        "processes": count,
        **changes,
    }
    options = TrainOptions(**values)

    def make(network: NetworkOptions | None, inputs: int, outputs: int) -> torch.nn.Module:
        return build(network or NETWORK, inputs, outputs, 2)

    torch.manual_seed(0)
    setting = Setting(
        make(None, 1, 1),
        METHOD,
        options,
        options.total,
        [sample(9 - i) for i in range(validated)],
        2,
        1,
        make,
    )
    return fit(
        setting,
        regime or SupervisedOptions(),
        [sample(i) for i in range(4)],
        MOVING,
        seed=0,
        folder=folder,
        tell=tell,
    )


def assert_close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=CLOSE, msg=name)


def rows_of(folder: Path) -> list[dict[str, float]]:
    with (folder / "metrics.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


class KilledError(Exception):
    """What kills a run."""


def test_two_processes_train_what_one_does_with_a_doubled_batch_and_go_on_exactly(tmp_path):
    options = {"accumulate": 2, "average": "ema", "average_decay": 0.5}
    one = train(tmp_path / "one", 1, 4, **options)
    heard: list[Progress] = []
    two = train(tmp_path / "two", 2, 2, tell=heard.append, **options)
    assert_close(two.state, one.state)
    half = train(tmp_path / "half", 1, 2, **options)
    assert max(float((half.state[n] - v).abs().max()) for n, v in one.state.items()) > 100 * CLOSE
    assert two.steps == one.steps
    # Three validation images over two processes: each counts once.
    assert two.scores == pytest.approx(one.scores, rel=1e-3)
    assert [p.step for p in heard] == [n for n in range(7) for _ in range(2)][1:-1]
    alone, together = rows_of(tmp_path / "one"), rows_of(tmp_path / "two")
    assert [row["step"] for row in together] == [2, 4, 6]
    for a, b in zip(alone, together, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
        assert a["val_pearson"] == pytest.approx(b["val_pearson"], rel=1e-3)

    def kill(progress: Progress) -> None:
        if progress.step == 5:
            raise KilledError

    with pytest.raises(KilledError):
        train(tmp_path / "again", 2, 2, tell=kill, **options)
    assert not [p for p in (tmp_path / "again" / "checkpoints").iterdir() if p.name[0] == "."]
    later: list[Progress] = []
    again = train(tmp_path / "again", 2, 2, tell=later.append, **options)
    assert later[0].step >= 4
    assert again.scores == two.scores
    for name, value in two.state.items():
        assert torch.equal(again.state[name], value), name


@pytest.mark.parametrize(
    "regime",
    [
        Pix2PixOptions(discriminator=JUDGE, warmup_steps=1),
        CycleGANOptions(discriminator=JUDGE, buffer=0, back_network=NETWORK),
    ],
    ids=["pix2pix", "cyclegan"],
)
def test_adversarial_regimes_train_in_two_processes(tmp_path, regime):
    one = train(tmp_path / "one", 1, 2, regime, steps=3, learning_rate=0.02, validated=0)
    two = train(tmp_path / "two", 2, 1, regime, steps=3, learning_rate=0.02, validated=0)
    assert_close(two.state, one.state)
    assert_close(two.back, one.back)


def test_a_killed_cyclegan_of_two_processes_goes_on_with_the_past_fakes_of_each(tmp_path):
    regime = CycleGANOptions(discriminator=JUDGE, buffer=2, back_network=NETWORK)
    # Many steps, since the others go on until the message arrives.
    options = {"steps": 30, "learning_rate": 0.02, "validated": 0}

    def kill(progress: Progress) -> None:
        if progress.step == 3:
            raise KilledError

    whole = train(tmp_path / "whole", 2, 2, regime, **options)
    with pytest.raises(KilledError):
        train(tmp_path / "again", 2, 2, regime, tell=kill, **options)
    last = tmp_path / "again" / "checkpoints" / "last.ckpt"
    kept = torch.load(last, weights_only=True)
    assert 2 <= kept["global_step"] < 30
    a, b = (torch.stack(past["judge"]["images"]) for past in kept["past"])
    assert len(a) == len(b) == 2 and not torch.equal(a, b)
    again = train(tmp_path / "again", 2, 2, regime, **options)
    for name, value in {**whole.state, **whole.back}.items():
        assert torch.equal({**again.state, **again.back}[name], value), name


def test_an_error_in_one_process_is_the_error_of_all(tmp_path):
    with pytest.raises(RecipeError, match=r"lower train\.learning_rate"):
        train(tmp_path, 2, 1, learning_rate=1e30, clip=None)


class Killed:
    """Work whose second process is killed while the first would go on for long."""

    def __call__(self, tell: Any) -> None:
        import time

        if os.environ["LOCAL_RANK"] == "1":
            os.kill(os.getpid(), 9)
        time.sleep(60)


def test_a_process_that_is_killed_ends_the_others():
    with pytest.raises(RuntimeError, match="training 1 was ended by signal 9"):
        launch(Killed(), 2, print)


class Outside:
    """The same command in two processes that something else started, as torchrun does."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        self.recipe = recipe
        self.out = out

    def __call__(self, tell: Any) -> None:
        from delineate.runs.train import Silent, train

        rank = os.environ["LOCAL_RANK"]
        os.environ.update(TORCHELASTIC_RUN_ID="0", RANK=rank, WORLD_SIZE="2", GROUP_RANK="0")
        stages: list[str] = []

        class Heard(Silent):
            def stage(self, text: str) -> None:
                stages.append(text)

        model = train(self.recipe, self.out, reporter=Heard())
        line = f"{rank} {len(stages) > 0} {model.sha256()}\n"
        (self.out / f"said-{rank}").write_text(line, encoding="utf-8")


def test_a_command_that_was_started_in_every_process_runs_once(dataset, tmp_path):
    recipe = small_recipe(
        data__images=dataset,
        train__steps=4,
        train__validate_every=2,
        train__patch=32,
        train__batch=1,
        train__processes=2,
        network__options={"features": [4, 8]},
    )
    out = tmp_path / "run"
    launch(Outside(recipe, out), 2, print)
    first, second = ((out / f"said-{rank}").read_text().split() for rank in (0, 1))
    assert first[:2] == ["0", "True"]
    assert second[:2] == ["1", "False"]
    assert first[2] == second[2]  # both have the model that was saved
    assert not (out / "cache").exists()


# Shares


@pytest.fixture
def stand(monkeypatch):
    """Lets this process be another one of several."""
    return lambda rank, size: monkeypatch.setattr(processes, "place", lambda: Place(rank, size))


def test_shares_of_a_step_are_together_the_batch_of_one(stand):
    batch, size, steps = 3, 4, 5
    whole = np.arange(batch * size * steps).reshape(steps, batch * size)
    shares = []
    for rank in range(size):
        stand(rank, size)
        share = Share(whole.size)
        assert len(share) == batch * steps
        shares.append(np.array(list(share)).reshape(steps, batch))
    np.testing.assert_array_equal(np.sort(np.concatenate(shares, axis=1), axis=1), whole)


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_what_shares_found_is_gathered_once_each(stand, monkeypatch, count):
    size, found = 3, []
    for rank in range(size):
        stand(rank, size)
        found.append([f"score {n}" for n in Share(count)])
    assert len({len(rows) for rows in found}) == 1

    def gather(rows: list[Any], own: Any) -> None:
        rows[:] = found

    monkeypatch.setattr(processes.distributed, "all_gather_object", gather)
    assert gathered(found[0], count) == [f"score {n}" for n in range(count)]


# What is refused


def test_processes_that_cannot_work_together_are_refused(monkeypatch):
    with pytest.raises(RecipeError, match="sync_batch_norm works on GPUs alone"):
        check_options(TrainOptions(device="cpu", sync_batch_norm=True))
    nodes = together(TrainOptions(nodes=2))
    with pytest.raises(RecipeError, match=r"train\.nodes is 2: start the command"), nodes:
        pass
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ModelError, match=r"train\.processes is 2, this machine has 1 GPUs"):
        processes.check_processes(TrainOptions(processes=2), torch.device("cuda"))
    with pytest.raises(RecipeError, match="names one GPU for 2 processes"):
        processes.check_processes(
            TrainOptions(processes=2, device="cuda:1"), torch.device("cuda:1")
        )
    with pytest.raises(ModelError, match="not on mps"):
        processes.check_processes(TrainOptions(processes=2), torch.device("mps"))
    for name, value in {"TORCHELASTIC_RUN_ID": "0", "WORLD_SIZE": "4", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    four = together(TrainOptions(processes=2))
    with pytest.raises(RecipeError, match="4 processes were started, the recipe wants 2"), four:
        pass


def test_a_task_of_slurm_that_is_alone_is_not_one_of_several(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert not processes.started_outside()
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert processes.started_outside()
