"""Image to image from files to files: it learns, keeps axes and units, and says what to trust."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from conftest import disks
from delineate.errors import DataError, ModelError, ReadError
from delineate.image import Image
from delineate.inference.runner import RunOptions
from delineate.io import find_images, read, write_image
from delineate.model import Description, Model, Target, load
from delineate.recipe import Recipe
from delineate.runs.evaluate_images import evaluate_images
from delineate.runs.export import export_folder
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Settings, predict_folder
from delineate.runs.review import review_folder
from delineate.runs.train import train

EXACT = RunOptions(device="cpu", precision="fp32")
LOW, SPAN = 1000.0, 5000.0
"""Of the clean images, in units of their files."""

QUICK: dict[str, Any] = {
    "network.name": "residual-unet",
    "network.options": {"features": [8, 16]},
    "train.steps": 60,
    "train.validate_every": 30,
    "train.batch": 4,
    "train.patch": 32,
    "train.precision": "fp32",
    "train.device": "cpu",
    "train.learning_rate": 0.005,
    "train.patience": None,
}


def recipe(name: str, folder: Path, **changes: Any) -> Recipe:
    dotted = {k.replace("__", "."): v for k, v in changes.items()}
    return Recipe.load(name, {"data.images": str(folder), **QUICK, **dotted})


def clean(rng: np.random.Generator, shape: tuple[int, ...] = (64, 64)) -> np.ndarray:
    """Soft round objects, 0 to 1."""
    labels = disks(shape, 6, 8, rng)
    return gaussian_filter((labels > 0).astype(np.float32), 1.0)


def noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 200 + 100 * (image + rng.normal(0, 0.3, image.shape))


def save(file: Path, pixels: np.ndarray, axes: str = "YX") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    sizes = {a: s for a, s in {"Z": 2.0, "Y": 0.5, "X": 0.5}.items() if a in axes}
    write_image(file, Image(pixels, axes, sizes, "µm"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six noisy images, and the clean ones in other units."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for number in range(6):
        image = clean(rng)
        save(root / "images" / f"a{number}.tif", noisy(image, rng).astype(np.float32))
        save(root / "targets" / f"a{number}.tif", (LOW + SPAN * image).astype(np.uint16))
    return root


@pytest.fixture(scope="module")
def restored(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """An ensemble of two members."""
    made = recipe(
        "restoration",
        pairs,
        ensemble__folds=2,
        normalise_target={"kind": "percentile", "high": 99.8},
    )
    return train(made, tmp_path_factory.mktemp("run"))


class Same(nn.Module):
    """Gives back what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "images.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_restored_image_is_nearer_to_the_truth_and_in_its_units(restored: Model) -> None:
    rng = np.random.default_rng(7)
    truth = clean(rng)
    seen = noisy(truth, rng).astype(np.float32)
    result = restored.predict(seen, options=EXACT).result
    assert result is not None
    found = np.asarray(result.data)[0]
    assert pearson(found, truth) > max(0.9, pearson(seen, truth) + 0.05)
    assert np.abs(found - (LOW + SPAN * truth)).mean() < 0.15 * SPAN
    assert restored.description.target is not None
    assert restored.description.target.dtype == "uint16"
    assert all(s["val_pearson"] > 0.85 for s in restored.description.scores)


def test_a_run_keeps_axes_and_pixel_size_and_writes_what_is_to_be_trusted(
    restored: Model, pairs: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    stack = np.stack([[noisy(clean(rng), rng) for _ in range(2)] for _ in range(3)])
    save(tmp_path / "in" / "movie.tif", stack.astype(np.float32), "TZYX")
    out = tmp_path / "out"
    outputs = Outputs(uncertainty=True)
    summary = predict_folder(restored, tmp_path / "in", out, Settings(run=EXACT), outputs)
    assert (summary.done, summary.failed) == (1, 0)
    result = read(out / "results" / "movie.tif")
    assert result.axes.replace("C", "") == "TZYX"
    assert result.pixel_size == {"Z": 2.0, "Y": 0.5, "X": 0.5}
    assert result.dtype == np.float32
    row = rows(out)[0]
    assert float(row["epistemic"]) > 0
    assert float(row["aleatoric"]) == 0
    assert 0 <= float(row["not_measurable"]) < 0.5
    assert "objects" not in row
    mask = read(out / "doubtful" / "movie.tif")
    assert mask.axes == "TZYX"
    assert np.asarray(mask.data).mean() == pytest.approx(float(row["not_measurable"]), rel=1e-4)
    unsure = read(out / "uncertainty" / "movie.tif")
    assert unsure.channels[0] == "predictive"
    assert float(np.asarray(unsure.select(C=0).data).mean()) == pytest.approx(
        float(row["uncertainty"]) * restored.description.target.scale[0] ** 2, rel=1e-3
    )
    assert not (out / "labels").exists()
    assert not (out / "objects.csv").exists() or not (out / "objects.csv").read_text().strip()
    assert (out / "report.html").is_file()


def test_the_same_run_again_does_nothing(restored: Model, pairs: Path, tmp_path: Path) -> None:
    first = predict_folder(restored, pairs / "images", tmp_path / "out", Settings(run=EXACT))
    again = predict_folder(restored, pairs / "images", tmp_path / "out", Settings(run=EXACT))
    assert (first.done, first.before, again.before) == (6, 0, 6)


def test_a_model_is_the_same_from_its_folder(restored: Model, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    image = noisy(clean(rng), rng).astype(np.float32)
    loaded = load(restored.save(tmp_path / "model"))
    before, after = (m.predict(image, options=EXACT).result for m in (restored, loaded))
    assert before is not None and after is not None
    np.testing.assert_array_equal(before.data, after.data)
    assert loaded.sha256() == restored.sha256()


@pytest.mark.parametrize("asked", ["maps", "rois", "geojson", "outlines"])
def test_what_is_for_objects_is_refused(
    asked: str, restored: Model, pairs: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no objects"):
        predict_folder(
            restored,
            pairs / "images",
            tmp_path / "out",
            Settings(run=EXACT),
            Outputs(**{asked: True}),
        )
    with pytest.raises(ModelError, match="--diameter"):
        predict_folder(restored, pairs / "images", tmp_path / "o", Settings(run=EXACT, diameter=9))


def test_a_run_of_images_has_no_objects_to_export(
    restored: Model, pairs: Path, tmp_path: Path
) -> None:
    predict_folder(restored, pairs / "images", tmp_path / "out", Settings(run=EXACT))
    with pytest.raises(ReadError, match="a run of images"):
        export_folder(tmp_path / "out", tmp_path / "rois", ["rois"])


def test_expected_noise_is_that_of_the_targets(tmp_path: Path) -> None:
    """Noise2noise with a noise head: the variance of what the targets scatter by."""
    rng = np.random.default_rng(0)
    for number in range(6):
        image = clean(rng)
        for folder in ("images", "targets"):
            pixels = 100 * image + rng.normal(0, 20, image.shape)
            save(tmp_path / "data" / folder / f"a{number}.tif", pixels.astype(np.float32))
    made = recipe(
        "noise2noise",
        tmp_path / "data",
        method__noise=True,
        normalise={"kind": "range", "low": 0, "high": 100},
        train__steps=150,
    )
    model = train(made, tmp_path / "run")
    image = clean(rng)
    pixels = (100 * image + rng.normal(0, 20, image.shape)).astype(np.float32)
    found = model.predict(pixels, options=EXACT, keep_spread=True)
    assert found.result is not None
    assert np.abs(np.asarray(found.result.data)[0] - 100 * image).mean() < 10
    noise = np.sqrt(np.median(found.channel_spread[0].aleatoric))
    assert noise == pytest.approx(20, rel=0.3)


def test_noisy_images_alone_teach_to_denoise(pairs: Path, tmp_path: Path) -> None:
    made = recipe("noise2void", pairs / "images", train__steps=150, train__validate_every=50)
    model = train(made, tmp_path / "run")
    rng = np.random.default_rng(11)
    truth = clean(rng)
    seen = noisy(truth, rng).astype(np.float32)
    result = model.predict(seen, options=EXACT).result
    assert result is not None
    found = np.asarray(result.data)[0]
    assert pearson(found, truth) > pearson(seen, truth) + 0.05
    assert abs(found.mean() - seen.mean()) < 10  # in the units of the image itself
    # Of the images left out nothing is known, but where a result is to be doubted.
    assert model.description.target is not None and model.description.target.doubt is not None
    assert model.description.reference is None
    turned = model.predict(seen, options=EXACT.model_copy(update={"turns": 4}))
    assert turned.doubtful is not None and turned.doubtful.mean() < 0.5


def test_cyclegan_leaves_both_ways_and_their_error(pairs: Path, tmp_path: Path) -> None:
    made = recipe(
        "labelfree-cyclegan",
        pairs / "images",
        data__targets=str(pairs / "targets"),
        network={"name": "resnet-generator", "options": {"features": 4, "blocks": 1}},
        regime__discriminator={"features": 4, "layers": 1, "scales": 1},
        train__steps=6,
        train__validate_every=3,
    )
    model = train(made, tmp_path / "run")
    assert (tmp_path / "run" / "model" / "back" / "model.yaml").is_file()
    loaded = load(tmp_path / "run" / "model")
    assert loaded.sha256() == model.sha256()
    out = tmp_path / "out"
    predict_folder(loaded, pairs / "images", out, Settings(run=EXACT))
    assert all(float(row["cycle_error"]) > 0 for row in rows(out))
    back = load(tmp_path / "run" / "model" / "back")
    file = find_images(pairs / "targets")[0].path
    made_image = back.predict(read(file), options=EXACT).result
    assert made_image is not None
    # The way back gives images in the units of the images.
    assert 150 < float(np.median(made_image.data)) < 350


def test_masks_are_learned_from_unpaired_images(pairs: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for number in range(3):
        mask = (disks((64, 64), 6, 8, rng) > 0).astype(np.uint8) * 255
        save(tmp_path / "masks" / f"m{number}.tif", mask)
    made = recipe(
        "unsupervised",
        pairs / "images",
        data__labels=str(tmp_path / "masks"),
        network={"name": "resnet-generator", "options": {"features": 4, "blocks": 1}},
        regime__back_network=None,
        regime__discriminator={"features": 4, "layers": 1, "scales": 1},
        train__steps=4,
        train__validate_every=2,
    )
    model = train(made, tmp_path / "run")
    found = model.predict(read(find_images(pairs / "images")[0].path), options=EXACT)
    assert found.classes is not None and found.cycle is not None
    assert model.back is not None
    image = model.back.predict(read(tmp_path / "masks" / "m0.tif"), options=EXACT).result
    assert image is not None and image.n_channels == 1


def test_planes_as_channels_of_a_2d_network(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        image = clean(rng)
        stack = np.stack([noisy(image, rng) for _ in range(3)])
        save(tmp_path / "data" / "images" / f"a{number}.tif", stack.astype(np.float32), "ZYX")
        save(tmp_path / "data" / "targets" / f"a{number}.tif", image.astype(np.float32))
    model = train(
        recipe(
            "labelfree", tmp_path / "data", data__z_channels=True, network={"name": "residual-unet"}
        ),
        tmp_path / "run",
    )
    assert (model.description.ndim, model.description.in_channels) == (2, 3)
    image = clean(rng)
    stack = np.stack([noisy(image, rng) for _ in range(3)]).astype(np.float32)
    result = model.predict(stack, axes="ZYX", options=EXACT).result
    assert result is not None and result.axes == "CYX"
    assert pearson(np.asarray(result.data)[0], image) > 0.85


@pytest.mark.parametrize("factor", [1.0, 1e31])
def test_units_are_those_of_the_file_whatever_its_type(pairs: Path, factor: float) -> None:
    """A network that gives back what it sees: the result is the image."""
    rng = np.random.default_rng(0)
    made = Recipe.build({"method": {"name": "regression"}})
    model = Model(Description(schema=1, recipe=made, in_channels=1, ndim=2, target=Target()), ({},))
    model._built.append(Same())
    image = (1e6 + rng.random((40, 50))) * factor
    result = model.predict(image, options=EXACT).result
    assert result is not None
    np.testing.assert_allclose(np.asarray(result.data)[0], image, rtol=1e-6)


def test_the_report_shows_scores_once_they_are_known(
    restored: Model, pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    predict_folder(restored, pairs / "images", out, Settings(run=EXACT))
    before = (out / "report.html").read_text(encoding="utf-8")
    evaluate_images(out, pairs / "targets", out)
    after = (out / "report.html").read_text(encoding="utf-8")
    assert "SSIM" not in before and "SSIM" in after
    assert (out / "scores.csv").is_file()
    with pytest.raises(DataError, match="delineate evaluate"):
        review_folder(out, truth=pairs / "targets")
    # Results that change are not those that were scored.
    predict_folder(restored, pairs / "images", out, Settings(run=EXACT, required=0.5))
    assert not (out / "scores.csv").exists()


def test_one_draw_gives_no_verdict(pairs: Path, tmp_path: Path) -> None:
    model = train(
        recipe("restoration", pairs, train__steps=4, train__validate_every=2), tmp_path / "r"
    )
    out = tmp_path / "out"
    with pytest.raises(ModelError, match="--turns 4"):
        predict_folder(model, pairs / "images", out, Settings(run=EXACT, required=0.99))
    predict_folder(model, pairs / "images", out, Settings(run=EXACT))
    judged = review_folder(out, required=0.99)
    assert (judged.verify, judged.unknown) == (0, 6)
    assert any("not known: 6 of 6" in line for line in judged.lines())
    assert {row["uncertainty"] for row in rows(out)} == {""}
    turned = EXACT.model_copy(update={"turns": 4})
    predict_folder(model, pairs / "images", tmp_path / "four", Settings(run=turned, required=0.99))
    assert {row["verdict"] for row in rows(tmp_path / "four")} <= {"verify", "accept"}
    assert all(float(row["epistemic"]) > 0 for row in rows(tmp_path / "four"))


def test_channels_are_named_and_the_way_back_takes_them(tmp_path: Path) -> None:
    """Image and target are channels of one file, whose names the result bears."""
    rng = np.random.default_rng(0)
    names = ("phase", "dna", "actin")
    for number in range(3):
        pixels = rng.integers(0, 200, (3, 40, 40)).astype(np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        write_image(tmp_path / "in" / f"a{number}.tif", Image(pixels, "CYX", channels=names))
    made = recipe(
        "labelfree-cyclegan",
        tmp_path / "in",
        data__targets=str(tmp_path / "in"),
        data__unpaired=False,
        data__channels=[2],
        data__target_channels=[1],
        network={"name": "resnet-generator", "options": {"features": 4, "blocks": 1}},
        regime__discriminator={"features": 4, "layers": 1, "scales": 1},
        train__steps=2,
        train__validate_every=2,
    )
    model = train(made, tmp_path / "run")
    found = model.predict(tmp_path / "in" / "a0.tif", options=EXACT).result
    assert found is not None and found.channels == ("dna",)
    assert model.back is not None
    assert model.back.recipe.data.channels == (1,)
    assert model.back.predict(tmp_path / "in" / "a0.tif", options=EXACT).result is not None
