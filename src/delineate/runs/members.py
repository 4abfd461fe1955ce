"""The members of a model, trained one after the other; a finished one is not trained again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from delineate.data.folds import fold_pairs
from delineate.data.layouts import Pair
from delineate.data.samples import Sample
from delineate.data.splits import Split, split_pairs
from delineate.errors import ModelError
from delineate.recipe import Recipe
from delineate.training.gan_options import CycleGANOptions

if TYPE_CHECKING:
    from torch import Tensor, nn

    from delineate.model import Model
    from delineate.networks import NetworkOptions
    from delineate.training.callbacks import Progress
    from delineate.training.setting import Setting

WEIGHTS, BACK = "weights.safetensors", "back.safetensors"
SCORES = "scores.json"

log = logging.getLogger("delineate")


@dataclass(frozen=True, eq=False)
class Member:
    """What the training of one member leaves.

    Parameters
    ----------
    state : its weights.
    scores : of the validation at which it was best.
    steps : optimiser steps taken until then.
    back : weights of the way back; empty where there is none.
    """

    state: dict[str, Tensor]
    scores: dict[str, float]
    steps: int
    back: dict[str, Tensor]


def member_splits(recipe: Recipe, pairs: Sequence[Pair], members: int | None = None) -> list[Split]:
    """The images that train and validate each member.

    Parameters
    ----------
    members : how many of them; None: as many as the recipe wants.

    Raises
    ------
    DataError : the images cannot be split so.
    """
    folds = recipe.ensemble.folds
    if folds is None:
        return [split_pairs(pairs, recipe.data.validation, recipe.seed)]
    return [
        fold_pairs(pairs, folds, m, recipe.seed) for m in range(members or recipe.ensemble.size)
    ]


def member_folder(out: Path, recipe: Recipe, number: int) -> Path:
    """Where a member trains: the run itself where there is one only."""
    return out if recipe.ensemble.folds is None else out / f"member-{number}"


def first_network(
    recipe: Recipe, number: int, channels: int, ndim: int, start: Model | None, allow_imports: bool
) -> nn.Module:
    """The network of a member with the weights that its training begins with.

    Drawn afresh for each member, but for a pretrained encoder; or those of a member of `start`.

    Raises
    ------
    ModelError : weights that do not fit, or a network that cannot be built, or one from outside the
        package that does not take all sizes.
    """
    import torch

    from delineate.model import load_strictly
    from delineate.networks.pretrained import start_encoder

    torch.manual_seed(recipe.seed + number)
    outputs = recipe.method.out_channels(ndim)
    network = _built(recipe, recipe.network, channels, outputs, ndim, allow_imports)
    if start is None:
        start_encoder(network, recipe.network, ndim)
    else:
        first = start.members[number % len(start.members)]
        try:
            load_strictly(network, first, f"model {start.name}")
        except ModelError as error:
            advice = _advice(start, recipe, channels, ndim)
            raise ModelError(f"{error}; {advice}") from error
    return network


def _built(
    recipe: Recipe,
    network: NetworkOptions,
    inputs: int,
    outputs: int,
    ndim: int,
    allow_imports: bool,
) -> nn.Module:
    """A network with fresh weights; one from outside takes all sizes that the training has."""
    from delineate import networks

    built = networks.build(network, inputs, outputs, ndim, allow_imports=allow_imports)
    if networks.is_outside(network.name):
        from delineate.networks.sizes import check_sizes

        check_sizes(built, network.name, inputs, outputs, recipe.train.patch_shape(ndim))
    return built


def _advice(start: Model, recipe: Recipe, channels: int, ndim: int) -> str:
    """What to set so that the weights of a model fit a training."""
    known = _shaping(start.recipe, start.description.in_channels, start.description.ndim)
    wanted = _shaping(recipe, channels, ndim)
    told = [
        f"{key} {known.get(key)} and not {wanted.get(key)}"
        for key in known | wanted
        if known.get(key) != wanted.get(key)
    ]
    said = f"it was trained with {', '.join(told)}: set the same" if told else "set what it had"
    return f"{said}, or leave out --from to train from the beginning"


def _shaping(recipe: Recipe, channels: int, ndim: int) -> dict[str, object]:
    """Settings that the shapes of weights depend on."""
    method = recipe.method.model_dump(include={"name", "classes", "channels", "noise"})
    network = recipe.network.model_dump(include={"name", "options"})
    return {
        **{f"method.{key}": value for key, value in method.items()},
        **{f"network.{key}": value for key, value in network.items()},
        "data.in_channels": channels,
        "data.ndim": ndim,
    }


def member_setting(
    recipe: Recipe,
    number: int,
    val: Sequence[Sample],
    *,
    channels: int,
    ndim: int,
    start: Model | None,
    allow_imports: bool,
) -> Setting:
    """What the regime of a member is given.

    Where it has a way back, that begins with the way back of `start`, which the log says if there
    is none.

    Raises
    ------
    ModelError : as for `first_network`.
    """
    from delineate.training.setting import Setting

    def build(network: NetworkOptions | None, inputs: int, outputs: int) -> nn.Module:
        chosen = recipe.network if network is None else network
        return _built(recipe, chosen, inputs, outputs, ndim, allow_imports)

    return Setting(
        first_network(recipe, number, channels, ndim, start, allow_imports),
        recipe.method,
        recipe.train,
        recipe.train.total,
        val,
        ndim,
        channels,
        build,
        _start_of_back(recipe, number, start),
    )


def _start_of_back(
    recipe: Recipe, number: int, start: Model | None
) -> Callable[[nn.Module], None] | None:
    """What gives the way back of a member its first weights."""
    from delineate.model import load_strictly

    if start is None or not isinstance(recipe.regime, CycleGANOptions):
        return None
    if start.back is None:
        log.warning("model %s has no way back: that of this training begins anew", start.name)
        return None
    known, name = start.back.members, start.back.name
    first = known[number % len(known)]
    return lambda network: load_strictly(network, first, f"model {name}")


def train_member(
    recipe: Recipe,
    number: int,
    folder: Path,
    samples: tuple[list[Sample], list[Sample]],
    *,
    channels: int,
    ndim: int,
    start: Model | None,
    allow_imports: bool,
    tell: Callable[[Progress], None],
    after_validation: Callable[[Path], None],
) -> Member:
    """Train a member, or go on with it, or read it back where it is finished.

    Each member has weights of its own to begin with, and other patches: its seed is the recipe's
    plus its number.

    Raises
    ------
    RecipeError, ModelError : as their texts say.
    """
    from safetensors.torch import load_file, save

    from delineate.io import atomic_path
    from delineate.model import load_strictly
    from delineate.training.fit import fit

    if (folder / SCORES).is_file():
        known = json.loads((folder / SCORES).read_text(encoding="utf-8"))
        back = load_file(folder / BACK) if (folder / BACK).is_file() else {}
        return Member(load_file(folder / WEIGHTS), known["scores"], known["steps"], back)
    train, val = samples
    setting = member_setting(
        recipe, number, val, channels=channels, ndim=ndim, start=start, allow_imports=allow_imports
    )
    fitted = fit(
        setting,
        recipe.regime,
        train,
        recipe.augment,
        seed=recipe.seed + number,
        folder=folder,
        part=recipe.data.part,
        tell=tell,
        after_validation=after_validation,
    )
    load_strictly(setting.network, fitted.state, "the best checkpoint")
    member = Member(fitted.state, dict(fitted.scores), fitted.steps, fitted.back)
    if recipe.ensemble.folds is None:
        return member
    for name, weights in ((WEIGHTS, member.state), (BACK, member.back)):
        if weights:
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(save({k: v.clone() for k, v in weights.items()}))
    record = {"scores": member.scores, "steps": member.steps}
    with atomic_path(folder / SCORES) as temporary:
        temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return member
