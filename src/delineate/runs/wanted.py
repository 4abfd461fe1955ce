"""What the recipe of a run's model says of true images: the units that results have beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from delineate.review.run_images import relative_units
from delineate.runs.layout import read_json


class Wanted(NamedTuple):
    """How the images that a model learned to make stand to its results.

    `relative`: each was brought to the scale of its input, whose units results have (`Normalise` of
    kind match); brightness and contrast of results and true images cannot be compared.
    """

    relative: bool = False


def wanted_of(run: Path) -> Wanted:
    """What the record of a run says; what it does not say is as in most runs."""
    recipe = _mapping(_mapping(read_json(run / "run.json")).get("recipe"))
    return Wanted(relative=relative_units(recipe))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
