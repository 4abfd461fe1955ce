"""What the recipe of a run's model says of true images: which part of files, in which units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from delineate.data.channels import Selection, select_axes
from delineate.data.normalise import Normalise
from delineate.data.truth import EVERYTHING
from delineate.errors import AxesError, ReadError
from delineate.image import Image
from delineate.review.run_images import relative_units
from delineate.runs.layout import read_json
from delineate.words import plural


class Wanted(NamedTuple):
    """How the images that a model learned to make stand to the files of true ones.

    `relative`: each was brought to the scale of its input, whose units results have (`Normalise` of
    kind match); brightness and contrast of results and true images cannot be compared. `learned`
    are the channels and planes of the files that the recipe names, or the prediction took in place
    of these, `asked` those of a user, which stand in their place. `rule`: of targets whose results
    have no other units than the normalised ones (masks, stains), and with which true images are to
    be normalised; None of others.
    """

    relative: bool = False
    learned: Selection = EVERYTHING
    asked: Selection = EVERYTHING
    rule: Normalise | None = None

    def part(self, truth: Image, prediction: Image) -> Image:
        """The channels and planes of a true image that a prediction is of.

        Those that the recipe names are chosen of files that have them; others hold them alone.
        Where the prediction has no Z, a single plane leaves none either, and several become
        channels, as in training (`read_target`).

        Raises
        ------
        AxesError : a channel or plane that was asked for is not there.
        """
        channels = _chosen(truth, "C", self.asked.channels, self.learned.channels)
        same = "Z" in truth.axes and truth.sizes["Z"] == prediction.sizes.get("Z")
        learned = None if same else self.learned.planes
        planes = _chosen(truth, "Z", self.asked.planes, learned)
        merged = "Z" in truth.axes and "Z" not in prediction.axes
        if channels is None and planes is None and not merged:
            return truth
        return select_axes(truth, Selection(channels, planes, merged, merged))

    def plane(self, truth: Image, prediction: Image) -> Image:
        """The planes of true labels that predicted ones are of, where that is known."""
        planes, depth = _chosen(truth, "Z", None, self.learned.planes), prediction.sizes.get("Z")
        if planes is None or truth.sizes["Z"] == depth or (depth is None and len(planes) > 1):
            return truth
        return select_axes(truth, Selection(planes=planes, flat=depth is None))


def wanted_of(run: Path) -> Wanted:
    """What the record of a run says; what it does not say is as in most runs.

    Raises
    ------
    ReadError : how targets were normalised is not understood.
    """
    record = _mapping(read_json(run / "run.json"))
    recipe = _mapping(record.get("recipe"))
    data = _mapping(recipe.get("data"))
    channels = data.get("target_channels")
    if _mapping(recipe.get("regime")).get("name") == "blind-spot":  # learned of the images alone
        channels = _mapping(record.get("settings")).get("channels") or data.get("channels")
    planes = _mapping(record.get("settings")).get("planes") or data.get("planes")
    learned = Selection(_numbers(channels), _numbers(planes))
    rule = _mapping(recipe.get("normalise_target"))
    if rule.get("kind") not in ("mask", "macenko"):
        return Wanted(relative_units(recipe), learned)
    try:
        return Wanted(learned=learned, rule=Normalise.model_validate(rule))
    except ValidationError as error:
        raise ReadError(
            f"{run / 'run.json'}: normalise_target of its recipe is not understood ("
            f"{error.errors()[0]['msg']}): run the predict command again"
        ) from error


_PARTS = {"C": ("channel", "--truth-channels"), "Z": ("plane", "--truth-planes")}


def _chosen(
    image: Image, axis: str, asked: Sequence[int] | None, learned: Sequence[int] | None
) -> tuple[int, ...] | None:
    """The channels or planes to choose; those learned only of an image that has them all.

    Raises
    ------
    AxesError : one that was asked for is not there.
    """
    n = image.sizes.get(axis, 1)
    if asked is not None:
        lacking = [i for i in asked if not -n <= i < n]
        if lacking:
            what, option = _PARTS[axis]
            raise AxesError(
                f"{image.source or 'the true image'} has {plural(n, what)}, "
                f"numbered from 0: {option} asks for {', '.join(map(str, lacking))}"
            )
        return tuple(asked)
    if learned is None or axis not in image.axes:
        return None
    return tuple(learned) if all(-n <= i < n for i in learned) else None


def _numbers(value: Any) -> tuple[int, ...] | None:
    return tuple(int(i) for i in value) if isinstance(value, list) and value else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
