"""`delineate train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from delineate.cli.progress import TrainProgress, say

if TYPE_CHECKING:
    from delineate.model import Model
    from delineate.recipe import Recipe


def train(
    recipe: str,
    /,
    *settings: Annotated[str, Parameter(allow_leading_hyphen=True)],
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("runs/model"),
    start: Annotated[str | None, Parameter(name="--from")] = None,
    find_rate: bool = False,
    find_batch: bool = False,
    threads: int | None = None,
    allow_imports: bool = False,
) -> int:
    """Train a model on images with labels, or with the images that are wanted.

    Takes a recipe, or a folder of images and labels and no configuration at all. Any setting of a
    recipe is changed as --section.name value; `delineate recipes` lists the recipes, `delineate
    recipes --settings` the settings.

    Objects and classes: the folder holds images/ and labels/ with equal names, or images beside
    files whose names end in _masks, _mask, _labels, _label or _seg. Labels are integers, 0 for
    background and one number for each object. A file with no other number than 1 or 255 is a mask,
    whose connected parts are the objects, those that touch at a corner being one. For classes of
    pixels take the recipe semantic.

    Images to images (recipes restoration, labelfree, stain, modality, synthesis …): images/ and
    targets/ with equal names, or X_target beside X. Where nothing wanted exists, noise2void learns
    from images alone. With labelfree-cyclegan and unsupervised (--data.unpaired true) images/ and
    targets/ (or labels/) need not belong together. --data.cost names a folder of cost maps.

    A CSV table with the columns image and labels (or target) takes the place of the folder; one
    with image and split (--data.table) says what trains and what validates.

    The output folder receives model/ (give it to `predict --model`), metrics.csv, curves.png and
    checkpoints. A training that was interrupted, or killed, goes on when the same command is given
    again, and ends with the same weights.

        delineate train my-data -o runs/mine
        delineate train my-data -o runs/mine --from nuclei --train.steps 300
        delineate train my-data -o runs/mine --data.diameter 40 --train.batch 4
        delineate train semantic --data.images my-data -o runs/classes
        delineate train restoration --data.images my-pairs -o runs/restored
        delineate train recipe.yaml -o runs/mine --seed 1
        delineate train recipe.yaml -o runs/rates --find-rate
        delineate train recipe.yaml -o runs/batches --find-batch

    Parameters
    ----------
    recipe
        A folder or CSV table of images and labels, a YAML file, or the name of a packaged recipe
        (whose images --data.images names).
    settings
        Settings of the recipe, such as --train.steps 500.
    out
        Folder of the run.
    start
        Model whose weights training starts from: a name, or a folder. Without a recipe, its own
        recipe (channels, scale, normalisation) is taken.
    find_rate
        Train nothing; try learning rates in a hundred steps, write rates.csv and rates.png into the
        output folder, and suggest one for --train.learning_rate.
    find_batch
        Train nothing; try batches of 1, 2, 4 … patches for a few steps each, show how fast each
        trains and what memory it takes, write batches.csv into the output folder, and suggest one
        for --train.batch.
    threads
        Threads of the processor to use; by default all.
    allow_imports
        Allow a recipe to import its network, method or regime from outside the package.
    """
    from delineate.cli.overrides import parse_overrides
    from delineate.cli.predict import use_threads
    from delineate.model import load
    from delineate.recipe import Recipe, override
    from delineate.runs import train as runs

    use_threads(threads)
    overrides = parse_overrides(settings)
    source = Path(recipe)
    base = None if start is None else load(start, allow_imports=allow_imports)
    if source.is_dir() or source.suffix.lower() == ".csv":
        values = {} if base is None else base.recipe.model_dump(mode="json")
        if base is not None:
            values["data"]["in_channels"] = base.description.in_channels
            values["train"] = {}
        values["name"] = source.resolve().name if source.is_dir() else source.stem
        values = override(values, {"data.images": source, **overrides})
        source_of = "the recipe of these settings"
        chosen = Recipe.build(values, source_of, allow_imports=allow_imports)
    else:
        chosen = Recipe.load(recipe, overrides, allow_imports=allow_imports)
    if find_rate:
        return _find_rate(chosen, out, base, allow_imports)
    if find_batch:
        return _find_batch(chosen, out, base, allow_imports)
    with TrainProgress() as progress:
        model = runs.train(chosen, out, start=base, reporter=progress, allow_imports=allow_imports)
    from delineate.training.processes import place  # not before the threads are set

    if place().rank == 0:
        say(f"model → {out / 'model'}{_success(model)}")
    return 0


def _success(model: Model) -> str:
    """How good the model was on images that it had not trained on."""
    members = len(model.members)
    if members == 1:
        scores = model.description.scores[0]
        known = [f"{k.removeprefix('val_')} {v:.3f}" for k, v in scores.items()]
        return f" (validation: {', '.join(known)})" if known else ""
    reference = model.description.reference
    if reference is None:
        return f" ({members} members; no image tells how good they are)"
    left_out = [image["score"] for image in reference["images"]]
    mean = sum(left_out) / max(1, len(left_out))
    return (
        f" ({members} members; mean {reference['metric']} {mean:.3f} of {len(left_out)} "
        "images, each by a member that had left it out)"
    )


def _find_rate(recipe: Recipe, out: Path, base: Model | None, allow_imports: bool) -> int:
    from delineate.runs.rates import find_rates

    with TrainProgress() as progress:
        found = find_rates(recipe, out, start=base, reporter=progress, allow_imports=allow_imports)
    if found.suggested is None:
        say(f"no rate is suggested: {found.why}; see {out / 'rates.png'}")
    else:
        say(f"suggested: --train.learning_rate {found.suggested:.2g}; see {out / 'rates.png'}")
    return 0


def _find_batch(recipe: Recipe, out: Path, base: Model | None, allow_imports: bool) -> int:
    from delineate.runs.batches import find_batches

    with TrainProgress() as progress:
        found = find_batches(
            recipe, out, start=base, reporter=progress, allow_imports=allow_imports
        )
    say(f"{found.table()}\n{found.ended}")
    if found.suggested is None:
        say("not even one patch fits: lower --train.patch, or choose a smaller network")
        return 1
    say(f"suggested: --train.batch {found.suggested}; see {out / 'batches.csv'}")
    return 0
