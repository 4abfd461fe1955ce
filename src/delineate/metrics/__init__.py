"""Metrics of segmentations and images, defined once: pure functions on arrays of any dimension."""

from delineate.metrics.aggregated_jaccard import aggregated_jaccard
from delineate.metrics.average_precision import THRESHOLDS, average_precision
from delineate.metrics.bootstrap import Interval, bootstrap_interval, bracketed
from delineate.metrics.boundary_f import BoundaryCounts, boundary_counts, boundary_f
from delineate.metrics.classes import ClassCounts, class_counts, dice, iou
from delineate.metrics.error_bars import ErrorBars, error_bars
from delineate.metrics.image_quality import (
    ImageScores,
    image_scores,
    nrmse,
    pearson,
    psnr,
    si_psnr,
    ssim,
)
from delineate.metrics.image_scale import best_scale, match_scale
from delineate.metrics.image_table import SCALE_INVARIANT, ImageRow, MeasuredImage, image_table
from delineate.metrics.matching import Matching, match, match_overlaps
from delineate.metrics.overlap import Overlaps, overlap_table
from delineate.metrics.panoptic_quality import PanopticQuality, panoptic_quality
from delineate.metrics.score_table import ScoreTables, mean_table, score_table
from delineate.metrics.scores import SCORES, ObjectScores, score_objects
from delineate.metrics.seg_score import seg_score

__all__ = [
    "SCALE_INVARIANT",
    "SCORES",
    "THRESHOLDS",
    "BoundaryCounts",
    "ClassCounts",
    "ErrorBars",
    "ImageRow",
    "ImageScores",
    "Interval",
    "Matching",
    "MeasuredImage",
    "ObjectScores",
    "Overlaps",
    "PanopticQuality",
    "ScoreTables",
    "aggregated_jaccard",
    "average_precision",
    "best_scale",
    "bootstrap_interval",
    "boundary_counts",
    "boundary_f",
    "bracketed",
    "class_counts",
    "dice",
    "error_bars",
    "image_scores",
    "image_table",
    "iou",
    "match",
    "match_overlaps",
    "match_scale",
    "mean_table",
    "nrmse",
    "overlap_table",
    "panoptic_quality",
    "pearson",
    "psnr",
    "score_objects",
    "score_table",
    "seg_score",
    "si_psnr",
    "ssim",
]
