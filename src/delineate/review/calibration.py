"""The reliability diagram: are probabilities right as often as they say?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from delineate.review.figures import BLUE, ORANGE, _panels
from delineate.uncertainty import Reliability


def calibration_figure(
    before: Reliability, after: Reliability, png: Path, how: str = "fitted on these pixels"
) -> None:
    """Draw accuracy against stated confidence, without and with a temperature.

    Guo, Pleiss, Sun & Weinberger 2017, figure 4. The bars below show how many pixels state each
    confidence, on a logarithmic scale.

    Parameters
    ----------
    before, after : of the same pixels.
    png : picture to write, under a temporary name first.
    how : where the temperature of `after` comes from. One that was fitted on the very pixels that
        are drawn looks better than it is; see `delineate.uncertainty.crossfit`.

    Raises
    ------
    WriteError : the picture cannot be written.
    """
    with _panels(png, (8.4, 3.7), 2) as (diagram, counts):
        diagram.plot([0, 1], [0, 1], color="0.6", lw=1, ls="--")
        named = (("as trained", before, ORANGE), (f"with temperature,\n{how}", after, BLUE))
        for name, found, colour in named:
            seen = found.count > 0
            text = f"{name}:\nECE {found.ece:.3f}"
            diagram.plot(
                found.confidence[seen], found.accuracy[seen], color=colour, marker="o", ms=4, lw=2,
                label=text,
            )  # fmt: skip
            counts.stairs(np.maximum(found.count, 0.5), found.edges, color=colour, lw=1.6)
        diagram.set(xlabel="Stated probability", ylabel="Share that is right", ylim=(0, 1))
        diagram.set(xlim=(0, 1), title="Reliability of pixels left out in training")
        diagram.legend(loc="upper left")
        counts.set(xlabel="Stated probability", ylabel="Pixels", yscale="log", xlim=(0, 1))
        counts.set(title=f"{after.n:,} pixels")
