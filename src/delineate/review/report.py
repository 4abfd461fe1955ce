"""`report.html`: one self-contained page from which a person judges a whole run."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from importlib.resources import files
from io import BytesIO
from math import sqrt
from pathlib import Path
from string import Template
from typing import NamedTuple

from delineate.io.atomic import atomic_path
from delineate.review.charts import size_bins
from delineate.review.kind import Kind
from delineate.review.kind_images import IMAGES
from delineate.review.kind_objects import OBJECTS
from delineate.review.page import Page, Picture
from delineate.review.report_about import notes, settings
from delineate.review.report_human import human
from delineate.review.report_images import gallery
from delineate.review.report_scores import scores
from delineate.review.report_summary import charts, failure_notice, failures, header, tiles
from delineate.review.report_table import table
from delineate.review.report_trust import trust
from delineate.review.run_folder import ImageResult, read_run
from delineate.uncertainty.novelty import is_novel
from delineate.words import plural

SECTIONS = (
    failure_notice, tiles, trust, gallery, scores, human, charts, table, failures, settings, notes,
)  # fmt: skip
"""What stands on the page, from top to bottom; each gives a fragment of HTML, perhaps empty."""


KINDS = {"regression": IMAGES}
"""Kinds of results by the name of the method; all others find objects."""


class Embedding(NamedTuple):
    """How pictures are embedded in a report of up to `images` pictures."""

    images: int
    max_side: int
    quality: int


EMBEDDINGS = (
    Embedding(60, 1024, 85),
    Embedding(400, 512, 80),
    Embedding(1500, 320, 75),
    Embedding(3000, 200, 70),
)
"""So that a report stays below some 30 MB; pictures beyond the last number are left out."""


def write_report(run: Path) -> Path:
    """Write `report.html` into a run folder.

    The page needs no other file and no network: style, script and pictures are inside, and its
    content security policy allows nothing else. Pictures come from ``overlays/``; the more there
    are, the smaller they are embedded (`EMBEDDINGS`).

    Parameters
    ----------
    run : folder written by ``delineate predict``: run.json and, where they exist, images.csv,
        objects.csv and overlays/.

    Returns
    -------
    The path of the report.

    Raises
    ------
    ReadError : run.json or a table is missing or broken.
    WriteError : the report cannot be written.
    """
    results = read_run(Path(run))
    kind = KINDS.get(results.method, OBJECTS)
    if (
        kind.trust.single and not results.ranked
    ):  # no order of uncertainty: those unlike the training images, then by name
        results = replace(results, images=tuple(sorted(results.images, key=_unlike_then_name)))
    pictures, heats, cycles, note = _embed(results.done, kind)
    page = Page(results, kind, pictures, note, size_bins(results.diameters), heats, cycles)
    path = Path(run) / "report.html"
    with atomic_path(path) as partial:
        partial.write_bytes(render(page).encode("utf-8", "replace"))  # names may be broken text
    return path


def render(page: Page) -> str:
    """The whole page as HTML text."""
    here = files("delineate.review")
    style, script, shell = (
        (here / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js", "html")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    images = plural(len(page.run.done), "image")
    return Template(shell).substitute(
        title=escape(f"{page.run.folder.resolve().name}: {images} – Delineate"),
        script_hash=f"sha256-{digest}",
        style=style,
        script=script,
        header=header(page),
        body="\n".join(fragment for section in SECTIONS if (fragment := section(page))),
        footer=f"Written by Delineate {escape(page.run.version)}. This page works offline; "
        "nothing in it is loaded from elsewhere.",
    )


def _unlike_then_name(image: ImageResult) -> tuple[float, tuple[list[str | int], str]]:
    novelty = image.trust.novelty
    return (-novelty if is_novel(novelty) else 0.0), _by_name(image)


def _by_name(image: ImageResult) -> tuple[list[str | int], str]:
    """Key that sorts names as people do: 2 before 10."""
    parts = re.split(r"(\d+)", image.name.casefold())
    return [int(part) if k % 2 else part for k, part in enumerate(parts)], image.name


class Embedded(NamedTuple):
    """Pictures by image name: plain, with uncertainty, of there and back; what to say of them."""

    pictures: dict[str, Picture]
    heats: dict[str, Picture]
    cycles: dict[str, Picture]
    note: str


def _embed(images: Sequence[ImageResult], kind: Kind) -> Embedded:
    """The pictures of a report, and what to tell of their size.

    Those of several panels may be longer, so that they have as many pixels as the others.
    """
    files = {image.name: (image.picture, image.heat, image.cycle) for image in images}
    shown = {name: own for name, own in files.items() if any(own)}
    each = max(1, sum(any(own) for own in zip(*shown.values(), strict=True)))
    how = next((e for e in EMBEDDINGS if each * len(shown) <= e.images), EMBEDDINGS[-1])
    room = how.images // each
    longer = how._replace(max_side=round(how.max_side * sqrt(kind.panels)))
    found = Embedded({}, {}, {}, "")
    for name, own in list(shown.items())[:room]:
        for path, into, size in zip(own, found[:3], (longer, how, how), strict=True):
            picture = None if path is None else _data_uri(path, size)
            if picture is not None:
                into[name] = picture
    note = ""
    if how is not EMBEDDINGS[0]:
        note = f"Here they are at most {longer.max_side} pixels wide or high"
        if len(shown) > room:
            note += f", and only the first {room:,} of {len(shown):,} are shown"
        note += "; the folder overlays has all in full."
    return found._replace(note=note)


def _data_uri(path: Path, how: Embedding) -> Picture | None:
    """A picture file as data URI, made smaller where it is too large; None if it is broken."""
    from PIL import Image

    try:
        with Image.open(path, formats=["JPEG"]) as picture:
            content = path.read_bytes()
            if max(picture.size) > how.max_side:
                picture.draft("RGB", (how.max_side, how.max_side))
                small = picture.convert("RGB")
                small.thumbnail((how.max_side, how.max_side), Image.Resampling.LANCZOS)
                buffer = BytesIO()
                small.save(buffer, "JPEG", quality=how.quality, optimize=True)
                content, size = buffer.getvalue(), small.size
            else:
                picture.load()
                size = picture.size
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return None
    text = base64.b64encode(content).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{text}", *size)
