"""What the sections of a report share: the page, and how numbers and counts are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from math import isfinite

from delineate.review.charts import Bins, measured, sparkline
from delineate.review.run_folder import ImageResult, Run

NONE = '<span class="none">–</span>'
"""Shown where there is no number."""


@dataclass(frozen=True)
class Picture:
    """An embedded picture: a data URI and its size in pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Page:
    """The run, its pictures by image name, what to say about them, and common bins of sizes.

    `heats` are the pictures with uncertainty, in the same size as those with outlines.
    """

    run: Run
    pictures: Mapping[str, Picture]
    pictures_note: str
    bins: Bins
    heats: Mapping[str, Picture] = field(default_factory=dict)

    @cached_property
    def anchors(self) -> dict[str, str]:
        """Id of the card of each image, by the image's name."""
        return {image.name: f"image-{i}" for i, image in enumerate(self.run.images, 1)}

    def sizes(self, image: ImageResult) -> str:
        """Small drawing of the size distribution of one image, empty without objects."""
        if not image.diameters.size:
            return ""
        return sparkline(self.bins.counts(image.diameters), f"Sizes in {image.name}")

    def diameter(self, image: ImageResult) -> str:
        """Median diameter of one image with its unit, physical where that is known."""
        if self.run.physical:
            return f"{measured(image.median_diameter * image.pixel_size)} {escape(self.run.unit)}"
        return f"{measured(image.median_diameter)} px"


def plural(count: int, noun: str) -> str:
    """A count and its noun: 1 object, 2,000 objects."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def signed(value: float, digits: int) -> str:
    """A difference with its sign: +0.12, −0.05."""
    return f"{value:+.{digits}f}".replace("-", "−")


def percent(share: float) -> str:
    """A fraction as per cent with three digits."""
    return f"{measured(100 * share)}\u2009%"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if not isfinite(seconds):
        return "–"
    if seconds < 59.5:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def cell(value: float, write: Callable[[float], str] = measured) -> str:
    """A table cell that sorts by its number; a dash where there is none."""
    if not isfinite(value):
        return f'<td data-value="">{NONE}</td>'
    return f'<td data-value="{value:.9g}">{write(value)}</td>'
