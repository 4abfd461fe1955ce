"""`delineate train` and `delineate recipes`, as a person types them."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from conftest import disks, picture
from delineate.cli import main
from delineate.cli.overrides import parse_overrides
from delineate.errors import RecipeError
from delineate.model import load
from delineate.recipe import Recipe, fields, packaged_recipes
from delineate.runs import train as runs

SMALL = [
    "--train.steps",
    "8",
    "--network.options",
    "{features: [8, 16]}",
    "--train.batch=2",
    "--train.patch=32",
    "--train.device=cpu",
]


def run(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command in this process."""
    with pytest.raises(SystemExit) as exit_:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return int(exit_.value.code or 0), captured.out, captured.err


def process(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """The command in a process of its own, on one thread."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "delineate", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def no_curves(monkeypatch):
    monkeypatch.setattr(runs, "_draw_curves", lambda metrics: None)


def test_ten_images_train_without_any_configuration(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "my cells #2"
    folder.mkdir()
    for n in range(10):
        labels = disks((64, 64), 7, 5, rng)
        tifffile.imwrite(folder / f"c{n}.tif", picture(labels, rng))
        tifffile.imwrite(folder / f"c{n}_masks.tif", labels.astype(np.uint16))
    command = process("train", folder.name, "-o", "RUN", *SMALL, cwd=tmp_path)
    out, err = command.communicate(timeout=120)
    assert command.returncode == 0, err
    assert out == ""
    lines = err.splitlines()
    assert "preparing 8 training and 2 validation images" in lines
    assert sum("patches/s" in line for line in lines) == 8
    assert any(line.startswith("8/8 loss") for line in lines)
    assert lines[-1].startswith("model → RUN/model (validation: ")
    assert "Warning" not in err
    assert load(tmp_path / "RUN" / "model").name == "my cells #2"
    assert (tmp_path / "RUN" / "curves.png").exists()


def test_a_training_killed_without_warning_goes_on_to_the_same_weights(
    dataset, tmp_path, capsys, no_curves
):
    """SIGKILL after the first checkpoint; the same command again; as if nothing had happened."""
    settings = [*SMALL, "--train.steps=24", "--train.validate_every=2", "--train.patience=null"]
    killed = process("train", dataset, "-o", tmp_path / "killed", *settings, cwd=tmp_path)
    last = tmp_path / "killed" / "checkpoints" / "last.ckpt"
    until = time.monotonic() + 60
    while not last.exists():
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model").exists()

    status, _, err = run("train", dataset, "-o", tmp_path / "killed", *settings, capsys=capsys)
    assert status == 0
    assert not any(line.startswith("1/24 ") for line in err.splitlines())
    status, _, err = run("train", dataset, "-o", tmp_path / "whole", *settings, capsys=capsys)
    assert status == 0
    assert any(line.startswith("1/24 ") for line in err.splitlines())
    a, b = (load(tmp_path / name / "model") for name in ("killed", "whole"))
    assert a.description.scores == b.description.scores
    for name, values in a.members[0].items():
        np.testing.assert_array_equal(values.numpy(), b.members[0][name].numpy())
    assert [p.name for p in (tmp_path / "killed").rglob("*.partial*")] == []
    assert not (tmp_path / "killed" / "cache").exists()


def test_an_interrupted_training_says_that_it_can_go_on(dataset, tmp_path):
    command = process("train", dataset, "-o", "RUN", *SMALL, "--train.steps=100000", cwd=tmp_path)
    assert command.stderr is not None
    for line in command.stderr:
        if "patches/s" in line:
            break
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=60)
    assert command.returncode == 130
    assert err.splitlines()[-1].startswith("delineate: interrupted")
    assert "Traceback" not in err


def test_fine_tuning_keeps_what_the_model_was_trained_with(dataset, tmp_path, capsys, no_curves):
    settings = [*SMALL, "--data.diameter", "24", "--normalise.low", "2", "--train.steps=2"]
    base = tmp_path / "base"
    assert run("train", dataset, "-o", base, *settings, capsys=capsys)[0] == 0
    tuned = [*SMALL[4:], "--train.steps=3", "--from", base / "model"]
    assert run("train", dataset, "-o", tmp_path / "b", *tuned, capsys=capsys)[0] == 0
    recipe = load(tmp_path / "b" / "model").recipe
    assert recipe.data.diameter == 24
    assert recipe.normalise.low == 2
    assert recipe.network.options == {"features": [8, 16]}
    assert recipe.train.steps == 3
    unfit = [*tuned, "--network.options", "{features: [8, 24]}"]
    status, _, err = run("train", dataset, "-o", tmp_path / "c", *unfit, capsys=capsys)
    assert status == 2
    assert "the weights do not fit the network" in err


def test_recipes_and_tables_train_too(dataset, tmp_path, capsys, no_curves):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ndata: {images: data}\ntrain: {steps: 50}\n")
    assert run("train", file, "-o", tmp_path / "a", *SMALL, capsys=capsys)[0] == 0
    model = load(tmp_path / "a" / "model")
    assert model.name == "mine"
    assert model.recipe.train.steps == 8
    assert model.recipe.data.images is None
    table = tmp_path / "some.csv"
    rows = "".join(f"data/images/cell{n}.tif,data/labels/cell{n}.tif\n" for n in range(3))
    table.write_text("image,labels\n" + rows)
    assert run("train", table, "-o", tmp_path / "b", *SMALL, capsys=capsys)[0] == 0
    assert load(tmp_path / "b" / "model").name == "some"
    assert load(tmp_path / "b" / "model").description.provenance["training_images"] == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["--train.learning_rate=1e30", "--train.clip=null"], "lower train.learning_rate"),
        (["--train.stesp=5"], "did you mean train.steps?"),
        (["--steps=5"], "did you mean train.steps?"),
        (["--train.steps=-3"], "the recipe of these settings is not valid:"),
        (["--axes", "YX"], "did you mean data.axes?"),
        (["--train.steps"], "--train.steps needs a value"),
        (["--train.steps", "--seed", "1"], "--train.steps needs a value"),
        (["stray"], "'stray': expected a setting"),
        (["--network.name", "os.path:join"], "--allow-imports"),
        (["--train.device", "tpu"], "device 'tpu' is not usable"),
        (["--from", "no/such/model"], "no/such/model: no model of this name"),
        (["--data.labels", "no-such-folder"], "no-such-folder: there is no such folder"),
    ],
)
def test_mistakes_are_one_message_and_status_2(
    dataset, tmp_path, capsys, no_curves, settings, message
):
    status, _, err = run("train", dataset, "-o", tmp_path / "run", *SMALL, *settings, capsys=capsys)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "run" / "model").exists()


def test_a_folder_that_does_not_exist(tmp_path, capsys):
    status, _, err = run("train", tmp_path / "nowhere", "-o", tmp_path / "run", capsys=capsys)
    assert status == 2
    assert "nowhere: no such file" in err


def test_tensorboard_on_request(dataset, tmp_path, capsys, no_curves):
    """Event files where it is installed; else the command that installs it."""
    out = tmp_path / "run"
    status, _, err = run(
        "train", dataset, "-o", out, *SMALL, "--train.tensorboard", "true", capsys=capsys
    )
    if importlib.util.find_spec("tensorboard") is None:
        assert status == 2
        assert "install the extra 'tensorboard' (in a clone: pip install '.[tensorboard]')" in err
        return
    assert status == 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (events,) = (out / "tensorboard").glob("events.*")
    found = EventAccumulator(str(events)).Reload()
    assert {"loss", "val_loss", "val_map", "learning_rate"} <= set(found.Tags()["scalars"])


def test_overrides_are_parsed():
    assert parse_overrides(["--train.steps", "5", "--a.b-c=x=y", "--normalise.low", "-3"]) == {
        "train.steps": "5",
        "a.b_c": "x=y",
        "normalise.low": "-3",
    }
    with pytest.raises(RecipeError, match="expected a setting"):
        parse_overrides(["--"])


def test_recipes_are_listed_printed_and_explained(capsys):
    status, out, _ = run("recipes", capsys=capsys)
    assert status == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(packaged_recipes())
    descriptions = {name: Recipe.load(name).description for name in packaged_recipes()}
    assert all(line.endswith(descriptions[line.split()[0]]) for line in lines)
    assert len({line.index(descriptions[line.split()[0]]) for line in lines}) == 1
    assert run("recipes", "nuclei", capsys=capsys)[1] == packaged_recipes()["nuclei"].read_text(
        encoding="utf-8"
    )
    status, out, _ = run("recipes", "--settings", capsys=capsys)
    listed = out.partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == [row[0] for row in fields()]
    status, _, err = run("recipes", "nosuch", capsys=capsys)
    assert status == 2
    assert "nosuch" in err


def test_an_ensemble_says_how_its_members_did_on_what_they_left_out(
    dataset, tmp_path, capsys, no_curves
):
    status, _, err = run(
        "train", dataset, "-o", tmp_path / "run", *SMALL, "--ensemble.folds=2", "--train.steps=2",
        capsys=capsys,
    )  # fmt: skip
    assert status == 0
    assert "member 2 of 2: training 2 steps" in err
    last = err.splitlines()[-1]
    assert "(2 members; mean map 0." in last and "of 6 images" in last


@pytest.mark.parametrize("option", [None, "--find-rate", "--find-batch"])
def test_a_network_that_does_not_exist_is_told_before_images_are_prepared(
    dataset, tmp_path, capsys, option
):
    arguments = ["train", str(dataset), "-o", str(tmp_path / "run")]
    for name, told in (
        (
            "residual-unte",
            "there is no network 'residual-unte'; did you mean residual-unet? choose",
        ),
        ("mine.nets:Net", "pass --allow-imports"),
    ):
        with pytest.raises(SystemExit) as exit_:
            main([*arguments, "--network.name", name, *([option] if option else [])])
        assert exit_.value.code == 2
        errors = capsys.readouterr().err
        assert told in errors
        assert "preparing" not in errors
    assert not (tmp_path / "run").exists()
