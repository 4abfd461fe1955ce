"""The table of a report: every image with all its numbers, sortable by a click on a heading."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from math import isfinite, nan
from typing import NamedTuple

from delineate.review.charts import measured
from delineate.review.page import NONE, Page, cell, percent
from delineate.review.report_images import badge
from delineate.review.run_folder import ImageResult


class Column(NamedTuple):
    """A column: heading, what makes a cell of an image, and whether it can be sorted."""

    head: str
    cell: Callable[[ImageResult], str]
    sorts: bool = True


def table(page: Page) -> str:
    """All images with their numbers; a column that no image has is left out."""
    run = page.run
    if not run.images:
        return ""
    columns = _columns(page)
    top = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{column.head}</button></th>'
        if column.sorts
        else f'<th scope="col">{column.head}</th>'
        for column in columns
    )
    rows = "".join(
        f'<tr data-name="{escape(image.name)}" data-verdict="{image.trust.verdict}">'
        f"{''.join(column.cell(image) for column in columns)}</tr>"
        for image in run.images
    )
    return (
        '<section id="table"><div class="head"><div><h2>Table</h2><p>The same numbers are in '
        "<code>images.csv</code>, those of every object in <code>objects.csv</code>. Click a "
        'heading to sort.</p></div></div><div class="scroll" tabindex="0" role="region" '
        'aria-label="Table of images"><table><thead><tr>'
        f"{top}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _columns(page: Page) -> list[Column]:
    run = page.run
    most = max((i.objects for i in run.images), default=0)
    quality, truth = run.trust.quality, run.trust.truth
    columns = [Column("Image", lambda i: _name(page, i))]
    if any(i.trust.verdict for i in run.images):
        columns.append(Column("Verdict", _verdict))
    columns += _known(
        run.images,
        [
            ("Uncertainty", lambda i: i.trust.uncertainty, measured),
            ("Aleatoric", lambda i: i.trust.aleatoric, measured),
            ("Epistemic", lambda i: i.trust.epistemic, measured),
            ("Novelty", lambda i: i.trust.novelty, measured),
        ],
    )
    if quality is not None and any(isfinite(i.trust.expected) for i in run.images):
        name = f"Expected {escape(quality.metric)} <small>(estimate)</small>"
        columns.append(Column(name, _expected))
    if any(isfinite(i.trust.score) for i in run.images):
        name = f"True {escape(truth.name)}" if truth is not None else "Score"
        columns.append(Column(name, lambda i: cell(i.trust.score, "{:.3f}".format)))
    columns.append(Column("Objects", lambda i: _objects(i, most)))
    columns.append(Column("Diameter (px)", lambda i: cell(i.median_diameter)))
    if run.physical:
        columns.append(
            Column(
                f"Diameter ({escape(run.unit)})", lambda i: cell(i.median_diameter * i.pixel_size)
            )
        )
    return [
        *columns,
        Column("Sizes", lambda i: f'<td class="sizes">{page.sizes(i) or NONE}</td>', False),
        Column("Foreground", lambda i: cell(i.foreground, percent)),
        Column("Diameter used (px)", lambda i: cell(i.diameter_used)),
        Column("Seconds", lambda i: cell(i.seconds)),
        Column("Status", _status),
    ]


def _known(
    images: tuple[ImageResult, ...],
    wanted: list[tuple[str, Callable[[ImageResult], float], Callable[[float], str]]],
) -> list[Column]:
    """Columns of numbers that at least one image has."""
    return [
        Column(head, lambda i, value=value, write=write: cell(value(i), write))  # type: ignore[misc]
        for head, value, write in wanted
        if any(isfinite(value(i)) for i in images)
    ]


def _name(page: Page, image: ImageResult) -> str:
    name = escape(image.name)
    link = f'<a href="#{page.anchors[image.name]}">{name}</a>' if image.done else name
    return f'<th scope="row" data-value="{name}" title="{name}">{link}</th>'


def _verdict(image: ImageResult) -> str:
    verdict = image.trust.verdict
    return f'<td data-value="{verdict}">{badge(verdict) or NONE}</td>'


def _expected(image: ImageResult) -> str:
    trust = image.trust
    if not isfinite(trust.expected):
        return cell(nan)
    return (
        f'<td data-value="{trust.expected:.9g}">≈\u2009{trust.expected:.2f} '
        f'<span class="ci">{trust.low:.2f}–{trust.high:.2f}</span></td>'
    )


def _objects(image: ImageResult, most: int) -> str:
    if image.objects < 0:
        return cell(nan)
    share = f"{100 * image.objects / max(1, most):.1f}"
    return (
        f'<td data-value="{image.objects}">{image.objects:,}'
        '<svg class="share" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{share}" height="4"/></svg></td>'
    )


def _status(image: ImageResult) -> str:
    status = escape(image.status)
    return f'<td class="status {"ok" if image.done else "bad"}" data-value="{status}">{status}</td>'
