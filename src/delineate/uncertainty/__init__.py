"""How far results can be trusted: spread of draws, calibration, quality assurance, novelty."""

from delineate.uncertainty.decompose import LIMIT, Moments, Spread, accumulate, decompose, energy
from delineate.uncertainty.scores import ImageScores, image_scores, object_scores, rank

__all__ = [
    "LIMIT",
    "ImageScores",
    "Moments",
    "Spread",
    "accumulate",
    "decompose",
    "energy",
    "image_scores",
    "object_scores",
    "rank",
]
