"""The end of a report: settings to repeat the run, what the numbers mean, how to cite."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import yaml

from delineate.review.page import Page
from delineate.uncertainty.novelty import NOVEL

_NOVELTY = (
    "Distance of the network’s features of an image from those of the training images, in units of "
    f"what is usual for images that it was not trained on. An image above {NOVEL:g} is unlike the "
    "training images: whatever its uncertainty, it is to be looked at first and verified, and no "
    "score is expected of it, since nothing that the reference says need hold."
)


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
    run, kind = page.run, page.kind
    known = dict(kind.meanings)
    if run.knows_trust:
        known |= {**kind.trusted, "Novelty": _NOVELTY}
    meanings = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in known.items())
    model = f", model {run.model}" if run.model else ""
    version = f" {run.version}" if run.version else ""
    sources = [f"The Delineate developers. Delineate{version}{model}.", *kind.sources(run)]
    items = "".join(f"<li>{escape(source)}</li>" for source in sources)
    return (
        '<section id="notes"><h2>Notes</h2><div class="columns"><div><h3>What the numbers mean'
        f'</h3><dl class="meanings">{meanings}</dl></div><div><h3>How to cite</h3>'
        f'<ul class="sources">{items}</ul><p>Cite the source of the training images too; the card '
        "of the model names it.</p></div></div></section>"
    )
