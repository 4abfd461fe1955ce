"""Quality assurance of a run: which images a person must check, and what score to expect.

Griebel et al. 2023 (deepflash2), section 2.5: uncertainty says how good a result is, as far as it
did on images with truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from delineate.uncertainty import ExpectedScore, Reference, ranking, u_min, verdict

COLUMNS = {"predictive": "uncertainty", "aleatoric": "aleatoric"}
"""Column of the table of images that holds each measure of a reference."""


@dataclass(frozen=True)
class Judge:
    """Tells what a reference lets expect of the images of a run.

    Parameters
    ----------
    reference : of the model.
    required : score that is good enough, in [0, 1]: it decides the verdict. None gives none.
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
                uncertainty = self._uncertainty(row)
                estimate = expected.estimate(uncertainty)
                values |= {
                    "expected_score": estimate.value,
                    "expected_low": estimate.low,
                    "expected_high": estimate.high,
                    "verdict": self._verdict(row, uncertainty, threshold),
                }
            judged.append(values)
        return judged

    def _verdict(self, row: Mapping[str, Any], uncertainty: float, threshold: float | None) -> str:
        """Where nothing was found there is no uncertainty, and a person looks; images always have
        something in them, but a single draw tells no uncertainty of it, and gives no verdict."""
        if threshold is None or (math.isnan(uncertainty) and "objects" not in row):
            return ""
        return verdict(uncertainty, threshold)

    def facts(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The reference, and what it says of the run as a whole, for ``run.json``."""
        rng = np.random.default_rng(self.seed)
        expected, threshold = ExpectedScore(self.reference), self._threshold()
        batch = expected.batch([self._uncertainty(r) for r in rows if r["status"] == "done"], rng)
        facts: dict[str, Any] = {
            **self.reference.to_dict(),
            "expected": {k: _plain(v) for k, v in batch._asdict().items()},
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

    def _uncertainty(self, row: Mapping[str, Any]) -> float:
        value = row.get(COLUMNS[self.reference.measure])
        return float(value) if isinstance(value, int | float) else math.nan


def _plain(value: float) -> float | None:
    """A number that JSON can hold."""
    return value if math.isfinite(value) else None
