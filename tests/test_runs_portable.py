"""A model tells nothing of the folders of the machine that it was trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import small_recipe
from delineate.data.pairs import Pair, short_names
from delineate.runs.members import Member
from delineate.runs.record import describe
from delineate.runs.train import train
from small_trainings import quick


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["/lab/ann/images/a", "/lab/ann/images/b"], ["a", "b"]),
        (["/lab/ann/a", "/lab/ben/a", "/lab/ben/b"], ["ann/a", "ben/a", "ben/b"]),
        (["day 1/a", "day 2/b"], ["day 1/a", "day 2/b"]),
        (["/lab/ann/a", "a"], ["ann/a", "a"]),
        (["/a", "a"], ["//a", "a"]),
    ],
)
def test_of_whole_paths_so_much_stays_as_tells_them_apart(names, expected):
    pairs = [Pair(name, Path("/data") / f"{name}.tif") for name in names]
    assert [short_names(pairs)[name] for name in names] == expected


def test_frames_keep_the_name_of_their_movie():
    pairs = [Pair(f"/lab/ann/movie/t{t}", Path("/lab/ann/movie.tif"), time=t) for t in (0, 1)]
    assert list(short_names(pairs).values()) == ["movie/t0", "movie/t1"]


@pytest.mark.usefixtures("no_curves")
def test_a_model_of_a_table_of_whole_paths_names_files_alone(dataset, tmp_path):
    files = sorted((dataset / "images").iterdir())
    rows = [f"{file},{dataset / 'labels' / file.name}" for file in files]
    table = tmp_path / "data.csv"
    table.write_text("\n".join(["image,labels", *rows, ""]))
    model = train(quick(table, train__steps=2), tmp_path / "run")
    reference = model.description.reference
    assert reference is not None
    assert {known["image"] for known in reference["images"]} <= {file.stem for file in files}
    for file in (tmp_path / "run" / "model").rglob("*"):
        assert not file.is_file() or str(tmp_path).encode() not in file.read_bytes()


def test_weights_for_the_way_back_leave_no_path(tmp_path):
    weights = str(tmp_path / "encoder.pth")
    recipe = small_recipe(
        regime__name="cyclegan",
        regime__back_network={"name": "resnet18-unet", "weights": weights},
        method={"name": "regression", "channels": 1},
        network__weights=weights,
        data__cache=tmp_path,
        data__diameter=None,
    )
    description = describe(recipe, 1, 2, [], [], [Member({}, {}, 0, {})])
    assert weights in str(recipe) and str(tmp_path) not in str(description)
    assert description.recipe.regime.back_network.name == "resnet18-unet"
