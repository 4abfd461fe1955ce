"""Report of a consensus: how far experts agree, seen at a glance, in one self-contained page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from delineate.consensus.tables import ImageConsensus, Summary
from delineate.io.atomic import atomic_path
from delineate.review.agreement_sections import SECTIONS, STYLE, header
from delineate.review.page import Picture
from delineate.review.report import EMBEDDINGS, _data_uri
from delineate.words import plural


@dataclass(frozen=True, eq=False)
class AgreementReport:
    """What the page is made of.

    Parameters
    ----------
    folder : where the report goes, with overlays/ in it.
    experts : their names; the place of each decides the colour.
    images : those with a result.
    failed : names and errors of the others.
    single, double : summaries of each expert against the estimate, and of pairs.
    method : "staple" or "majority".
    objects : whether objects were fused, not pixels.
    facts : the record of the run as consensus.json has it.
    soft : whether sensitivity and specificity are of the soft truth.
    """

    folder: Path
    experts: tuple[str, ...]
    images: tuple[ImageConsensus, ...]
    failed: tuple[tuple[str, str], ...]
    single: Mapping[str, Summary]
    double: Mapping[tuple[str, str], Summary]
    method: str
    objects: bool
    facts: Mapping[str, Any]
    soft: bool = False

    @cached_property
    def ordered(self) -> tuple[ImageConsensus, ...]:
        """Images, those on which experts agree least first."""

        def agreed(image: ImageConsensus) -> float:
            pairs = image.agreement.mean_pair_dice
            return pairs if np.isfinite(pairs) else 2.0

        return tuple(sorted(self.images, key=agreed))

    @cached_property
    def anchors(self) -> dict[str, str]:
        """Id of the card of each image."""
        return {image.name: f"image-{i}" for i, image in enumerate(self.ordered, 1)}

    @cached_property
    def pictures(self) -> dict[str, Picture]:
        """Embedded pictures by image; the more there are, the smaller."""
        paths = {i.name: self.folder / "overlays" / f"{i.name}.jpg" for i in self.ordered}
        there = {name: path for name, path in paths.items() if path.is_file()}
        how = next((e for e in EMBEDDINGS if len(there) <= e.images), EMBEDDINGS[-1])
        found = {}
        for name, path in list(there.items())[: how.images]:
            picture = _data_uri(path, how)
            if picture is not None:
                found[name] = picture
        return found


def write_agreement_report(report: AgreementReport) -> Path:
    """Write `report.html` into the folder of a consensus; the path of it.

    The page needs no other file and no network: style, script and pictures are inside, and its
    content security policy allows nothing else.

    Raises
    ------
    WriteError : it cannot be written.
    """
    path = report.folder / "report.html"
    with atomic_path(path) as partial:
        partial.write_bytes(render(report).encode("utf-8", "replace"))
    return path


def render(report: AgreementReport) -> str:
    """The whole page as HTML text."""
    here = files("delineate.review")
    style, script, shell = (
        (here / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js", "html")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    title = f"Consensus of {plural(len(report.experts), 'expert')} – Delineate"
    version = escape(str(report.facts.get("versions", {}).get("delineate", "")))
    return Template(shell).substitute(
        title=escape(title),
        script_hash=f"sha256-{digest}",
        style=style + STYLE,
        script=script,
        header=header(report),
        body="\n".join(fragment for section in SECTIONS if (fragment := section(report))),
        footer=f"Written by Delineate {version}. This page works offline; nothing in it is loaded "
        "from elsewhere.",
    )
