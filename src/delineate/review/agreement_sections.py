"""Sections of the report of a consensus, from top to bottom; each gives a fragment of HTML."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from html import escape
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from delineate.consensus.tables import MEASURES, ImageConsensus
from delineate.metrics import Interval
from delineate.review.agreement_about import notes, settings
from delineate.review.agreement_charts import Column, matrix, strip, swatch
from delineate.review.page import NONE, cell, duration, masthead, moment_html, percent
from delineate.words import plural

if TYPE_CHECKING:
    from delineate.review.agreement import AgreementReport

STYLE = """
.swatch { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 3px; margin-right: 0.45em; vertical-align: -0.05em; }
.swatch.estimate { background: #9aa4af; border: 2px solid #fff; outline: 1px solid var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; margin: 0.2rem 0 0.9rem; padding: 0; list-style: none; font-size: 0.92rem; }
.wide { overflow-x: auto; }
.matrix { width: auto; font-size: 0.95rem; border-spacing: 3px; margin: 0.4rem auto 0.6rem; }
.matrix th, .matrix td { border: 0; padding: 0; }
.matrix tbody td { width: 3.6rem; min-width: 3.2rem; height: 2.6rem; text-align: center; border-radius: 6px; }
.matrix tbody tr:hover > td { background: inherit; }
.matrix tbody th { padding-right: 0.7rem; font-weight: 500; text-align: left; }
.matrix thead th { position: static; background: none; text-align: center; vertical-align: bottom; color: var(--ink); padding-bottom: 0.3rem; max-width: none; }
.matrix .turned { display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); max-height: 9rem; overflow: hidden; text-overflow: ellipsis; }
.matrix .turned .swatch { margin: 0 0 0.45em; }
#experts .scroll { margin-top: 0.9rem; }
.matrix .first td, .matrix .first th { position: relative; top: -5px; }
.matrix .first th { font-weight: 650; }
.matrix .self { color: var(--faint); background: color-mix(in srgb, var(--line) 40%, transparent); }
.strip { max-width: none; }
.strip .span { stroke: var(--faint); stroke-width: 2; stroke-opacity: 0.45; }
.strip circle { stroke: var(--card); stroke-width: 1; }
.strip circle:hover { stroke: var(--ink); stroke-width: 2; }
.ci { color: var(--faint); font-size: 0.83em; margin-left: 0.35em; }
.charts .full { grid-column: 1 / -1; }
"""  # noqa: E501


def header(report: AgreementReport) -> str:
    """Headline, and what was fused how."""
    kind = "STAPLE" if report.method == "staple" else "Majority vote"
    what = "objects" if report.objects else "pixels"
    facts = [f"<b>{kind}</b> of {what}", f"folder <b>{escape(report.folder.resolve().name)}</b>"]
    started = str(report.facts.get("started", ""))
    if started:
        facts.insert(1, moment_html(datetime.fromisoformat(started)))
    facts.append(duration(float(report.facts.get("seconds", float("nan")))))
    title = f"{plural(len(report.experts), 'expert')} on {plural(len(report.images), 'image')}"
    links = [("agreement", "Agreement"), ("experts", "Experts")] if report.images else []
    links += [("pictures", "Pictures"), ("table", "Table")] if report.images else []
    links += [("failures", "Failures")] if report.failed else []
    links += [("settings", "Settings"), ("notes", "Notes")]
    return masthead(title, facts, links)


def _notice(report: AgreementReport) -> str:
    """Failures, remarks, and images that a person should look at."""
    parts = []
    if report.failed:
        total = len(report.images) + len(report.failed)
        parts.append(
            f"<b>{plural(len(report.failed), 'image')} of {total:,} failed</b> and "
            f"{'is' if len(report.failed) == 1 else 'are'} in none of the numbers here. "
            '<a href="#failures">What went wrong</a>'
        )
    parts += [escape(str(remark)) for remark in report.facts.get("remarks", ())]
    same: dict[str, list[str]] = {}
    for image in report.images:
        if image.note:
            link = f'<a href="#{report.anchors[image.name]}">{escape(image.name)}</a>'
            same.setdefault(image.note, []).append(link)
    for note, links in same.items():
        more = f" and {plural(len(links) - 3, 'other')}" if len(links) > 3 else ""
        parts.append(f"{', '.join(links[:3])}{more}: {escape(note)}")
    shown = parts[:8] + ([f"and {len(parts) - 8} more; see the table"] if len(parts) > 8 else [])
    return f'<p class="notice" role="status">{"<br>".join(shown)}</p>' if parts else ""


def _tiles(report: AgreementReport) -> str:
    """The consensus in six numbers."""
    images = report.images
    if not images:
        return ""
    missing = sum(bool(i.missing) for i in images)
    pairs = [s.means["dice"].value for s in report.double.values()]
    single = [s.means["dice"].value for s in report.single.values() if s.compared]
    objects = sum(i.n_objects for i in images)
    undecided, pixels = sum(i.undecided for i in images), sum(i.pixels for i in images)
    left_out = sum(i.left_out or 0 for i in images)
    counts = [s.objects / s.images for s in report.single.values()]
    per_expert = f"experts: {min(counts):.0f} to {max(counts):.0f} per image"
    shown = (
        ("Experts", f"{len(report.experts):,}", f"{plural(missing, 'image')} lack some"
         if missing else "each has every image"),
        ("Dice between experts", _mean(pairs), _span(pairs, "pairs")),
        ("Dice with the estimate", _mean(single), _span(single, "experts")),
        ("Objects", f"{objects:,}", f"{left_out:,} left out" if report.objects else
         f"{objects / len(images):.0f} per image"),
        ("Counted", f"{np.mean(counts):.0f}", per_expert),
        ("Undecided pixels", f"{undecided:,}", percent(undecided / max(pixels, 1))
         if undecided else "every pixel is decided"),
    )  # fmt: skip
    items = "".join(
        f'<div><dt>{name}</dt><dd>{value}</dd><dd class="sub">{escape(sub)}</dd></div>'
        for name, value, sub in shown
    )
    return f'<dl class="tiles">{items}</dl>'


def _mean(values: list[float]) -> str:
    return f"{np.mean(values):.2f}" if values else "–"


def _span(values: list[float], of: str) -> str:
    return f"{of}: {min(values):.2f} to {max(values):.2f}" if values else ""


def _agreement(report: AgreementReport) -> str:
    """Matrices of experts and the estimate, and the strip of images."""
    if not report.images:
        return ""
    figures = []
    for measure, name, text in (
        ("dice", "Dice", "Overlap of pixels."),
        ("ap50", "AP50", "Objects that both have, at IoU 0.5."),
    ):
        drawing = matrix(
            report.experts,
            {e: s.means[measure] for e, s in report.single.items()},
            {p: s.means[measure] for p, s in report.double.items()},
            name,
        )
        figures.append(
            f"<figure><figcaption><h2>{name}</h2><p>{text} Mean over images; the darker, the more "
            f"agreement.</p></figcaption>{drawing}</figure>"
        )
    columns = [
        Column(
            image.name,
            report.anchors[image.name],
            {
                report.experts.index(e): image.agreement.score(k, MEASURES["dice"])
                for k, e in enumerate(image.experts)
            },
        )
        for image in report.ordered
        if not image.agreement.uncounted
    ]
    if not columns:
        return f'<div class="charts" id="agreement">{"".join(figures)}</div>'
    figures.append(
        '<figure class="full"><figcaption><h2>Image by image</h2><p>Dice of each expert with the '
        "estimate; images on which experts agree least with each other stand left. Click one to "
        f"see it.</p>{_legend(report)}</figcaption>{strip(columns, report.experts, 'Dice')}"
        "</figure>"
    )
    return f'<div class="charts" id="agreement">{"".join(figures)}</div>'


def _legend(report: AgreementReport, estimate: bool = False) -> str:
    items = [f"<li>{swatch(k)}{escape(e)}</li>" for k, e in enumerate(report.experts)]
    if estimate:
        items.append('<li><i class="swatch estimate"></i>estimate</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def _experts(report: AgreementReport) -> str:
    """Performance of each expert over all images."""
    if not report.images:
        return ""
    heads = ["Expert", "Images", "Compared", "Objects", "Objects in estimate"]
    heads += (
        ["Soft sensitivity", "Soft specificity"] if report.soft else ["Sensitivity", "Specificity"]
    )
    heads += ["Dice", "AP50", "mAP"]
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    rows = []
    for place, expert in enumerate(report.experts):
        found = report.single.get(expert)
        if found is None:
            continue
        cells = "".join(
            _interval(found.means[m], 4 if m == "specificity" else 3)
            for m in ("sensitivity", "specificity", "dice", "ap50", "map")
        )
        rows.append(
            f'<tr><th scope="row">{swatch(place)}{escape(expert)}</th><td>{found.images:,}</td>'
            f"<td>{found.compared:,}</td><td>{found.objects:,}</td><td>{found.objects_other:,}</td>{cells}</tr>"
        )
    return (
        '<section id="experts"><h2>Experts</h2><p>Each expert against the estimate: means over '
        "those of their images that are compared, with 95 % intervals. The same is in "
        "<code>experts.csv</code>, image by image in <code>agreement.csv</code>, pairs of "
        "experts in <code>pairs.csv</code>.</p>"
        '<div class="scroll"><table><thead><tr>'
        f"{top}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _interval(value: Interval, digits: int) -> str:
    if not value.n:
        return f"<td>{NONE}</td>"
    ends = f"{value.low:.{digits}f}–{value.high:.{digits}f}" if value.n > 1 else ""
    return f'<td>{value.value:.{digits}f}<span class="ci">{ends}</span></td>'


def _gallery(report: AgreementReport) -> str:
    """A card for every image."""
    if not report.images:
        return '<section id="pictures"><p class="empty">No image was fused.</p></section>'
    cards = "".join(_card(report, image) for image in report.ordered)
    many = " many" if len(report.images) > 100 else ""
    return (
        '<section id="pictures"><div class="head"><div><h2>Pictures</h2><p>The outline of each '
        "expert in their colour, the estimate as a white line with a brighter inside. Where lines "
        "coincide, colours take turns. Of images with small objects a detail is shown, from where "
        "experts disagree most, with disputed pixels orange in the corner. Click to enlarge.</p>"
        '</div><label class="filter"><span>Filter by name</span><input type="search" id="filter" '
        f'autocomplete="off"></label></div>{_legend(report, estimate=True)}'
        f'<div class="cards{many}">{cards}</div>'
        '<p class="empty" id="nothing" hidden>No image has such a name.</p></section>'
    )


def _card(report: AgreementReport, image: ImageConsensus) -> str:
    name, picture = escape(image.name), report.pictures.get(image.name)
    if picture is None:
        shown = '<div class="missing">no picture</div>'
    else:
        shown = (
            f'<button type="button" class="open" aria-label="Enlarge {name}"><img alt="{name} with '
            f'the outlines of {plural(len(image.experts), "expert")}" width="{picture.width}" '
            f'height="{picture.height}" src="{picture.uri}"></button>'
        )
    folder, slash, last = image.name.rpartition("/")
    above = f'<span class="folder">{escape(folder + slash)}</span>' if slash else ""
    pairs = image.agreement.mean_pair_dice
    told = f"Dice {pairs:.2f}" if isfinite(pairs) else "one expert"
    facts = f"<b>{told}</b> <span>{plural(image.n_objects, 'object')}</span>"
    if image.missing:
        facts += f" <span>{len(image.experts)} of {len(report.experts)} experts</span>"
    return (
        f'<figure class="card" id="{report.anchors[image.name]}" data-name="{name}">{shown}'
        f'<figcaption>{above}<span class="name" title="{name}">{escape(last)}</span>'
        f'<span class="facts">{facts}</span></figcaption></figure>'
    )


def _table(report: AgreementReport) -> str:
    """All images with their numbers, sortable."""
    if not report.images:
        return ""
    heads = ["Image", "Experts", "Dice between experts", "Dice with estimate", "AP50", "mAP"]
    heads += ["Objects", "Foreground", "Undecided", "Note"]
    top = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{head}</button></th>'
        for head in heads
    )
    rows = "".join(_row(report, image) for image in report.ordered)
    return (
        '<section id="table"><div class="head"><div><h2>Table</h2><p>The same numbers are in '
        "<code>images.csv</code>. Click a heading to sort.</p></div></div>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of images"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _row(report: AgreementReport, image: ImageConsensus) -> str:
    name, found = escape(image.name), image.agreement

    def three(value: float) -> str:
        return f"{value:.3f}"

    note = escape(image.note) or NONE
    cells = [
        f'<th scope="row" data-value="{name}"><a href="#{report.anchors[image.name]}">{name}</a>'
        "</th>",
        f'<td data-value="{len(image.experts)}" title="{escape(_absent(image))}">'
        f"{len(image.experts)}</td>",
        cell(found.mean_pair_dice, three),
        cell(found.mean_dice, three),
        cell(found.mean(MEASURES["ap50"]), three),
        cell(found.mean(MEASURES["map"]), three),
        f'<td data-value="{image.n_objects}">{image.n_objects:,}</td>',
        cell(image.foreground, percent),
        f'<td data-value="{image.undecided}">{image.undecided:,}</td>',
        f'<td data-value="{escape(image.note)}">{note}</td>',
    ]
    return f'<tr data-name="{name}">{"".join(cells)}</tr>'


def _absent(image: ImageConsensus) -> str:
    return f"without {', '.join(image.missing)}" if image.missing else "all experts"


def _failures(report: AgreementReport) -> str:
    """Failed images and why."""
    if not report.failed:
        return ""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(error)}</dd></div>"
        for name, error in report.failed
    )
    return (
        '<section id="failures"><h2>Failures</h2><p>These images were skipped, the others are '
        f'complete. Mend them and run the same command again.</p><dl class="errors">{items}</dl>'
        "</section>"
    )


SECTIONS: tuple[Callable[[AgreementReport], str], ...] = (
    _notice, _tiles, _agreement, _experts, _gallery, _table, _failures, settings, notes,
)  # fmt: skip
"""What stands on the page, from top to bottom."""
