"""How far results can be trusted: spread of draws, calibration, quality assurance, novelty."""

from delineate.uncertainty.auroc import auroc, auroc_interval
from delineate.uncertainty.calibration import Reliability, pixel_reliability, reliability
from delineate.uncertainty.compare import Comparison, compare, comparison_table
from delineate.uncertainty.decompose import LIMIT, Spread, decompose, energy
from delineate.uncertainty.expected import (
    MINIMUM_REFERENCES,
    BatchEstimate,
    ExpectedScore,
    ScoreEstimate,
)
from delineate.uncertainty.novelty import FeatureStatistics, ensemble_novelty, fit_features
from delineate.uncertainty.quality import Reference, u_min, verdict
from delineate.uncertainty.ranking import (
    Ranking,
    RiskCoverage,
    ranking,
    risk_coverage,
    spearman_interval,
    verification,
)
from delineate.uncertainty.scores import ImageScores, image_scores, object_scores, rank
from delineate.uncertainty.temperature import (
    PixelSample,
    Temperature,
    apply_temperature,
    fit_temperature,
    join_samples,
    sample_pixels,
)
from delineate.uncertainty.thresholds import Threshold, decide, within_risk

__all__ = [
    "LIMIT",
    "MINIMUM_REFERENCES",
    "BatchEstimate",
    "Comparison",
    "ExpectedScore",
    "FeatureStatistics",
    "ImageScores",
    "PixelSample",
    "Ranking",
    "Reference",
    "Reliability",
    "RiskCoverage",
    "ScoreEstimate",
    "Spread",
    "Temperature",
    "Threshold",
    "apply_temperature",
    "auroc",
    "auroc_interval",
    "compare",
    "comparison_table",
    "decide",
    "decompose",
    "energy",
    "ensemble_novelty",
    "fit_features",
    "fit_temperature",
    "image_scores",
    "join_samples",
    "object_scores",
    "pixel_reliability",
    "rank",
    "ranking",
    "reliability",
    "risk_coverage",
    "sample_pixels",
    "spearman_interval",
    "u_min",
    "verdict",
    "verification",
    "within_risk",
]
