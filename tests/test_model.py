"""Models: what is saved is what is loaded, and nothing in a folder is ever executed."""

from __future__ import annotations

import hashlib
import shutil
import stat
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from conftest import disks, picture, small_recipe
from delineate.errors import AxesError, ModelError
from delineate.inference.scale import ScaleModel
from delineate.model import FILE, Description, Model, load, load_strictly, packaged_models
from delineate.networks import build
from delineate.uncertainty import fit_features


def untrained(members: int = 1, **settings: object) -> Model:
    """A model of fresh weights: quick, and as good as any for what is tested here."""
    recipe = small_recipe(network__options={"features": [4, 8]}, **settings)
    weights = []
    for number in range(members):
        torch.manual_seed(number)
        network = build(recipe.network, 1, recipe.method.out_channels(2), 2, allow_imports=True)
        with torch.no_grad():
            # Anything inside, so that objects come out.
            network.head.bias[2] = 1.0
        weights.append(network.state_dict())
    description = Description(
        schema=1,
        recipe=recipe,
        in_channels=1,
        ndim=2,
        diameter=18.0,
        scores=tuple({"val_map": 0.1 + n} for n in range(members)),
        provenance={"created": "2024-01-01", "steps": 3, "rate": 1e-5},
    )
    rng = np.random.default_rng(0)
    scale = ScaleModel(rng.normal(size=8).astype(np.float32), 3.0, 0.9)
    return Model(description, tuple(weights), scale, card="# A card µ\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return untrained().save(tmp_path / "model")


@pytest.fixture
def image() -> np.ndarray:
    rng = np.random.default_rng(1)
    return picture(disks((70, 90), 9, 10, rng), rng)


@pytest.mark.parametrize("members", [1, 11])
def test_loading_gives_the_same_predictions(tmp_path, image, members):
    model = untrained(members)
    loaded = load(model.save(tmp_path / "model"))
    assert loaded.description == model.description
    assert loaded.card == model.card
    assert loaded.name == model.name
    assert len(loaded.members) == members
    for a, b in zip(model.members, loaded.members, strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[k], b[k]) for k in a)
    ours, theirs = (
        m.predict(image, keep_maps=True, min_size=0, flow_threshold=None) for m in (model, loaded)
    )
    assert ours.diameter == theirs.diameter
    np.testing.assert_array_equal(ours.posterior.maps, theirs.posterior.maps)
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    assert ours.labels.max() > 0


def test_members_are_averaged(tmp_path, image):
    both = untrained(2)
    maps = [
        replace(both, members=(weights,), _built=[], _runners={})
        .predict(image, diameter=18, keep_maps=True)
        .posterior.maps
        for weights in both.members
    ]
    together = both.predict(image, diameter=18, keep_maps=True).posterior.maps
    np.testing.assert_allclose(together, (maps[0] + maps[1]) / 2, atol=1e-5)


def test_saving_replaces_an_older_model_and_others_can_read_it(tmp_path, folder):
    untrained(2).save(folder)
    assert len(load(folder).members) == 2
    untrained(1).save(folder)
    names = {p.name for p in folder.iterdir()}
    assert names == {FILE, "member-0.safetensors", "scale.safetensors", "card.md"}
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    plain = tmp_path / "plain"
    plain.touch()
    modes = {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()}
    assert modes == {stat.S_IMODE(plain.stat().st_mode)}


def test_tied_weights_are_saved(tmp_path):
    model = untrained()
    weights = dict(model.members[0])
    names = [k for k, v in weights.items() if v.shape == (8,)]
    weights[names[0]] = weights[names[1]]
    loaded = load(replace(model, members=(weights,)).save(tmp_path / "model"))
    assert torch.equal(loaded.members[0][names[0]], weights[names[1]])


def test_hash_is_the_identity_of_a_model(folder):
    model = untrained()
    assert load(folder).sha256() == model.sha256() == load(folder).sha256()
    changed = {k: v.clone() for k, v in model.members[0].items()}
    next(iter(changed.values())).view(-1)[0] += 1
    others = [
        replace(model, members=(changed,)),
        replace(model, scale=None),
        replace(model, scale=ScaleModel(model.scale.weight, 3.1, 0.9)),
        untrained(method__threshold=0.6),
        untrained(2),
    ]
    assert len({m.sha256() for m in others} | {model.sha256()}) == 6


# Damage


def test_unknown_models_list_the_packaged_ones(tmp_path):
    with pytest.raises(ModelError, match=r"nosuch: no model of this name"):
        load("nosuch")
    with pytest.raises(ModelError, match=r"no folder with a model\.yaml"):
        load(tmp_path)
    for name in packaged_models():
        assert load(name).name


def test_a_folder_of_images_does_not_hide_a_packaged_model(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuclei" / "images").mkdir(parents=True)
    packaged = load("nuclei")
    assert packaged.card.startswith("# nuclei")
    shutil.copytree(folder, "nuclei", dirs_exist_ok=True)
    assert load("nuclei").sha256() == load(folder).sha256() != packaged.sha256()


def rewrite(folder: Path, **changes: object) -> None:
    values = yaml.safe_load((folder / FILE).read_text(encoding="utf-8"))
    (folder / FILE).write_text(yaml.safe_dump({**values, **changes}), encoding="utf-8")


def forget_checksums(folder: Path) -> Path:
    """The model as older versions wrote it."""
    values = yaml.safe_load((folder / FILE).read_text(encoding="utf-8"))
    del values["files"]
    (folder / FILE).write_text(yaml.safe_dump(values), encoding="utf-8")
    return folder


@pytest.mark.parametrize("keep", [0, 5, 100, -10])
@pytest.mark.parametrize("older", [False, True])
def test_damaged_weights(folder, keep, older):
    file = folder / "member-0.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    if older:
        forget_checksums(folder)
    with pytest.raises(ModelError, match="model: the model is damaged"):
        load(folder)


def complete(folder: Path) -> Path:
    """A model that has each sort of file, and a way back."""
    rng = np.random.default_rng(0)
    known = (fit_features(rng.normal(size=(8, 8))),)
    return replace(untrained(), novelty=known, back=untrained()).save(folder)


FILES = (
    "member-0.safetensors",
    "scale.safetensors",
    "novelty-0.safetensors",
    "back/model.yaml",
    "back/member-0.safetensors",
    "back/scale.safetensors",
)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_what_was_saved(tmp_path, name):
    file = complete(tmp_path / "model") / name
    content = bytearray(file.read_bytes())
    for place in range(len(content) - 40, len(content)):
        content[place] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(ModelError, match=rf"is damaged: ({name}|{file.name}): .*SHA-256"):
        load(tmp_path / "model")


@pytest.mark.parametrize("name", [*FILES, "back"])
def test_a_file_that_is_missing(tmp_path, name):
    """Without its statistics of features a model would take any image for one that it knows."""
    file = complete(tmp_path / "model") / name
    shutil.rmtree(file) if file.is_dir() else file.unlink()
    with pytest.raises(ModelError, match=r"the model is not complete: .*(tensors|yaml) missing"):
        load(tmp_path / "model")


@pytest.mark.parametrize("name", ["member-1", "novelty-1", "scale"])
def test_a_file_of_another_model(tmp_path, name):
    folder = replace(untrained(), scale=None).save(tmp_path / "model")
    shutil.copy(folder / "member-0.safetensors", folder / f"{name}.safetensors")
    with pytest.raises(ModelError, match=rf"{name}\.safetensors cannot be of this model"):
        load(folder)


def test_a_model_without_hashes_is_an_older_one(tmp_path):
    folder = forget_checksums(complete(tmp_path / "model"))
    older = load(folder)
    (folder / "novelty-0.safetensors").unlink()
    assert load(folder).novelty == ()
    again = load(older.save(tmp_path / "again"))
    assert older.sha256() == again.sha256()
    assert again.description == older.description


def test_the_hashes_are_those_of_the_files(tmp_path):
    folder = complete(tmp_path / "model")
    listed = yaml.safe_load((folder / FILE).read_text(encoding="utf-8"))["files"]
    assert set(listed) == set(FILES[:4])  # that of the way back lists its own
    for name, sha in listed.items():
        assert sha == hashlib.sha256((folder / name).read_bytes()).hexdigest()


def test_packaged_models_have_hashes_and_a_card_may_be_edited(tmp_path):
    for name, folder in packaged_models().items():
        copy = Path(shutil.copytree(folder, tmp_path / name))
        values = yaml.safe_load((copy / FILE).read_text(encoding="utf-8"))
        found = {p.name for p in copy.glob("*.safetensors")}
        assert set(values["files"]) == found
        (copy / "card.md").write_text("mine")
        assert load(copy).card == "mine"


def test_missing_weights_of_an_older_model(tmp_path, folder):
    forget_checksums(folder)
    (folder / "member-0.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights: expected member-0\.safetensors"):
        load(folder)
    for number in (0, 1, 2):
        pair = forget_checksums(untrained(3).save(tmp_path / "three"))
        (pair / f"member-{number}.safetensors").unlink()
        with pytest.raises(ModelError, match="expected 0 to 2: the model is not complete"):
            load(pair)


@pytest.mark.parametrize("content", [b"", b"a: [", b"- 1\n", b"\xff\xfe", b"\0"])
def test_damaged_description(folder, content):
    (folder / FILE).write_bytes(content)
    with pytest.raises(ModelError, match="model: the model is damaged"):
        load(folder)


def test_damaged_scale_and_card(folder):
    forget_checksums(folder)
    (folder / "card.md").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ModelError, match="damaged"):
        load(folder)
    (folder / "card.md").unlink()
    assert load(folder).card == ""
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(3, np.float32)}, folder / "scale.safetensors")
    with pytest.raises(ModelError, match="damaged"):
        load(folder)
    (folder / "scale.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="damaged"):
        load(folder)


def test_a_newer_schema_asks_for_a_newer_version(folder):
    rewrite(folder, schema=2)
    with pytest.raises(ModelError, match=r"newer version \(schema 2\): update delineate"):
        load(folder)


def recipe_with(folder: Path, section: str, key: str, value: object) -> dict[str, object]:
    """The recipe of a saved model with a setting more, or another."""
    recipe = yaml.safe_load((folder / FILE).read_text(encoding="utf-8"))["recipe"]
    recipe[section][key] = value
    return recipe


def test_settings_that_this_version_does_not_know(folder):
    recipe = recipe_with(folder, "train", "step", 3)
    cases = [
        ({"secret": 1}, "secret: there is no such entry; expected are schema, recipe, in_channels"),
        ({"target": {"hue": 1}}, "target.hue: there is no such entry"),
        ({"in_channels": 0}, "in_channels: Input should be greater than or equal to 1"),
        ({"schema": "new"}, "schema: Input should be a valid integer"),
        ({"recipe": recipe}, "train.step: there is no such setting; did you mean train.steps?"),
        ({"recipe": 3}, "recipe: "),
        ({"files": 3}, "files: expected hashes of files by their names"),
    ]
    saved = (folder / FILE).read_bytes()
    for changes, told in cases:
        (folder / FILE).write_bytes(saved)
        rewrite(folder, **changes)
        with pytest.raises(ModelError) as error:
            load(folder)
        assert told in str(error.value)
        assert str(folder / FILE) in str(error.value)
        assert "pydantic" not in str(error.value)
        assert "http" not in str(error.value)


@pytest.mark.parametrize("version", ["9.0", "0.10.0", "0.1.1"])
def test_settings_of_a_newer_version_ask_for_it(folder, version):
    recipe = recipe_with(folder, "network", "wings", 2)
    rewrite(folder, recipe=recipe, provenance={"delineate": version})
    with pytest.raises(ModelError, match=f"by delineate {version}, this is .*: update delineate"):
        load(folder)
    rewrite(folder, recipe=recipe, provenance={"delineate": "0.0.9"})
    with pytest.raises(ModelError, match=r"is not valid:(\n.*)+network.wings: there is no such"):
        load(folder)


def test_weights_of_another_network(folder):
    values = yaml.safe_load((folder / FILE).read_text(encoding="utf-8"))
    values["recipe"]["network"]["options"] = {"features": [4, 16]}
    rewrite(folder, recipe=values["recipe"])
    model = load(folder)
    with pytest.raises(ModelError, match=r"member 0: the weights do not fit .*instead of \(16"):
        model.networks()


def test_weights_are_checked_strictly():
    network = untrained().networks()[0]
    weights = network.state_dict()
    first = next(iter(weights))
    with pytest.raises(ModelError, match=f"x: .*lacks {first}"):
        load_strictly(network, {k: v for k, v in weights.items() if k != first}, "x")
    with pytest.raises(ModelError, match="has also more"):
        load_strictly(network, {**weights, "more": weights[first]}, "x")
    with pytest.raises(ModelError, match=f"differs in {first}"):
        load_strictly(network, {**weights, first: torch.zeros(3, 3)}, "x")


# Nothing is executed


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {}']",
        "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{}']]",
        "!!python/name:os.system",
        "!!python/module:this",
    ],
)
def test_python_in_a_description_is_refused_and_does_not_run(tmp_path, folder, tag):
    trace = tmp_path / "executed"
    text = (folder / FILE).read_text(encoding="utf-8")
    before = set(sys.modules)
    for content in (tag.format(trace), f"{text}\nextra: {tag.format(trace)}\n"):
        (folder / FILE).write_text(content, encoding="utf-8")
        with pytest.raises(ModelError, match="damaged"):
            load(folder)
    assert not trace.exists()
    assert "this" not in set(sys.modules) - before


def test_a_pickle_in_place_of_weights_is_not_loaded(tmp_path, folder):
    trace = tmp_path / "executed"

    class Evil:
        def __reduce__(self):
            return (Path.touch, (trace,))

    torch.save(Evil(), folder / "member-0.safetensors")
    with pytest.raises(ModelError, match="damaged"):
        load(folder)
    assert not trace.exists()


def test_a_network_from_outside_needs_permission(tmp_path, folder, monkeypatch, image):
    trace = tmp_path / "imported"
    name = f"outside_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        f"from pathlib import Path\nPath({str(trace)!r}).touch()\n"
        "from delineate.networks.residual_unet import ResidualUNet as Net\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    values = yaml.safe_load((folder / FILE).read_text(encoding="utf-8"))
    values["recipe"]["network"]["name"] = f"{name}:Net"
    rewrite(folder, recipe=values["recipe"])
    with pytest.raises(ModelError, match="pass --allow-imports"):
        load(folder).predict(image)
    assert not trace.exists()
    labels = load(folder, allow_imports=True).predict(image, diameter=18).labels
    assert trace.exists()
    np.testing.assert_array_equal(labels, untrained().predict(image, diameter=18).labels)
    sys.modules.pop(name)


# Decoding parameters and input


def test_decoding_parameters_change_the_result(image):
    model = untrained()
    some = model.predict(image, diameter=18, flow_threshold=None, min_size=0)
    none = model.predict(image, diameter=18, flow_threshold=None, min_size=10**6)
    assert some.labels.max() > 0
    assert none.labels.max() == 0
    assert model.recipe.method.min_size == 15


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"thresold": 0.4}, "thresold: .*parameters are temperature, name, classes, threshold"),
        ({"threshold": 2}, "threshold: .*less than or equal to 1"),
        ({"min_size": "big"}, "min_size: .*integer"),
        ({"classes": 3}, "classes: the maps .* are fixed by its training"),
        ({"name": "magic"}, "name: .*flows"),
    ],
)
def test_unknown_and_wrong_decoding_parameters(image, parameter, message):
    with pytest.raises(ModelError, match=message):
        untrained().predict(image, **parameter)


def test_arrays_need_named_axes(image):
    model = untrained()
    assert model.predict(image, diameter=18).axes == "YX"
    assert model.predict(np.stack([image] * 2), axes="ZYX", diameter=18).axes == "ZYX"
    with pytest.raises(AxesError, match="needs names for its axes"):
        model.predict(np.stack([image] * 2))
