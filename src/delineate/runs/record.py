"""What a training folder says of itself: whose training it is, and where its model comes from."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delineate.data.layouts import Pair
from delineate.data.options import FILES, PATHS
from delineate.data.samples import Sample
from delineate.data.splits import Split
from delineate.data.truth_files import target_names
from delineate.errors import RecipeError
from delineate.recipe import Recipe
from delineate.runs.layout import file_sha256

if TYPE_CHECKING:
    from delineate.data.intensity import Intensity
    from delineate.model import Description, Model, Target
    from delineate.runs.members import Member
    from delineate.training.regimes import AnyRegime

NO_CACHE = {"cache": None}
"""Where prepared images are kept changes nothing about a training."""
ENDS = 1 << 20
"""Bytes at either end of an image file that tell it from another of its size."""


def claim(out: Path, recipe: Recipe, start: Model | None, splits: Sequence[Split]) -> None:
    """Record what this folder trains; refuse to go on with another training's checkpoints.

    The number of members may differ: an ensemble can be given more of them.

    Parameters
    ----------
    splits : of one member for each fold, however many members there are.

    Raises
    ------
    RecipeError : the folder holds a training by another recipe, of other images, or unknown.
    """
    from delineate.io import atomic_path

    paths = {
        key: path.resolve() for key in FILES if (path := getattr(recipe.data, key)) is not None
    }
    changes: dict[str, Any] = {"data": recipe.data.model_copy(update=paths | NO_CACHE)}
    if recipe.network.weights is not None:
        resolved = Path(recipe.network.weights).resolve()
        changes["network"] = recipe.network.model_copy(update={"weights": resolved})
    if recipe.ensemble.folds is not None:
        changes["ensemble"] = recipe.ensemble.model_copy(update={"members": None})
    full = recipe.model_copy(update=changes)
    text = full.dump() + f"# trains on {fingerprint(splits)}\n"
    text += f"# starts from {start.sha256()}\n" if start else ""
    record = out / "recipe.yaml"
    trained = any(out.glob("**/checkpoints/*.ckpt")) or (out / "model").exists()
    if trained and (not record.exists() or record.read_text(encoding="utf-8") != text):
        raise RecipeError(
            f"{out} holds a training by another recipe or of other images"
            + (f" (see {record})" if record.exists() else "")
            + ": choose another folder, or remove it"
        )
    with atomic_path(record) as temporary:
        temporary.write_text(text, encoding="utf-8")


def fingerprint(splits: Iterable[Split]) -> str:
    """Hash of the images, their names, weights and roles, and of what is known of them.

    Labels, targets and costs are read, since a correction changes a few pixels, and so are images
    that are folders (zarr), which have no size of their own; of images that are files, which may be
    large, the size and both ends. A file that serves several time points is read once.
    """
    marks: dict[Path, str] = {}

    def mark(file: Path) -> str:
        if file not in marks:
            marks[file] = file_sha256(file)
        return marks[file]

    total = hashlib.sha256()
    for split in splits:
        for role, pairs in zip(("train", "val"), split, strict=True):
            for pair in pairs:
                content = mark(pair.image) if pair.image.is_dir() else _ends(pair.image)
                known = [(f.name, mark(f)) for f in pair.drawn]
                facts = (role, pair.name, pair.weight, pair.image.name, content, known, pair.time)
                total.update(repr(facts).encode())
    return total.hexdigest()[:16]


def _ends(file: Path) -> str:
    """Hash of the size of a file and of its first and last megabyte; empty where there is none."""
    if not file.is_file():
        return ""
    size = file.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with file.open("rb") as handle:
        digest.update(handle.read(ENDS))
        handle.seek(max(0, size - ENDS))
        digest.update(handle.read(ENDS))
    return digest.hexdigest()


def describe(
    recipe: Recipe,
    channels: int,
    ndim: int,
    samples: Sequence[Sample],
    splits: Sequence[Split],
    members: Sequence[Member],
    start: Model | None = None,
) -> Description:
    """The description of a trained model; it holds no path of this machine.

    Parameters
    ----------
    samples : of all images that trained or validated.
    splits, members : of each member.
    start : the model whose weights the training began with.
    """
    from delineate import __version__
    from delineate.model import Description

    trained = {pair.name: pair for split in splits for pair in split.train}
    validated = {pair.name for split in splits for pair in split.val}
    used = [s for s in samples if s.name in trained]
    diameters = [s.diameter for s in used if np.isfinite(s.diameter)]
    portable = {
        "data": recipe.data.model_copy(update=dict.fromkeys(PATHS)),
        "network": recipe.network.model_copy(update={"weights": None}),
        "regime": _portable(recipe.regime),
    }
    return Description(
        schema=1,
        recipe=recipe.model_copy(update=portable),
        in_channels=channels,
        ndim=ndim,
        diameter=recipe.data.diameter,
        target=_target(recipe, used, trained.values()),
        scores=tuple(member.scores for member in members),
        provenance={
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "delineate": __version__,
            "python": platform.python_version(),
            "platform": sys.platform,
            "steps": [m.steps for m in members] if len(members) > 1 else members[0].steps,
            "training_images": len(trained),
            "training_objects": sum(len(s.centres) for s in used),
            "validation_images": len(validated),
            "median_diameter": round(float(np.median(diameters)), 2) if diameters else None,
            "training_sha256": _content(trained.values()),
            **({"started_from": {"name": start.name, "sha256": start.sha256()}} if start else {}),
        },
    )


def _portable(regime: AnyRegime) -> AnyRegime:
    """A regime without the path of weights that the network of its way back may have."""
    back = getattr(regime, "back_network", None)
    if back is None:
        return regime
    return regime.model_copy(update={"back_network": back.model_copy(update={"weights": None})})


def target_of(intensities: Iterable[Intensity | None], **facts: Any) -> Target:
    """What images are like whose intensities were normalised so: the median of each channel."""
    from delineate.model import Target

    known = [i for i in intensities if i is not None]
    if not known:
        return Target(**facts)
    offset, scale = (np.median([getattr(i, n) for i in known], axis=0) for n in ("offset", "scale"))
    return Target(offset=tuple(offset.tolist()), scale=tuple(scale.tolist()), **facts)


def _target(recipe: Recipe, samples: Sequence[Sample], pairs: Iterable[Pair]) -> Target | None:
    """What the images are like that the model gives; None where it gives labels."""
    if recipe.method.truth != "image":
        return None
    known = [s for s in samples if len(s.targets)]
    # Targets that belong to no image have units of their own.
    apart = recipe.normalise_target is not None and not recipe.normalise_target.relative
    own = apart or recipe.data.unpaired
    types = {s.dtype for s in known}
    return target_of(
        [s.target_intensity for s in known] if own else [],
        dtype=types.pop() if len(types) == 1 else "",
        channels=_channel_names(recipe, pairs),
    )


def _channel_names(recipe: Recipe, pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Names of the channels that the first file has of what a model gives; none if unknown."""
    method, data = recipe.method, recipe.data
    own = recipe.regime.needs_truth
    files = (pair.truth("image") if own else pair.image for pair in pairs)
    file = next((f for f in files if f is not None), None)
    if file is None or (data.z_channels and not own):
        return ()
    names = target_names(file, data.axes)
    chosen = data.target_channels if own else data.channels
    if chosen is not None and names:
        names = tuple(names[c] for c in chosen)
    return names if len(names) == getattr(method, "channels", 0) else ()


def _content(pairs: Iterable[Pair]) -> str:
    """Hash of the content of the images that trained, and of what was known of them, each once."""
    files = dict.fromkeys(f for p in pairs for f in (p.image, p.labels, p.target, p.cost) if f)
    total = hashlib.sha256()
    for file in files:
        if file.exists():
            total.update(bytes.fromhex(file_sha256(file)))
    return total.hexdigest()
