"""The images of a report: a gallery of cards, the most uncertain first, to be worked through."""

from __future__ import annotations

from html import escape
from math import isfinite

from delineate.review.charts import measured
from delineate.review.kind import Trust
from delineate.review.page import Page, Picture
from delineate.review.run_folder import ImageResult
from delineate.review.run_trust import Quality, metric_name
from delineate.uncertainty.novelty import is_novel
from delineate.uncertainty.quality import UNLIKE

_FILTER = (
    '<label class="filter"><span>Filter by name</span>'
    '<input type="search" id="filter" autocomplete="off"></label>'
)
_VIEW = (
    '<input type="radio" name="view" id="view-{id}"{checked}><label for="view-{id}">{name}</label>'
)
_ONLY = (
    '<label class="only"><input type="checkbox" id="only-verify"> '
    "Only those to verify ({count:,})</label>"
)


def gallery(page: Page) -> str:
    """A card for every image that has a result: pictures, trust, counts and size distribution."""
    run = page.run
    queue = bool(run.ranked)
    title = "Review queue" if queue else "Pictures"
    if not run.done:
        text = page.kind.nothing if run.images else "This run had no images."
        return f'<section id="pictures"><h2>{title}</h2><p class="empty">{text}</p></section>'
    cards = "".join(_card(page, image) for image in run.done)
    many = " many" if len(run.done) > 100 else ""  # drawn by the browser when they come in sight
    many += " wide" if page.kind.panels > 1 else ""
    views = _views(page)
    note = f" {page.pictures_note}" if page.pictures_note else ""
    first = "the most uncertain images come first"
    if any(is_novel(image.trust.novelty) for image in run.done):
        first = f"images {UNLIKE} come first, then the most uncertain"
    order = f"Start at the top: {first}. " if queue else ""
    keys = "Click a picture to enlarge it; the arrow keys go on"
    others = " and to ".join(name.lower() for name in list(views.values())[1:])
    keys += f", <kbd>U</kbd> switches all pictures to {others}." if others else "."
    verdicts = [image.trust.verdict for image in run.done]
    count = verdicts.count("verify")
    only = _ONLY.format(count=count) if count else ""
    return (
        f'<section id="pictures"><div class="head"><div><h2>{title}</h2>'
        f"<p>{order}{page.kind.shown} {keys}{note}</p></div>"
        f'<div class="tools">{only}{_switch(views)}{_FILTER}</div></div>'
        f'<div class="cards{many}">{cards}</div>'
        '<p class="empty" id="nothing" hidden>No image fits these filters.</p></section>'
    )


def _views(page: Page) -> dict[str, str]:
    """Views of the pictures by the class of the pictures that they show, and their names."""
    others = {"heat": ("Uncertainty", page.heats), "cycle": ("Cycle error", page.cycles)}
    known = {view: name for view, (name, pictures) in others.items() if pictures}
    return {"outlines": page.kind.view, **known}


def _switch(views: dict[str, str]) -> str:
    """One button for each view; nothing where there is a single one."""
    if len(views) < 2:
        return ""
    buttons = "".join(
        _VIEW.format(id=view, name=name, checked=" checked" if number == 0 else "")
        for number, (view, name) in enumerate(views.items())
    )
    return f'<fieldset class="switch"><legend>Show</legend>{buttons}</fieldset>'


def _card(page: Page, image: ImageResult) -> str:
    name = escape(image.name)
    shown = _img(page.pictures.get(image.name), escape(page.kind.alt(image)), "plain")
    shown += _img(page.heats.get(image.name), f"{name}: uncertainty", "heat")
    shown += _img(page.cycles.get(image.name), f"{name}: cycle error", "cycle")
    if shown:
        shown = f'<button type="button" class="open" aria-label="Enlarge {name}">{shown}</button>'
    else:
        shown = '<div class="missing">no picture</div>'
    facts = page.kind.facts(page, image)
    state = " none-found" if page.kind.is_empty(image) else ""
    return (
        f'<figure class="card{state}" id="{page.anchors[image.name]}" data-name="{name}" '
        f'data-verdict="{image.trust.verdict}">{shown}<figcaption><div class="titled"><div>'
        f"{_title(image.name)}</div>{badge(image.trust.verdict)}</div>"
        f'<span class="facts">{facts}</span>{_trusted(page, image)}{page.kind.drawing(page, image)}'
        "</figcaption></figure>"
    )


def _img(picture: Picture | None, alt: str, kind: str) -> str:
    if picture is None:
        return ""
    return (
        f'<img class="{kind}" alt="{alt}" width="{picture.width}" height="{picture.height}" '
        f'src="{picture.uri}">'
    )


def badge(verdict: str) -> str:
    """A verdict as a small label; nothing where there is none."""
    if not verdict:
        return ""
    sign = "!" if verdict == "verify" else "✓"
    return f'<span class="badge {verdict}"><i aria-hidden="true">{sign}</i>{verdict}</span>'


def _trusted(page: Page, image: ImageResult) -> str:
    """Uncertainty with its parts as a bar, the expected score, novelty; empty where unknown."""
    trust, quality, words = image.trust, page.run.trust.quality, page.kind.trust
    novel = is_novel(trust.novelty)
    rows = [f'<dt>Why</dt><dd class="warn">{UNLIKE}</dd>'] if novel else []
    if isfinite(trust.uncertainty):
        limit = quality.u_min if quality is not None and quality.required is not None else None
        rows.append(
            f"<dt>Uncertainty</dt><dd><b>{words.number(trust.uncertainty)}</b>"
            f"{uncertainty_bar(image, limit, words)}</dd>"
        )
    elif page.run.ranked:
        rows.append(f"<dt>Uncertainty</dt><dd>{words.unknown}</dd>")
    rows += [f"<dt>{line.term}</dt><dd>{line.value}</dd>" for line in page.kind.lines(page, image)]
    if isfinite(trust.score):
        truth = page.run.trust.truth
        name = truth.name if truth is not None else "score"
        short = truth is not None and truth.required is not None and trust.score < truth.required
        kind = ' class="warn"' if short else ""
        rows.append(f"<dt>True {escape(name)}</dt><dd{kind}><b>{trust.score:.2f}</b></dd>")
    if isfinite(trust.expected) and quality is not None:
        rows.append(
            f"<dt>{escape(metric_name(quality.reference.metric))}, estimate</dt>"
            f"<dd>≈\u2009{trust.expected:.2f} "
            f"<i>{trust.low:.2f}–{trust.high:.2f}</i></dd>"
        )
        if far := beyond(image, quality):
            rows.append(f"<dt>Estimate</dt><dd><i>{far}</i></dd>")
    elif novel and quality is not None and not quality.expected.reason:
        name = escape(metric_name(quality.reference.metric))
        rows.append(f"<dt>{name}, estimate</dt><dd>none would hold</dd>")
    if isfinite(trust.novelty):
        unusual = ' class="warn"' if novel else ""
        rows.append(f"<dt>Novelty</dt><dd{unusual}>{measured(trust.novelty)}</dd>")
    return f'<dl class="trust">{"".join(rows)}</dl>' if rows else ""


def beyond(image: ImageResult, quality: Quality) -> str:
    """Said of an expected score for which no reference image is uncertain, or sure, enough."""
    measure = quality.reference.measure
    far = quality.expected.estimate(image.trust.by(measure)).extrapolated
    return "beyond the reference" if far else ""


def uncertainty_bar(image: ImageResult, limit: float | None, words: Trust) -> str:
    """U over its whole range, aleatoric and epistemic part apart; `limit` is a line."""
    trust = image.trust
    sure = trust.aleatoric if isfinite(trust.aleatoric) else trust.uncertainty
    both = 100 * min(1.0, words.level(trust.uncertainty))
    first = both * sure / trust.uncertainty if trust.uncertainty > 0 else 0.0
    text = words.spoken(trust.uncertainty)
    if isfinite(trust.epistemic):
        text += f": {measured(sure)} aleatoric, {measured(max(0.0, trust.epistemic))} epistemic"
    mark = ""
    if limit is not None and words.level(limit) <= 1:
        at = 100 * words.level(limit)
        mark = f'<rect class="from" x="{at - 0.5:.1f}" width="1" height="10"/>'
    return (
        '<svg class="spread" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{text}"><title>{text}</title><rect class="all" y="2" width="100" '
        f'height="6"/><rect class="aleatoric" y="2" width="{first:.1f}" height="6"/>'
        f'<rect class="epistemic" x="{first:.1f}" y="2" width="{max(0.0, both - first):.1f}" '
        f'height="6"/>{mark}</svg>'
    )


def _title(name: str) -> str:
    """The name of an image, its folder in a line of its own."""
    folder, slash, last = name.rpartition("/")
    above = f'<span class="folder">{escape(folder + slash)}</span>' if slash else ""
    return f'{above}<span class="name" title="{escape(name)}">{escape(last)}</span>'
