"""Train a model by a recipe: pair, split, prepare, fit, learn the scale, score, save."""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from delineate.data.layouts import Pair, find_pairs
from delineate.data.samples import Preparation, Sample, prepare
from delineate.data.splits import Split, split_pairs
from delineate.errors import DataError, RecipeError
from delineate.recipe import Recipe

if TYPE_CHECKING:
    from delineate.inference.runner import Runner
    from delineate.inference.scale import ScaleModel
    from delineate.model import Model
    from delineate.training.callbacks import Progress


class Reporter(Protocol):
    """Hears how a training goes on; the command line shows it as progress bars."""

    def stage(self, text: str) -> None:
        """A new stage begins."""

    def preparing(self, pairs: Iterable[Pair]) -> Iterable[Pair]:
        """Wraps the pairs that are being prepared."""

    def step(self, progress: Progress) -> None:
        """A step was taken."""


class Silent:
    """A reporter that shows nothing."""

    def stage(self, text: str) -> None:
        """Nothing."""

    def preparing(self, pairs: Iterable[Pair]) -> Iterable[Pair]:
        """The pairs as they are."""
        return pairs

    def step(self, progress: Progress) -> None:
        """Nothing."""


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    start: Model | None = None,
    reporter: Reporter | None = None,
    allow_imports: bool = False,
) -> Model:
    """Train a model and save it in `out`.

    A run that was interrupted, even killed, goes on where its last checkpoint stands when it is
    started again with the same recipe and folder, and gives the same weights as without it. One
    that had come to its end gives its model back.

    Parameters
    ----------
    recipe : what to do.
    out : folder of the run; the model stands in ``out/model`` when all is done, beside
        ``metrics.csv`` and ``curves.png``.
    start : model whose first member gives the first weights (fine-tuning).
    reporter : hears of progress.
    allow_imports : whether a network from outside the package may be imported.

    Raises
    ------
    DataError, RecipeError, ModelError : as their texts say.
    """
    import torch

    from delineate import networks
    from delineate.inference.runner import Runner, RunOptions
    from delineate.model import FILE, Model, load, load_strictly
    from delineate.training.fit import check_options, fit
    from delineate.training.tune import tune

    reporter = reporter or Silent()
    out = Path(out)
    if recipe.data.images is None:
        raise RecipeError("data.images is not set: which folder holds the training images?")
    check_options(recipe.train)
    reporter.stage("looking for images")
    pairs = find_pairs(
        recipe.data.images, recipe.data.labels, recipe.data.classes, recipe.data.table
    )
    split = split_pairs(pairs, recipe.data.validation, recipe.seed)
    _same_run(out, recipe, start, split)
    if (out / "model" / FILE).is_file():
        reporter.stage(f"{out} is trained already; to train anew, choose another folder")
        _clear(out / "cache")
        return load(out / "model", allow_imports=allow_imports)
    ndim, channels = _geometry(recipe, split.train)
    preparation = Preparation(
        recipe.method,
        recipe.normalise,
        recipe.data.diameter,
        channels,
        recipe.data.channels,
        ndim,
        recipe.data.axes,
    )
    reporter.stage(f"preparing {len(split.train)} training and {len(split.val)} validation images")
    samples = [
        prepare(part, preparation, out / "cache", reporter.preparing)
        for part in (split.train, split.val)
    ]
    if not any(len(s.centres) for s in samples[0]):
        raise DataError(f"{recipe.data.images}: no object is labelled in any training image")
    torch.manual_seed(recipe.seed)
    network = networks.build(
        recipe.network,
        channels,
        recipe.method.out_channels(ndim),
        ndim,
        allow_imports=allow_imports,
    )
    if start is not None:
        load_strictly(network, start.members[0], f"model {start.name}")
    reporter.stage(f"training {recipe.train.total} steps")
    fitted = fit(
        network,
        recipe.method,
        samples[0],
        samples[1],
        recipe.train,
        recipe.augment,
        ndim=ndim,
        seed=recipe.seed,
        folder=out,
        tell=reporter.step,
        after_validation=_draw_curves,
    )
    load_strictly(network, fitted.state, "the best checkpoint")
    options = RunOptions(device=recipe.train.device, precision=recipe.train.precision)
    runner = Runner([network], recipe.method, ndim, options)
    scores = dict(fitted.scores)
    reporter.stage("tuning thresholds")
    tuned = tune(runner, samples[1])
    if tuned is not None:
        recipe = recipe.model_copy(update={"method": tuned.method})
        scores[f"tuned_{tuned.method.monitor}"] = tuned.score
    reporter.stage("learning the scale")
    scale = _scale(recipe, runner, samples[0])
    model = Model(
        _description(recipe, channels, ndim, samples, split, scores, fitted.steps),
        (fitted.state,),
        scale,
        allow_imports=allow_imports,
    )
    model.save(out / "model")
    _clear(out / "cache")
    return model


def _clear(cache: Path) -> None:
    """Remove the prepared images; what a system still holds open may stay, the model is done."""
    shutil.rmtree(cache, ignore_errors=True)


def _draw_curves(metrics: Path) -> None:
    from delineate.review.figures import learning_curves

    learning_curves(metrics, metrics.with_name("curves.png"))


def _geometry(recipe: Recipe, pairs: Iterable[Pair]) -> tuple[int, int]:
    """Spatial axes and channels of the network: as the recipe says, else as the images have."""
    from delineate.io import read

    kinds, numbers = set(), set()
    for pair in pairs:
        image = read(pair.image, axes=recipe.data.axes)
        kinds.add(len(image.spatial_axes))
        numbers.add(image.n_channels)
    ndim: int | None = recipe.data.ndim
    if ndim is None:
        if len(kinds) > 1:
            raise DataError("some images have a Z axis and some do not: set data.ndim")
        ndim = kinds.pop()
    channels = recipe.data.in_channels
    if channels is None and recipe.data.channels is not None:
        channels = len(recipe.data.channels)
    if channels is None:
        if len(numbers) > 1 and numbers != {1, 3}:
            raise DataError(
                f"images have {', '.join(map(str, sorted(numbers)))} channels: choose with "
                "data.channels or data.in_channels"
            )
        channels = max(numbers)
    return ndim, channels


def _same_run(out: Path, recipe: Recipe, start: Model | None, split: Split) -> None:
    """Record what this folder trains; refuse to go on with another training's checkpoints.

    Raises
    ------
    RecipeError : the folder holds a training by another recipe, of other images, or unknown.
    """
    from delineate.io import atomic_path

    paths = {
        key: path.resolve()
        for key in ("images", "labels", "classes", "table")
        if (path := getattr(recipe.data, key)) is not None
    }
    full = recipe.model_copy(update={"data": recipe.data.model_copy(update=paths)})
    text = full.dump() + f"# trains on {_fingerprint(split)}\n"
    text += f"# starts from {start.sha256()}\n" if start else ""
    record = out / "recipe.yaml"
    trained = any((out / "checkpoints").glob("*.ckpt")) or (out / "model").exists()
    if trained and (not record.exists() or record.read_text(encoding="utf-8") != text):
        raise RecipeError(
            f"{out} holds a training by another recipe or of other images"
            + (f" (see {record})" if record.exists() else "")
            + ": choose another folder, or remove it"
        )
    with atomic_path(record) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _fingerprint(split: Split) -> str:
    """Hash of the names, sizes, weights and roles of the images, which are not read for it."""
    total = hashlib.sha256()
    for role, pairs in zip(("train", "val"), split, strict=True):
        for pair in pairs:
            files = [f for f in (pair.image, pair.labels, pair.classes) if f is not None]
            sizes = [(f.name, f.stat().st_size if f.is_file() else 0) for f in files]
            total.update(repr((role, pair.name, pair.weight, sizes)).encode())
    return total.hexdigest()[:16]


def _scale(recipe: Recipe, runner: Runner, samples: list[Sample]) -> ScaleModel | None:
    from delineate.inference.scale import fit_scale

    if recipe.data.diameter is None:
        return None
    used = samples[:: max(1, len(samples) // 120)]
    return fit_scale(runner, [s.image for s in used], [s.diameter * s.scale for s in used])


def _description(
    recipe: Recipe,
    channels: int,
    ndim: int,
    samples: list[list[Sample]],
    split: Split,
    scores: dict[str, float],
    steps: int,
) -> Any:
    from delineate import __version__
    from delineate.model import Description

    def digest(pairs: Iterable[Pair]) -> str:
        total = hashlib.sha256()
        for pair in pairs:
            for file in (pair.image, pair.labels):
                if file is not None and file.is_file():
                    total.update(hashlib.sha256(file.read_bytes()).digest())
        return total.hexdigest()

    portable = recipe.data.model_copy(
        update={"images": None, "labels": None, "classes": None, "table": None}
    )
    diameters = [s.diameter for s in samples[0] if np.isfinite(s.diameter)]
    return Description(
        schema=1,
        recipe=recipe.model_copy(update={"data": portable}),
        in_channels=channels,
        ndim=ndim,
        diameter=recipe.data.diameter,
        scores=(scores,),
        provenance={
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "delineate": __version__,
            "python": platform.python_version(),
            "platform": sys.platform,
            "steps": steps,
            "training_images": len(split.train),
            "training_objects": sum(len(s.centres) for s in samples[0]),
            "validation_images": len(split.val),
            "median_diameter": round(float(np.median(diameters)), 2),
            "training_sha256": digest(split.train),
        },
    )
