"""The top of a report: headline, warning, numbers, charts, and the images that failed."""

from __future__ import annotations

from html import escape
from math import isfinite

import numpy as np

from delineate.review.charts import Point, histogram, measured, number, scatter, size_bins
from delineate.review.page import Page, duration, percent, plural
from delineate.review.run_folder import ImageResult, Run

_NO_REASON = "No reason was recorded."


def header(page: Page) -> str:
    """Headline in numbers, and what was run when."""
    run = page.run
    facts = []
    if run.model:
        facts.append(f"model <b>{escape(run.model)}</b>")
    if run.started is not None:
        moment = run.started
        facts.append(
            f'<time datetime="{moment.isoformat()}">{moment.day} {moment:%B %Y, %H:%M}</time>'
        )
    if isfinite(run.seconds):
        facts.append(duration(run.seconds))
    facts.append(f"folder <b>{escape(run.folder.resolve().name)}</b>")
    title = f"{plural(run.objects, 'object')} in {plural(len(run.done), 'image')}"
    links = [("trust", "Trust")] if run.knows_trust else []
    links += [("pictures", "Queue" if run.ranked else "Pictures")] if run.images else []
    links += [("human", "Experts")] if run.trust.annotators else []
    links += [("table", "Table")] if run.images else []
    links += [("failures", "Failures")] if run.failed else []
    links += [("settings", "Settings"), ("notes", "Notes")]
    nav = "".join(f'<a href="#{target}">{text}</a>' for target, text in links)
    return (
        '<header class="top"><div class="wrap topbar"><span class="brand">'
        '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M9 4c4-2 10 0 11 5s-2 9-7 11-9-2-9-7 '
        '1-7 5-9z"/><circle cx="12" cy="11.5" r="2.6"/></svg>Delineate</span>'
        f'<nav aria-label="Sections">{nav}</nav></div></header>'
        f'<div class="wrap hero"><h1>{title}</h1><p>{" · ".join(facts)}</p></div>'
    )


def failure_notice(page: Page) -> str:
    """A visible warning where images failed; nothing otherwise."""
    failed = len(page.run.failed)
    if not failed:
        return ""
    return (
        f'<p class="notice" role="status"><b>{plural(failed, "image")} of '
        f"{len(page.run.images):,} failed</b> and {'is' if failed == 1 else 'are'} in none of the "
        'numbers here. <a href="#failures">What went wrong</a></p>'
    )


def tiles(page: Page) -> str:
    """The run in six numbers."""
    run = page.run
    counts = np.asarray([i.objects for i in run.done if i.objects >= 0])
    foreground = [i.foreground for i in run.done if isfinite(i.foreground)]
    empty = int((counts == 0).sum())
    shown = [
        ("Images", f"{len(run.done):,}", f"{len(run.failed):,} more failed" if run.failed else ""),
        ("Objects", f"{run.objects:,}", f"{plural(empty, 'image')} without any" if empty else ""),
        ("Objects per image", "–", ""),
        ("Diameter", *_diameter(run)),
        ("Foreground", "–", ""),
        ("Time", duration(run.seconds), ""),
    ]
    if counts.size:
        span = f"median; {counts.min():,} to {counts.max():,}"
        shown[2] = ("Objects per image", number(float(np.median(counts))), span)
    if foreground:
        shown[4] = ("Foreground", percent(float(np.median(foreground))), "median of the images")
    if run.images and isfinite(run.seconds):
        shown[5] = ("Time", duration(run.seconds), f"{_per_image(run)} per image")
    items = "".join(
        f'<div><dt>{name}</dt><dd>{value}</dd><dd class="sub">{escape(sub)}</dd></div>'
        for name, value, sub in shown
    )
    return f'<dl class="tiles">{items}</dl>'


def _diameter(run: Run) -> tuple[str, str]:
    """Median diameter of all objects, and the same in the other unit where there is one."""
    if not run.diameters.size:
        return "–", ""
    pixels = f"{measured(float(np.median(run.diameters)))} px"
    if not run.physical:
        return pixels, "median of the objects"
    physical = measured(float(np.median(run.physical_diameters)))
    return f"{physical} {escape(run.unit)}", f"median; {pixels}"


def _per_image(run: Run) -> str:
    return duration(run.seconds / len(run.images))


def charts(page: Page) -> str:
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
    return f'<div class="charts">{"".join(figures)}</div>' if figures else ""


def _spoken(image: ImageResult) -> str:
    return f"{image.name}: {plural(image.objects, 'object')}, {measured(image.median_diameter)} px"


def failures(page: Page) -> str:
    """Failed images and why; nothing where none failed."""
    if not page.run.failed:
        return ""
    items = "".join(
        f"<div><dt>{escape(i.name)}</dt><dd>{escape(i.error or _NO_REASON)}</dd></div>"
        for i in page.run.failed
    )
    return (
        '<section id="failures"><h2>Failures</h2><p>These images were skipped, the others are '
        'complete. Mend them and run the same command again: it continues.</p><dl class="errors">'
        f"{items}</dl></section>"
    )
