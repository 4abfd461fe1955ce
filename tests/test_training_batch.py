"""The batch finder: when it ends, what it suggests, and that it changes nothing."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from delineate.cli import main
from delineate.data.augment import Augment
from delineate.data.samples import Sample
from delineate.methods.regression import Regression
from delineate.training import batches
from delineate.training.batches import Batches, Trial, find_batch, suggest
from delineate.training.gan_options import DiscriminatorOptions, Pix2PixOptions
from delineate.training.options import TrainOptions
from delineate.training.regimes import SupervisedOptions
from delineate.training.setting import Setting


class Seen(nn.Module):
    """Notes the sizes of the batches it is given; larger ones than `most` exhaust the memory."""

    sizes: list[int]

    def __init__(self, most: int = 10**6) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        Seen.sizes.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        out: Tensor = self.conv(x)
        return out


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(batches, "SECONDS", 0.01)
    monkeypatch.setattr(batches, "_free", lambda device: None)  # it looks at every object there is
    Seen.sizes = []


def find(network: nn.Module, regime: Any = None, **train: Any) -> Batches:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, 32, 32)).astype(np.float32)
    labels, centres = np.zeros((32, 32), np.int32), np.zeros((0, 2), np.float32)
    sample = Sample("a", image, image, labels, centres, 1.0, 1.0, 1.0, kind="image")
    options = TrainOptions(device="cpu", precision="fp32", patch=16, **train)
    setting = Setting(
        network, Regression(), options, options.total, [sample], 2, 1, lambda *_: Seen()
    )
    given = regime or SupervisedOptions()
    return find_batch(setting, given, [sample], Augment(), seed=0)


class Scripted(batches._Bench):
    """Trials with invented speeds and memories, by batch."""

    script: dict[int, tuple[float | None, int | None]]

    def run(self, batch: int, timed: int, before: int | None) -> Trial:
        return Trial(batch, *self.script[batch])


@pytest.fixture
def scripted(monkeypatch):
    def give(script: dict[int, tuple[float | None, int | None]], kind: str = "cpu") -> Batches:
        Scripted.script = script
        monkeypatch.setattr(batches, "_Bench", Scripted)
        monkeypatch.setattr(batches, "resolve_device", lambda _: torch.device(kind))
        return find(nn.Conv2d(1, 1, 1))

    return give


def test_on_the_processor_it_ends_where_training_is_no_faster(scripted):
    found = scripted({1: (10.0, 1), 2: (19.0, 2), 4: (30.0, 4), 8: (31.0, 8), 16: (90.0, 16)})
    assert [t.batch for t in found.trials] == [1, 2, 4, 8]
    assert found.suggested == 4
    assert "hardly faster with 8 patches than with 4" in found.ended


def test_on_the_processor_it_ends_before_the_memory_does(scripted, monkeypatch):
    monkeypatch.setattr(batches, "free_memory", lambda: 1000.0)
    found = scripted({1: (10.0, 100), 2: (20.0, 200), 4: (40.0, 460), 8: (80.0, 900)})
    assert [t.batch for t in found.trials] == [1, 2, 4]
    assert found.suggested == 4
    assert "would not suffice for 8" in found.ended


def test_on_a_gpu_it_ends_where_the_memory_is_exhausted(scripted):
    speeds = {1: 10.0, 2: 20.0, 4: 39.0, 8: 40.0, 16: 38.0, 32: None}
    found = scripted({b: (s, None if s is None else b) for b, s in speeds.items()}, "cuda")
    assert [t.batch for t in found.trials] == list(speeds)
    assert found.suggested == 4  # as fast as eight, within a twentieth
    assert "exhausted with 32" in found.ended


def test_nothing_is_suggested_where_nothing_fits():
    assert suggest([Trial(1, None, None)]) is None


def test_exhausted_memory_is_caught(monkeypatch):
    monkeypatch.setattr(batches, "_faster", lambda *_: True)
    found = find(Seen(2))
    assert [t.batch for t in found.trials] == [1, 2, 4]
    assert found.trials[-1] == Trial(4, None, None)
    assert all(t.patches_per_second and t.patches_per_second > 0 for t in found.trials[:-1])
    assert set(Seen.sizes) == {1, 2, 4}
    assert "too large" in found.table().splitlines()[-1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 18.00 GB)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 1 bytes"),
    ],
)
def test_every_kind_of_exhausted_memory_is_known(error):
    assert batches._exhausted(error)


def test_other_errors_are_not_taken_for_it():
    class Broken(Seen):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        find(Broken())


def test_it_changes_nothing(monkeypatch):
    monkeypatch.setattr(batches, "LARGEST", 2)
    torch.manual_seed(3)
    network = Seen()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    state = torch.get_rng_state()
    find(network, accumulate=3, frozen_steps=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert all(w.grad is None for w in network.parameters())


def test_adversarial_regimes_are_tried_with_their_judges(monkeypatch):
    judged = []
    monkeypatch.setattr(batches, "LARGEST", 2)
    from delineate.training import pix2pix

    real = pix2pix.discriminator_loss
    monkeypatch.setattr(pix2pix, "discriminator_loss", lambda *a: (judged.append(1), real(*a))[1])
    judge = DiscriminatorOptions(scales=1, layers=1, features=4)
    found = find(Seen(), Pix2PixOptions(discriminator=judge, warmup_steps=1000))
    assert len(judged) == len(Seen.sizes)
    assert len(found.trials) == 2


GROWING = """
import torch
from delineate.training import batches
from test_training_batch import Seen, find

class Wide(Seen):
    def forward(self, x):
        return self.conv(x.repeat(1, 1, 32, 32))[..., :16, :16]

batches.SECONDS, batches.LARGEST, batches._faster = 0.01, 32, lambda *_: True
Seen.sizes = []
print(*(trial.memory for trial in find(Wide()).trials))
"""


def test_memory_grows_with_the_batch():
    if batches.used_memory() is None:
        return  # this system does not tell
    # In a process of its own: memory that other tests gave back would be used again, unseen.
    paths = [str(Path(__file__).parent), *sys.path]
    ran = subprocess.run(
        [sys.executable, "-c", GROWING],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ran.returncode, ran.stderr
    first, *_, last = (int(word) for word in ran.stdout.split()[-6:])
    # 32 patches of 512² float32; those after the convolution may be gone when memory is looked at.
    assert last > first + 32 * 512 * 512 * 4 * 0.8


def test_find_batch_on_the_command_line(dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(batches, "LARGEST", 4)
    arguments: list[Any] = ["train", dataset, "-o", tmp_path / "r", "--find-batch"]
    arguments += ["--train.patch", "32", "--train.device", "cpu"]
    arguments += ["--network.options", "{features: [4, 8]}"]
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    assert not end.value.code
    said = capsys.readouterr().err
    assert "patches/s" in said
    assert "suggested: --train.batch" in said
    with (tmp_path / "r" / "batches.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["batch"]) for row in rows] == [2**i for i in range(len(rows))]
    assert len(rows) >= 2
    assert {p.name for p in Path(tmp_path / "r").iterdir()} == {"batches.csv"}
