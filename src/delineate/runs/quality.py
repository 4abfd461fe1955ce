"""Quality assurance of a run: which images a person must check, and what score to expect.

Griebel et al. 2023 (deepflash2), section 2.5: uncertainty says how good a result is, as far as it
did on images with truth. The verdict compares the predictive U of an image, which tables show and
queues are sorted by, with U_min of the reference. The expected score goes by the measure of the
reference. Of images unlike the training images the reference tells nothing: they are to be
verified, and no score is expected of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from delineate.runs.tables import number
from delineate.uncertainty import ExpectedScore, Reference, ranking, u_min, verdict
from delineate.uncertainty.novelty import is_novel
from delineate.uncertainty.quality import reason_to_verify

COLUMNS = {"predictive": "uncertainty", "aleatoric": "aleatoric"}
"""Column of the table of images that holds each measure of a reference."""


def novel(row: Mapping[str, Any]) -> bool:
    """Whether an image is unlike the training images, by its row in the table of images."""
    return is_novel(number(row, "novelty"))


@dataclass(frozen=True)
class Judge:
    """Tells what a reference lets expect of the images of a run.

    Parameters
    ----------
    reference : of the model.
    required : score that is good enough, in [0, 1]: it decides the verdict. None gives none but
        to images unlike the training images, which no score would change.
    seed : of the bootstrap.
    """

    reference: Reference
    required: float | None
    seed: int

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows of the table of images with what is expected of each; failed ones stay so."""
        expected, threshold = ExpectedScore(self.reference), self._threshold()
        judged = []
        for row in rows:
            values = dict(row)
            if row["status"] == "done":
                estimate = expected.estimate(self._comparable(row))
                known = not math.isnan(estimate.value)
                told, reason = self._verdict(row, threshold)
                values |= {
                    "expected_score": estimate.value,
                    "expected_low": estimate.low,
                    "expected_high": estimate.high,
                    "extrapolated": int(estimate.extrapolated) if known else "",
                    "verdict": told,
                    "reason": reason,
                }
            judged.append(values)
        return judged

    def _verdict(self, row: Mapping[str, Any], threshold: float | None) -> tuple[str, str]:
        """Verdict and reason. Where nothing was found there is no uncertainty, and a person looks;
        images always have something in them, but a single draw tells no uncertainty of it, and
        gives no verdict."""
        uncertainty, novelty = number(row, "uncertainty"), number(row, "novelty")
        silent = threshold is None or (math.isnan(uncertainty) and "objects" not in row)
        if silent and not is_novel(novelty):
            return "", ""
        known = uncertainty, math.inf if threshold is None else threshold, novelty
        return verdict(*known), reason_to_verify(*known)

    def facts(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The reference, and what it says of the run as a whole, for ``run.json``.

        The expected mean is of ``n`` images; ``missing`` have no uncertainty, ``novel`` are unlike
        the training images, and of the n ``extrapolated`` lie beyond the reference.
        """
        rng = np.random.default_rng(self.seed)
        expected, threshold = ExpectedScore(self.reference), self._threshold()
        done = [row for row in rows if row["status"] == "done"]
        like = [row for row in done if not novel(row)]
        batch = expected.batch([self._comparable(row) for row in like], rng)
        facts: dict[str, Any] = {
            **self.reference.to_dict(),
            "expected": {
                **{k: _plain(v) for k, v in batch._asdict().items()},
                "novel": len(done) - len(like),
            },
            "no_expectation": expected.reason,
            "required": self.required,
            "u_min": None if threshold is None else _plain(threshold),
        }
        if self.required is not None:
            order = ranking(self.reference, self.required, rng)
            facts["ranking"] = {
                "failures": order.failures,
                "spearman": None if order.spearman is None else list(order.spearman),
                "auroc": None if order.auroc is None else list(order.auroc),
            }
        return facts

    def _threshold(self) -> float | None:
        return None if self.required is None else u_min(self.reference, self.required)

    def _comparable(self, row: Mapping[str, Any]) -> float:
        """What an expected score goes by; NaN of an image of which none holds."""
        return math.nan if novel(row) else number(row, COLUMNS[self.reference.measure])


def _plain(value: float) -> float | None:
    """A number that JSON can hold."""
    return value if math.isfinite(value) else None
