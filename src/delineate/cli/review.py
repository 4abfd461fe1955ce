"""`delineate review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from delineate.cli.progress import RunProgress, say


def review(
    run: Path,
    /,
    *,
    required: float | None = None,
    risk: float | None = None,
    truth: Path | None = None,
    experts: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)] = (),
    pattern: str | None = None,
    allow_imports: bool = False,
) -> int:
    """Judge a finished run by another score, or hold it against truth and experts.

    Writes images.csv, run.json and report.html of the run anew, without predicting again. What is
    not given stays as it was; without options the report alone is made again.

    Which images must a person look at for a mean AP (or Dice, as the model was scored) of 0.8?

        delineate review out --required 0.8

    One reference image that failed in spite of little uncertainty can make every image one to
    verify. Rather let a fifth of the accepted images fall short at most:

        delineate review out --required 0.5 --risk 0.2

    How good are the results, and does uncertainty find the bad ones? (Adds review-scores.csv,
    review-ranking.csv and review-curve.csv.)

        delineate review out --truth truth/labels

    Does the model reach human performance? (Adds review-experts.csv and review-comparison.csv.)

        delineate review out --truth consensus --experts anna/ ben/ carla/

    Parameters
    ----------
    run
        Folder of a run.
    required
        Score that is good enough, 0 to 1: images whose uncertainty does not vouch for it are
        marked "verify", as are images unlike the training images, which no uncertainty vouches for.
        All reference images of so little uncertainty as an accepted one were good enough; fewer
        images need a person with --risk.
    risk
        Share of the accepted images that may miss the required score, such as 0.2: images are
        accepted up to the uncertainty at which the reference images show, with 95 % confidence,
        that no more do. 0.2 takes 14 reference images at least, 0.1 takes 29.
    truth
        Folder of true labels (or images of classes) with the names of the images; some may lack.
    experts
        Folders of masks, one an expert, or one folder that holds a folder for each expert.
    pattern
        How file names in one folder tell image and expert, such as "{image}_{expert}.png".
    allow_imports
        Import the method that the run's model names, from outside the package.
    """
    from delineate.runs.review import review_folder

    with RunProgress("scoring") as progress:
        found = review_folder(
            run,
            required=required,
            risk=risk,
            truth=truth,
            experts=experts,
            pattern=pattern,
            allow_imports=allow_imports,
            listener=progress,
        )
    for line in found.lines():
        print(line)
    say(f"report → {run / 'report.html'}")
    return 0
