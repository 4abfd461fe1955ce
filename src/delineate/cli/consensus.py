"""`delineate consensus`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from delineate.cli.predict import plural
from delineate.cli.progress import RunProgress, say


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
    axes: str | None = None,
    overwrite: bool = False,
) -> int:
    """Estimate one ground truth from the masks of several experts, and show how far they agree.

    Writes labels/ (ready for `delineate train`), soft/ (the probability of every pixel),
    experts.csv, agreement.csv, pairs.csv, images.csv, consensus.json and report.html. Experts may
    lack some of the images. An image with a bad mask is reported and skipped; the exit status is
    then 1.

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
        Folder for the results.
    method
        STAPLE weighs experts by how well they do, which it estimates; majority gives all the same
        weight.
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
        Value of pixels for which experts are equally divided; their number is always reported.
    images
        Folder of the images, shown under the outlines in the report.
    axes
        Axes of files that do not say, such as ZYX.
    overwrite
        Replace the results of an earlier consensus with other settings.
    """
    from delineate.consensus.settings import ConsensusSettings
    from delineate.runs.consensus import consensus_folder

    settings = ConsensusSettings(method, classes, objects, support, iou, undecided, axes)
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
    say(f"{plural(len(run.images), 'image')} → {out / 'report.html'}")
    if run.failed:
        say(f"delineate: {plural(len(run.failed), 'image')} failed, see {out / 'images.csv'}")
    return 1 if run.failed else 0
