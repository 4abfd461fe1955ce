"""`delineate evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from delineate.cli.progress import RunProgress, say


def evaluate(
    predicted: Path,
    truth: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    min_size: int = 0,
    tolerance: float = 2.0,
    classes: int | None = None,
) -> int:
    """Score predicted labels against true ones.

    Writes scores.csv (an image a row), summary.csv (means over images and pooled scores, each with
    the number of images and a 95 % bootstrap interval) and scores.png.

        delineate evaluate out truth/labels
        delineate evaluate out/labels truth -o scores --min-size 20
        delineate evaluate masks/ true-masks/ --classes 2

    Parameters
    ----------
    predicted
        A folder of a run, or a folder of label files, or one label file.
    truth
        A folder of label files with the same names (or names ending in _masks, _labels …), or one
        file.
    out
        Folder for the tables and the picture; by default the folder of the run, or for other
        predictions a folder beside them whose name ends in -scores.
    min_size
        Objects of fewer pixels are left out, of truth and prediction alike.
    tolerance
        Distance in pixels within which a boundary counts as found, for the boundary F score.
    classes
        The files hold so many classes, background among them (2: masks), instead of ids of
        objects: Dice and IoU are scored. A run of a semantic model says so itself.
    """
    from delineate.runs.evaluate import evaluate_folder

    is_run = (predicted / "run.json").exists()
    beside = predicted if is_run else predicted.with_name(f"{predicted.stem}-scores")
    folder = out or beside
    with RunProgress("scoring") as progress:
        summary = evaluate_folder(
            predicted,
            truth,
            folder,
            min_size=min_size,
            tolerance=tolerance,
            classes=classes,
            listener=progress,
        )
    for line in summary.lines():
        print(line)
    say(f"tables and picture → {folder}")
    return 0
