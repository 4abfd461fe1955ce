"""Pictures of numbers: learning curves of a training, and scores of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.io.atomic import atomic_path
from delineate.metrics.average_precision import THRESHOLDS
from delineate.metrics.bootstrap import bootstrap_interval
from delineate.review.charts import measured, size_bins
from delineate.review.curves import Curve, read_curves

BLUE, ORANGE, GREEN = "#1766b5", "#d55e00", "#009e73"
"""Colours that every kind of colour vision tells apart."""
_INK, _SOFT, _LINE = "#16202c", "#566375", "#dfe4ea"
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.titlecolor": _INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.7,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.labelcolor": _INK,
    "figure.constrained_layout.w_pad": 0.15,
    "figure.constrained_layout.h_pad": 0.12,
}
_COLOURS = (BLUE, ORANGE, GREEN, _SOFT, "#cc79a7", "#8a6d00")
_LABELS = {
    "val_ap50": "AP at IoU 0.5",
    "val_map": "mAP 0.50–0.95",
    "val_pearson": "Pearson",
    "val_ssim": "SSIM",
    "val_si_psnr": "scale-invariant PSNR",
    "val_psnr": "PSNR",
    "gan_g": "generator",
    "gan_d": "discriminator",
}


def learning_curves(csv: Path, png: Path) -> None:
    """Draw what a training wrote: losses, validation scores, learning rate and speed.

    The best score is marked: val_map, else the first of the scores. A training that is validated by
    its loss alone has no scores; there the lowest loss is marked. Scores in decibels have an axis
    of their own. Parts of the loss of adversarial regimes are drawn apart, since they say how the
    two sides stand, not how good the images are.

    Parameters
    ----------
    csv : table with the column step and any of loss, val_loss, other columns that begin with
        ``val_`` (scores, higher is better), columns that begin with ``gan_``, learning_rate or lr,
        and patches_per_second. Empty cells are values that were not measured at that step.
    png : picture to write, under a temporary name first.

    Raises
    ------
    ReadError : the table is missing, is broken or has no column step.
    WriteError : the picture cannot be written.
    """
    curves = read_curves(Path(csv))
    scores = [name for name in curves if name.startswith("val_") and name != "val_loss"]
    scores.sort(key=lambda name: name != "val_map")  # it has the first colour
    parts = _named([name for name in curves if name.startswith("gan_")])
    losses = {
        "loss": ("generator" if parts else "training", BLUE),
        "val_loss": ("validation", ORANGE),
    }
    rates = dict.fromkeys(("learning_rate", "lr"), ("learning rate", BLUE))
    by_loss = not scores and "val_loss" in curves
    count = 3 + bool(parts) - by_loss
    with _panels(Path(png), (4.0 * count, 3.6), count) as (loss, *others, rate):
        _draw(loss, curves, losses, "Loss")
        if by_loss:
            _mark_best(loss, curves["val_loss"], ORANGE, lowest=True)
        else:
            _draw_scores(others[-1], curves, _named(scores))
        if parts:
            _draw(others[0], curves, parts, "Adversarial parts")
            others[0].margins(y=0.2)
            others[0].legend(loc="upper center", ncols=3, columnspacing=1)
        _draw(rate, curves, rates, "Learning rate")
        rate.set_ylim(bottom=0)
        if "patches_per_second" in curves:
            speed = measured(float(np.median(curves["patches_per_second"].values)))
            rate.set_title(f"{speed} patches/s", loc="right", color=_SOFT, size=9, weight="normal")


def _named(columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    """What is written for each column, and its colour; the first six."""
    plain = {name: name.split("_", 1)[1] for name in columns}
    labels = [_LABELS.get(name, short) for name, short in plain.items()]
    return dict(zip(columns, zip(labels, _COLOURS, strict=False), strict=False))


def _draw_scores(axes: Any, curves: dict[str, Curve], lines: dict[str, tuple[str, str]]) -> None:
    """Validation scores; those in decibels on an axis at the right, if there are others."""
    decibels = {name: line for name, line in lines.items() if name.endswith("psnr")}
    others = {name: line for name, line in lines.items() if name not in decibels}
    groups = [(axes, others)]
    if decibels:
        groups = [(axes.twinx(), decibels), *groups] if others else [(axes, decibels)]
    for frame, own in groups:
        _draw(frame, curves, own, "Validation scores")
        if own is decibels:
            frame.set_ylabel("PSNR (dB)")
            frame.grid(visible=frame is axes)
        elif own:
            values = np.concatenate([curves[name].values for name in own])
            axes.set_ylim(min(0.0, float(values.min())), max(1.0, float(values.max())))
    if len(groups) > 1:
        drawn = [line for frame, _ in reversed(groups) for line in frame.get_lines()]
        for frame, _ in groups:
            if frame.get_legend() is not None:
                frame.get_legend().remove()
        groups[0][0].legend(handles=drawn, loc="lower right")  # of the axes in front
        groups[0][0].set_title("")
    if lines:
        best = next(iter(lines))
        frame = next(frame for frame, own in groups if best in own)
        _mark_best(frame, curves[best], lines[best][1])


def evaluation_figure(
    ap: ArrayLike,
    png: Path,
    thresholds: ArrayLike = THRESHOLDS,
    *,
    names: Sequence[str] = (),
    pooled: ArrayLike | None = None,
    true_diameters: ArrayLike | None = None,
    predicted_diameters: ArrayLike | None = None,
    seed: int = 0,
) -> None:
    """Draw how good a segmentation is: over IoU thresholds, over images, and sizes compared.

    Parameters
    ----------
    ap : (images, thresholds), average precision of each image at each IoU threshold, 0 to 1.
    png : picture to write, under a temporary name first.
    thresholds : (thresholds,), ascending.
    names : of the images; the worst ones are named in the picture.
    pooled : (thresholds,), average precision of all images as one, where it is to be shown.
    true_diameters, predicted_diameters : of all objects in pixels, where they are to be compared.
    seed : of the bootstrap that gives the 95 % interval of the mean over images.

    Raises
    ------
    ValueError : the arrays do not fit each other, or there is no image.
    WriteError : the picture cannot be written.
    """
    table = np.asarray(ap, np.float64)
    cuts = np.asarray(thresholds, np.float64)
    if table.ndim != 2 or table.shape[0] == 0 or table.shape[1:] != cuts.shape:
        raise ValueError(
            f"scores of shape {table.shape} for {cuts.shape} thresholds: expected "
            "(images, thresholds) with at least one image"
        )
    sizes = [
        np.asarray(d, np.float64) for d in (true_diameters, predicted_diameters) if d is not None
    ]
    with_sizes = len(sizes) == 2 and all(d.size for d in sizes)
    with _panels(Path(png), (12.0 if with_sizes else 8.4, 3.7), 3 if with_sizes else 2) as axes:
        _draw_thresholds(axes[0], table, cuts, pooled, np.random.default_rng(seed))
        _draw_images(axes[1], table, cuts, names)
        if with_sizes:
            _draw_sizes(axes[2], *sizes)


def _draw_thresholds(
    axes: Any,
    table: NDArray[np.float64],
    cuts: NDArray[np.float64],
    pooled: ArrayLike | None,
    rng: np.random.Generator,
) -> None:
    """Mean AP over images against the threshold, with its interval."""
    bands = [bootstrap_interval(column, rng) for column in table.T]
    axes.fill_between(
        cuts, [b.low for b in bands], [b.high for b in bands], color=BLUE, alpha=0.15, lw=0
    )
    axes.plot(
        cuts, table.mean(axis=0), color=BLUE, lw=2, marker="o", ms=4, label="mean over images"
    )
    if pooled is not None:
        axes.plot(cuts, np.asarray(pooled), color=ORANGE, lw=1.5, ls="--", label="pooled")
    all_cuts = bootstrap_interval(table.mean(axis=1), rng)
    title = f"mAP {all_cuts.value:.3f}"
    if len(table) > 1:
        title += f" ({all_cuts.low:.3f} to {all_cuts.high:.3f})"
    axes.set(xlabel="IoU threshold", ylabel="Average precision", ylim=(0, 1), title=title)
    band = "band: 95 % interval" if len(table) > 1 else None
    axes.legend(loc="lower left", title=band, title_fontsize=8)


def _draw_images(
    axes: Any, table: NDArray[np.float64], cuts: NDArray[np.float64], names: Sequence[str]
) -> None:
    """Each image as a dot at two thresholds and for the mean over thresholds."""
    middle = int(np.abs(cuts - 0.75).argmin())
    columns = [
        (f"AP{round(100 * cuts[0])}", table[:, 0]),
        (f"AP{round(100 * cuts[middle])}", table[:, middle]),
        ("mAP", table.mean(axis=1)),
    ]
    for position, (_, values) in enumerate(columns):
        spread = _beeswarm(values)
        axes.scatter(position + spread, values, s=13, color=BLUE, alpha=0.5, lw=0, clip_on=False)
        median = float(np.median(values))
        axes.plot([position - 0.3, position + 0.3], [median] * 2, color=ORANGE, lw=2)
        axes.text(position + 0.33, median, f"{median:.2f}", color=ORANGE, va="center", size=8)
    if len(names) == len(table):
        worst = int(columns[2][1].argmin())
        name = names[worst] if len(names[worst]) <= 32 else f"…{names[worst][-31:]}"
        value = columns[2][1][worst]
        axes.set_xlabel(f"lowest mAP {value:.2f}: {name}", size=8, parse_math=False)
    images = "One image" if len(table) == 1 else f"{len(table):,} images, line: median"
    axes.set(ylim=(0, 1), xlim=(-0.45, 2.7), title=images)
    axes.set_xticks(range(3), [name for name, _ in columns])
    axes.grid(axis="x", visible=False)


def _draw_sizes(axes: Any, true: NDArray[np.float64], found: NDArray[np.float64]) -> None:
    """Histograms of true and predicted diameters with common bins."""
    bins = size_bins(np.concatenate([true, found]), 40)
    axes.stairs(bins.counts(true), bins.edges, fill=True, color=_SOFT, alpha=0.3, label="true")
    axes.stairs(bins.counts(found), bins.edges, color=BLUE, lw=1.6, label="predicted")
    medians = f"median {measured(float(np.median(true)))} → {measured(float(np.median(found)))} px"
    axes.set(xlabel="Diameter (px)", ylabel="Objects", title=f"Sizes: {medians}")
    axes.set_xlim(left=0)
    axes.legend()


def _beeswarm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sideways offsets within ±0.3 that part dots of similar value, the same every time."""
    offsets = np.zeros(values.size)
    rows = np.round(values / 0.02).astype(int)
    for row in np.unique(rows):
        inside = np.flatnonzero(rows == row)
        step = min(0.05, 0.6 / inside.size)
        offsets[inside] = (np.arange(inside.size) - (inside.size - 1) / 2) * step
    return offsets


def _draw(
    axes: Any, curves: dict[str, Curve], lines: dict[str, tuple[str, str]], title: str
) -> None:
    """Lines of those columns that there are; an empty frame says so."""
    found = [name for name in lines if name in curves]
    for name in found:
        label, colour = lines[name]
        dots = "o" if curves[name].steps.size <= 40 else ""
        axes.plot(*curves[name], color=colour, lw=1.7, marker=dots, ms=3, label=label)
    axes.set(title=title, xlabel="Step")
    axes.margins(x=0.03)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if len(found) > 1:
        axes.legend()
    if not found:
        axes.text(0.5, 0.5, "nothing yet", transform=axes.transAxes, ha="center", color=_SOFT)
        axes.set(xticks=(), yticks=())


def _mark_best(axes: Any, curve: Curve, colour: str, *, lowest: bool = False) -> None:
    """Ring and number at the highest value, or the lowest."""
    best = int(curve.values.argmin() if lowest else curve.values.argmax())
    step, value = curve.steps[best], curve.values[best]
    axes.plot([step], [value], "o", ms=9, mfc="none", mec=colour, mew=1.5)
    side = "right" if best > 0.8 * (curve.steps.size - 1) else "center"
    number = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    axes.annotate(
        f"best {number}", (step, value), xytext=(0, 9 if lowest else -9),
        textcoords="offset points", color=colour, fontsize=8, ha=side,
        va="bottom" if lowest else "top",
    )  # fmt: skip


@contextmanager
def _panels(png: Path, size: tuple[float, float], count: int) -> Iterator[Any]:
    """Axes side by side in a figure of its own, apart from pyplot; written when all is drawn."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        yield figure.subplots(1, count)
        with atomic_path(png) as partial:
            canvas.print_png(partial)
