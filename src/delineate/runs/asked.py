"""Whether a model can do what is asked of a prediction, before anything is run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from delineate.errors import ModelError
from delineate.methods.base import Method
from delineate.model import Model
from delineate.runs.outputs import Outputs

if TYPE_CHECKING:
    from delineate.runs.predict import Settings

log = logging.getLogger("delineate")


def check_asked_for(model: Model, settings: Settings, outputs: Outputs) -> None:
    """Refuse what a model cannot do; warn where maps of uncertainty will be missing.

    Raises
    ------
    ModelError : something is for labels where there are images, or the other way round; or a
        verdict is asked for where no uncertainty will be known.
    """
    method = model.recipe.method
    if method.truth == "image":
        _check_for_images(model, settings, outputs)
    elif settings.dtype != "auto":
        raise ModelError(
            f"model {model.name} gives labels, in the smallest type that holds their ids: leave "
            "--dtype out"
        )
    draws = len(model.members) * settings.run.turns
    ndim = model.description.ndim
    if not (outputs.uncertainty or settings.required is not None) or tells(method, ndim, draws):
        return
    more = draws == 1 and tells(method, ndim, 4)
    why = "from a single draw" if more else f"(its method, {method.title}, has none)"
    if settings.required is not None:
        advice = "add --turns 4, or leave --required out" if more else "leave --required out"
        raise ModelError(
            f"model {model.name} tells no uncertainty {why}, so that no image could be accepted or "
            f"be marked for checking: {advice}"
        )
    log.warning(
        "model %s tells no uncertainty %s, so that no maps of it are written%s%s",
        model.name,
        why,
        "" if model.back is None else ", only of the error of there and back (cycle/)",
        ": add --turns 4" if more else "",
    )


def tells(method: Method, ndim: int, draws: int) -> bool:
    """Whether a method knows of an uncertainty with so many draws, tried on a few pixels."""
    import torch

    maps = method.activate(torch.zeros(1, method.out_channels(ndim), *(8,) * ndim))
    known = draws > 1 and method.n_moments > 0
    return method.spread(maps, method.moments(maps) if known else None) is not None


def _check_for_images(model: Model, settings: Settings, outputs: Outputs) -> None:
    for_labels = {
        "--keep-maps": outputs.maps,
        "--rois": outputs.rois,
        "--geojson": outputs.geojson,
        "--outlines": outputs.outlines,
        "--diameter": settings.diameter is not None,
        **{f"--{name.replace('_', '-')}": True for name in settings.decoding},
    }
    asked = [name for name, given in for_labels.items() if given]
    if asked:
        raise ModelError(
            f"model {model.name} gives images, in which there are no objects: leave "
            f"{', '.join(asked)} out"
        )
