"""Metrics of segmentations, defined once: pure functions on label images of any dimension."""

from delineate.metrics.average_precision import (
    THRESHOLDS,
    average_precision,
    mean_average_precision,
)
from delineate.metrics.matching import Matching, match, match_overlaps
from delineate.metrics.overlap import Overlaps, overlap_table

__all__ = [
    "THRESHOLDS",
    "Matching",
    "Overlaps",
    "average_precision",
    "match",
    "match_overlaps",
    "mean_average_precision",
    "overlap_table",
]
