"""The end of the report of a consensus: rules, settings, what the numbers mean, what to cite."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from delineate.review.agreement import AgreementReport

_SOURCES = {
    "staple": "Warfield SK, Zou KH, Wells WM. Simultaneous truth and performance level estimation "
    "(STAPLE): an algorithm for the validation of image segmentation. IEEE Transactions on Medical "
    "Imaging 23, 903–921 (2004), doi 10.1109/TMI.2004.828354.",
}
_MEANINGS = (
    (
        "Dice",
        "2 × common pixels / (pixels of one + pixels of the other); with several classes the mean "
        "over the foreground classes that occur. Nothing against nothing is 1.",
    ),
    (
        "AP50, mAP",
        "Found / (found + missed + extra) objects, found where they overlap with an IoU of at "
        "least 0.5; mAP is its mean over IoU 0.50, 0.55 … 0.95. Objects of a mask are its "
        "connected parts.",
    ),
    (
        "Sensitivity, specificity",
        "Share of the true foreground that an expert marked, and of the background that they left "
        "alone. With STAPLE of pixels they are soft, as it estimates them together with the truth: "
        "pixels weigh by their probability, while Dice and AP are of the thresholded estimate.",
    ),
    (
        "Means and intervals",
        "Means are over images, each image weighing the same; beside them 95 % bootstrap intervals "
        "over images. An expert is compared on the images they annotated, but for those in which "
        "agreement with the estimate would be perfect whatever was drawn, such as images that one "
        "expert alone has; a note says so. Objects are counted in all images.",
    ),
    (
        "No agreement",
        "Of masks that share no pixel STAPLE mostly takes the largest for the truth, whole, though "
        "nothing tells who is right. A note says whose mask the estimate is; with --undecided all "
        "that was drawn in such an image is undecided instead.",
    ),
    (
        "The estimate is no outsider",
        "It was made from these experts, so that their agreement with it is higher than with an "
        "expert who is not among them. Agreement between experts has no such bias.",
    ),
)


def settings(report: AgreementReport) -> str:
    """Everything needed to repeat the consensus, folded away."""
    facts = report.facts
    rules = "".join(f"<li>{escape(rule)}</li>" for rule in facts.get("rules", ()))
    command = [str(word) for word in facts.get("command", ())]
    if command:
        command[0] = "delineate"
    values = {k: v for k, v in dict(facts.get("settings", {})).items() if v is not None}
    text = yaml.safe_dump({"command": shlex.join(command), "settings": values,
                           "versions": dict(facts.get("versions", {}))},
                          sort_keys=False, allow_unicode=True)  # fmt: skip
    hashes = "\n".join(
        f"{of['sha256']}  {expert}: {entry['name']}"
        for entry in facts.get("inputs", ())
        for expert, of in _mapping(entry.get("experts")).items()
    )
    return (
        '<section id="settings"><h2>Settings</h2><p>The rules that were followed; '
        f'<code>consensus.json</code> has everything for machines.</p><ul class="sources">{rules}'
        f"</ul><details><summary>Command, settings and versions</summary><pre>{escape(text)}</pre>"
        "</details><details><summary>Checksums of the masks (SHA-256)</summary><pre>"
        f"{escape(hashes)}</pre></details></section>"
    )


def _mapping(value: object) -> Mapping[str, Mapping[str, str]]:
    return value if isinstance(value, Mapping) else {}


def notes(report: AgreementReport) -> str:
    """What the numbers mean, and what to cite."""
    meanings = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in _MEANINGS)
    sources = ["The Delineate developers. Delineate.", *_cited(report)]
    items = "".join(f"<li>{escape(source)}</li>" for source in sources)
    return (
        '<section id="notes"><h2>Notes</h2><div class="columns"><div><h3>What the numbers mean'
        f'</h3><dl class="meanings">{meanings}</dl></div><div><h3>How to cite</h3>'
        f'<ul class="sources">{items}</ul></div></div></section>'
    )


def _cited(report: AgreementReport) -> list[str]:
    return [text for method, text in _SOURCES.items() if method == report.method]
