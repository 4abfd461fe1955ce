"""The learning-rate finder for a recipe: pictures and numbers of a range test, no training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from delineate.data.layouts import training_pairs
from delineate.data.samples import prepare
from delineate.errors import RecipeError
from delineate.networks import check_name
from delineate.recipe import Recipe
from delineate.runs.members import first_network, member_splits
from delineate.runs.train import Reporter, Silent, _clear, _geometry, preparation_of
from delineate.training.regimes import SupervisedOptions

if TYPE_CHECKING:
    from delineate.model import Model
    from delineate.training.rates import Rates


def find_rates(
    recipe: Recipe,
    out: str | Path,
    *,
    start: Model | None = None,
    reporter: Reporter | None = None,
    allow_imports: bool = False,
) -> Rates:
    """Try learning rates on the training images of the first member, before any training.

    Writes ``rates.csv`` and ``rates.png`` into `out`, and leaves no weights. Parameters and errors
    are those of `delineate.runs.train.train`.

    Raises
    ------
    RecipeError : the regime is not "supervised": what it minimises is not what is tried here.
    """

    from delineate.training.rates import find_rate

    reporter, out = reporter or Silent(), Path(out)
    data = recipe.data
    if type(recipe.regime) is not SupervisedOptions:
        raise RecipeError(
            f"a learning rate is found by the method's own loss alone, and regime "
            f"{recipe.regime.title} trains by another: set train.learning_rate by hand (now "
            f"{recipe.train.learning_rate:g}) and leave out --find-rate"
        )
    if data.images is None:
        raise RecipeError("data.images is not set: which folder holds the training images?")
    check_name(recipe.network, allow_imports=allow_imports)
    reporter.stage("looking for images")
    every = training_pairs(data, recipe.method.truth, recipe.regime.needs_truth)
    pairs = member_splits(recipe, every)[0].train
    ndim, channels = _geometry(recipe, pairs)
    preparation = preparation_of(recipe, channels, ndim)
    reporter.stage(f"preparing {len(pairs)} training images")
    samples = prepare(pairs, preparation, out / "cache", reporter.each)
    network = first_network(recipe, 0, channels, ndim, start, allow_imports)
    reporter.stage("trying learning rates")
    found = find_rate(
        network,
        recipe.method,
        samples,
        recipe.train,
        recipe.augment,
        ndim=ndim,
        seed=recipe.seed,
        tell=reporter.step,
    )
    found.save(out)
    _clear(out / "cache")
    return found
