"""`delineate consensus`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from delineate.cli.axes import axes_help
from delineate.cli.progress import RunProgress, say
from delineate.words import plural

if TYPE_CHECKING:
    from delineate.consensus.settings import ConsensusSettings


def consensus(
    experts: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)],
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    method: Literal["staple", "majority"] = "staple",
    pattern: str | None = None,
    classes: int | None = None,
    objects: bool = False,
    support: float | None = None,
    iou: float = 0.25,
    undecided: int = 0,
    images: Path | None = None,
    axes: Annotated[str | None, Parameter(help=axes_help("masks"))] = None,
    skip_odd_sizes: bool = False,
    overwrite: bool = False,
) -> int:
    """Estimate one ground truth from the masks of several experts, and show how far they agree.

    Writes labels/, soft/ (the probability of every pixel), experts.csv, agreement.csv, pairs.csv,
    images.csv, consensus.json and report.html. Experts may lack some of the images. An image with a
    bad mask is reported and skipped; the exit status is then 1.

    What was fused pixel by pixel is ready for the recipe semantic; what was fused with --objects,
    or masks whose connected parts are the objects, for training without a recipe:

        delineate train semantic --data.images images --data.labels truth/labels
        delineate train images --data.labels truth/labels

    Each expert has a folder, and the masks of one image have the same name in all of them:

        delineate consensus anna/ ben/ carla/ -o truth
        delineate consensus experts/ -o truth --images images

    Or all masks are in one folder, and their names say whose they are:

        delineate consensus masks/ -o truth --pattern "{image}_{expert}.png"

    Three classes (0 background, 1, 2), pixels without a winner marked with 255:

        delineate consensus experts/ -o truth --classes 3 --undecided 255

    Cells that touch: fuse object by object, keep those that 60 % of the experts drew:

        delineate consensus experts/ -o truth --objects --support 0.6

    Parameters
    ----------
    experts
        Folders of masks, one an expert; or one folder that holds a folder for each expert; or,
        with --pattern, one folder. A mask has 0 (background) and one other value.
    out
        Folder for the results; none in which masks or images lie.
    method
        STAPLE weighs experts by how well they do, which it estimates; majority gives all the same
        weight. The sensitivities of STAPLE are soft: pixels weigh by their probability, while Dice
        and AP are of the thresholded estimate. Where no two experts share a pixel, STAPLE mostly
        takes the largest mask, whole: a note says whose mask it is.
    pattern
        How file names in one folder tell image and expert, such as "{expert}/{image}_mask.tif".
    classes
        Number of classes, with the background, where masks hold classes 0, 1, 2 …
    objects
        Fuse objects instead of pixels, so that touching ones stay apart: those of label images,
        or the connected parts of masks. Adds objects.csv with the support of each.
    support
        Share of the experts of an image that must have drawn an object; by default more than half.
    iou
        Objects of several experts are one where their mean overlap (IoU) is at least this.
    undecided
        Value of pixels for which experts are equally divided; their number is always reported. With
        it, all that was drawn is undecided in images in which no two experts share a pixel. A value
        that is no class is left out of the agreement with the estimate, which is empty where then
        nothing is left of the foreground, or of two equal votes.
    images
        Folder of the images, shown under the outlines in the report.
    skip_odd_sizes
        Leave out masks of another size than most of an image (where no size has most, than the
        image), as if the expert had none, instead of the whole image; a note says whose.
    overwrite
        Replace the results of an earlier consensus with other settings.
    """
    from delineate.consensus.settings import ConsensusSettings
    from delineate.runs.consensus import consensus_folder

    settings = ConsensusSettings(
        method, classes, objects, support, iou, undecided, axes, skip_odd_sizes
    )
    with RunProgress("fusing") as progress:
        run = consensus_folder(
            experts,
            out,
            settings,
            pattern=pattern,
            images=images,
            overwrite=overwrite,
            listener=progress,
        )
    for line in run.lines():
        print(line)
    for remark in run.remarks:
        say(f"note: {remark}")
    noted = sum(bool(image.note) for image in run.images)
    if noted:
        say(f"notes on {plural(noted, 'image')}: see {out / 'images.csv'}")
    if not run.images:
        all_failed = f"all {len(run.failed)} images" if len(run.failed) > 1 else "the only image"
        say(f"delineate: {all_failed} failed, there is no consensus: see {out / 'images.csv'}")
        return 1
    say(f"{plural(len(run.images), 'image')} → {out / 'report.html'}")
    for line in _trainings(settings, out, images):
        say(line)
    if run.failed:
        say(f"delineate: {plural(len(run.failed), 'image')} failed, see {out / 'images.csv'}")
    return 1 if run.failed else 0


def _trainings(settings: ConsensusSettings, out: Path, images: Path | None) -> list[str]:
    """The commands that train on the result."""
    where = "IMAGES" if images is None else shlex.quote(str(images))
    labels = f"--data.labels {shlex.quote(str(out / 'labels'))}"
    objects = f"delineate train {where} {labels}"
    if settings.objects:
        return [f"to train on the objects: {objects}"]
    classes = settings.classes or 2
    command = f"delineate train semantic --data.images {where} {labels}"
    command += f" --data.soft {shlex.quote(str(out / 'soft'))}"
    if classes > 2:
        command += f" --method.classes {classes}"
    undecided = settings.undecided >= classes
    if undecided:
        command += f" --method.ignore {settings.undecided}"
    lines = [f"to train on the pixels: {command}"]
    if classes == 2 and not undecided:
        lines.append(f"where the connected parts are objects: {objects}")
    return lines
