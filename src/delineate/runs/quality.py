"""Quality assurance of a run: which images a person must check, and what score to expect.

Griebel et al. 2023 (deepflash2), section 2.5: uncertainty says how good a result is, as far as it
did on images with truth. The verdict compares the predictive U of an image, which tables show and
queues are sorted by, with U_min of the reference, or with the U below which no more than a given
share of images falls short. The expected score goes by the measure of the reference. Of images
unlike the training images the reference tells nothing: they are to be verified, and no score is
expected of them. Nor does it of images that were decoded with other parameters than its own: a
stricter threshold leaves certain pixels alone, and the uncertainty of images falls as results get
worse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from delineate.errors import DelineateError
from delineate.review.verdict_words import no_estimate_line, verdict_lines
from delineate.runs.tables import number
from delineate.uncertainty import ExpectedScore, Reference, Threshold, decide, ranking, verdict
from delineate.uncertainty.novelty import is_novel
from delineate.uncertainty.quality import UNCERTAIN, reason_to_verify
from delineate.uncertainty.thresholds import check_risk

if TYPE_CHECKING:
    from delineate.methods.base import Method

COLUMNS = {"predictive": "uncertainty", "aleatoric": "aleatoric"}
"""Column of the table of images that holds each measure of a reference."""
NO_REFERENCE = (
    "{}: the reference images of the model were decoded otherwise, so that no score is expected of "
    "these images, and none is accepted or to be verified"
)
"""Said where `decoded_otherwise` tells a difference."""


def check_asked(required: float | None, risk: float | None) -> None:
    """Whether verdicts can be given by such a score and such a risk.

    Raises
    ------
    DelineateError : one is out of range, or there is a risk without a score.
    """
    if required is not None and not 0 <= required <= 1:
        raise DelineateError(f"a required score of {required:g}: expected 0 to 1, such as 0.8")
    if risk is not None:
        check_risk(risk)
        if required is None:
            raise DelineateError(
                "--risk is the share of the accepted images that may miss a required score: add "
                "--required, such as --required 0.5"
            )


def decoded_otherwise(method: Method, decoding: Mapping[str, Any]) -> str:
    """What makes a decoding another than that of the model's reference; empty where nothing does.

    Parameters
    ----------
    method : of the model.
    decoding : parameters that are given in place of its own.
    """
    own = method.model_dump()
    return ", ".join(
        f"{name} {given} in place of {own[name]}"
        for name, given in decoding.items()
        if given != own[name]
    )


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
    risk : share of the accepted images that may miss the required score; None: U_min decides.
    """

    reference: Reference
    required: float | None
    seed: int
    risk: float | None = None

    @classmethod
    def of_run(cls, quality: Mapping[str, Any], seed: int) -> Self:
        """Judges as a run was judged before, by what its ``run.json`` says.

        Raises
        ------
        ModelError : the reference is broken.
        """
        reference = Reference.from_dict(quality)
        return cls(reference, quality.get("required"), seed, quality.get("risk"))

    def judged_so(self, quality: Mapping[str, Any] | None) -> bool:
        """Whether ``run.json`` has these verdicts; where none are asked for, any may stay."""
        if self.required is None:
            return True
        before = quality or {}
        return bool(before.get("required") == self.required and before.get("risk") == self.risk)

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

    def _verdict(self, row: Mapping[str, Any], threshold: Threshold | None) -> tuple[str, str]:
        """Verdict and reason. Where nothing was found there is no uncertainty, and a person looks;
        images always have something in them, but a single draw tells no uncertainty of it, and
        gives no verdict."""
        uncertainty, novelty = number(row, "uncertainty"), number(row, "novelty")
        silent = threshold is None or (math.isnan(uncertainty) and "objects" not in row)
        if silent and not is_novel(novelty):
            return "", ""
        known = uncertainty, math.inf if threshold is None else threshold.value, novelty
        reason = reason_to_verify(*known)
        if reason == UNCERTAIN and threshold is not None:
            reason = threshold.reason
        return verdict(*known), reason

    def lines(self, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """How many of the images are to be verified, and what that rests on, where a score is
        required; and why none is expected of them, where the reference is too small."""
        reason, threshold = ExpectedScore(self.reference).reason, self._threshold()
        silent = (no_estimate_line(self.reference.metric, reason),) if reason else ()
        if threshold is None:
            return silent
        done = [self._verdict(row, threshold)[0] for row in rows if row["status"] == "done"]
        quality = {**self.reference.to_dict(), **self._rule(threshold)}
        told = verdict_lines(quality, len(done), done.count("verify"), done.count(""))
        return (*told, *silent)

    def facts(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The reference, and what it says of the run as a whole, for ``run.json``.

        The expected mean is of ``n`` images; ``missing`` have no uncertainty, ``novel`` are unlike
        the training images, and of the n ``extrapolated`` lie beyond the reference. ``u_min`` is
        the uncertainty from which images are verified, by whichever rule; of the images of the
        ``reference`` that have one, so many lie ``below`` it, and ``failed`` of these fell short.
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
            **self._rule(threshold),
        }
        if threshold is not None:
            facts["rests_on"] = {
                "reference": threshold.known,
                "below": threshold.below,
                "failed": threshold.failed,
            }
        if self.required is not None:
            order = ranking(self.reference, self.required, rng)
            facts["ranking"] = {
                "failures": order.failures,
                "spearman": None if order.spearman is None else list(order.spearman),
                "auroc": None if order.auroc is None else list(order.auroc),
            }
        return facts

    def _rule(self, threshold: Threshold | None) -> dict[str, Any]:
        limit = None if threshold is None else _plain(threshold.value)
        return {"required": self.required, "risk": self.risk, "u_min": limit}

    def _threshold(self) -> Threshold | None:
        if self.required is None:
            return None
        return decide(self.reference, self.required, self.risk)

    def _comparable(self, row: Mapping[str, Any]) -> float:
        """What an expected score goes by; NaN of an image of which none holds."""
        return math.nan if novel(row) else number(row, COLUMNS[self.reference.measure])


def _plain(value: float) -> float | None:
    """A number that JSON can hold."""
    return value if math.isfinite(value) else None
