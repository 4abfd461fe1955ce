"""Reports of runs that made images of images: results, and where they are not to be measured."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from math import isfinite, nan, sqrt

import numpy as np

from delineate.review.charts import Point, measured, scatter
from delineate.review.heat import DEVIATION
from delineate.review.kind import Column, Fact, Kind, Tile, Trust
from delineate.review.kind_objects import QUALITY_SOURCE
from delineate.review.page import Numbers, Page, duration, known_columns, percent
from delineate.review.run_folder import ImageResult, Run
from delineate.review.run_trust import metric_name
from delineate.review.trust_charts import Mark, in_order
from delineate.words import plural

SCORES = ("pearson", "ssim", "psnr", "si_ssim", "si_psnr", "nrmse")
"""Scores of `delineate evaluate` that the table shows, where they are not that which counts."""


def _headline(run: Run) -> str:
    return f"{plural(len(run.done), 'image')} predicted"


def _median(run: Run, value: Callable[[ImageResult], float]) -> float:
    known = [value(i) for i in run.done if isfinite(value(i))]
    return float(np.median(known)) if known else nan


def _tiles(page: Page) -> list[Tile]:
    """The run in numbers, those that there are."""
    run = page.run
    channels = sorted({int(i.made.channels) for i in run.done if isfinite(i.made.channels)})
    failed = f"{len(run.failed):,} more failed" if run.failed else ""
    tiles = [Tile("Images", f"{len(run.done):,}", failed)]
    if channels:
        tiles.append(Tile("Channels", "–".join(map(str, channels)), "of each result"))
    unsure = _median(run, lambda i: i.trust.uncertainty)
    if isfinite(unsure):
        tiles.append(Tile("Uncertainty", _deviation(unsure), "normalised; median image"))
    doubtful = _median(run, lambda i: i.made.not_measurable)
    if isfinite(doubtful):
        tiles.append(Tile("Not to be measured", percent(doubtful), "of the pixels; median image"))
    cycle = _median(run, lambda i: i.made.cycle_error)
    if isfinite(cycle):
        tiles.append(Tile("Cycle error", measured(cycle), "normalised; median image"))
    return [*tiles, Tile("Time", duration(run.seconds), page.time_per_image)]


def _charts(page: Page) -> list[str]:
    """Images compared by their intensities, and by what the way back misses."""
    done = page.run.done
    figures = []
    points = [
        Point(i.made.mean, i.made.std, f"{i.name}: {_intensity(i)}", page.anchors[i.name])
        for i in done
        if isfinite(i.made.mean) and isfinite(i.made.std)
    ]
    if len(points) > 1:
        drawing = scatter(points, "Mean of the result", "Standard deviation", "Results compared")
        figures.append(
            "<figure><figcaption><h2>Results compared</h2><p>One dot an image: one far from the "
            f"others is worth a look. Click to see it.</p></figcaption>{drawing}</figure>"
        )
    figures.append(
        _ordered(
            page, "Cycle error", "How far the way back misses each image", "Cycle error",
            lambda i: i.made.cycle_error,
        )
    )  # fmt: skip
    figures.append(
        _ordered(
            page, "Not to be measured", "Share of the pixels of each image", "Per cent",
            lambda i: 100 * i.made.not_measurable,
        )
    )  # fmt: skip
    return [figure for figure in figures if figure]


def _ordered(
    page: Page, title: str, text: str, label: str, value: Callable[[ImageResult], float]
) -> str:
    """One dot an image, the highest first; nothing where fewer than two are known or all are 0."""
    known = sorted((i for i in page.run.done if isfinite(value(i))), key=lambda i: -value(i))
    if len(known) < 2 or not value(known[0]):
        return ""
    marks = [
        Mark(0, value(i), f"{i.name}: {measured(value(i))}", page.anchors[i.name]) for i in known
    ]
    spoken = f"{title} of {plural(len(marks), 'image')}, the highest first"
    drawing = in_order(marks, None, (), label, spoken)
    return (
        f"<figure><figcaption><h2>{title}</h2><p>{text}; click a dot to see it.</p></figcaption>"
        f"{drawing}</figure>"
    )


def _intensity(image: ImageResult) -> str:
    return f"mean {measured(image.made.mean)}, SD {measured(image.made.std)}"


def _deviation(uncertainty: float) -> str:
    return f"±\u2009{measured(sqrt(max(0.0, uncertainty)))}"


def _facts(page: Page, image: ImageResult) -> str:
    """Channels, mean and standard deviation of the result."""
    made, facts = image.made, []
    if made.channels > 1:
        facts.append(f"<b>{plural(int(made.channels), 'channel')}</b>")
    if isfinite(made.mean) and isfinite(made.std):
        facts.append(f"<span>{_intensity(image)}</span>")
    return " ".join(facts)


def _lines(page: Page, image: ImageResult) -> list[Fact]:
    """What is not to be measured, and what the way back misses."""
    lines = []
    if isfinite(image.made.not_measurable):
        lines.append(Fact("Not to be measured", percent(image.made.not_measurable)))
    if isfinite(image.made.cycle_error):
        lines.append(Fact("Cycle error", measured(image.made.cycle_error)))
    return lines


def _columns(page: Page) -> list[Column]:
    truth = page.run.trust.truth
    scores = [
        Numbers(
            f"True {escape(metric_name(name))}",
            _score(name),
            _decibel if name.endswith("psnr") else "{:.3f}".format,
        )
        for name in SCORES
        if truth is None or name != truth.metric
    ]
    return known_columns(
        page.run.images,
        [
            *scores,
            Numbers("Not to be measured", lambda i: i.made.not_measurable, percent),
            Numbers("Cycle error", lambda i: i.made.cycle_error),
            Numbers("Channels", lambda i: i.made.channels, "{:.0f}".format),
            Numbers("Mean", lambda i: i.made.mean),
            Numbers("SD", lambda i: i.made.std),
        ],
    )


def _score(name: str) -> Callable[[ImageResult], float]:
    return lambda image: image.scores.get(name, nan)


def _decibel(value: float) -> str:
    return f"{value:.1f}\u2009dB"


_MEANINGS = {
    "Result": "The image that the model made of an image: <code>results/NAME</code>, with the axes "
    "and pixel size of the image, in the units of the images that the model was trained "
    "towards or, where these were brought to its scale, of the image itself. Mean and SD "
    "(standard deviation) are those of its pixels.",
    "Not to be measured": "Share of the pixels that are more uncertain than nearly all pixels of "
    "the images that validated the model. <code>doubtful/NAME</code> is 1 there: leave these "
    "pixels out of measurements. They are hatched in the pictures of uncertainty.",
    "Cycle error": "How far the way back, from the result to the image, misses the image: mean "
    "absolute difference of normalised intensities. A large one says that something was lost or "
    "invented; a small one does not prove that the result is right. Its pictures (with "
    "<code>--uncertainty</code>) have the same colours from 0 to 0.25 in every image and run.",
    "Pictures": "Contrast is stretched between the 1st and 99th percentile of each channel, in "
    "image and result apart and for the picture only: brightness cannot be compared between the "
    "two. Of a volume, the plane whose result has most contrast is shown; of planes that became "
    "one image, the middle one; of a movie, the first time point.",
}
_TRUSTED = {
    "Uncertainty U": "Variance of the normalised intensity that the model expects of each pixel, "
    "mean over channels and pixels; ± is its square root. Normalised intensities run over about 1 "
    "from dark to bright with percentiles, and have the standard deviation 1 with mean and "
    "standard deviation. The pictures have the same colours from 0 to 0.25 (standard deviation) in "
    "every image and every run.",
    "Aleatoric, epistemic": "The two parts of U. Aleatoric: the noise that the model expects, "
    "known to models with method.noise only; sharper images help. Epistemic: the turns or members "
    "of the model disagree; more training images like this one help. A single draw has none.",
    "Verdict and expected score": "Verify: as uncertain as a reference image that missed the "
    "required score (or, where a risk was given, too uncertain for it), without an uncertainty, or "
    "unlike the training images. The expected score is an estimate: a line through the reference "
    "images, with a 90 % prediction interval. "
    "It holds for images like the reference, which also chose weights and thresholds of the model: "
    "new images may well score lower.",
}
_KENDALL = (
    "Kendall A, Gal Y. What uncertainties do we need in Bayesian deep learning for computer "
    "vision? Advances in Neural Information Processing Systems 30 (2017). (Aleatoric and epistemic "
    "variance of intensities.)"
)
_REGIMES = {
    "pix2pix": "Isola P, Zhu JY, Zhou T, Efros AA. Image-to-image translation with conditional "
    "adversarial networks. IEEE Conference on Computer Vision and Pattern Recognition (2017). "
    "(The regime of the training.)",
    "cyclegan": "Zhu JY, Park T, Isola P, Efros AA. Unpaired image-to-image translation using "
    "cycle-consistent adversarial networks. IEEE International Conference on Computer Vision "
    "(2017). (The regime of the training, and the cycle error.)",
    "blind-spot": "Krull A, Buchholz TO, Jug F. Noise2Void – learning denoising from single noisy "
    "images. IEEE Conference on Computer Vision and Pattern Recognition (2019). (The regime of the "
    "training.)",
}


def _sources(run: Run) -> list[str]:
    regime = run.recipe.get("regime")
    name = regime.get("name") if isinstance(regime, dict) else regime
    sources = [text for kind, text in _REGIMES.items() if kind == name]
    return [*sources, QUALITY_SOURCE, _KENDALL] if run.ranked else sources


IMAGES = Kind(
    headline=_headline,
    nothing="No image was predicted.",
    view="Image and result",
    shown="Each image beside what the model made of it.",
    alt=lambda image: f"{image.name} beside the result",
    panels=2,
    tiles=_tiles,
    charts=_charts,
    facts=_facts,
    lines=_lines,
    drawing=lambda page, image: "",
    is_empty=lambda image: False,
    columns=_columns,
    tables="The same numbers are in <code>images.csv</code>, the results in the folder "
    "<code>results</code>.",
    trust=Trust(
        order="The images are in the order in which a person should look at them: first those "
        "unlike the training images, then the most uncertain ones.",
        unknown="not known",
        unverified="of which no uncertainty is known",
        without="{images} {have} no uncertainty.",
        against="hold the run against true images of a dozen of its images: <code>delineate "
        "evaluate {folder} TRUTH</code>",
        single="The model drew each result once, and a single draw tells no uncertainty: nothing "
        "here says where the results can be relied on. Predict again with <code>--turns 4</code>, "
        "which compares what the model makes of the mirrored image; or train an ensemble "
        "(<code>ensemble.folds</code>), whose members are compared; or train with "
        "<code>method.noise</code>, with which the model learns to tell the noise that it expects.",
        level=lambda u: sqrt(max(0.0, u)) / DEVIATION.limit,
        spoken=lambda u: (
            f"standard deviation {measured(sqrt(max(0.0, u)))} of the normalised intensity"
        ),
        number=_deviation,
        besides=lambda u: f", {_deviation(u)}",
    ),
    meanings=_MEANINGS,
    trusted=_TRUSTED,
    sources=_sources,
)
"""Runs of methods that give images."""
