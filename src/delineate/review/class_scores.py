"""A picture of the scores of class images: every image as a dot, one column a score."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from delineate.labels import Table
from delineate.metrics import bootstrap_interval
from delineate.review.figures import BLUE, ORANGE, _beeswarm, _panels


def class_scores_figure(images: Table, png: Path, seed: int = 0) -> None:
    """Draw the scores of all images with their means and 95 % bootstrap intervals.

    Parameters
    ----------
    images : column ``image`` and one column a score, 0 to 1.
    png : picture to write, under a temporary name first.
    seed : of the bootstrap.

    Raises
    ------
    WriteError : the picture cannot be written.
    """
    names = [name for name in images if name != "image"]
    rng = np.random.default_rng(seed)
    with _panels(png, (1.6 + 1.3 * len(names), 3.7), 1) as axes:
        for position, name in enumerate(names):
            values = np.asarray(images[name], np.float64)
            mean = bootstrap_interval(values, rng)
            axes.scatter(
                position + _beeswarm(values), values, s=13, color=BLUE, alpha=0.5, lw=0,
                clip_on=False,
            )  # fmt: skip
            axes.plot([position + 0.3] * 2, [mean.low, mean.high], color=ORANGE, lw=1.5)
            axes.plot([position + 0.2, position + 0.4], [mean.value] * 2, color=ORANGE, lw=2)
            text = f"{mean.value:.2f}"
            axes.text(position + 0.43, mean.value, text, color=ORANGE, va="center", size=8)
        n = len(images["image"])
        title = "One image" if n == 1 else f"{n:,} images; mean, 95 % interval"
        axes.set(ylim=(0, 1), xlim=(-0.45, len(names) - 0.2), title=title)
        axes.set_xticks(range(len(names)), names)
        axes.grid(axis="x", visible=False)
