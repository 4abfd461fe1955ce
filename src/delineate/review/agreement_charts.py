"""Drawings of agreement: matrix of experts and estimate, and a strip with a column an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, isfinite
from typing import NamedTuple

from delineate.metrics import Interval
from delineate.review.agreement_pictures import expert_colour

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP = 1180, 300, 46, 12, 14
_RAMP = ((243, 246, 250), (190, 214, 238), (107, 166, 218), (36, 106, 181), (10, 46, 110))


class Column(NamedTuple):
    """One image in the strip: its score for each expert by place, and where a click leads."""

    name: str
    anchor: str
    scores: Mapping[int, float]


def swatch(place: int) -> str:
    """A small square in the colour of an expert."""
    return f'<i class="swatch" style="background:rgb{expert_colour(place)}"></i>'


def ramp(value: float) -> tuple[str, str]:
    """Colours of a cell and of the text in it: light for 0, dark for 1."""
    place = min(max(value, 0.0), 1.0) * (len(_RAMP) - 1)
    low = min(floor(place), len(_RAMP) - 2)
    part = place - low
    rgb = tuple(round(a + part * (b - a)) for a, b in zip(_RAMP[low], _RAMP[low + 1], strict=True))
    return f"rgb{rgb}", "#fff" if value > 0.58 else "#16202c"


def matrix(
    experts: Sequence[str],
    with_estimate: Mapping[str, Interval],
    pairs: Mapping[tuple[str, str], Interval],
    score: str,
) -> str:
    """Table of mean scores: estimate against experts on top, then experts against each other.

    Parameters
    ----------
    experts : names, in the order of their places.
    with_estimate, pairs : means with their intervals; what is missing is left empty.
    score : name of the score.
    """
    heads = "".join(
        f'<th scope="col"><span class="turned">{swatch(k)}{escape(e)}</span></th>'
        for k, e in enumerate(experts)
    )
    first = "".join(_cell(with_estimate.get(e), f"{e} and the estimate", score) for e in experts)
    rows = [f'<tr class="first"><th scope="row">Estimate</th>{first}</tr>']
    for k, row in enumerate(experts):
        cells = "".join(
            '<td class="self"></td>'
            if row == column
            else _cell(
                pairs.get((row, column), pairs.get((column, row))), f"{row} and {column}", score
            )
            for column in experts
        )
        rows.append(f'<tr><th scope="row">{swatch(k)}{escape(row)}</th>{cells}</tr>')
    return (
        f'<div class="wide"><table class="matrix" aria-label="{escape(score)}"><thead><tr><td></td>'
        f"{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(interval: Interval | None, who: str, score: str) -> str:
    if interval is None or not isfinite(interval.value):
        why = "no image in common" if interval is None else "in no image compared"
        return f'<td class="self" title="{why}">–</td>'
    back, front = ramp(interval.value)
    images = "1 image" if interval.n == 1 else f"{interval.n:,} images"
    ends = f", {interval.level:.0%} interval {interval.low:.3f} to {interval.high:.3f}"
    told = f"{who}: {score} {interval.value:.3f}{ends if interval.n > 1 else ''}, {images}"
    return (
        f'<td style="background:{back};color:{front}" title="{escape(told)}">'
        f"{interval.value:.2f}</td>"
    )


def strip(columns: Sequence[Column], experts: Sequence[str], score: str) -> str:
    """A column an image from its lowest to its highest expert, one dot an expert.

    Parameters
    ----------
    columns : in the order wanted, at least one.
    experts : names by place.
    score : name of the score on the axis.
    """
    values = [v for column in columns for v in column.scores.values()]
    low = max(0.0, floor((min(values) - 0.02) * 10) / 10)
    names = len(columns) <= 60
    bottom = 74 if names else 34
    step = (_WIDTH - _LEFT - _RIGHT) / len(columns)
    radius = max(1.6, min(5.0, step / 4))

    def up(value: float) -> float:
        return _HEIGHT - bottom - (value - low) / (1 - low) * (_HEIGHT - bottom - _TOP)

    parts = []
    ticks = 10 - round(10 * low)
    for k in range(ticks + 1):
        value = low + k * (1 - low) / ticks
        y = up(value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.1f}'
            "</text>"
        )
    for k, column in enumerate(columns):
        x = _LEFT + (k + 0.5) * step
        scores = column.scores
        dots = "".join(
            f'<circle cx="{x:.1f}" cy="{up(v):.1f}" r="{radius:.1f}" '
            f'style="fill:rgb{expert_colour(place)}"><title>{escape(column.name)}, '
            f"{escape(experts[place])}: {v:.3f}</title></circle>"
            for place, v in scores.items()
        )
        text = ""
        if names:
            y = _HEIGHT - bottom + 14
            short = column.name if len(column.name) <= 12 else f"…{column.name[-11:]}"
            text = (
                f'<text class="tick" text-anchor="end" transform="translate({x + 4:.1f} {y}) '
                f'rotate(-60)">{escape(short)}</text>'
            )
        parts.append(
            f'<a href="#{escape(column.anchor)}" tabindex="-1"><line class="span" x1="{x:.1f}" '
            f'x2="{x:.1f}" y1="{up(min(scores.values())):.1f}" '
            f'y2="{up(max(scores.values())):.1f}"/>{dots}{text}</a>'
        )
    label = escape(f"{score} of each expert with the estimate in {len(columns)} images")
    return (
        f'<svg class="chart strip" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg>'
    )
