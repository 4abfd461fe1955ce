"""What a report says differently of each kind of result: objects, or images that a model made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from delineate.review.page import Page
    from delineate.review.run_folder import ImageResult, Run


class Tile(NamedTuple):
    """A number at the top of a report: its name, the number as HTML, and a small line below."""

    name: str
    value: str
    sub: str = ""


class Column(NamedTuple):
    """A column: heading, what makes a cell of an image, and whether it can be sorted."""

    head: str
    cell: Callable[[ImageResult], str]
    sorts: bool = True


class Fact(NamedTuple):
    """A line of a card: a term, and what is said of it as HTML."""

    term: str
    value: str


@dataclass(frozen=True)
class Trust:
    """What is said of uncertainty.

    Parameters
    ----------
    order : in which order the images stand; a sentence.
    unknown : of an image without uncertainty, on its card.
    unverified : which images are to be verified beside those that are too uncertain: "an image …".
    without : of how many images have none: "{images} {have} no U."
    against : how to hold a run against truth, HTML with {folder}.
    single : what is said where no image has an uncertainty, HTML; empty: nothing.
    level : where on its bar, 0 to 1, an uncertainty ends.
    spoken : an uncertainty in words.
    number : an uncertainty on a card.
    besides : what is said of a limit of uncertainty beside its number; perhaps nothing.
    """

    order: str
    unknown: str
    unverified: str
    without: str
    against: str
    single: str
    level: Callable[[float], float]
    spoken: Callable[[float], str]
    number: Callable[[float], str]
    besides: Callable[[float], str]


@dataclass(frozen=True)
class Kind:
    """All that depends on the kind of result; fragments are HTML.

    Parameters
    ----------
    headline : of the page.
    nothing : of a run without a result.
    view, shown : name of the pictures without uncertainty, and a sentence on them.
    alt : what such a picture shows, in words.
    panels : pictures of an image's size in one of them.
    tiles, charts : numbers and figures on the whole run.
    facts, lines, drawing : of the card of an image: a line, more lines, a small drawing.
    is_empty : whether an image is to be marked as one in which nothing was found.
    columns : of the table of images, beside those on trust.
    tables : where the numbers of the table are, a sentence.
    trust : what is said of uncertainty.
    meanings, trusted : terms and what they mean, in general and of uncertainty.
    sources : what to cite.
    """

    headline: Callable[[Run], str]
    nothing: str
    view: str
    shown: str
    alt: Callable[[ImageResult], str]
    panels: int
    tiles: Callable[[Page], list[Tile]]
    charts: Callable[[Page], list[str]]
    facts: Callable[[Page, ImageResult], str]
    lines: Callable[[Page, ImageResult], list[Fact]]
    drawing: Callable[[Page, ImageResult], str]
    is_empty: Callable[[ImageResult], bool]
    columns: Callable[[Page], list[Column]]
    tables: str
    trust: Trust
    meanings: Mapping[str, str]
    trusted: Mapping[str, str]
    sources: Callable[[Run], list[str]]
