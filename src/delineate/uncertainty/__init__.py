"""How far results can be trusted: spread of draws, calibration, quality assurance, novelty."""

from delineate.uncertainty.calibration import Reliability, pixel_reliability, reliability
from delineate.uncertainty.decompose import LIMIT, Moments, Spread, accumulate, decompose, energy
from delineate.uncertainty.scores import ImageScores, image_scores, object_scores, rank
from delineate.uncertainty.temperature import (
    PixelSample,
    Temperature,
    apply_temperature,
    fit_temperature,
    join_samples,
    sample_pixels,
)

__all__ = [
    "LIMIT",
    "ImageScores",
    "Moments",
    "PixelSample",
    "Reliability",
    "Spread",
    "Temperature",
    "accumulate",
    "apply_temperature",
    "decompose",
    "energy",
    "fit_temperature",
    "image_scores",
    "join_samples",
    "object_scores",
    "pixel_reliability",
    "rank",
    "reliability",
    "sample_pixels",
]
