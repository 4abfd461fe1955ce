"""What a run folder says of how far it can be trusted: uncertainty, reference, truth, experts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np

from delineate.errors import ModelError, ReadError
from delineate.metrics import Interval
from delineate.review.run_tables import csv_rows, finite
from delineate.uncertainty import ExpectedScore, Reference, spearman_interval

MEASURES = {"dice": "Dice", "ap50": "AP50", "map": "mAP"}
"""Scores as tables name them, and as people do."""
_IMAGE_SCORES = {
    "pearson": "Pearson",
    "ssim": "SSIM",
    "psnr": "PSNR",
    "si_ssim": "scale-invariant SSIM",
    "si_psnr": "scale-invariant PSNR",
    "nrmse": "NRMSE",
}
EXPERTS, COMPARISON = "review-experts.csv", "review-comparison.csv"
"""Scores of model and experts for each image, and the model beside each expert."""
MODEL = "model"
"""Who the model is among the annotators of `EXPERTS`."""


@dataclass(frozen=True)
class ImageTrust:
    """What a row of images.csv says of how far the image can be trusted; NaN where nothing.

    `uncertainty` is U, `expected` an estimate of the score with its interval, `score` the real
    one, `verdict` "verify", "accept" or "".
    """

    uncertainty: float = nan
    aleatoric: float = nan
    epistemic: float = nan
    novelty: float = nan
    expected: float = nan
    low: float = nan
    high: float = nan
    score: float = nan
    verdict: str = ""

    def by(self, measure: str) -> float:
        """The uncertainty that is compared with a reference of this measure."""
        return self.aleatoric if measure == "aleatoric" else self.uncertainty


def image_trust(row: Mapping[str, str]) -> ImageTrust:
    """Read a row of images.csv."""
    verdict = row.get("verdict", "")
    return ImageTrust(
        uncertainty=finite(row.get("uncertainty")),
        aleatoric=finite(row.get("aleatoric")),
        epistemic=finite(row.get("epistemic")),
        novelty=finite(row.get("novelty")),
        expected=finite(row.get("expected_score")),
        low=finite(row.get("expected_low")),
        high=finite(row.get("expected_high")),
        score=finite(row.get("score")),
        verdict=verdict if verdict in ("verify", "accept") else "",
    )


@dataclass(frozen=True, eq=False)
class Ranked:
    """How well uncertainty ranks scores: None where that cannot be said."""

    spearman: Interval | None = None
    auroc: Interval | None = None
    failures: int = 0


@dataclass(frozen=True, eq=False)
class Quality:
    """What the model's reference lets expect of the run.

    `required` is the score that is good enough; None: none was given. `u_min` is the uncertainty
    from which images are to be verified, infinite where none is too high and 0 where all are.
    `mean` is the estimated mean score of the run; None for the `reason`. `risk` is the share of the
    accepted images that may miss the required score; None where U_min decides.
    """

    reference: Reference
    required: float | None
    u_min: float
    mean: Interval | None
    reason: str
    ranked: Ranked
    risk: float | None = None

    @property
    def metric(self) -> str:
        """Name of the score."""
        return metric_name(self.reference.metric)

    @cached_property
    def expected(self) -> ExpectedScore:
        """The line from which scores are estimated."""
        return ExpectedScore(self.reference)


@dataclass(frozen=True, eq=False)
class Truth:
    """The run held against true labels: of which score, with what measure of uncertainty.

    `without` images have no truth, `unranked` a score and no uncertainty.
    """

    path: str
    metric: str
    measure: str
    required: float | None
    n: int
    without: int
    unranked: int
    mean: Interval | None
    ranked: Ranked

    @property
    def name(self) -> str:
        """Name of the score for people."""
        return metric_name(self.metric)


@dataclass(frozen=True)
class Beside:
    """The model beside one expert, by one score; see `delineate.uncertainty.comparison_table`."""

    expert: str
    n: int
    model: float
    score: float
    difference: float
    low: float
    high: float
    effect: float
    p_holm: float


@dataclass(frozen=True, eq=False)
class Annotators:
    """Model and experts against one truth: scores by metric and annotator, and comparisons.

    `images` are those of each annotator, in the order of the scores.
    """

    names: tuple[str, ...]
    images: Mapping[str, tuple[str, ...]]
    scores: Mapping[str, Mapping[str, tuple[float, ...]]]
    beside: Mapping[str, tuple[Beside, ...]]


@dataclass(frozen=True, eq=False)
class RunTrust:
    """All of it; what is not known is None."""

    quality: Quality | None = None
    truth: Truth | None = None
    annotators: Annotators | None = None


def metric_name(metric: str) -> str:
    """A score as people call it."""
    return MEASURES.get(metric, _IMAGE_SCORES.get(metric, metric))


def read_trust(folder: Path, record: Mapping[str, Any]) -> RunTrust:
    """What run.json and the tables of a review say.

    Raises
    ------
    ReadError : the entry "quality" of run.json is not one of ours, or a table is not readable.
    """
    quality = record.get("quality")
    review = record.get("review")
    truth = review.get("truth") if isinstance(review, dict) else None
    with_experts = isinstance(review, dict) and isinstance(review.get("experts"), dict)
    try:
        return RunTrust(
            _quality(quality, record.get("seed")) if isinstance(quality, dict) else None,
            _truth(truth) if isinstance(truth, dict) else None,
            _annotators(folder) if with_experts and isinstance(truth, dict) else None,
        )
    except (ModelError, KeyError, TypeError, ValueError) as error:
        raise ReadError(
            f"{folder / 'run.json'}: its quality or review cannot be read ({error}); run "
            "`delineate predict` again with --overwrite"
        ) from error


def _quality(saved: Mapping[str, Any], seed: Any) -> Quality:
    reference = Reference.from_dict(saved)
    required = finite(saved.get("required"))
    threshold = finite(saved.get("u_min"))
    ranked = _ranked(saved.get("ranking"))
    if ranked.spearman is None:
        rng = np.random.default_rng(seed if isinstance(seed, int) else 0)
        u, scores = reference.known()
        ranked = Ranked(spearman_interval(u, scores, rng), None, 0)
    batch = saved.get("expected")
    batch = batch if isinstance(batch, dict) else {}
    mean = _interval([batch.get(k) for k in ("value", "low", "high", "n", "level")])
    return Quality(
        reference,
        required if isfinite(required) else None,
        threshold if isfinite(threshold) else inf,
        mean,
        str(saved.get("no_expectation") or ""),
        ranked,
        risk if isfinite(risk := finite(saved.get("risk"))) else None,
    )


def _truth(saved: Mapping[str, Any]) -> Truth:
    required = finite(saved.get("required"))
    return Truth(
        str(saved["path"]),
        str(saved["metric"]),
        str(saved["measure"]),
        required if isfinite(required) else None,
        int(saved["images"]),
        int(saved["without"]),
        int(saved["unranked"]),
        _interval(saved.get("mean")),
        _ranked(saved),
    )


def _ranked(saved: Any) -> Ranked:
    if not isinstance(saved, dict):
        return Ranked()
    return Ranked(
        _interval(saved.get("spearman")),
        _interval(saved.get("auroc")),
        int(saved.get("failures") or 0),
    )


def _interval(saved: Any) -> Interval | None:
    """Value, low, high, n and level; None where one of them is missing."""
    values = [finite(v) for v in saved] if isinstance(saved, list) else []
    if len(values) != 5 or not all(map(isfinite, values)):
        return None
    value, low, high, n, level = values
    return Interval(value, low, high, int(n), level)


def _annotators(folder: Path) -> Annotators | None:
    """Tables of model and experts; None where they are missing."""
    images: dict[str, list[str]] = {MODEL: []}
    scores: dict[str, dict[str, list[float]]] = {metric: {} for metric in MEASURES}
    for row in csv_rows(folder / EXPERTS):
        who = row["annotator"]
        images.setdefault(who, []).append(row["image"])
        for metric, own in scores.items():
            own.setdefault(who, []).append(finite(row.get(metric)))
    beside: dict[str, list[Beside]] = {}
    for row in csv_rows(folder / COMPARISON):
        numbers = [finite(row.get(k)) for k in (
            "model", "expert_score", "difference", "low", "high", "effect", "p_holm"
        )]  # fmt: skip
        found = Beside(row["expert"], int(finite(row["n"])), *numbers)
        beside.setdefault(row["score"], []).append(found)
    if len(images) < 2 or not beside:
        return None
    return Annotators(
        tuple(images),
        {who: tuple(own) for who, own in images.items()},
        {m: {who: tuple(v) for who, v in own.items()} for m, own in scores.items()},
        {m: tuple(rows) for m, rows in beside.items()},
    )
