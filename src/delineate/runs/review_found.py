"""What a review of a run found, and how it is told as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delineate.metrics import Interval, bracketed
from delineate.review.report_trust import coverage, no_estimate
from delineate.review.run_trust import metric_name
from delineate.review.verdict_words import OPTIMISTIC, no_estimate_line, verdict_lines
from delineate.runs.review_calibration import calibration_lines
from delineate.uncertainty.novelty import NOVEL
from delineate.uncertainty.quality import UNLIKE
from delineate.words import plural


@dataclass(frozen=True, eq=False)
class Review:
    """What a review found.

    `verify` of `done` images are to be verified (None: no score was required), of `unknown` no
    uncertainty tells whether they are (a single draw of a model that makes images), `novel` are
    unlike the training images; `quality` and `truth` are as run.json has them, `beside` a row an
    expert of review-comparison.csv.
    """

    folder: Path
    done: int
    verify: int | None
    quality: Mapping[str, Any] | None
    truth: Mapping[str, Any] | None
    beside: Sequence[Mapping[str, Any]]
    unknown: int = 0
    novel: int = 0

    def lines(self) -> list[str]:
        """The review as text."""
        lines = []
        if self.novel:
            lines.append(
                f"{UNLIKE}: {self.novel} of {self.done} images (novelty above {NOVEL:g}), first in "
                "the queue; no uncertainty vouches for them"
            )
        if self.quality is not None:
            name = metric_name(self.quality["metric"])
            if self.verify is not None:
                lines += verdict_lines(self.quality, self.done, self.verify, self.unknown)
                if self.unknown:
                    lines.append(
                        f"not known: {self.unknown} of {self.done} images, of which a single draw "
                        "tells no uncertainty; predict them again with --turns 4"
                    )
            batch = self.quality["expected"]
            if batch["value"] is None:
                reason = self.quality["no_expectation"] or no_estimate(self.novel)
                lines.append(no_estimate_line(self.quality["metric"], reason))
            else:
                bounds = f"[{batch['low']:.3f}, {batch['high']:.3f}]"
                counts = (batch.get(k) or 0 for k in ("n", "missing", "novel", "extrapolated"))
                told = coverage(self.quality["metric"], self.done, *counts)
                lines.append(
                    f"expected mean {name}: {batch['value']:.3f} {bounds}, an estimate {told}; "
                    f"{OPTIMISTIC}"
                )
        if self.truth is not None:
            lines += _truth_lines(self.truth)
        for row in self.beside:
            bounds = bracketed(row["low"], row["high"], "+.3f")
            lines.append(
                f"model less {row['expert']}: {metric_name(row['score'])} {row['difference']:+.3f}"
                f"{' ' if bounds else ''}{bounds}, {plural(row['n'], 'image')}, corrected p "
                f"{row['p_holm']:.3g}"
            )
        return lines


def _truth_lines(truth: Mapping[str, Any]) -> list[str]:
    mean = Interval(*truth["mean"])
    without = f", {truth['without']} without truth" if truth["without"] else ""
    lines = [
        f"true mean {metric_name(truth['metric'])}: {mean.value:.3f}"
        f"{' ' if mean.n > 1 else ''}{mean.bounds()} over {plural(truth['images'], 'image')}"
        f"{without}"
    ]
    for key, text in (
        ("spearman", "Spearman of uncertainty and score"),
        ("auroc", "AUROC of uncertainty for failures"),
    ):
        if truth[key] is not None:
            found = Interval(*truth[key])
            lines.append(f"{text}: {found.value:.3f} {found.bounds()}")
    return lines + calibration_lines(truth)
