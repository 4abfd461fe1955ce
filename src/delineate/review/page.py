"""What the sections of a report share: the page, and how numbers and counts are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from math import isfinite
from typing import NamedTuple

from delineate.review.charts import Bins, measured
from delineate.review.kind import Column, Kind
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

    `kind` says what depends on the kind of result; `heats` are the pictures with uncertainty,
    `cycles` those of the error of there and back.
    """

    run: Run
    kind: Kind
    pictures: Mapping[str, Picture]
    pictures_note: str
    bins: Bins
    heats: Mapping[str, Picture] = field(default_factory=dict)
    cycles: Mapping[str, Picture] = field(default_factory=dict)

    @cached_property
    def anchors(self) -> dict[str, str]:
        """Id of the card of each image, by the image's name."""
        return {image.name: f"image-{i}" for i, image in enumerate(self.run.images, 1)}

    @property
    def speaks_of_trust(self) -> bool:
        """Whether there is something to say of trust, be it that nothing is known."""
        return self.run.knows_trust or bool(self.kind.trust.single and self.run.done)

    @property
    def time_per_image(self) -> str:
        """Seconds that an image took; empty where that is not known."""
        if not self.run.images or not isfinite(self.run.seconds):
            return ""
        return f"{duration(self.run.seconds / len(self.run.images))} per image"


def masthead(title: str, facts: Sequence[str], links: Sequence[tuple[str, str]]) -> str:
    """The top of a page: links (id of a section and its name), headline, facts in HTML."""
    nav = "".join(f'<a href="#{target}">{text}</a>' for target, text in links)
    return (
        '<header class="top"><div class="wrap topbar"><span class="brand">'
        '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M9 4c4-2 10 0 11 5s-2 9-7 11-9-2-9-7 '
        '1-7 5-9z"/><circle cx="12" cy="11.5" r="2.6"/></svg>Delineate</span>'
        f'<nav aria-label="Sections">{nav}</nav></div></header>'
        f'<div class="wrap hero"><h1>{title}</h1><p>{" · ".join(facts)}</p></div>'
    )


def moment_html(moment: datetime) -> str:
    """When something was run."""
    shown = f"{moment.day} {moment:%B %Y, %H:%M}"
    return f'<time datetime="{moment.isoformat()}">{shown}</time>'


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


class Numbers(NamedTuple):
    """A column of numbers: its heading, the number of an image, and how it is written."""

    head: str
    value: Callable[[ImageResult], float]
    write: Callable[[float], str] = measured

    def column(self) -> Column:
        """As a column of the table."""
        return Column(self.head, lambda image: cell(self.value(image), self.write))


def known_columns(images: Sequence[ImageResult], wanted: Sequence[Numbers]) -> list[Column]:
    """Those columns of numbers that at least one image has."""
    return [n.column() for n in wanted if any(isfinite(n.value(i)) for i in images)]
