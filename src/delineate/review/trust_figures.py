"""Figures of how far a run can be trusted: scores, order, novelty, and what checking finds."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isfinite

import numpy as np

from delineate.review.charts import Point, measured
from delineate.review.page import Page
from delineate.review.run_folder import ImageResult
from delineate.review.run_trust import Quality, Truth
from delineate.review.trust_charts import Limit, Mark, after_checking, against_score, in_order
from delineate.uncertainty import risk_coverage, verification
from delineate.uncertainty.novelty import NOVEL, is_novel
from delineate.uncertainty.quality import UNLIKE
from delineate.words import plural

_ORIGINS = {
    "held-out": "not trained on, but used to choose weights and thresholds",
    "out-of-fold": "each predicted by the member of the ensemble that had not seen it, whose "
    "weights and thresholds they chose",
}


_FEWEST = 3
"""Points of a chart; fewer are told in a sentence."""
_QUALITY = "What uncertainty meant for quality"
_UNIT = "Uncertainty U"
"""What images are sorted, drawn and judged by: the predictive uncertainty."""


def scores(page: Page, quality: Quality | None, truth: Truth | None) -> str:
    """Uncertainty against score: reference, images with truth, and the others as ticks."""
    required = quality.required if quality else truth.required if truth else None
    # Scores of another kind than the reference's would be compared with its line for nothing.
    same = truth is not None and (quality is None or truth.metric == quality.reference.metric)
    reference, line = [], []
    if quality is not None:
        rows = zip(*quality.reference.known(), strict=True)
        named = [
            n
            for n, u in zip(quality.reference.images, quality.reference.uncertainty, strict=True)
            if isfinite(u)
        ]
        for name, (u, score) in zip(named, rows, strict=True):
            kind = "ref fails" if required is not None and score < required else "ref"
            text = f"reference {name}: {quality.metric} {score:.3f}, uncertainty {measured(u)}"
            reference.append(Mark(float(u), float(score), text, "", kind))
    images, ticks = [], []
    for image in page.run.done:
        u, score = image.trust.uncertainty, image.trust.score
        if not isfinite(u):
            continue
        anchor = page.anchors[image.name]
        if same and isfinite(score):
            kind = "own fails" if required is not None and score < required else "own"
            text = f"{image.name}: {score:.3f}, uncertainty {measured(u)}{_strange(image)}"
            images.append(Mark(u, score, text, anchor, kind))
        else:
            text = f"{image.name}: uncertainty {measured(u)}{_strange(image)}"
            ticks.append(Point(u, 0.0, text, anchor))
    if not reference and not images:
        return ""
    name = quality.metric if quality else truth.name if truth else "Score"
    if len(few := [*reference, *images]) < _FEWEST:
        text = f"Uncertainty and {name} are known of too few images for a chart: {_listed(few)}."
        return _figure(_QUALITY, text)
    if quality is not None and not quality.expected.reason:
        highest = max([m.x for m in (*reference, *images)] + [p.x for p in ticks])
        places = np.linspace(0, 1.06 * highest, 60).tolist()
        line = [(u, quality.expected.estimate(u).value) for u in places]
    told = []
    if quality is not None:
        count = plural(len(reference), "reference image")
        told.append(f"Rings: {count}, {_ORIGINS[quality.reference.origin]}.")
    if images:
        told.append(f"Dots: {plural(len(images), 'image')} of this run, against your truth.")
    if required is not None:
        told.append(f"Orange ones miss {required:.2f}.")
    if line:
        part = quality is not None and quality.reference.measure == "aleatoric"
        told.append(f"Dashed: the score to expect{', by the aleatoric part alone' * part}.")
    if ticks:
        told.append(
            "Ticks on the axis: this run."
            if not images
            else f"Ticks on the axis: {plural(len(ticks), 'image')} without truth."
        )
    drawing = against_score(
        reference, images, ticks, line,
        _from(quality)
        if quality is not None and required is not None and isfinite(quality.u_min) else None,
        None if required is None else Limit(required, f"required {required:.2f}"),
        (_UNIT, name),
        f"{name} against uncertainty: {len(reference)} reference images, {len(images)} of the run",
    )  # fmt: skip
    return _figure(_QUALITY, " ".join(told), drawing)


def _listed(marks: Sequence[Mark]) -> str:
    """In words what a chart of so few points would show."""
    return "; ".join(mark.label for mark in marks)


def _from(quality: Quality) -> Limit:
    """From which uncertainty on images are verified, as a line of a chart."""
    told = f"verify from {measured(quality.u_min)}" if quality.u_min else "verify all"
    return Limit(quality.u_min, told)


def _figure(title: str, text: str, drawing: str = "") -> str:
    return (
        f"<figure><figcaption><h2>{title}</h2><p>{escape(text)}</p></figcaption>{drawing}</figure>"
    )


def order(page: Page, quality: Quality | None) -> str:
    """All images by uncertainty, beside the reference."""
    values = [(i, i.trust.uncertainty) for i in page.run.ranked]
    if not values:
        return ""
    marks = [
        Mark(0, u, f"{i.name}: uncertainty {measured(u)}{_strange(i)}", page.anchors[i.name],
             i.trust.verdict)
        for i, u in values
    ]  # fmt: skip
    few = len(marks) < _FEWEST
    told = f"{_listed(marks)}." if few else "Each dot an image of this run; click to see it."
    curve: list[float] = []
    if quality is not None:
        curve = sorted(quality.reference.known()[0].tolist(), reverse=True)
        told += "" if few else " The grey line: the reference images, in their own order."
        beyond = sum(u > curve[0] for _, u in values) if curve else 0
        if beyond:
            told += (
                f" {plural(beyond, 'image')} of the run {'is' if beyond == 1 else 'are'} more "
                "uncertain than any reference: nothing is known of such."
            )
    novel = sum(is_novel(i.trust.novelty) for i, _ in values)
    if novel:
        told += f" {plural(novel, 'image')} {UNLIKE}: whatever the uncertainty, to be verified."
    empty = len(page.run.done) - len(values)
    if empty:
        have = "has" if empty == 1 else "have"
        told += " " + page.kind.trust.without.format(images=plural(empty, "image"), have=have)
    limit = None
    if quality is not None and quality.required is not None and isfinite(quality.u_min):
        limit = _from(quality)
    title = f"Uncertainty of {plural(len(marks), 'image')}, the highest first"
    across = "Images, most uncertain first"
    drawing = "" if few else in_order(marks, limit, curve, _UNIT, title, across)
    return _figure("Images in order of uncertainty", told, drawing)


def novelty(page: Page) -> str:
    """All images by novelty."""
    images = [i for i in page.run.done if isfinite(i.trust.novelty)]
    if not images:
        return ""
    images.sort(key=lambda i: -i.trust.novelty)
    marks = [
        Mark(0, i.trust.novelty, f"{i.name}: novelty {measured(i.trust.novelty)}",
             page.anchors[i.name], "novel" if is_novel(i.trust.novelty) else "")
        for i in images
    ]  # fmt: skip
    few = len(marks) < _FEWEST
    drawing = "" if few else in_order(
        marks, Limit(1.0, "1 = usual"), (), "Novelty",
        f"Novelty of {plural(len(marks), 'image')}, the highest first", "Images, most novel first",
    )  # fmt: skip
    text = f"{_listed(marks)}. " if few else ""
    text += (
        "How far the network's features of an image lie from those of the training images; 1 is "
        f"usual for images like these. Of an image above {NOVEL:g}, no estimate here holds."
    )
    return _figure("Unlike the training images?", text, drawing)


def checking(page: Page, truth: Truth | None) -> str:
    """What checking the images in the order of the queue would find, of those with truth."""
    if truth is None:
        return ""
    score = np.array([i.trust.score for i in page.run.done if isfinite(i.trust.score)])
    if len(score) < 2:
        return ""
    place = -np.arange(float(len(score)))  # falls along the queue, as uncertainty does within it
    found, told = None, ""
    if truth.required is not None and (score < truth.required).any():
        failed = score < truth.required
        found = verification(place, failed)
        first = int(np.flatnonzero(found >= 0.8 - 1e-9)[0])
        told = f"{int(failed.sum()):,} of {plural(len(score), 'image')} missed {truth.name} "
        told += f"{truth.required:.2f}. "
        if not failed.all():
            which = "those with truth" if truth.without else "the queue"
            told += f"The first {first:,} of {which} hold {100 * found[first]:.0f}\u2009% of them. "
    drawing = after_checking(
        found, risk_coverage(place, 1 - score).risk, truth.name,
        f"Failures found, and {truth.name} of the images left, after checking",
    )  # fmt: skip
    text = f"{told}{truth.name} is the mean of the images that nobody has looked at yet."
    return _figure("What checking finds", text, drawing)


def _strange(image: ImageResult) -> str:
    """Said of an image that is unlike the training images; nothing of others."""
    return f", {UNLIKE}" if is_novel(image.trust.novelty) else ""
