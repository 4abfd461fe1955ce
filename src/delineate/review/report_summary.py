"""The top of a report: headline, warning, numbers, charts, and the images that failed."""

from __future__ import annotations

from html import escape
from math import isfinite

from delineate.review.page import Page, duration, masthead, moment_html
from delineate.words import plural

_NO_REASON = "No reason was recorded."


def header(page: Page) -> str:
    """Headline in numbers, and what was run when."""
    run = page.run
    facts = []
    if run.model:
        facts.append(f"model <b>{escape(run.model)}</b>")
    if run.started is not None:
        facts.append(moment_html(run.started))
    if isfinite(run.seconds):
        facts.append(duration(run.seconds))
    facts.append(f"folder <b>{escape(run.folder.resolve().name)}</b>")
    title = page.kind.headline(run)
    links = [("trust", "Trust")] if page.speaks_of_trust else []
    links += [("pictures", "Queue" if run.ranked else "Pictures")] if run.images else []
    links += [("scores", "Scores")] if run.scores else []
    links += [("human", "Experts")] if run.trust.annotators else []
    links += [("table", "Table")] if run.images else []
    links += [("failures", "Failures")] if run.failed else []
    links += [("settings", "Settings"), ("notes", "Notes")]
    return masthead(title, facts, links)


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
    """The run in a few numbers."""
    shown = page.kind.tiles(page)
    items = "".join(
        f'<div><dt>{tile.name}</dt><dd>{tile.value}</dd><dd class="sub">{escape(tile.sub)}</dd>'
        "</div>"
        for tile in shown
    )
    return f'<dl class="tiles{"" if len(shown) == 6 else " few"}">{items}</dl>'


def charts(page: Page) -> str:
    """Figures on the whole run."""
    figures = page.kind.charts(page)
    return f'<div class="charts">{"".join(figures)}</div>' if figures else ""


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
