"""Tables of the scores of predicted images: of each image, averaged and pooled, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.metrics.bootstrap import Interval, bootstrap_interval
from delineate.metrics.error_bars import ErrorBars
from delineate.metrics.image_quality import ImageScores, image_scores
from delineate.metrics.score_table import MEAN, POOLED, ScoreTables, _summary, score_table
from delineate.metrics.scores import ObjectScores, ratio

SCALE_INVARIANT = ("si_psnr", "si_ssim", "pearson")
"""Scores that have a meaning where prediction and truth have other units."""
SEGMENTED = ("mAP", "AP50", "Dice")
"""Scores of the agreement of two segmentations that the tables show."""


class ImageSums(NamedTuple):
    """Numbers of an image that add up over images, and from which pooled scores follow.

    Errors in dB are pooled in units of the range of their own image, Pearson and NRMSE by the
    deviations from the mean of their own image: that one image is brighter than another neither
    counts as structure nor hides it.
    """

    ranged: float
    """Pixels of images whose PSNR and SSIM are known."""
    relative: float
    """Their squared errors in squared ranges."""
    ssim: float
    """Sum of their SSIM."""
    varied: float
    """Pixels of images whose scale-invariant scores are known."""
    si_relative: float
    """Their squared errors after the best brightness and contrast."""
    si_ssim: float
    """Sum of their SSIM after it."""
    error: float
    """Squared errors."""
    truth: float
    """Squared deviations of the truth from its mean."""
    prediction: float
    """The same of the prediction."""
    product: float
    """Products of both deviations."""
    spread: float
    """What the squared errors are held against by NRMSE: as a rule the deviations of the truth."""


class MeasuredImage(NamedTuple):
    """Scores of an image, and the sums by which it is pooled with others."""

    scores: ImageScores
    sums: ImageSums

    @classmethod
    def of(
        cls,
        prediction: ArrayLike,
        truth: ArrayLike,
        data_range: float | None = None,
        valid: ArrayLike | None = None,
        spread: float | None = None,
    ) -> Self:
        """Measure an image; parameters and errors are those of `image_scores`."""
        scores = image_scores(prediction, truth, data_range, valid, spread)
        p, t = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
        keep = np.ones(t.shape, bool) if valid is None else np.asarray(valid, bool)
        p, t = p[keep], t[keep]
        if not t.size:
            return cls(scores, ImageSums(*[0.0] * len(ImageSums._fields)))
        a, b = (x - x.mean() if np.ptp(x) else np.zeros_like(x) for x in (p, t))
        ranged = 0 if np.isnan(scores.psnr) else t.size
        varied = 0 if np.isnan(scores.si_psnr) else t.size
        return cls(
            scores,
            ImageSums(
                ranged,
                ranged and ranged * 10 ** (-scores.psnr / 10),
                ranged and ranged * scores.ssim,
                varied,
                varied and varied * 10 ** (-scores.si_psnr / 10),
                varied and varied * scores.si_ssim,
                float(((p - t) ** 2).sum()),
                float(b @ b),
                float(a @ a),
                float(a @ b),
                float(b @ b) if spread is None else t.size * spread**2,
            ),
        )


class ImageRow(NamedTuple):
    """All that was measured of one channel of one image, or of one time point of a movie."""

    image: str
    channel: str
    whole: MeasuredImage
    kept: MeasuredImage | None = None
    """Over the pixels that are to be measured; None where no mask says which.

    By range and spread of the whole truth, so that PSNR, SSIM and NRMSE can be compared with those
    of the whole. Pearson is the correlation within these pixels, and the scale-invariant scores are
    by their own best brightness and contrast: as they often vary less, the correlation can be lower
    though the errors are smaller.
    """
    share: float = np.nan
    """Share of these pixels."""
    bars: ErrorBars | None = None
    """Where the image has a predicted variance."""


def _of(sums: NDArray[np.float64], name: str) -> Any:
    return sums[..., ImageSums._fields.index(name)]


def _decibel(sums: NDArray[np.float64], error: str, pixels: str) -> Any:
    mean = ratio(_of(sums, error), _of(sums, pixels), np.nan)
    return np.where(mean == 0, np.inf, -10 * np.log10(np.where(mean == 0, 1, mean)))


def _pearson(sums: NDArray[np.float64]) -> Any:
    truth, prediction, product = (_of(sums, k) for k in ("truth", "prediction", "product"))
    known = ratio(product, np.sqrt(truth * prediction), 0.0)
    return np.where(truth == 0, np.nan, known)


def _nrmse(sums: NDArray[np.float64]) -> Any:
    error = _of(sums, "error")
    return np.sqrt(ratio(error, _of(sums, "spread"), np.where(error == 0, 0.0, np.nan)))


POOLED_SCORES: dict[str, Any] = {
    "psnr": lambda sums: _decibel(sums, "relative", "ranged"),
    "si_psnr": lambda sums: _decibel(sums, "si_relative", "varied"),
    "ssim": lambda sums: ratio(_of(sums, "ssim"), _of(sums, "ranged"), np.nan),
    "si_ssim": lambda sums: ratio(_of(sums, "si_ssim"), _of(sums, "varied"), np.nan),
    "pearson": _pearson,
    "nrmse": _nrmse,
}
"""Scores as functions of sums (…, k) of `ImageSums`; of one image they are those of the image."""


def image_table(
    rows: Sequence[ImageRow],
    rng: np.random.Generator,
    objects: Mapping[str, ObjectScores] | None = None,
    level: float = 0.95,
    n: int = 2000,
    names: Sequence[str] = ImageScores._fields,
) -> ScoreTables:
    """Scores of images, their means and their pooled values with bootstrap intervals.

    Parameters
    ----------
    rows : one a channel of an image.
    rng : source of the bootstrap's resamples.
    objects : how far the segmentations of prediction and truth agree, by image.
    level, n : coverage of the intervals and number of resamples.
    names : the scores that are shown; where units differ, `SCALE_INVARIANT`.

    Returns
    -------
    tables : `images` has a row for each of `rows`: image, channel, the scores, and where they were
        measured kept_share and the scores of the kept pixels as kept_… (`ImageRow`);
        error_spearman and error_within_95; segmentation_mAP, _AP50, _Dice, objects_truth and
        objects_prediction (of the whole image, repeated for each channel). `summary` has two rows
        a score and channel: channel, score, averaging ("mean over images", "pooled over images":
        every pixel weighs the same), value, low, high, level and images. Means are over the images
        where the score is known and finite; `images` counts them.

    Raises
    ------
    ValueError : there are no rows.
    """
    if not rows:
        raise ValueError("no images to tabulate: expected at least one")
    with_kept = any(row.kept is not None for row in rows)
    with_bars = any(row.bars is not None for row in rows)
    images: dict[str, NDArray[Any]] = {
        "image": np.array([row.image for row in rows], dtype=object),
        "channel": np.array([row.channel for row in rows], dtype=object),
        **_columns("", [row.whole for row in rows], names),
    }
    if with_kept:
        images["kept_share"] = np.array([row.share for row in rows])
        images |= _columns("kept_", [row.kept for row in rows], names)
    if with_bars:
        bars = [row.bars or ErrorBars(np.nan, np.nan, 0) for row in rows]
        images["error_spearman"] = np.array([b.spearman for b in bars])
        images["error_within_95"] = np.array([b.within for b in bars])
    summary: list[tuple[str, str, Interval]] = []
    channels: list[str] = []
    for channel in dict.fromkeys(row.channel for row in rows):
        here = images["channel"] == channel
        own = [row for row in rows if row.channel == channel]
        pooled = {"": np.array([row.whole.sums for row in own], np.float64)}
        if kept := [row.kept.sums for row in own if row.kept is not None]:
            pooled["kept_"] = np.array(kept, np.float64)
        for name in [k for k in images if k not in ("image", "channel")]:
            summary.append((name, MEAN, _mean(images[name][here], rng, level, n)))
            prefix = "kept_" if name.startswith("kept_") else ""
            score = POOLED_SCORES.get(name.removeprefix(prefix))
            if score is not None and prefix in pooled:
                with np.errstate(divide="ignore", invalid="ignore"):
                    interval = bootstrap_interval(pooled[prefix], rng, level, n, score)
                summary.append((name, POOLED, interval))
        channels += [channel] * (len(summary) - len(channels))
    if objects:
        columns, more = _segmented(objects, rng, level, n)
        place = {name: number for number, name in enumerate(objects)}
        order = [place[row.image] for row in rows]
        images |= {name: values[order] for name, values in columns.items()}
        summary += more
        channels += [""] * len(more)
    return ScoreTables(images, {"channel": np.array(channels, dtype=object), **_summary(summary)})


def _columns(
    prefix: str, measured: Sequence[MeasuredImage | None], names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """These scores as columns, NaN where there are none."""
    return {
        prefix + name: np.array([getattr(m.scores, name) if m else np.nan for m in measured])
        for name in names
    }


def _mean(values: NDArray[Any], rng: np.random.Generator, level: float, n: int) -> Interval:
    """Mean over images where the value is finite, with its interval."""
    known = values[np.isfinite(values)]
    if not known.size:
        return Interval(np.nan, np.nan, np.nan, 0, level)
    return bootstrap_interval(known, rng, level, n)


def _segmented(
    objects: Mapping[str, ObjectScores], rng: np.random.Generator, level: float, n: int
) -> tuple[dict[str, NDArray[Any]], list[tuple[str, str, Interval]]]:
    """Columns of images and rows of the summary that compare two segmentations."""
    each, summary = score_table(objects, rng, level, n)[:2]
    columns: dict[str, NDArray[Any]] = {f"segmentation_{k}": each[k] for k in SEGMENTED}
    columns |= {"objects_truth": each["objects"], "objects_prediction": each["predicted"]}
    rows = []
    for name in SEGMENTED:
        for place in np.flatnonzero(summary["score"] == name):
            value, low, high = (float(summary[k][place]) for k in ("value", "low", "high"))
            interval = Interval(value, low, high, int(summary["images"][place]), level)
            rows.append((f"segmentation_{name}", str(summary["averaging"][place]), interval))
    counts = ("objects_truth", "objects_prediction")
    rows += [(name, MEAN, _mean(columns[name], rng, level, n)) for name in counts]
    return columns, rows
