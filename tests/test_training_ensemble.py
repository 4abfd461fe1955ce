"""Ensembles: folds, members that resume or come later, and the reference that they leave."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from conftest import small_recipe
from delineate.data.folds import fold_pairs
from delineate.data.layouts import Pair, find_pairs
from delineate.errors import DataError, RecipeError
from delineate.inference.scale import ScaleModel
from delineate.io import read_labels
from delineate.model import Model, load
from delineate.runs import members as members_module
from delineate.runs.record import fingerprint
from delineate.runs.train import Silent, train
from delineate.uncertainty import Reference, Reliability


def recipe(dataset: Path, **settings: Any) -> Any:
    few = {"train__steps": 4, "train__validate_every": 2, "train__patch": 32, "train__batch": 2}
    return small_recipe(data__images=dataset, **{"ensemble__folds": 2, **few, **settings})


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(("images", "folds"), [(10, 5), (11, 3), (4, 4)])
def test_every_image_is_left_out_by_exactly_one_member_of_a_round(images, folds):
    pairs = [Pair(str(i), Path(str(i))) for i in range(images)]
    for round_ in range(2):
        splits = [fold_pairs(pairs, folds, round_ * folds + k, seed=3) for k in range(folds)]
        left = [p.name for s in splits for p in s.val]
        assert sorted(left) == sorted(p.name for p in pairs)
        for split in splits:
            assert not {p.name for p in split.train} & {p.name for p in split.val}
            assert len(split.train) + len(split.val) == images
            assert abs(len(split.val) - images / folds) < 1
    if images > folds:  # a second round divides otherwise
        first, second = (fold_pairs(pairs, folds, m, seed=3) for m in (0, folds))
        assert [p.name for p in first.val] != [p.name for p in second.val]


def test_folds_use_the_images_of_training_and_validation_alone():
    pairs = [Pair(str(i), Path(str(i)), split="test" if i < 2 else "train") for i in range(6)]
    split = fold_pairs(pairs, 2, 0, seed=0)
    assert {p.name for part in split for p in part} == {"2", "3", "4", "5"}
    with pytest.raises(DataError, match=r"ensemble\.folds to 4"):
        fold_pairs(pairs, 5, 0, seed=0)


class Heard(Silent):
    """Notes the pairs that each stage goes through."""

    def __init__(self) -> None:
        self.pairs: dict[str, list[str]] = {}
        self.now = ""

    def stage(self, text: str) -> None:
        self.now = text

    def each(self, pairs: Iterable[Pair]) -> Iterable[Pair]:
        for pair in pairs:
            self.pairs.setdefault(self.now, []).append(pair.name)
            yield pair


def test_an_ensemble_has_a_member_a_fold_and_a_reference_of_all_images(dataset, tmp_path):
    heard = Heard()
    model = train(recipe(dataset), tmp_path / "run", reporter=heard)
    loaded = load(tmp_path / "run" / "model")
    assert len(loaded.members) == 2 == len(loaded.description.scores)
    assert not same(loaded.members[0], loaded.members[1])
    assert loaded.sha256() == model.sha256()
    names = sorted(p.stem for p in (dataset / "images").iterdir())
    reference = Reference.from_dict(loaded.description.reference or {})
    assert sorted(reference.images) == names
    assert (reference.measure, reference.origin, reference.metric) == (
        "aleatoric",
        "out-of-fold",
        "map",
    )
    with (tmp_path / "run" / "left-out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(r["image"] for r in rows) == names
    assert heard.pairs["predicting the images left out"] == [r["image"] for r in rows]
    assert {r["member"] for r in rows} == {"0", "1"}
    before, after = (
        Reliability.from_dict(model.description.calibration[k]) for k in ("before", "after")
    )
    assert before.n == after.n == sum(read_labels(p).size for p in (dataset / "labels").iterdir())
    assert after.ece <= before.ece + 0.01
    assert (tmp_path / "run" / "calibration.png").stat().st_size > 1000
    # Each image was predicted by the member that did not see it.
    for number in (0, 1):
        own = {r["image"] for r in rows if r["member"] == str(number)}
        split = members_module.member_splits(recipe(dataset), [Pair(n, Path(n)) for n in names])[
            number
        ]
        assert own == {p.name for p in split.val}


def test_an_ensemble_that_was_killed_goes_on_with_the_member_that_lacks(
    dataset, tmp_path, monkeypatch
):
    whole = train(recipe(dataset), tmp_path / "whole")

    class KilledError(Exception):
        pass

    class Stops(Silent):
        def step(self, progress: Any) -> None:
            if (out / "member-1").exists() and progress.step == 3:
                raise KilledError

    out = tmp_path / "cut"
    with pytest.raises(KilledError):
        train(recipe(dataset), out, reporter=Stops())
    assert (out / "member-0" / members_module.SCORES).is_file()
    assert not (out / "member-1" / members_module.SCORES).exists()
    assert not (out / "model").exists()
    again = train(recipe(dataset), out)
    assert all(same(a, b) for a, b in zip(whole.members, again.members, strict=True))
    assert again.description.reference == whole.description.reference


def test_members_can_be_added_later(dataset, tmp_path):
    out = tmp_path / "run"
    first = train(recipe(dataset), out)
    three = train(recipe(dataset, ensemble__members=3), out)
    assert len(three.members) == 3
    assert all(same(a, b) for a, b in zip(first.members, three.members, strict=False))
    assert not same(three.members[2], three.members[0])
    # What is trained already is given back, also where fewer members are asked for.
    kept = train(recipe(dataset), out)
    assert len(kept.members) == 3
    with pytest.raises(RecipeError, match="another recipe"):
        train(recipe(dataset, ensemble__folds=3), out)


def test_an_ensemble_can_begin_with_fewer_members_than_folds(dataset, tmp_path):
    out = tmp_path / "run"
    one = train(recipe(dataset, ensemble__members=1), out)
    assert len(Reference.from_dict(one.description.reference or {}).images) == 3
    two = train(recipe(dataset), out)
    assert len(two.members) == 2 and same(one.members[0], two.members[0])
    assert len(Reference.from_dict(two.description.reference or {}).images) == 6


def test_each_member_knows_the_scale_by_its_own_style(dataset, tmp_path, monkeypatch):
    fitted: list[tuple[Any, torch.Tensor]] = []

    def first_weight(runner: Any) -> torch.Tensor:
        return next(iter(runner.networks[0].parameters())).detach().clone()

    def fit(runner: Any, *_: Any) -> ScaleModel:
        fitted.append((ScaleModel(np.zeros(1, np.float32), 0.0, 0.0), first_weight(runner)))
        return fitted[-1][0]

    def estimate(runner: Any, model: ScaleModel, *_: Any) -> float:
        own = next(weight for known, weight in fitted if known is model)
        used.append(torch.equal(own, first_weight(runner)))
        return 18.0

    used: list[bool] = []
    monkeypatch.setattr("delineate.inference.scale.fit_scale", fit)
    monkeypatch.setattr("delineate.inference.predict.estimate_diameter", estimate)
    model = train(recipe(dataset), tmp_path / "run")
    assert len(used) == 6 and all(used)
    assert model.scale is fitted[0][0]


def test_members_without_folds_are_refused(dataset):
    with pytest.raises(RecipeError, match="members without folds"):
        recipe(dataset, ensemble__folds=None, ensemble__members=3)


def test_an_ensemble_predicts_with_all_members_and_knows_where_they_differ(dataset, tmp_path):
    model = train(recipe(dataset), tmp_path / "run")
    image = next((dataset / "images").iterdir())
    found = model.predict(image, keep_spread=True)
    assert found.spread is not None
    assert float(found.spread.epistemic.max()) > 0
    # Features were read in passing, and are far from those of training in an unlike image.
    assert len(found.features) == 2 == len(model.novelty)
    assert model.novelty[0].n == 3 and len(model.novelty[0].reference) == 3
    noise = np.random.default_rng(0).integers(0, 255, (96, 96)).astype(np.uint8)
    assert model.predict(noise, diameter=16).novelty > found.novelty > 0
    assert np.isfinite(load(tmp_path / "run" / "model").predict(image).novelty)
    one = Model(model.description, model.members[:1], model.scale)
    assert np.isnan(one.predict(image).novelty)
    alone = one.predict(image, keep_spread=True)
    assert alone.spread is not None and not np.any(alone.spread.epistemic)


def test_pretrained_encoders_begin_every_member_and_leave_no_path(dataset, tmp_path, monkeypatch):
    from safetensors.torch import save_file

    from delineate import networks

    torch.manual_seed(5)
    options = networks.NetworkOptions(name="resnet18-unet")
    donor = networks.build(options, 1, 3, 2)
    names = {n for module in donor.encoder_parts() for n, _ in module.named_parameters()}
    encoder = networks.build(options, 1, 3, 2).encoder_parts()
    file = tmp_path / "encoder.safetensors"
    save_file({k: v.contiguous() for k, v in encoder[0].state_dict().items()}, file)
    seen = []

    def stop(setting: Any, *_: Any, **__: Any) -> Any:
        seen.append(setting.network)
        raise RecipeError("enough")

    monkeypatch.setattr("delineate.training.fit.fit", stop)
    own = recipe(dataset, network__name="resnet18-unet", network__weights=str(file))
    own = own.model_copy(update={"network": own.network.model_copy(update={"options": {}})})
    with pytest.raises(RecipeError, match="enough"):
        train(own, tmp_path / "run")
    first = dict(seen[0].encoder_parts()[0].named_parameters())
    wanted = dict(encoder[0].named_parameters())
    assert names and first.keys() == wanted.keys()
    assert all(torch.equal(first[name], wanted[name]) for name in wanted)


def test_labels_that_were_corrected_are_another_training(dataset, tmp_path):
    splits = members_module.member_splits(recipe(dataset), find_pairs(dataset))
    before = fingerprint(splits)
    assert fingerprint(splits) == before
    file = next((dataset / "labels").iterdir())
    labels = read_labels(file)
    size = file.stat().st_size
    labels.flat[0] += 1
    tifffile.imwrite(file, labels)
    assert file.stat().st_size == size
    assert fingerprint(splits) != before
