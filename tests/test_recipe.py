"""Recipes: types, names, overrides, files."""

from __future__ import annotations

from pathlib import Path

import pytest

from delineate.errors import RecipeError
from delineate.methods.flows import Flows
from delineate.methods.semantic import Semantic
from delineate.recipe import Recipe, fields, override, packaged_recipes


def built(**settings: str) -> Recipe:
    return Recipe.build(override({}, {k.replace("__", "."): v for k, v in settings.items()}))


def test_defaults_are_a_recipe():
    recipe = Recipe.build({})
    assert recipe == Recipe()
    assert recipe.method.name == "flows"
    assert recipe.data.images is None


def test_overrides_have_types():
    recipe = built(
        train__steps="500",
        train__learning_rate="1e-3",
        train__patience="null",
        train__tensorboard="true",
        augment__scale="[0.5, 2]",
        network__options="{features: [8, 16]}",
        method__flow_threshold="null",
        data__diameter="null",
        seed="7",
    )
    assert recipe.train.steps == 500
    assert recipe.train.learning_rate == 1e-3
    assert recipe.train.patience is None
    assert recipe.train.tensorboard is True
    assert recipe.augment.scale == (0.5, 2.0)
    assert recipe.network.options == {"features": [8, 16]}
    assert recipe.method.flow_threshold is None
    assert recipe.data.diameter is None
    assert recipe.seed == 7


@pytest.mark.parametrize("name", ["2024", "cells #2", "[old] cells", "no", "1e5", "a: b", "*x"])
def test_paths_and_names_are_taken_as_they_stand(name):
    recipe = built(data__images=name, name=name)
    assert recipe.data.images == Path(name)
    assert recipe.name == name


@pytest.mark.parametrize(
    ("text", "channels"), [("1", (1,)), ("0,2", (0, 2)), ("[2, 0]", (2, 0)), ("null", None)]
)
def test_channels_as_the_command_line_gives_them(text, channels):
    assert built(data__channels=text).data.channels == channels


def test_overrides_leave_their_source_alone():
    values = {"train": {"steps": 5}}
    assert override(values, {"train.steps": "6", "train.batch": "2"}) == {
        "train": {"steps": 6, "batch": 2}
    }
    assert values == {"train": {"steps": 5}}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("train.step", "train.steps"),
        ("train.learningrate", "train.learning_rate"),
        ("data.diametre", "data.diameter"),
        ("trian", "train"),
        ("steps", "train.steps"),
        ("axes", "data.axes"),
        ("channels", "data.channels"),
        ("metod", "method"),
        ("train.diameter", "data.diameter"),
    ],
)
def test_a_typo_names_the_right_setting(name, meant):
    with pytest.raises(
        RecipeError, match=f"{name}: there is no such setting; did you mean {meant}"
    ):
        Recipe.build(override({}, {name: "1"}))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.steps", "many", "train.steps: .*integer"),
        ("train.steps", "0", "train.steps: .*greater than or equal to 1"),
        ("train.steps", "2.5", "train.steps: .*integer"),
        ("train.precision", "fp8", "train.precision: .*pattern"),
        ("data.ndim", "4", "data.ndim: .*2 or 3"),
        ("data.channels", "red", "data.channels.0: .*integer"),
        ("augment.scale", "[0, 1]", "augment.scale.0: .*greater than 0"),
        ("seed", "-1", "seed: .*greater than or equal to 0"),
        ("seed", str(10**20), "seed: .*less than"),
        ("train", "5", "train: "),
        ("network.options", "{a: [", "network.options: .* is not a value"),
        ("method.name", "magic", "method.name: .*flows"),
        ("normalise.low", "99.5", "normalise: .*must be below"),
    ],
)
def test_wrong_values_are_explained(key, value, message):
    with pytest.raises(RecipeError, match=message):
        Recipe.build(override({}, {key: value}))


def test_every_wrong_entry_is_listed():
    with pytest.raises(RecipeError) as caught:
        built(train__steps="x", train__bach="3")
    assert "train.steps" in str(caught.value)
    assert "did you mean train.batch" in str(caught.value)


def test_yaml_round_trip(tmp_path):
    recipe = built(
        data__images=str(tmp_path / "µ #1"),
        data__channels="1,0",
        network__options="{features: [4, 8]}",
        method__classes="2",
        train__patience="null",
        description="it's: tricky",
    )
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.dump(), encoding="utf-8")
    assert Recipe.load(file) == recipe


def test_relative_paths_count_from_the_file_and_overrides_from_here(tmp_path):
    file = tmp_path / "sub" / "recipe.yaml"
    file.parent.mkdir()
    file.write_text(f"data: {{images: ../cells, labels: truth, table: {tmp_path / 'x.csv'}}}\n")
    data = Recipe.load(file).data
    assert data.images == tmp_path / "sub" / "../cells"
    assert data.labels == tmp_path / "sub" / "truth"
    assert data.table == tmp_path / "x.csv"
    assert Recipe.load(file, {"data.images": "here"}).data.images == Path("here")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"train: [", "not a YAML file"),
        (b"- a\n- b\n", "expected a mapping"),
        (b"\xff\xfe\x00", "not a YAML file"),
        (b"!!python/object/apply:os.system ['touch hacked']", "not a YAML file"),
        (b"train: {steps: no}", "recipe.yaml is not valid"),
    ],
)
def test_files_that_are_no_recipes(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "recipe.yaml"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        Recipe.load(file)
    assert [p.name for p in tmp_path.iterdir()] == ["recipe.yaml"]


def test_an_empty_file_is_the_default_recipe(tmp_path):
    (tmp_path / "r.yaml").write_text("")
    assert Recipe.load(tmp_path / "r.yaml") == Recipe()


def test_unknown_recipes_list_the_packaged_ones():
    with pytest.raises(RecipeError, match=r"nosuch: no such file.*nuclei"):
        Recipe.load("nosuch")


def test_every_setting_has_a_default_and_most_a_description():
    rows = fields()
    names = [row[0] for row in rows]
    assert len(set(names)) == len(names)
    assert {"train.steps", "data.images", "augment.scale", "method.threshold"} <= set(names)
    whole = {"normalise_target": {}}
    chosen: list[dict] = [
        {
            **whole,
            "method": {"name": method},
            "regime": {"name": regime},
            "data": {"diameter": None},
            "augment": {"rotate": 0, "scale": (1, 1)},
        }
        for method, regime in (
            ("flows", "supervised"),
            ("semantic", "pix2pix"),
            ("regression", "blind-spot"),
        )
    ]
    back = {"name": "cyclegan", "back_network": {}}
    chosen.append({**chosen[1], "regime": back})
    flat = set().union(*(flattened(Recipe.build(c).model_dump()) for c in chosen))
    assert set(names) == flat | {"normalise_target", "regime.back_network"}


def flattened(values: dict, prefix: str = "") -> set[str]:
    found = set()
    for name, value in values.items():
        if isinstance(value, dict) and name != "options":
            found |= flattened(value, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def test_settings_of_several_methods_say_whose_they_are():
    texts = {name: (default, text) for name, default, text in fields()}
    names = "one of flows, semantic, regression, or an import path, package.module:Class"
    assert texts["method.name"] == ("flows", names)
    assert texts["method.ignore"][1].startswith("semantic: ")
    assert texts["method.threshold"][0] == "0.5"
    assert "semantic: " in texts["method.threshold"][1]
    assert "(default None)" in texts["method.threshold"][1]


def test_a_method_is_chosen_by_its_name():
    recipe = built(method__name="semantic", method__classes="4", method__ignore="255")
    assert isinstance(recipe.method, Semantic)
    assert recipe.method.classes == 4
    assert recipe == Recipe.build(recipe.model_dump(mode="json"))
    assert isinstance(built(method__threshold="0.4").method, Flows)
    assert Recipe(method=Semantic()).method == Semantic()


def test_a_setting_of_another_method_is_refused():
    with pytest.raises(RecipeError, match=r"method\.ignore: method flows has no such setting"):
        built(method__ignore="255")
    with pytest.raises(RecipeError, match=r"method\.clases: .*did you mean method\.classes"):
        built(method__name="semantic", method__clases="3")
    with pytest.raises(RecipeError, match=r"method\.classes: .*greater than or equal to 2"):
        built(method__name="semantic", method__classes="1")
    with pytest.raises(RecipeError, match=r"ignore .*is one of the classes"):
        built(method__name="semantic", method__ignore="1")


def test_images_of_classes_keep_their_scale_unless_asked():
    assert built().data.diameter == 30
    assert built(method__name="semantic").data.diameter is None
    assert built(method__name="semantic", data__diameter="25").data.diameter == 25
    assert Recipe(method=Semantic()).data.diameter is None
    again = Recipe.build(built(method__name="semantic").model_dump(mode="json"))
    assert again.data.diameter is None


def test_relative_weights_and_soft_labels_count_from_the_file(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text("data: {soft: s}\nnetwork: {weights: w.pth}\n")
    recipe = Recipe.load(file)
    assert recipe.data.soft == tmp_path / "s"
    assert recipe.network.weights == tmp_path / "w.pth"


def test_space_is_not_bent_under_vectors():
    with pytest.raises(RecipeError, match=r"augment\.elastic .* vectors of method flows"):
        built(augment__elastic="0.2")
    assert built(augment__elastic="0.2", method__name="semantic").augment.bends


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"augment.rotate": 10}, r"augment\.rotate 10.*mixes.*set augment\.rotate to 0$"),
        ({"augment.scale": [0.9, 1]}, r"augment\.scale \(0\.9, 1\.0\).*augment\.scale to 1,1$"),
        (
            {"augment.blur": 1, "augment.clahe": 0.5},
            r"blur 1\.0, augment\.clahe 0\.5 mix .*augment\.blur to 0, augment\.clahe to 0$",
        ),
        ({"augment.elastic": 0.1}, r"augment\.elastic to 0$"),
        ({"augment.grid": 0.1}, r"augment\.grid to 0$"),
        ({"regime.line": 2}, r"regime\.line 2.*augment\.quarter_turns to false"),
    ],
)
@pytest.mark.parametrize("name", ["noise2void", "noise2void-3d"])
def test_a_blind_spot_is_not_seen_through_its_neighbours(name, setting, said):
    turns = {} if "regime.line" in setting else {"augment.quarter_turns": False}
    with pytest.raises(RecipeError, match=said):
        Recipe.load(name, turns | setting)


def test_lines_are_hidden_where_nothing_turns_them():
    recipe = Recipe.load("noise2void", {"regime.line": 2, "augment.quarter_turns": False})
    assert recipe.regime.line == 2
    for name in packaged_recipes():
        Recipe.load(name)
