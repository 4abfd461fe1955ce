"""The reliability diagram of a report: do the probabilities of a run come true?"""

from __future__ import annotations

import json
from html import escape
from math import sqrt
from typing import Any, NamedTuple

from delineate.errors import ModelError, ReadError
from delineate.metrics import Interval
from delineate.review.charts import Frame
from delineate.review.page import Page
from delineate.uncertainty import Reliability

_KINDS = {
    "objects": ("found", "verify", "match a true object at IoU 0.5"),
    "pixels": ("kept", "", "are of the class that was stated"),
}
"""By kind: classes of its line and its dots in the style sheet, and what it is to be right."""


class Series(NamedTuple):
    """One curve: "objects" or "pixels", its bins, its ECE, and how far it is too sure."""

    kind: str
    found: Reliability
    ece: Interval
    over: Interval


def calibration(page: Page) -> str:
    """Stated probability against the share that was right; nothing where that is not known.

    Raises
    ------
    ReadError : what run.json says of it is not ours.
    """
    series = read_calibration(page)
    if not series:
        return ""
    told = ["Below the diagonal they are too sure, above it not sure enough; ECE is the mean gap."]
    if any(s.kind == "objects" for s in series):
        told.append("An object is right where it matches a true one at IoU 0.5.")
    for kind, _, ece, over in series:
        told.append(f"{kind.capitalize()}: ECE {ece.value:.3f}{_bounds(ece)}{_direction(over)}.")
    label = "; ".join(f"{s.kind}: ECE {s.ece.value:.3f}" for s in series)
    return (
        "<figure><figcaption><h2>Do probabilities come true?</h2>"
        f"<p>{escape(' '.join(told))}</p></figcaption>"
        f"{diagram(series, f'Stated probability against share that is right; {label}')}</figure>"
    )


def diagram(series: tuple[Series, ...], title: str) -> str:
    """A line and dots for each curve; the more cases a bin has, the larger its dot.

    Parameters
    ----------
    series : at least one.
    title : what the chart shows, for those who cannot see it.
    """
    frame = Frame((0.0, 1.0), (0.0, 1.0))
    parts = [
        f'<polyline class="chance" points="{frame.x(0):.1f},{frame.y(0):.1f} '
        f'{frame.x(1):.1f},{frame.y(1):.1f}"/>'
    ]
    right, bottom = frame.box[1], frame.box[3]
    for place, (kind, found, _, _) in enumerate(series):
        line, dot, meaning = _KINDS[kind]
        bins = [
            (frame.x(c), frame.y(a), c, a, int(n))
            for c, a, n in zip(found.confidence, found.accuracy, found.count, strict=True)
            if n
        ]
        shown = " ".join(f"{x:.1f},{y:.1f}" for x, y, *_ in bins)
        parts.append(f'<polyline class="{line}" points="{shown}"/>')
        parts += [
            f'<circle class="dot {dot}" cx="{x:.1f}" cy="{y:.1f}" '
            f'r="{2.5 + 6 * sqrt(n / found.n):.1f}"><title>{n:,} {kind} of '
            f"probability {c:.3f}: {a:.3f} of them {meaning}</title></circle>"
            for x, y, c, a, n in bins
        ]
        y = bottom - 12 - 16 * (len(series) - 1 - place)
        parts.append(
            f'<line class="{line}" stroke-width="2" x1="{right - 24}" x2="{right}" y1="{y - 4}" '
            f'y2="{y - 4}"/><text class="said" x="{right - 30}" y="{y}" text-anchor="end">'
            f"{found.n:,} {kind}</text>"
        )
    return frame.svg("".join(parts), "Stated probability", "Share that is right", title)


def read_calibration(page: Page) -> tuple[Series, ...]:
    """What run.json of the page's run says of calibration; nothing where it is missing.

    Raises
    ------
    ReadError : it is not what a review wrote.
    """
    path = page.run.folder / "run.json"
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    try:
        saved = ((record.get("review") or {}).get("truth") or {}).get("calibration") or {}
        return tuple(
            Series(
                kind,
                Reliability.from_dict(saved[kind]),
                Interval(*saved[kind]["ece"]),
                Interval(*saved[kind]["overconfidence"]),
            )
            for kind in _KINDS
            if kind in saved
        )
    except (AttributeError, KeyError, TypeError, ModelError) as error:
        raise ReadError(
            f"{path}: its calibration cannot be read ({error!r}); run `delineate review` with "
            "--truth again"
        ) from error


def _bounds(interval: Interval) -> str:
    if interval.n == 1:
        return " (one image tells little)"
    # Word joiners keep the two numbers in one line.
    return f" ({interval.level:.0%} interval {interval.low:.3f}\u2060–\u2060{interval.high:.3f})"


def _direction(over: Interval) -> str:
    """Whether they are too sure or not sure enough; nothing where the images do not tell."""
    if over.n == 1 or over.low <= 0 <= over.high:
        return ""
    return f", {'too sure' if over.value > 0 else 'not sure enough'} by {abs(over.value):.3f}"
