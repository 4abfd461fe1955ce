"""The batch finder for a recipe: how fast each batch trains and what it takes, no training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from delineate.data.layouts import training_pairs
from delineate.data.samples import prepare
from delineate.errors import RecipeError
from delineate.networks import check_name
from delineate.recipe import Recipe
from delineate.runs.members import member_setting, member_splits
from delineate.runs.train import Reporter, Silent, _clear, _geometry, preparation_of

if TYPE_CHECKING:
    from delineate.model import Model
    from delineate.training.batches import Batches


def find_batches(
    recipe: Recipe,
    out: str | Path,
    *,
    start: Model | None = None,
    reporter: Reporter | None = None,
    allow_imports: bool = False,
) -> Batches:
    """Try batches on the training images of the first member, before any training.

    Writes ``batches.csv`` into `out`, and leaves no weights. Parameters and errors are those of
    `delineate.runs.train.train`.
    """
    from delineate.training.batches import find_batch

    reporter, out = reporter or Silent(), Path(out)
    if recipe.data.images is None:
        raise RecipeError("data.images is not set: which folder holds the training images?")
    check_name(recipe.network, allow_imports=allow_imports)
    reporter.stage("looking for images")
    every = training_pairs(recipe.data, recipe.method.truth, recipe.regime.needs_truth)
    pairs = member_splits(recipe, every)[0].train
    ndim, channels = _geometry(recipe, pairs)
    reporter.stage(f"preparing {len(pairs)} training images")
    cache = recipe.data.cache or out / "cache"
    preparation = preparation_of(recipe, channels, ndim)
    samples = prepare(pairs, preparation, cache, reporter.each)
    setting = member_setting(
        recipe, 0, [], channels=channels, ndim=ndim, start=start, allow_imports=allow_imports
    )
    reporter.stage("trying batches")
    found = find_batch(setting, recipe.regime, samples, recipe.augment, seed=recipe.seed)
    found.save(out)
    _clear(out / "cache")
    return found
