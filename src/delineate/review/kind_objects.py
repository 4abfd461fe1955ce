"""Reports of runs that found objects: counts, sizes and outlines."""

from __future__ import annotations

from html import escape
from math import isfinite, nan

import numpy as np

from delineate.review.charts import (
    Point,
    histogram,
    measured,
    number,
    scatter,
    size_bins,
    sparkline,
)
from delineate.review.kind import Column, Fact, Kind, Tile, Trust
from delineate.review.page import NONE, Page, cell, duration, percent
from delineate.review.run_folder import ImageResult, Run
from delineate.uncertainty import LIMIT
from delineate.words import plural


def _headline(run: Run) -> str:
    return f"{plural(run.objects, 'object')} in {plural(len(run.done), 'image')}"


def _tiles(page: Page) -> list[Tile]:
    """The run in six numbers."""
    run = page.run
    counts = np.asarray([i.objects for i in run.done if i.objects >= 0])
    foreground = [i.foreground for i in run.done if isfinite(i.foreground)]
    empty = int((counts == 0).sum())
    each, share = Tile("Objects per image", "–"), Tile("Foreground", "–")
    if counts.size:
        span = f"median; {counts.min():,} to {counts.max():,}"
        each = each._replace(value=number(float(np.median(counts))), sub=span)
    if foreground:
        median = percent(float(np.median(foreground)))
        share = share._replace(value=median, sub="median of the images")
    failed = f"{len(run.failed):,} more failed" if run.failed else ""
    return [
        Tile("Images", f"{len(run.done):,}", failed),
        Tile(
            "Objects", f"{run.objects:,}", f"{plural(empty, 'image')} without any" if empty else ""
        ),
        each,
        Tile("Diameter", *_median_diameter(run)),
        share,
        Tile("Time", duration(run.seconds), page.time_per_image),
    ]


def _median_diameter(run: Run) -> tuple[str, str]:
    """Median diameter of all objects, and the same in the other unit where there is one."""
    if not run.diameters.size:
        return "–", ""
    pixels = f"{measured(float(np.median(run.diameters)))} px"
    if not run.physical:
        return pixels, "median of the objects"
    physical = measured(float(np.median(run.physical_diameters)))
    return f"{physical} {escape(run.unit)}", f"median; {pixels}"


def _charts(page: Page) -> list[str]:
    """Size distribution of all objects, and images compared with each other."""
    run = page.run
    figures = []
    if run.diameters.size:
        values = run.physical_diameters if run.physical else run.diameters
        unit = run.unit if run.physical else "px"
        drawing = histogram(values, size_bins(values), unit, "Size distribution")
        figures.append(
            "<figure><figcaption><h2>Size distribution</h2><p>Equivalent diameter of all "
            f"{plural(values.size, 'object')}; the band holds the middle half.</p></figcaption>"
            f"{drawing}</figure>"
        )
    points = [
        Point(i.objects, i.median_diameter, _spoken(i), page.anchors[i.name])
        for i in run.done
        if i.objects > 0 and isfinite(i.median_diameter)
    ]
    if len(points) > 1:
        drawing = scatter(points, "Objects", "Median diameter (px)", "Images compared")
        figures.append(
            "<figure><figcaption><h2>Images compared</h2><p>One dot an image: one far from the "
            f"others is worth a look. Click to see it.</p></figcaption>{drawing}</figure>"
        )
    return figures


def _spoken(image: ImageResult) -> str:
    return f"{image.name}: {plural(image.objects, 'object')}, {measured(image.median_diameter)} px"


def _alt(image: ImageResult) -> str:
    return f"{image.name} with the outlines of {plural(max(0, image.objects), 'object')}"


def _facts(page: Page, image: ImageResult) -> str:
    """Number of objects and their median diameter."""
    facts = f"<b>{plural(image.objects, 'object')}</b>" if image.objects >= 0 else ""
    if isfinite(image.median_diameter) and image.objects > 0:
        facts += f" <span>⌀ {_diameter(page, image)}</span>"
    return facts


def _diameter(page: Page, image: ImageResult) -> str:
    """Median diameter of one image with its unit, physical where that is known."""
    if page.run.physical:
        return f"{measured(image.median_diameter * image.pixel_size)} {escape(page.run.unit)}"
    return f"{measured(image.median_diameter)} px"


def _lines(page: Page, image: ImageResult) -> list[Fact]:
    """Nothing more."""
    return []


def _sizes(page: Page, image: ImageResult) -> str:
    """Small drawing of the size distribution of one image, empty without objects."""
    if not image.diameters.size:
        return ""
    return sparkline(page.bins.counts(image.diameters), f"Sizes in {image.name}")


def _columns(page: Page) -> list[Column]:
    run = page.run
    most = max((i.objects for i in run.images), default=0)
    columns = [
        Column("Objects", lambda i: _objects(i, most)),
        Column("Diameter (px)", lambda i: cell(i.median_diameter)),
    ]
    if run.physical:
        head = f"Diameter ({escape(run.unit)})"
        columns.append(Column(head, lambda i: cell(i.median_diameter * i.pixel_size)))
    return [
        *columns,
        Column("Sizes", lambda i: f'<td class="sizes">{_sizes(page, i) or NONE}</td>', False),
        Column("Foreground", lambda i: cell(i.foreground, percent)),
        Column("Diameter used (px)", lambda i: cell(i.diameter_used)),
    ]


def _objects(image: ImageResult, most: int) -> str:
    if image.objects < 0:
        return cell(nan)
    share = f"{100 * image.objects / max(1, most):.1f}"
    return (
        f'<td data-value="{image.objects}">{image.objects:,}'
        '<svg class="share" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{share}" height="4"/></svg></td>'
    )


_FLOWS = (
    "Stringer C, Wang T, Michaelos M, Pachitariu M. Cellpose: a generalist algorithm for "
    "cellular segmentation. Nature Methods 18, 100–106 (2021), doi 10.1038/s41592-020-01018-x. "
    "(The idea of objects as flows.)"
)
QUALITY_SOURCE = (
    "Griebel M, Segebarth D, Stein N, et al. Deep learning-enabled segmentation of ambiguous "
    "bioimages with deepflash2. Nature Communications 14, 1679 (2023), doi "
    "10.1038/s41467-023-36960-9. (Uncertainty for quality assurance.)"
)
_KWON = (
    "Kwon Y, Won JH, Kim BJ, Paik MC. Uncertainty quantification using Bayesian neural networks "
    "in classification: application to biomedical image segmentation. Computational Statistics & "
    "Data Analysis 142, 106816 (2020). (Aleatoric and epistemic parts.)"
)


def _sources(run: Run) -> list[str]:
    sources = [_FLOWS] if run.method == "flows" else []
    return [*sources, QUALITY_SOURCE, _KWON] if run.knows_trust else sources


_MEANINGS = {
    "Object": "One connected thing with its own number in the label image. Objects at the border "
    "of an image are counted, though part of them lies outside.",
    "Diameter": "Equivalent diameter: that of the disk with the same area, in volumes of the ball "
    "with the same volume. The diameter of an image is the median of its objects.",
    "Foreground": "Share of the pixels of an image that belong to an object.",
    "Diameter used": "Size of the objects for which the image was scaled before the network saw "
    "it. Where it is far from the diameter found, run again with --diameter.",
    "Pictures": "Contrast is stretched between the 1st and 99th percentile of each channel, for "
    "the picture only: measurements are made on the pixels of the file. Of a volume, the plane "
    "with most object pixels is shown; of an image with very many small objects, a detail.",
}
_TRUSTED = {
    "Uncertainty U": "Variance of the class probabilities (p times 1 − p, mean over the classes), "
    "mean over the pixels that were found: 0 where the model is sure, 0.25 at most. The pictures "
    "have the same colours from 0 to 0.25 in every image and every run. An image in which nothing "
    "was found has none, and stands before all that have one.",
    "Aleatoric, epistemic": "The two parts of U. Aleatoric: the image does not say more; sharper "
    "images help. Epistemic: the passes or members of the model disagree; more labelled images "
    "like this one help. A single pass has no epistemic part.",
    "Verdict and expected score": "Verify: as uncertain as a reference image that missed the "
    "required score (or, where a risk was given, too uncertain for it), without any find, or "
    "unlike the training images. The expected score is an estimate: a line through the reference "
    "images, with a 90 % prediction interval. "
    "It holds for images like the reference, which also chose weights and thresholds of the model: "
    "new images may well score lower.",
}

OBJECTS = Kind(
    headline=_headline,
    nothing="No image was segmented.",
    view="Outlines",
    shown="Outlines of the objects over each image.",
    alt=_alt,
    panels=1,
    tiles=_tiles,
    charts=_charts,
    facts=_facts,
    lines=_lines,
    drawing=_sizes,
    is_empty=lambda image: image.objects == 0,
    columns=_columns,
    tables="The same numbers are in <code>images.csv</code>, those of every object in "
    "<code>objects.csv</code>.",
    trust=Trust(
        order="The images are in the order in which a person should look at them: first those "
        "unlike the training images, then those in which nothing was found, then the most "
        "uncertain ones.",
        unknown="none: nothing was found",
        unverified="in which nothing was found",
        without="{images} without a find {have} no U.",
        against="draw the true labels of a dozen images and hold the run against them: "
        "<code>delineate review {folder} --truth LABELS</code>",
        single="",
        level=lambda u: u / LIMIT,
        spoken=lambda u: f"{measured(u)} of at most {LIMIT:g}",
        number=measured,
        besides=lambda u: "",
    ),
    meanings=_MEANINGS,
    trusted=_TRUSTED,
    sources=_sources,
)
"""Runs of methods that give labels."""
