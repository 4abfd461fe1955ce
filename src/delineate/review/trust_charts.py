"""Charts of trust: uncertainty against score, images in order, what checking them would find."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.review.charts import Frame, Point

_MANY = 150  # dots from which they are drawn smaller


class Mark(NamedTuple):
    """A dot of a chart: where, what it says, where a click leads ("" nowhere), and its classes."""

    x: float
    y: float
    label: str
    anchor: str = ""
    kind: str = ""


class Limit(NamedTuple):
    """A line at a value, and what is written on it."""

    value: float
    text: str


def against_score(
    reference: Sequence[Mark],
    images: Sequence[Mark],
    ticks: Sequence[Point],
    line: Sequence[tuple[float, float]],
    u_min: Limit | None,
    required: Limit | None,
    labels: tuple[str, str],
    title: str,
) -> str:
    """Uncertainty along x, score along y: what the reference taught, and where the run lies.

    Parameters
    ----------
    reference : images with truth that the model did not train on.
    images : images of the run with a score.
    ticks : images of the run without one, on the x axis; their `y` is not looked at.
    line : the score to expect, as points of a line.
    u_min, required : where to verify from, and the score that is good enough.
    labels : of the axes.
    title : what the chart shows, for those who cannot see it.
    """
    dots = [*reference, *images]
    highest = max([*(m.x for m in dots), *(p.x for p in ticks)])
    frame = Frame((0.0, highest * 1.06 or 1.0), (_floor([m.y for m in dots], required), 1.0))
    left, right, top, bottom = frame.box
    parts = []
    if u_min is not None and isfinite(u_min.value) and u_min.value <= frame.across[1]:
        x = frame.x(u_min.value)
        anchor, shift = ("start", 6) if x < (left + right) / 2 else ("end", -6)
        parts.append(
            f'<rect class="zone" x="{x:.1f}" y="{top}" width="{right - x:.1f}" '
            f'height="{bottom - top}"/><line class="mark" x1="{x:.1f}" x2="{x:.1f}" '
            f'y1="{top - 12}" y2="{bottom}"/><text class="note" x="{x + shift:.1f}" '
            f'y="{top - 6}" text-anchor="{anchor}">{escape(u_min.text)}</text>'
        )
    if required is not None:
        y = frame.y(required.value)
        parts.append(
            f'<line class="level" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="said" x="{right}" y="{y - 5:.1f}" text-anchor="end">'
            f"{escape(required.text)}</text>"
        )
    if line:
        low, high = frame.up
        shown = " ".join(f"{frame.x(x):.1f},{frame.y(min(max(y, low), high)):.1f}" for x, y in line)
        parts.append(f'<polyline class="fit" points="{shown}"/>')
    for p in ticks:
        x = frame.x(p.x)
        parts.append(
            f'<a href="#{escape(p.anchor)}" tabindex="-1"><line class="rug" x1="{x:.1f}" '
            f'x2="{x:.1f}" y1="{bottom}" y2="{bottom - 13}"><title>{escape(p.label)}</title>'
            "</line></a>"
        )
    parts += [_dot(frame, m, 4.5) for m in reference]
    parts += [_dot(frame, m, 5.0 if len(images) < _MANY else 3.0) for m in images]
    return frame.svg("".join(parts), *labels, title)


def in_order(
    marks: Sequence[Mark],
    limit: Limit | None,
    curve: Sequence[float],
    label: str,
    title: str,
    across: str = "Images, the highest first",
) -> str:
    """One dot an image, from the highest to the lowest.

    Parameters
    ----------
    marks : at least one, sorted; their `x` is not looked at.
    limit : a line across, and its text.
    curve : values of other images, sorted, drawn as a line over the same width.
    label : name of the values.
    title : what the chart shows, for those who cannot see it.
    across : name of the x axis.
    """
    top = max([*(m.y for m in marks), *curve])
    reach = [limit.value] if limit is not None and isfinite(limit.value) else []
    if reach and reach[0] <= 3 * top:
        top = max(top, *reach)
    n = len(marks)
    frame = Frame((0.5, n + 0.5), (0.0, top * 1.12 or 1.0), 1.0)
    left, right, _, bottom = frame.box
    parts = []
    if curve:
        places = 0.5 + (np.arange(len(curve)) + 0.5) / len(curve) * n
        shown = " ".join(
            f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(places, curve, strict=True)
        )
        parts.append(f'<polyline class="others" points="{shown}"/>')
    if reach and reach[0] <= frame.up[1]:
        y = frame.y(reach[0])
        parts.append(
            f'<line class="mark" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="note" x="{right}" y="{y - 6:.1f}" text-anchor="end">'
            f"{escape(limit.text if limit else '')}</text>"
        )
    radius = 5.0 if n <= 40 else 3.6 if n < _MANY else 2.4
    placed = (m._replace(x=float(k)) for k, m in enumerate(marks, 1))
    parts += [_dot(frame, m, radius) for m in placed]
    parts.append(f'<line class="base" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    return frame.svg("".join(parts), across, label, title)


def after_checking(
    found: NDArray[np.float64] | None, risk: NDArray[np.float64], score: str, title: str
) -> str:
    """What a person gains by checking the most uncertain images first.

    Parameters
    ----------
    found : (n + 1,) share of the failures found after 0 … n images; None where none failed.
    risk : (n,) mean loss (1 − score) of the 1 … n most certain images.
    score : its name.
    title : what the chart shows, for those who cannot see it.
    """
    n = len(risk)
    frame = Frame((0.0, float(n)), (0.0, 1.0), 1.0)
    kept = [(n - k, 1 - loss) for k, loss in enumerate(risk, 1)]
    parts = [_line(frame, kept, "kept", f"mean {score} of the images not checked")]
    keys = [("kept", f"mean {score} of those left")]
    if found is not None:
        parts.append(_line(frame, [(0.0, 0.0), (float(n), 1.0)], "chance", "in any order"))
        parts.append(_line(frame, list(enumerate(found)), "found", "failures found"))
        keys += [("found", "failures found"), ("chance", "if checked in any order")]
    right = frame.box[1]
    for k, (kind, text) in enumerate(reversed(keys)):
        y = frame.box[3] - 12 - 16 * k
        parts.append(
            f'<line class="{kind}" x1="{right - 24}" x2="{right}" y1="{y - 4}" y2="{y - 4}"/>'
            f'<text class="said" x="{right - 30}" y="{y}" text-anchor="end">{escape(text)}</text>'
        )
    return frame.svg("".join(parts), "Images checked, in the order of the queue", "Share", title)


class Row(NamedTuple):
    """Scores of one annotator, with the name of the image of each; `kind` is a class."""

    name: str
    scores: Sequence[tuple[str, float]]
    kind: str = ""


def side_by_side(rows: Sequence[Row], title: str) -> str:
    """A row an annotator: each image a dot, the middle half a box, the median a line.

    Parameters
    ----------
    rows : from top to bottom, each with at least one score.
    title : what the chart shows, for those who cannot see it.
    """
    width, left, right, step = 400, 104, 12, 30
    height = step * len(rows) + 40
    low = _floor([v for row in rows for _, v in row.scores], None)
    parts = []

    def across(value: float) -> float:
        return left + (value - low) / (1 - low) * (width - left - right)

    count = round(10 * (1 - low))
    for k in range(0, count + 1, 1 if count <= 5 else 2):
        x = across(low + k / 10)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{height - 28}"/>'
            f'<text class="tick" x="{x:.1f}" y="{height - 12}" text-anchor="middle">'
            f"{low + k / 10:.1f}</text>"
        )
    for k, row in enumerate(rows):
        y = 8 + step * (k + 0.5)
        values = np.array([v for _, v in row.scores])
        quarter, median, three = (across(q) for q in np.percentile(values, (25, 50, 75)))
        short = row.name if len(row.name) <= 14 else f"{row.name[:13]}…"
        dots = "".join(
            f'<circle class="dot" cx="{across(v):.1f}" '
            f'cy="{y + ((j * 0.618034) % 1 - 0.5) * 15:.1f}" r="2.7">'
            f"<title>{escape(row.name)}, {escape(name)}: {v:.3f}</title></circle>"
            for j, (name, v) in enumerate(row.scores)
        )
        parts.append(
            f'<g class="row {row.kind}"><text class="who" x="{left - 10}" y="{y + 4:.1f}" '
            f'text-anchor="end">{escape(short)}<title>{escape(row.name)}</title></text>'
            f'<rect class="middle" x="{quarter:.1f}" y="{y - 10:.1f}" '
            f'width="{max(1.0, three - quarter):.1f}" height="20" rx="3"/>{dots}'
            f'<line class="median" x1="{median:.1f}" x2="{median:.1f}" y1="{y - 11:.1f}" '
            f'y2="{y + 11:.1f}"/></g>'
        )
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _floor(scores: Sequence[float], required: Limit | None) -> float:
    """Where an axis of scores begins: a tenth below all of them, at most at 0.9."""
    values = [*scores, *([required.value] if required else [])]
    return max(0.0, min(0.9, floor(10 * min(values, default=0.0) - 0.2) / 10))


def _dot(frame: Frame, mark: Mark, radius: float) -> str:
    drawn = (
        f'<circle class="dot {mark.kind}" cx="{frame.x(mark.x):.1f}" '
        f'cy="{frame.y(mark.y):.1f}" r="{radius}"><title>{escape(mark.label)}</title></circle>'
    )
    if not mark.anchor:
        return drawn
    return f'<a href="#{escape(mark.anchor)}" tabindex="-1">{drawn}</a>'


def _line(frame: Frame, points: Sequence[tuple[float, float]], kind: str, text: str) -> str:
    step = max(1, ceil(len(points) / 600))
    used = [*points[:-1][::step], points[-1]]
    shown = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in used)
    return f'<polyline class="{kind}" points="{shown}"><title>{escape(text)}</title></polyline>'
