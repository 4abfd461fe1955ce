"""A model on the images that its members left out: scores, and the uncertainty that went with them.

Each image is predicted from its file, as a new one would be, by the member that did not train on
it. That member's uncertainty is the expected variance of a single draw, which is what the
aleatoric part of an ensemble's prediction is too: the two can be compared, and the expected score
goes by that part. The verdict goes by the whole predictive uncertainty of a new image, to which
the disagreement of members only adds: it errs on the safe side. A member that gives
images and no expected noise has no such variance: then the spread is that of the whole ensemble,
whose other members know the image and agree more than they would on a new one, or, of a single
member, that of its turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from delineate.data.channels import Selection, network_channels, select_axes
from delineate.data.mapped import map_image, map_target
from delineate.data.pairs import short_names
from delineate.data.splits import Split
from delineate.data.truth import Known, read_truth
from delineate.data.truth_files import at_time
from delineate.io import read, write_table
from delineate.methods.segmentation import Segmentation
from delineate.model import Model
from delineate.review.calibration import calibration_figure
from delineate.runs.doubts import Doubts, doubts_of_training

if TYPE_CHECKING:
    from delineate.data.layouts import Pair
    from delineate.image import Image
    from delineate.inference.runner import RunOptions
    from delineate.inference.scale import ScaleModel
    from delineate.methods.base import Maps
    from delineate.training.tune import Case
    from delineate.uncertainty import FeatureStatistics, PixelSample

TABLE = "left-out.csv"
MOST = 200
"""Images predicted, and looked at for their features, at most; they are taken evenly from all."""
FEWEST = 3
"""Fewer images say nothing of where others lie, nor of how far from there is usual."""
TURNS = 4
"""Passes over an image, each turned in another way, that a single member's spread is of."""


def assess(
    model: Model,
    splits: Sequence[Split],
    cases: Sequence[Case],
    scales: Sequence[ScaleModel | None],
    out: Path,
    options: RunOptions,
    each: Callable[[Iterable[Pair]], Iterable[Pair]] = iter,
) -> Model:
    """Predict the images left out, write ``left-out.csv``, and store in the model what they tell.

    Where none was left out, a model of images learns from its training images what is doubtful.

    Parameters
    ----------
    model : all members, decoding and scale settled.
    splits : of each member, what validates with its truth or without. An image that several members
        left out is taken from the first.
    cases : each member with the images that it was trained on.
    scales : what each member knows of the size of objects.
    out : folder of the training.
    each : hears of the pairs as they are predicted, one after the other.
    """
    from delineate.uncertainty import Reference
    from delineate.uncertainty.crossfit import cross_fit

    left_out: dict[str, tuple[int, Pair]] = {}
    for number, split in enumerate(splits):
        for pair in split.val:
            left_out.setdefault(pair.name, (number, pair))
    names = list(left_out)[:: max(1, -(-len(left_out) // MOST))]
    target = model.description.target
    spreading = options.model_copy(update={"turns": TURNS if len(model.members) == 1 else 1})
    if not names:
        if target is None:
            return model
        pairs = splits[0].train if splits else []
        levels = doubts_of_training(model, pairs, options, spreading, each).levels()
        known = {"target": target.model_copy(update=levels)}
        return replace(model, description=model.description.model_copy(update=known))
    recipe, rows = model.recipe, []
    features: list[list[NDArray[np.float32]]] = [[] for _ in splits]
    calibration: list[PixelSample] = []
    rng = np.random.default_rng(model.recipe.seed)
    doubts = Doubts()
    method, data = recipe.method, recipe.data
    flat = model.uses().flat
    wanted = Selection(data.target_channels, data.planes, data.z_channels, flat)
    names.sort(key=lambda name: left_out[name][0])  # each member has its turn
    alone, last = model, -1
    for pair in each([left_out[name][1] for name in names]):
        number = left_out[pair.name][0]
        if number != last:
            weights, last = (model.members[number],), number
            alone = replace(model, members=weights, scale=scales[number], _built=[], _runners={})
        image = at_time(read(pair.image, axes=data.axes), pair.time)
        planes = None if pair.plane is None else (pair.plane,)
        found = alone.predict(image, planes=planes, options=options, keep_maps=True)
        shape = tuple(found.image.sizes[a] for a in found.axes)
        truth: Known | None = None
        if pair.truth(method.truth) is not None:
            part = wanted if planes is None else wanted._replace(planes=planes)
            truth = read_truth(pair, method, shape, data.axes, part)
        counted = None if truth is None or truth.cost is None else truth.cost > 0
        scores = {method.monitor: np.nan}  # of an image of which nothing is known
        features[number] += found.features
        if found.result is not None:
            if truth is not None and truth.image is not None:
                both = found.result.channel_first(), truth.image
                scores = method.score(*_comparable(*both, model, image, planes), counted)
            if found.predictive is None:
                found = model.predict(image, planes=planes, options=spreading)
            doubts.add(found)
        elif truth is not None:
            assert found.posterior is not None
            scores = method.score(found.posterior.maps, truth.labels, counted)
            if isinstance(method, Segmentation):
                calibration.append(pixels_of(found.posterior.maps, method, truth, rng))
        rows.append(
            {
                "image": pair.name,
                "member": number,
                **scores,
                "objects": found.count,
                "uncertainty": found.scores.uncertainty,
                "image_uncertainty": found.scores.image_uncertainty,
            }
        )
    columns = dict.fromkeys(key for row in rows for key in row)
    table = {key: np.array([row.get(key, np.nan) for row in rows]) for key in columns}
    write_table(out / TABLE, table)
    learned: dict[str, Any] = {}
    scored = ~np.isnan(table[method.monitor])
    known_as = short_names([left_out[name][1] for name in names])
    if scored.any() and not np.isnan(table["image_uncertainty"]).all():
        reference = Reference(
            tuple(known_as[name] for name in table["image"][scored].tolist()),
            tuple(table["uncertainty"][scored].tolist()),
            tuple(np.clip(table[method.monitor][scored], 0, 1).tolist()),  # Pearson's may be < 0
            method.monitor,
            "aleatoric" if target is None or getattr(method, "noise", False) else "predictive",
            "out-of-fold" if recipe.ensemble.folds else "held-out",
        )
        learned["reference"] = reference.to_dict()
    if isinstance(method, Segmentation) and any(len(s.classes) for s in calibration):
        fit = cross_fit(calibration, method.temperature)
        calibration_figure(fit.before, fit.after, out / "calibration.png", fit.how)
        learned["calibration"] = {
            "before": fit.before.to_dict(),
            "after": fit.after.to_dict(),
            "temperatures": list(fit.temperatures),
        }
    if target is not None:
        learned["target"] = target.model_copy(update=doubts.levels())
    described = model.description.model_copy(update=learned)
    return replace(model, description=described, novelty=_novelty(cases, features))


def _comparable(
    result: NDArray[Any],
    truth: NDArray[Any],
    model: Model,
    image: Image,
    planes: Sequence[int] | None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """A result and the image that is wanted, both (channels, spatial axes), in the same units.

    These are normalised intensities, as in validation, where each target was brought to the scale
    of its image; else those of results: masks and stains have no others.
    """
    recipe = model.recipe
    wanted = recipe.normalise_target
    if wanted is not None and wanted.relative:
        part = select_axes(image, model.uses(planes=planes))
        pixels = network_channels(part, model.description.in_channels)
        seen = map_image(pixels, recipe.normalise, "the image")
        target = map_target(truth, wanted, seen, recipe.normalise, "the target")
        own = seen.single.of_file(seen.intensity).for_channels(len(result))
        return own.apply(result), target.normalised()
    if wanted is None or wanted.kind not in ("mask", "macenko"):
        return result, truth
    return result, wanted.fit(truth).apply(truth)


def pixels_of(
    maps: Maps, method: Segmentation, truth: Known, rng: np.random.Generator
) -> PixelSample:
    """Pixels of one draw, with the class probabilities that the method has without temperature."""
    import torch

    from delineate.training.calibrate import PIXELS
    from delineate.uncertainty import apply_temperature, sample_pixels

    p = method.distribution(torch.from_numpy(maps)[None])[0].numpy()
    if method.truth == "classes":
        classes = truth.labels
    elif len(p) > 2 and truth.classes is not None:
        classes = np.where(truth.labels > 0, truth.classes, 0)
    else:
        classes = (truth.labels > 0).astype(np.int64)
    if truth.cost is not None:
        classes = np.where(truth.cost > 0, classes, -1)
    drawn = sample_pixels(p, classes, rng, PIXELS, ignore=-1)
    plain = apply_temperature(drawn.probabilities.T, 1 / method.temperature).T
    return drawn._replace(probabilities=plain)


def _novelty(
    cases: Sequence[Case], held_out: Sequence[Sequence[NDArray[np.float32]]]
) -> tuple[FeatureStatistics, ...]:
    """Where the features of the images that each member trained on lie; none if not all have.

    What distance is usual is told by the images left out, or where there are but one or two, by
    leaving out each training image in turn: the distance of one image is nobody's usual one.
    """
    from delineate.uncertainty import fit_features

    found = []
    for (runner, samples), own in zip(cases, held_out, strict=True):
        step = max(1, -(-len(samples) // MOST))
        known = [f for s in samples[::step] for f in runner.posterior(s.image).features]
        if len(known) < FEWEST:
            return ()
        found.append(fit_features(np.stack(known), np.stack(own) if len(own) >= FEWEST else None))
    return tuple(found)
