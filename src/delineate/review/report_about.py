"""The end of a report: settings to repeat the run, what the numbers mean, how to cite."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import yaml

from delineate.review.page import Page

_MEANINGS = (
    (
        "Object",
        "One connected thing with its own number in the label image. Objects at the border of an "
        "image are counted, though part of them lies outside.",
    ),
    (
        "Diameter",
        "Equivalent diameter: that of the disk with the same area, in volumes of the ball with "
        "the same volume. The diameter of an image is the median of its objects.",
    ),
    ("Foreground", "Share of the pixels of an image that belong to an object."),
    (
        "Diameter used",
        "Size of the objects for which the image was scaled before the network saw it. Where it "
        "is far from the diameter found, run again with --diameter.",
    ),
    (
        "Pictures",
        "Contrast is stretched between the 1st and 99th percentile of each channel, for the "
        "picture only: measurements are made on the pixels of the file. Of a volume, the plane "
        "with most object pixels is shown; of an image with very many small objects, a detail.",
    ),
)
_TRUST = (
    (
        "Uncertainty U",
        "Variance of the class probabilities (p times 1 − p, mean over the classes), mean over the "
        "pixels that were found: 0 where the model is sure, 0.25 at most. The pictures have the "
        "same colours from 0 to 0.25 in every image and every run. An image in which nothing was "
        "found has none, and stands first in the queue.",
    ),
    (
        "Aleatoric, epistemic",
        "The two parts of U. Aleatoric: the image does not say more; sharper images help. "
        "Epistemic: the passes or members of the model disagree; more labelled images like this "
        "one help. A single pass has no epistemic part.",
    ),
    (
        "Verdict and expected score",
        "Verify: as uncertain as a reference image that missed the required score, or without any "
        "find. The expected score is an estimate: a line through the reference images, with a "
        "90 % prediction interval. It holds for images like the reference.",
    ),
    (
        "Novelty",
        "Distance of the network’s features of an image from those of the training images, in "
        "units of what is usual for images that it was not trained on. Far above 1, nothing that "
        "the reference says need hold.",
    ),
)
_SOURCES = (
    "Griebel M, Segebarth D, Stein N, et al. Deep learning-enabled segmentation of ambiguous "
    "bioimages with deepflash2. Nature Communications 14, 1679 (2023), doi "
    "10.1038/s41467-023-36960-9. (Uncertainty for quality assurance.)",
    "Kwon Y, Won JH, Kim BJ, Paik MC. Uncertainty quantification using Bayesian neural networks "
    "in classification: application to biomedical image segmentation. Computational Statistics & "
    "Data Analysis 142, 106816 (2020). (Aleatoric and epistemic parts.)",
)
_METHODS = {
    "flows": "Stringer C, Wang T, Michaelos M, Pachitariu M. Cellpose: a generalist algorithm for "
    "cellular segmentation. Nature Methods 18, 100–106 (2021), doi 10.1038/s41592-020-01018-x. "
    "(The idea of objects as flows.)",
}


def settings(page: Page) -> str:
    """Everything needed to repeat the run, folded away."""
    run = page.run
    facts = (
        ("Delineate", run.version),
        ("Command", shlex.join(_command(run.command))),
        ("Started", run.started.isoformat(" ") if run.started else ""),
        ("Model", run.model),
        ("Model SHA-256", run.model_sha256),
        ("Folder", str(run.folder.resolve())),
        ("Truth", run.trust.truth.path if run.trust.truth else ""),
    )
    rows = "".join(
        f"<dt>{name}</dt><dd><code>{escape(value)}</code></dd>" for name, value in facts if value
    )
    hashes = "\n".join(f"{i.sha256}  {i.name}" for i in run.images if i.sha256)
    blocks = (
        ("Version, command and model", f'<dl class="pairs">{rows}</dl>'),
        ("Settings of the prediction", _yaml(run.settings)),
        ("Recipe of the model", _yaml(run.recipe)),
        ("Checksums of the inputs (SHA-256)", f"<pre>{escape(hashes)}</pre>" if hashes else ""),
    )
    shown = "".join(
        f"<details><summary>{title}</summary>{content}</details>"
        for title, content in blocks
        if content
    )
    return (
        '<section id="settings"><h2>Settings</h2><p>What it takes to get the same result again; '
        f"<code>run.json</code> has it for machines.</p>{shown}</section>"
    )


def _command(words: Sequence[str]) -> list[str]:
    """The command as it was typed: without the path at which it is installed."""
    if not words:
        return []
    first = "delineate" if Path(words[0]).stem in ("delineate", "__main__") else words[0]
    return [first, *words[1:]]


def _yaml(values: Mapping[str, Any]) -> str:
    """Nested settings as a block of YAML; nothing where there are none."""
    if not values:
        return ""
    return f"<pre>{escape(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))}</pre>"


def notes(page: Page) -> str:
    """What the numbers mean, and what to cite."""
    known = _MEANINGS + (_TRUST if page.run.knows_trust else ())
    meanings = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in known)
    model = f", model {page.run.model}" if page.run.model else ""
    version = f" {page.run.version}" if page.run.version else ""
    sources = [f"The Delineate developers. Delineate{version}{model}."]
    kind = _method(page)
    if kind in _METHODS:
        sources.append(_METHODS[kind])
    if page.run.knows_trust:
        sources += _SOURCES
    items = "".join(f"<li>{escape(source)}</li>" for source in sources)
    return (
        '<section id="notes"><h2>Notes</h2><div class="columns"><div><h3>What the numbers mean'
        f'</h3><dl class="meanings">{meanings}</dl></div><div><h3>How to cite</h3>'
        f'<ul class="sources">{items}</ul><p>Cite the source of the training images too; the card '
        "of the model names it.</p></div></div></section>"
    )


def _method(page: Page) -> str:
    """Name of the method in the recipe, whether it stands there alone or in a group."""
    method = page.run.recipe.get("method")
    if isinstance(method, dict):
        method = method.get("name") or method.get("kind")
    return str(method or "")
