"""Charts of a report as inline SVG: vector, coloured by the page's style sheet, readable aloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 480, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 26, 44
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of equal width from 0; the last also holds everything above it where `open_ended`."""

    edges: NDArray[np.float64]
    open_ended: bool

    def counts(self, values: NDArray[np.floating]) -> NDArray[np.int64]:
        """Number of values in each bin."""
        inside = np.minimum(values, np.nextafter(self.edges[-1], 0))
        return np.histogram(inside, self.edges)[0].astype(np.int64)


@dataclass(frozen=True)
class Point:
    """One image in a scatter chart; `anchor` is the id of the element that a click leads to."""

    x: float
    y: float
    label: str
    anchor: str


def size_bins(values: NDArray[np.floating], wanted: int = 36) -> Bins:
    """Bins with a round width that hold all values, the highest 0.5 % perhaps in the last."""
    if values.size == 0:
        return Bins(np.linspace(0, 1, 2), False)
    highest = float(values.max())
    top = min(highest, 1.25 * float(np.percentile(values, 99.5)))
    width = round_step(max(top, 1e-9) / wanted, (1, 2, 2.5, 5, 10))
    n = max(1, ceil(top / width + 1e-9))
    return Bins(np.linspace(0, n * width, n + 1), highest > n * width)


def round_step(at_least: float, steps: Sequence[float] = (1, 2, 5, 10)) -> float:
    """The smallest of `steps` times a power of ten that is not below `at_least`."""
    power = 10.0 ** floor(log10(at_least))
    return next(step * power for step in steps if step * power >= at_least * (1 - 1e-9))


def number(value: float) -> str:
    """A number with at most three significant digits and grouped thousands, as text."""
    if value == round(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def measured(value: float) -> str:
    """A measured number, always with three significant digits, as text."""
    if value == 0:
        return "0"
    if abs(value) < 9.995e-5:
        digits, _, power = f"{value:.2e}".partition("e")
        return f"{digits}·10{str(int(power)).translate(_RAISED)}"
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"


def histogram(values: NDArray[np.floating], bins: Bins, unit: str, title: str) -> str:
    """Histogram with the median and the middle half marked.

    Parameters
    ----------
    values : sizes of at least one object, in `unit`.
    bins : where to count.
    unit : written beside the numbers.
    title : what the chart shows, for those who cannot see it.
    """
    counts, edges = bins.counts(values), bins.edges
    quartiles = np.percentile(values, (25, 50, 75))
    frame = Frame((0.0, float(edges[-1])), (0.0, float(max(1, counts.max()))))
    bars = []
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            last = bins.open_ended and high == edges[-1]
            span = f"{number(low)} and more" if last else f"{number(low)} to {number(high)}"
            x0, x1, y = frame.x(low), frame.x(high), frame.y(count)
            bars.append(
                f'<rect class="bar" x="{x0 + 0.5:.1f}" y="{y:.1f}" '
                f'width="{max(0.5, x1 - x0 - 1):.1f}" height="{frame.y(0) - y:.1f}">'
                f"<title>{span} {escape(unit)}: {count:,} objects</title></rect>"
            )
    low, middle, high = (frame.x(min(q, float(edges[-1]))) for q in quartiles)
    anchor = "start" if middle < _WIDTH * 0.6 else "end"
    shift = 6 if anchor == "start" else -6
    marks = (
        f'<rect class="half" x="{low:.1f}" y="{_TOP}" width="{max(0.0, high - low):.1f}" '
        f'height="{_HEIGHT - _TOP - _BOTTOM}"/>',
        *bars,
        f'<line class="mark" x1="{middle:.1f}" x2="{middle:.1f}" y1="{_TOP - 12}" '
        f'y2="{frame.y(0):.1f}"/>',
        f'<text class="note" x="{middle + shift:.1f}" y="{_TOP - 6}" text-anchor="{anchor}">'
        f"median {measured(float(quartiles[1]))} {escape(unit)}</text>",
    )
    more = "+" if bins.open_ended else ""
    text = (
        f"{title}: {values.size:,} objects, median {measured(float(quartiles[1]))} {unit}, "
        f"middle half {measured(float(quartiles[0]))} to {measured(float(quartiles[2]))} {unit}"
    )
    return frame.svg("".join(marks), f"Diameter ({unit})", "Objects", text, more)


def scatter(points: Sequence[Point], x_label: str, y_label: str, title: str) -> str:
    """One dot an image, each a link to its picture; a lone dot far from the rest is worth a look.

    Parameters
    ----------
    points : at least one, finite.
    x_label, y_label : names of the axes.
    title : what the chart shows, for those who cannot see it.
    """
    ys = [p.y for p in points if isfinite(p.y)]
    frame = Frame(_reach([p.x for p in points], 0.05), _reach(ys, 0.1))
    dots = "".join(
        f'<a href="#{escape(p.anchor)}" tabindex="-1"><circle class="dot" cx="{frame.x(p.x):.1f}" '
        f'cy="{frame.y(p.y):.1f}" r="5"><title>{escape(p.label)}</title></circle></a>'
        for p in points
        if isfinite(p.y)
    )
    return frame.svg(dots, x_label, y_label, f"{title}: {len(points):,} images")


def _reach(values: Sequence[float], beyond: float) -> tuple[float, float]:
    """Ends of an axis that holds 0 and all values, and a share of its length beyond them."""
    low, high = min(0.0, *values), max(0.0, *values)
    room = beyond * (high - low)
    return (low - room if low < 0 else 0.0), (high + room if high > 0 else 0.0) or float(low == 0)


def sparkline(counts: NDArray[np.int64], label: str) -> str:
    """Counts as a small grey shape without axes, its highest bin as high as the line."""
    n, top = len(counts), max(1, int(counts.max(initial=0)))
    steps = "".join(f"V{20 - 18 * c / top:.1f}h{100 / n:.2f}" for c in counts)
    return (
        f'<svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}"><path d="M0 20{steps}V20z"/></svg>'
    )


@dataclass(frozen=True)
class Frame:
    """Axes of a chart: the values that its edges stand for, and how they map to the drawing.

    Numbers along x lie at least `apart`: 1 where between two there is nothing.
    """

    across: tuple[float, float]
    up: tuple[float, float]
    apart: float = 0.0

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, right, top and bottom of what the axes hold, in the drawing."""
        return _LEFT, _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM

    def x(self, value: float) -> float:
        """Place of a value in the drawing, from the left."""
        low, high = self.across
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Place of a value in the drawing, from the top."""
        low, high = self.up
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    def svg(self, content: str, x_label: str, y_label: str, text: str, more: str = "") -> str:
        """The whole drawing; `more` follows the last number along x."""
        parts = []
        for tick in _ticks(*self.up, 4):
            y = self.y(tick)
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" '
                f'y2="{y:.1f}"/><text class="tick" x="{_LEFT - 7}" y="{y + 4:.1f}" '
                f'text-anchor="end">{number(tick)}</text>'
            )
        ticks = _ticks(*self.across, 6, self.apart)
        for tick in ticks:
            last = more if tick == ticks[-1] and tick >= self.across[1] * 0.999 else ""
            parts.append(
                f'<text class="tick" x="{self.x(tick):.1f}" y="{_HEIGHT - _BOTTOM + 17}" '
                f'text-anchor="middle">{number(tick)}{last}</text>'
            )
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(
            f'<text class="axis" x="{middle:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">'
            f'{escape(x_label)}</text><text class="axis" x="0" y="12">{escape(y_label)}</text>'
        )
        return (
            f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'aria-label="{escape(text)}">{"".join(parts)}{content}</svg>'
        )


def _ticks(low: float, high: float, at_most: int, apart: float = 0.0) -> list[float]:
    """Multiples of a round step from `low` to `high`."""
    step = round_step(max((high - low) / at_most, apart))
    first = ceil(low / step - 1e-6)
    return [i * step for i in range(first, floor(high / step + 1e-6) + 1)]
