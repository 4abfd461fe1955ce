"""The table of a report: every image with all its numbers, sortable by a click on a heading."""

from __future__ import annotations

from html import escape
from math import isfinite, nan

from delineate.review.charts import measured
from delineate.review.kind import Column
from delineate.review.page import NONE, Numbers, Page, cell, known_columns
from delineate.review.report_images import badge, beyond
from delineate.review.run_folder import ImageResult
from delineate.review.run_trust import Quality
from delineate.uncertainty.novelty import is_novel
from delineate.uncertainty.quality import UNLIKE


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
        '<section id="table"><div class="head"><div><h2>Table</h2><p>'
        f"{page.kind.tables} Click a heading to sort.</p></div></div>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of images"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _columns(page: Page) -> list[Column]:
    run = page.run
    quality, truth = run.trust.quality, run.trust.truth
    columns = [Column("Image", lambda i: _name(page, i))]
    if any(i.trust.verdict for i in run.images):
        columns.append(Column("Verdict", _verdict))
    columns += known_columns(
        run.images,
        [
            Numbers("Uncertainty", lambda i: i.trust.uncertainty),
            Numbers("Aleatoric", lambda i: i.trust.aleatoric),
            Numbers("Epistemic", lambda i: i.trust.epistemic),
        ],
    )
    if any(isfinite(i.trust.novelty) for i in run.images):
        columns.append(Column("Novelty", _novelty))
    if quality is not None and any(isfinite(i.trust.expected) for i in run.images):
        name = f"Expected {escape(quality.metric)} <small>(estimate)</small>"
        columns.append(Column(name, lambda i: _expected(i, quality)))
    if any(isfinite(i.trust.score) for i in run.images):
        name = f"True {escape(truth.name)}" if truth is not None else "Score"
        columns.append(Column(name, lambda i: cell(i.trust.score, "{:.3f}".format)))
    return [
        *columns,
        *page.kind.columns(page),
        Column("Seconds", lambda i: cell(i.seconds)),
        Column("Status", _status),
    ]


def _name(page: Page, image: ImageResult) -> str:
    name = escape(image.name)
    link = f'<a href="#{page.anchors[image.name]}">{name}</a>' if image.done else name
    return f'<th scope="row" data-value="{name}" title="{name}">{link}</th>'


def _verdict(image: ImageResult) -> str:
    verdict = image.trust.verdict
    return f'<td data-value="{verdict}">{badge(verdict) or NONE}</td>'


def _novelty(image: ImageResult) -> str:
    novelty = image.trust.novelty
    if not is_novel(novelty):
        return cell(novelty)
    return (
        f'<td data-value="{novelty:.9g}">{measured(novelty)} <span class="ci">{UNLIKE}</span></td>'
    )


def _expected(image: ImageResult, quality: Quality) -> str:
    trust = image.trust
    if not isfinite(trust.expected):
        return cell(nan)
    far = beyond(image, quality)
    return (
        f'<td data-value="{trust.expected:.9g}">≈\u2009{trust.expected:.2f} '
        f'<span class="ci">{trust.low:.2f}–{trust.high:.2f}{f", {far}" if far else ""}</span></td>'
    )


def _status(image: ImageResult) -> str:
    status = escape(image.status)
    return f'<td class="status {"ok" if image.done else "bad"}" data-value="{status}">{status}</td>'
