"""The section "Does it reach human performance?": the model beside each expert."""

from __future__ import annotations

from html import escape
from math import isfinite

import numpy as np

from delineate.review.page import NONE, Page, signed
from delineate.review.run_trust import MEASURES, MODEL, Annotators, Beside, metric_name
from delineate.review.trust_charts import Row, side_by_side
from delineate.words import plural

LEVEL = 0.05
"""Corrected p-value below which a difference is called shown."""


def human(page: Page) -> str:
    """Scores of model and experts against one truth; nothing where there are no experts."""
    annotators, truth = page.run.trust.annotators, page.run.trust.truth
    if annotators is None or truth is None:
        return ""
    metric = truth.metric if truth.metric in annotators.beside else next(iter(annotators.beside))
    experts = [name for name in annotators.names if name != MODEL]
    figures = "".join(_figure(annotators, m) for m in MEASURES if m in annotators.scores)
    tables = _table(metric, annotators.beside[metric])
    others = "".join(
        f"<details><summary>By {metric_name(m)}</summary>{_table(m, rows)}</details>"
        for m, rows in annotators.beside.items()
        if m != metric
    )
    return (
        '<section id="human"><div class="head"><div><h2>Does it reach human performance?</h2>'
        f"<p>{_lead(metric, annotators, len(experts))}</p></div></div>"
        f'<div class="charts">{figures}</div>{tables}{others}'
        '<p class="under">Differences are model less expert, means over the images that both have, '
        "with 95\u2009% bootstrap intervals. p is of the Wilcoxon signed-rank test, two-sided, "
        f"corrected for {plural(len(experts), 'expert')} (Holm). The effect is the rank-biserial "
        "correlation: 1 where the model is better on every image, −1 where the expert is. A large "
        "p does not show that two are equal: look at what the interval leaves possible. Where the "
        "truth was estimated from these same experts, each of them is part of it and the model is "
        "not, which favours the experts.</p></section>"
    )


def _lead(metric: str, annotators: Annotators, n_experts: int) -> str:
    """The comparison in a sentence or two."""
    rows = [row for row in annotators.beside[metric] if row.n]
    name = metric_name(metric)
    if not rows:
        return "Model and experts have no image in common."
    means = [row.score for row in rows]
    images = max(row.n for row in rows)
    above = sum(row.model > row.score for row in rows)
    better = sum(row.p_holm < LEVEL and row.difference > 0 for row in rows)
    worse = sum(row.p_holm < LEVEL and row.difference < 0 for row in rows)
    ours = [v for v in annotators.scores[metric][MODEL] if isfinite(v)]
    shown = []
    if better:
        shown.append(f"above {better}")
    if worse:
        shown.append(f"below {worse}")
    evidence = (
        f"A difference beyond chance is shown for {' and '.join(shown)} of them."
        if shown
        else "No difference beyond chance is shown, which does not mean that there is none."
    )
    return (
        f"On {plural(images, 'image')} the model reaches a mean {name} of "
        f"<b>{float(np.mean(ours)):.2f}</b>, the experts {min(means):.2f} to {max(means):.2f}. "
        f"It lies above {above} of {plural(n_experts, 'expert')} on the images that they share. "
        f"{evidence}"
    )


def _figure(annotators: Annotators, metric: str) -> str:
    rows = []
    for who in annotators.names:
        each = zip(annotators.images[who], annotators.scores[metric].get(who, ()), strict=False)
        known = [(image, score) for image, score in each if isfinite(score)]
        if known:
            shown = "Model" if who == MODEL else who
            rows.append(Row(shown, known, "model" if who == MODEL else ""))
    if not rows:
        return ""
    name = metric_name(metric)
    drawing = side_by_side(rows, f"{name} of the model and {plural(len(rows) - 1, 'expert')}")
    return (
        f"<figure><figcaption><h2>{name}</h2><p>A dot an image; the box holds the middle half, the "
        f"line is the median.</p></figcaption>{drawing}</figure>"
    )


def _table(metric: str, rows: tuple[Beside, ...]) -> str:
    name = metric_name(metric)
    heads = ("Expert", "Images", f"Model {name}", f"Expert {name}", "Difference", "Effect",
             "p, corrected", "In words")  # fmt: skip
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(_row(row) for row in rows)
    return (
        f'<div class="scroll short" tabindex="0" role="region" aria-label="Model and experts by '
        f'{escape(name)}"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(row: Beside) -> str:
    head = f'<th scope="row" title="{escape(row.expert)}">{escape(row.expert)}</th>'
    if not row.n:
        cells = f"<td>0</td>{f'<td>{NONE}</td>' * 5}<td class='words'>No image in common.</td>"
        return f"<tr>{head}{cells}</tr>"
    bounds = f"[{signed(row.low, 3)}, {signed(row.high, 3)}]" if row.n > 1 else ""
    difference = f'{signed(row.difference, 3)} <span class="ci">{bounds}</span>'
    p = "< 0.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}"
    return (
        f"<tr>{head}<td>{row.n:,}</td><td>{row.model:.3f}</td><td>{row.score:.3f}</td>"
        f"<td>{difference}</td><td>{signed(row.effect, 2)}</td><td>{escape(p)}</td>"
        f'<td class="words">{in_words(row)}</td></tr>'
    )


def in_words(row: Beside) -> str:
    """What a comparison shows, and what it leaves open."""
    if row.p_holm < LEVEL and row.difference > 0:
        return "The model scores higher."
    if row.p_holm < LEVEL and row.difference < 0:
        return "The expert scores higher."
    if row.n < 6:  # not even six wins of six can be told from chance
        return f"Too few images to tell: {plural(row.n, 'image')}."
    worst, best = -row.low, row.high
    return (
        f"No difference shown; the model may be up to {max(0.0, worst):.2f} worse or "
        f"{max(0.0, best):.2f} better."
    )
