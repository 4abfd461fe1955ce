"""Score a folder of predicted images against true ones: tables and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from delineate.data.channels import Selection
from delineate.errors import ImageError
from delineate.io import write_table
from delineate.metrics import (
    SCALE_INVARIANT,
    ImageRow,
    ImageScores,
    MeasuredImage,
    ObjectScores,
    ScoreTables,
    bracketed,
    error_bars,
    image_table,
)
from delineate.runs.image_pairs import (
    NOTHING_SAID,
    ImagePair,
    Opened,
    Plane,
    open_pair,
    pair_images,
)
from delineate.runs.lock import alone
from delineate.runs.predict import Listener
from delineate.runs.scored import NotScored, score_each, scores_table, told, without_truth
from delineate.runs.segmenter import Segmenter
from delineate.runs.wanted import Wanted, wanted_of
from delineate.words import plural

_SHOWN = 3  # images in the picture: the worst, the middle and the best
_RELATIVE = (
    "results have the units of the images that they were made from, not those of the true images: "
    f"read {', '.join(SCALE_INVARIANT[:-1])} and {SCALE_INVARIANT[-1]}; psnr, ssim and nrmse are "
    "left out, and errors are those after the best brightness and contrast"
)
"""Said of runs whose targets were matched to their images."""


@dataclass(frozen=True, eq=False)
class ImageEvaluation:
    """Tables of scores, see `image_table`; `missing` true images had no prediction.

    Of `without`, names of predictions, there is no truth. `failed` cannot be scored. `relative`:
    results have the units of their own images.
    """

    tables: ScoreTables
    missing: int
    failed: tuple[NotScored, ...] = ()
    relative: bool = False
    without: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The summary as text, one score a line: mean over images and pooled, with intervals."""
        images, summary = self.tables
        count = len(set(images["image"]))
        intervals = f"; {summary['level'][0]:.0%} bootstrap intervals over images"
        lines = [f"{plural(count, 'image')}{intervals if count > 1 else ''}"]
        several = len(set(images["channel"])) > 1
        title = f"{'mean over images':<28}pooled over images"
        for channel in dict.fromkeys(summary["channel"]):
            here = summary["channel"] == channel
            heading = f"channel {channel}" if several and channel else "score"
            lines.append(f"{heading:<22}{title}")
            for name in dict.fromkeys(summary["score"][here]):
                rows = np.flatnonzero(here & (summary["score"] == name))
                cells = "".join(f"{self._cell(row):<28}" for row in rows)
                lines.append(f"{name:<22}{cells}".rstrip())
        if "objects_truth" in images:
            first = np.unique(images["image"].astype(str), return_index=True)[1]
            true, found = (
                int(images[f"objects_{k}"][first].sum()) for k in ("truth", "prediction")
            )
            lines.append(f"objects in all: {true} in the true images, {found} in the predicted")
        if self.missing:
            lines.append(f"not scored, since not predicted: {self.missing} of the true images")
        lines += without_truth(self.without)
        if self.relative:
            lines.append(_RELATIVE)
        return lines + told(self.failed, "images")

    def _cell(self, row: np.intp) -> str:
        summary = self.tables.summary
        value, low, high = (summary[k][row] for k in ("value", "low", "high"))
        if np.isnan(value):
            return "–"
        digits = 2 if summary["score"][row].endswith("psnr") else 3
        text = f"{value:.{digits}f} {bracketed(low, high, f'.{digits}f')}".rstrip()
        known = int(summary["images"][row])
        return text if known == len(set(self.tables.images["image"])) else f"{text} n={known}"


class _Place(NamedTuple):
    """Where the pixels of a row lie."""

    pair: ImagePair
    frame: int | None
    channel: int


class _Scored(NamedTuple):
    """Rows of an image with the places of their pixels, and the agreement of segmentations."""

    rows: list[tuple[ImageRow, _Place]]
    objects: dict[str, ObjectScores]


@alone()
def evaluate_images(
    predicted: str | Path,
    truth: str | Path,
    out: str | Path,
    *,
    data_range: float | None = None,
    axes: str | None = None,
    truth_channels: Sequence[int] | None = None,
    truth_planes: Sequence[int] | None = None,
    segmenter: Segmenter | None = None,
    seed: int = 0,
    listener: Listener | None = None,
) -> ImageEvaluation:
    """Score images: scores.csv, summary.csv and scores.png in `out`; columns see `image_table`.

    Images that cannot be scored stand in scores.csv with their error, and the others are scored.
    Predictions may lack their truth.

    In the folder of the run itself, its report is written anew with the scores.

    Of a run whose results have the units of their own images, not those of the truth (recipes with
    ``normalise_target: {kind: match}``), the scale-invariant scores are given, and errors are held
    against uncertainty after the best brightness and contrast (`best_scale`). Where both have the
    same units all the same, score the images of the run, ``OUT/results``, by themselves.

    Every channel, and every time point of a movie (as NAME-t0000 …), is scored by itself. Of a run
    that has masks of what is not to be measured, or maps of uncertainty, these are judged too, and
    the channels and planes of true images are those that its model learned to make.

    Parameters
    ----------
    predicted : run folder of an image method, folder of images, or one image.
    truth : folder of true images of the same names (or names in _GT beside _IM), or one; a folder
        of training data with images/ and targets/ has them in the latter.
    data_range : span of values for PSNR and SSIM; None: of each true image (and channel) itself.
    axes : of true images that do not say.
    truth_channels, truth_planes : channels, and planes of Z, of the files of true images to compare
        with, in this order; None: as the model of the run learned them, else all.
    segmenter : also compare the segmentations of prediction and truth.
    seed : of the bootstrap.

    Raises
    ------
    DataError : no files pair.
    ReadError, AxesError, ImageError : no image can be scored: files cannot be read, or do not fit
        each other; the message names them.
    ModelError : the segmenter does not segment.
    WriteError : another process is writing into `out`, or nothing can be written there.
    """
    pairs, missing, without = pair_images(Path(predicted), Path(truth))
    names: tuple[str, ...] = ()
    wanted = wanted_of(Path(predicted)) if pairs[0].of_run else NOTHING_SAID
    channels, planes = (None if p is None else tuple(p) for p in (truth_channels, truth_planes))
    wanted = wanted._replace(asked=Selection(channels, planes))
    relative = wanted.relative
    judged = SCALE_INVARIANT if relative else ImageScores._fields

    def score(pair: ImagePair) -> tuple[_Scored, str]:
        nonlocal names
        opened = open_pair(pair, axes, wanted)
        names = opened.channels or names
        try:
            found = [
                (_row(pair.name, _channel(names, opened, plane), plane, data_range, relative),
                 _Place(pair, plane.frame, plane.channel))
                for plane in opened.planes()
            ]  # fmt: skip
        except ImageError as error:
            raise ImageError(f"{pair.predicted} against {pair.truth}: {error}") from error
        own: dict[str, ObjectScores] = {}
        if segmenter is not None:
            frames = [_name(pair.name, frame) for frame in opened.frames]
            own = dict(zip(frames, segmenter.compare(opened), strict=True))
        last = found[-1][0].whole.scores
        score = f"scale-invariant SSIM {last.si_ssim:.3f}" if relative else f"SSIM {last.ssim:.3f}"
        return _Scored(found, own), score

    scored, failed = score_each({pair.name: pair for pair in pairs}, score, listener)
    rows = [row for own in scored.values() for row, _ in own.rows]
    places = [place for own in scored.values() for _, place in own.rows]
    objects = {name: scores for own in scored.values() for name, scores in own.objects.items()}
    tables = image_table(rows, np.random.default_rng(seed), objects, names=judged)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "scores.csv", scores_table(tables.images, failed))
    write_table(folder / "summary.csv", tables.summary)
    _draw(tables, places, axes, folder / "scores.png", seed, wanted)
    if folder == Path(predicted) and (folder / "run.json").is_file():
        from delineate.review.report import write_report

        write_report(folder)  # it shows the scores
    return ImageEvaluation(tables, missing, failed, relative, without)


def _row(
    name: str, channel: str, plane: Plane, data_range: float | None, relative: bool
) -> ImageRow:
    """Everything that can be said of one channel at one time; `relative`: units differ."""
    prediction, truth = plane.prediction, plane.truth
    row = ImageRow(
        _name(name, plane.frame), channel, MeasuredImage.of(prediction, truth, data_range)
    )
    if plane.keep is not None:
        # In range and spread of the whole image, so that kept and all pixels can be compared.
        whole = np.asarray(truth, np.float64)
        span = data_range or float(np.ptp(whole)) or None
        kept = MeasuredImage.of(prediction, truth, span, plane.keep, float(whole.std()))
        row = row._replace(kept=kept, share=float(plane.keep.mean()))
    if plane.variance is not None:
        held = plane.matched() if relative else plane
        assert held.variance is not None
        row = row._replace(bars=error_bars(held.prediction, truth, held.variance))
    return row


def _name(name: str, frame: int | None) -> str:
    return name if frame is None else f"{name}-t{frame:04d}"


def _channel(names: Sequence[str], opened: Opened, plane: Plane) -> str:
    """Name of a channel; of images without names the number, and nothing where there is one."""
    if plane.channel < len(names):
        return names[plane.channel]
    return str(plane.channel) if opened.truth.n_channels > 1 else ""


def _draw(
    tables: ScoreTables,
    places: Sequence[_Place],
    axes: str | None,
    png: Path,
    seed: int,
    wanted: Wanted,
) -> None:
    """The picture: the worst, the middle and the best image, and the scores of all."""
    from delineate.review.image_scores import Example, image_scores_figure

    images = tables.images
    relative = wanted.relative
    by = "si_ssim" if relative else "ssim"
    order = np.argsort(np.nan_to_num(images[by], nan=-np.inf), kind="stable")
    picked = np.unique(np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).round().astype(int))
    examples = []
    for row in order[picked]:
        place = places[row]
        plane = open_pair(place.pair, axes, wanted).plane(place.frame, place.channel)
        if relative:
            plane = plane.matched()
        title = " · ".join(filter(None, (images["image"][row], images["channel"][row])))
        score = float(images[by][row])
        examples.append(Example(title, score, plane.truth, plane.prediction, relative))
    image_scores_figure(images, examples, png, seed)
