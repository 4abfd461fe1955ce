"""A picture of the scores of predicted images: a few of them beside their truth, all as dots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.io.atomic import atomic_path
from delineate.labels import Table
from delineate.metrics import bootstrap_interval
from delineate.review._pixels import block_mean
from delineate.review.figures import _STYLE, BLUE, ORANGE, _beeswarm

_SIDE = 480  # pixels of an example at most
_PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("dB", ("psnr", "si_psnr")),
    ("", ("ssim", "si_ssim", "pearson")),
    ("std of the truth", ("nrmse",)),
    ("segmentations", ("segmentation_mAP", "segmentation_AP50", "segmentation_Dice")),
)


class Example(NamedTuple):
    """An image to show: its name, its SSIM, truth and prediction over the spatial axes.

    `matched`: the prediction is shown, and its SSIM is, after the best brightness and contrast.
    """

    name: str
    ssim: float
    truth: NDArray[Any]
    prediction: NDArray[Any]
    matched: bool = False


def image_scores_figure(
    images: Table, examples: Sequence[Example], png: Path, seed: int = 0
) -> None:
    """Draw examples (truth, prediction, difference) above the scores of all images.

    Truth and prediction are shown in one grey range, that of the truth; of a volume the middle
    plane. Dots are images, with their mean and its 95 % bootstrap interval.

    Parameters
    ----------
    images : columns of scores as `delineate.metrics.image_table` gives them.
    examples : at least one.
    png : picture to write, under a temporary name first.
    seed : of the bootstrap.

    Raises
    ------
    WriteError : the picture cannot be written.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = [(unit, [name for name in names if name in images]) for unit, names in _PANELS]
    panels = [(unit, names) for unit, names in known if names]
    rng = np.random.default_rng(seed)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 2.9 * len(examples) + 3.2), dpi=150, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        parts: Any = figure.subfigures(2, 1, height_ratios=[2.9 * len(examples), 3.2])
        upper, lower = parts
        rows = upper.subplots(len(examples), 3, squeeze=False)
        for axes, example in zip(rows, examples, strict=True):
            _draw_example(axes, example)
        widths = [len(names) + 0.8 for _, names in panels]
        below = lower.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
        for axes, (unit, names) in zip(below, panels, strict=True):
            _draw_scores(axes, images, names, unit, rng)
        below[0].set_title(_count(images))
        with atomic_path(png) as partial:
            canvas.print_png(partial)


def _count(images: Table) -> str:
    """What a dot is, and how many there are."""
    n, channels = len(images["image"]), len(set(images["channel"]))
    if n == 1:
        return "One image"
    what = "images" if channels == 1 else f"channels of {len(set(images['image'])):,} images"
    return f"{n:,} {what}; mean, 95 % interval"


def _draw_example(row: Any, example: Example) -> None:
    """Truth, prediction and their difference side by side."""
    truth, prediction = _plane(example.truth), _plane(example.prediction)
    low, high = np.percentile(truth, (0.5, 99.8))
    grey = {"cmap": "gray", "vmin": low, "vmax": max(high, low + 1e-12)}
    difference = prediction - truth
    limit = max(float(np.percentile(np.abs(difference), 99.5)), 1e-12)
    row[0].imshow(truth, **grey)
    row[1].imshow(prediction, **grey)
    shown = row[2].imshow(difference, cmap="RdBu_r", vmin=-limit, vmax=limit)
    row[2].figure.colorbar(shown, ax=row[2], shrink=0.85)
    name = example.name if len(example.name) <= 32 else f"…{example.name[-31:]}"
    row[0].set_ylabel(name, size=8, parse_math=False)
    made = "Prediction in the scale of the truth,\n" if example.matched else "Prediction, "
    titles = ("Truth", f"{made}SSIM {example.ssim:.3f}", "Prediction − truth")
    for axes, title in zip(row, titles, strict=True):
        axes.set_title(title)
        axes.set(xticks=(), yticks=())


def _plane(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """The middle plane, at most so large as it is shown."""
    plane = pixels[pixels.shape[0] // 2] if pixels.ndim == 3 else pixels
    plane = np.asarray(plane, np.float32)
    factor = -(-max(plane.shape) // _SIDE)
    return block_mean(plane, (), (0, plane.shape[0]), (0, plane.shape[1]), factor).astype(
        np.float32
    )


def _draw_scores(
    axes: Any, images: Table, names: Sequence[str], unit: str, rng: np.random.Generator
) -> None:
    """Every image as a dot, one column a score; where none is finite, an empty column."""
    columns = [np.asarray(images[name], np.float64) for name in names]
    columns = [values[np.isfinite(values)] for values in columns]
    everything = np.concatenate(columns)
    span = float(np.ptp(everything)) if everything.size else 0.0
    for position, values in enumerate(columns):
        if not values.size:
            continue
        mean = bootstrap_interval(values, rng)
        sideways = _beeswarm(values / (span or 1))
        axes.scatter(position + sideways, values, s=13, color=BLUE, alpha=0.5, lw=0, clip_on=False)
        axes.plot([position + 0.33] * 2, [mean.low, mean.high], color=ORANGE, lw=1.5)
        axes.plot([position + 0.26, position + 0.4], [mean.value] * 2, color=ORANGE, lw=2)
        text = f"{mean.value:.1f}" if unit == "dB" else f"{mean.value:.2f}"
        axes.text(position + 0.43, mean.value, text, color=ORANGE, va="center", size=8)
    labels = [name.removeprefix("segmentation_") for name in names]
    axes.set_xticks(range(len(names)), labels)
    axes.set(xlim=(-0.5, len(names) - 0.1), ylabel=unit)
    if unit != "dB":
        lowest = float(everything.min(initial=0))
        axes.set_ylim(min(0.0, lowest), max(1.0, float(everything.max(initial=0))))
    axes.grid(axis="x", visible=False)
