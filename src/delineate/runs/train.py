"""Train a model by a recipe: pair, split, prepare, fit, learn the scale, score, save."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from delineate.data.layouts import training_pairs
from delineate.data.normalise import Normalise
from delineate.data.options import DataOptions
from delineate.data.pairs import Pair
from delineate.data.samples import Preparation, Sample, prepare
from delineate.data.splits import Split
from delineate.errors import DataError, RecipeError
from delineate.recipe import Recipe
from delineate.runs.assess import assess
from delineate.runs.lock import writing
from delineate.runs.members import Member, member_folder, member_splits, train_member
from delineate.runs.record import claim, describe, target_of
from delineate.words import plural

log = logging.getLogger("delineate")

if TYPE_CHECKING:
    from delineate.inference.runner import Runner
    from delineate.inference.scale import ScaleModel
    from delineate.methods.base import Method
    from delineate.model import Description, Model
    from delineate.training.callbacks import Progress
    from delineate.training.tune import Case


class Reporter(Protocol):
    """Hears how a training goes on; the command line shows it as progress bars."""

    def stage(self, text: str) -> None:
        """A new stage begins."""

    def each(self, pairs: Iterable[Pair]) -> Iterable[Pair]:
        """Wraps the pairs that a stage goes through, as they are prepared or predicted."""

    def step(self, progress: Progress) -> None:
        """A step was taken."""


class Silent:
    """A reporter that shows nothing."""

    def stage(self, text: str) -> None:
        """Nothing."""

    def each(self, pairs: Iterable[Pair]) -> Iterable[Pair]:
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

    Where torchrun or srun runs this in several processes, they train together, and all return the
    model that the first one saved.

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
    WriteError : another call is writing into `out`, or it cannot be made or written to.
    """
    from delineate.model import load
    from delineate.networks import check_name
    from delineate.training.fit import check_options
    from delineate.training.processes import together

    if recipe.data.images is None:
        raise RecipeError("data.images is not set: which folder holds the training images?")
    check_options(recipe.train)
    for network in (recipe.network, getattr(recipe.regime, "back_network", None)):
        if network is not None:
            check_name(network, allow_imports=allow_imports)
    with together(recipe.train) as first:
        if not first:
            return load(Path(out) / "model", allow_imports=allow_imports)
        with writing(Path(out)):
            return _train(recipe, Path(out), start, reporter or Silent(), allow_imports)


def _train(
    recipe: Recipe, out: Path, start: Model | None, reporter: Reporter, allow_imports: bool
) -> Model:
    from delineate.inference.runner import Runner, RunOptions
    from delineate.model import FILE, Model, load

    reporter.stage("looking for images")
    pairs = training_pairs(recipe.data, recipe.method.truth, recipe.regime.needs_truth)
    splits = member_splits(recipe, pairs)
    folds = recipe.ensemble.folds
    claim(out, recipe, start, member_splits(recipe, pairs, folds) if folds else splits)
    if (out / "model" / FILE).is_file():
        model = load(out / "model", allow_imports=allow_imports)
        if len(model.members) >= len(splits):
            reporter.stage(f"{out} is trained already; to train anew, choose another folder")
            _clear(out / "cache")
            return model
    used = {pair.name: pair for split in splits for part in split for pair in part}
    trained = {pair.name: pair for split in splits for pair in split.train}
    ndim, channels = _geometry(recipe, trained.values())
    preparation = preparation_of(recipe, channels, ndim)
    reporter.stage(_preparing(splits, len(used)))
    cache = recipe.data.cache or out / "cache"
    prepared = prepare(list(used.values()), preparation, cache, reporter.each)
    samples = dict(zip(used, prepared, strict=True))
    labelled = any(len(samples[name].centres) for name in trained)
    if recipe.method.truth != "image" and not labelled:
        raise DataError(f"{recipe.data.images}: no object is labelled in any training image")
    members: list[Member] = []
    for number, split in enumerate(splits):
        which = f"member {number + 1} of {len(splits)}: " if len(splits) > 1 else ""
        reporter.stage(f"{which}training {recipe.train.total} steps")
        member = train_member(
            recipe,
            number,
            member_folder(out, recipe, number),
            ([samples[p.name] for p in split.train], [samples[p.name] for p in split.val]),
            channels=channels,
            ndim=ndim,
            start=start,
            allow_imports=allow_imports,
            tell=reporter.step,
            after_validation=_draw_curves,
        )
        members.append(member)
    description = describe(recipe, channels, ndim, prepared, splits, members, start)
    back = way_back(description, members, prepared, allow_imports)
    model = Model(
        description, tuple(m.state for m in members), back=back, allow_imports=allow_imports
    )
    options = RunOptions(device=recipe.train.device, precision=recipe.train.precision)
    runners = [Runner([network], recipe.method, ndim, options) for network in model.networks()]
    known = {name: s for name, s in samples.items() if len(s.image) and len(s.targets)}
    cases: list[Case] = [
        (runner, [known[p.name] for p in split.val if p.name in known])
        for runner, split in zip(runners, splits, strict=True)
    ]
    seen: list[Case] = [
        (runner, [s for p in split.train if len((s := samples[p.name]).image)])
        for runner, split in zip(runners, splits, strict=True)
    ]
    settled = _settled(description, cases, reporter)
    # Each member has style vectors of its own; the whole model knows the scale by its first.
    scales = [_scale(recipe, *case, reporter) for case in seen]
    model = replace(model, description=settled, scale=scales[0], _built=[])
    reporter.stage("predicting the images left out")
    left_out = [Split(s.train, [p for p in s.val if len(samples[p.name].image)]) for s in splits]
    model = assess(model, left_out, seen, scales, out, options, reporter.each)
    model.save(out / "model")
    _clear(out / "cache")
    return model


def preparation_of(recipe: Recipe, channels: int, ndim: int) -> Preparation:
    """How the images of a recipe become samples for a network of so many channels and axes."""
    data = recipe.data
    return Preparation(
        recipe.method,
        recipe.normalise,
        data.diameter,
        channels,
        data.channels,
        ndim,
        data.axes,
        recipe.normalise_target,
        data.target_channels,
        data.planes,
        data.z_channels,
        recipe.regime.needs_truth,
    )


def way_back(
    description: Description,
    members: Sequence[Member],
    samples: Sequence[Sample],
    allow_imports: bool,
) -> Model | None:
    """The model of the way back, from the pictures that a method gives to its images.

    Its recipe is that of the way there, turned round; None where the members have none.
    """
    from delineate.methods.regression import Regression
    from delineate.model import Model

    if not all(member.back for member in members):
        return None
    recipe, channels = description.recipe, description.in_channels
    pictures = recipe.normalise_target or recipe.normalise
    data = recipe.data
    swapped = {
        "channels": data.target_channels,
        "target_channels": data.channels,
        "z_channels": False,
        "in_channels": None,
    }
    turned = {
        "data": data.model_copy(update=swapped),
        "name": f"{recipe.name}-back",
        "description": f"the way back of {recipe.name}",
        "normalise": Normalise(kind="mask") if recipe.method.truth == "classes" else pictures,
        "normalise_target": recipe.normalise,
        "method": Regression(channels=channels),
        "network": getattr(recipe.regime, "back_network", None) or recipe.network,
    }
    own = {
        "recipe": recipe.model_copy(update=turned),
        "in_channels": recipe.method.picture_channels(description.ndim),
        "target": target_of([s.intensity for s in samples]),
        "scores": tuple({} for _ in members),
    }
    weights = tuple(member.back for member in members)
    return Model(description.model_copy(update=own), weights, allow_imports=allow_imports)


def _preparing(splits: list[Any], used: int) -> str:
    if len(splits) > 1:
        return f"preparing {used} images for {len(splits)} members"
    train, val = (len(part) for part in splits[0])
    return f"preparing {train} training and {val} validation images"


def _settled(description: Description, cases: list[Case], reporter: Reporter) -> Description:
    """With the temperature and the thresholds, where there are any, that serve validation best."""
    from delineate.methods.segmentation import Segmentation
    from delineate.training.calibrate import calibrate
    from delineate.training.tune import tune

    recipe, scores = description.recipe, description.scores
    method: Method = recipe.method
    if isinstance(method, Segmentation):
        reporter.stage("calibrating probabilities")
        plain = method.model_copy(update={"temperature": 1.0})  # a recipe may bring that of a model
        temperature = calibrate([(r.with_method(plain), own) for r, own in cases], recipe.seed)
        if temperature is not None:
            method = method.model_copy(update={"temperature": round(temperature.value, 4)})
            cases = [(runner.with_method(method), own) for runner, own in cases]
    if len(method.candidates()) > 1:
        reporter.stage("tuning thresholds")
        tuned = tune(cases)
        if tuned is not None:
            method = tuned.method
            scores = tuple({**s, f"tuned_{method.monitor}": tuned.score} for s in scores)
    return description.model_copy(
        update={"recipe": recipe.model_copy(update={"method": method}), "scores": scores}
    )


def _clear(cache: Path) -> None:
    """Remove the prepared images; what a system still holds open may stay, the model is done."""
    shutil.rmtree(cache, ignore_errors=True)


def _draw_curves(metrics: Path) -> None:
    from delineate.review.figures import learning_curves

    learning_curves(metrics, metrics.with_name("curves.png"))


def _geometry(recipe: Recipe, pairs: Iterable[Pair]) -> tuple[int, int]:
    """Spatial axes and channels of the network: as the recipe says, else as the images have."""
    from delineate.io import read

    data = recipe.data
    kinds, numbers = set(), set()
    for pair in pairs:
        if pair.only == "target":
            continue
        image = read(pair.image, axes=data.axes)
        channels = image.n_channels if data.channels is None else len(data.channels)
        if data.z_channels:
            channels *= image.sizes.get("Z", 1) if data.planes is None else len(data.planes)
        flat = data.z_channels or pair.plane is not None
        kinds.add(2 if flat else len(image.spatial_axes))
        numbers.add(channels)
    ndim: int | None = data.ndim
    if ndim is None:
        if len(kinds) > 1:
            raise DataError("some images have a Z axis and some do not: set data.ndim")
        ndim = kinds.pop()
    if data.in_channels is not None:
        return ndim, data.in_channels
    if len(numbers) > 1 and numbers != {1, 3}:
        raise DataError(
            f"images have {', '.join(map(str, sorted(numbers)))} channels: choose with "
            "data.channels or data.in_channels"
        )
    return ndim, max(numbers)


def _scale(
    recipe: Recipe, runner: Runner, samples: Sequence[Sample], reporter: Reporter
) -> ScaleModel | None:
    from delineate.inference.scale import fit_scale

    if recipe.data.diameter is None:
        return None
    reporter.stage("learning the scale")
    used = samples[:: max(1, len(samples) // 120)]
    scale = fit_scale(runner, [s.image for s in used], [s.diameter * s.scale for s in used])
    if scale is None:
        # A diameter that nobody chose is no wish that could fail.
        chosen = recipe.data.diameter != DataOptions.model_fields["diameter"].default
        log.log(
            logging.WARNING if chosen else logging.INFO,
            "the size of objects is not told by %s and this network: the model will find it in no "
            "image; predict with --diameter, or train with data.diameter null",
            plural(len(used), "image"),
        )
    return scale
