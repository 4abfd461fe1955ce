"""The section "How far to trust this run": verdicts, what they rest on, and what is unusual."""

from __future__ import annotations

from html import escape
from math import floor, isfinite

import numpy as np

from delineate.metrics import Interval
from delineate.review.charts import measured
from delineate.review.page import Page
from delineate.review.report_calibration import calibration
from delineate.review.run_trust import MEASURES, Quality, Ranked, Truth
from delineate.review.trust_figures import checking, novelty, order, scores
from delineate.review.verdict_words import OPTIMISTIC, rests_on
from delineate.uncertainty.novelty import NOVEL, is_novel
from delineate.uncertainty.quality import UNLIKE, Reference
from delineate.words import plural

_SINGLE_DRAWS = (
    "The uncertainty of a reference image is that of a single draw, which has no epistemic part. A "
    "verdict compares it with the whole uncertainty of an image, to which draws that disagree add, "
    "and so errs on the safe side; the expected score goes by the aleatoric part, which alone can "
    "be compared."
)
"""Said of a reference whose measure is the aleatoric part."""


def trust(page: Page) -> str:
    """Verdicts, estimates and charts; nothing where the run knows no uncertainty."""
    run, single = page.run, page.kind.trust.single
    quality, truth = run.trust.quality, run.trust.truth
    if not page.speaks_of_trust:
        return ""
    if single and not run.ranked:
        lead = f"<p>{single}</p>{_unlike(page, 'are to be looked at first')}"
        return _section(lead, _tiles(page, None, truth), [novelty(page)])
    figures = [
        scores(page, quality, truth),
        order(page, quality),
        checking(page, truth),
        calibration(page),
        novelty(page),
    ]
    numbers = _tiles(page, quality, truth)
    lead = f"<p>{_lead(page, quality)}</p>"
    if quality is not None and quality.mean is not None:
        lead += f"<p>An expected score is an estimate: {escape(OPTIMISTIC)}.</p>"
    if quality is None:
        lead += _unlike(page, "come first in the queue")
    else:
        lead += _unlike(
            page,
            "come first in the queue and are to be verified whatever their uncertainty, and no "
            "score is expected of them",
        )
    return _section(lead, numbers, figures, _ranking(quality, truth))


def _novel(page: Page) -> int:
    """Number of images unlike the training images."""
    return sum(is_novel(image.trust.novelty) for image in page.run.done)


def _unlike(page: Page, told: str) -> str:
    """A sentence on the images that are unlike the training images; nothing where none is."""
    count = _novel(page)
    if not count:
        return ""
    verb = "is" if count == 1 else "are"
    return (
        f"<p><b>{plural(count, 'image')} {verb} {UNLIKE}</b> (novelty above {NOVEL:g}). Such "
        f"images {told}.</p>"
    )


def _section(lead: str, numbers: str, figures: list[str], end: str = "") -> str:
    charts = "".join(figures)
    return (
        '<section id="trust"><div class="head"><div><h2>How far to trust this run</h2>'
        f"{lead}</div></div>{numbers}"
        + (f'<div class="charts">{charts}</div>' if charts else "")
        + f"{end}</section>"
    )


def _in_reach(reference: Reference) -> float:
    """A score, in tenths, that three of four reference images reach."""
    _, score = reference.known()
    return floor(10 * float(np.quantile(score, 0.25))) / 10 if len(score) else 0.5


def _lead(page: Page, quality: Quality | None) -> str:
    """What the verdicts say, or what is missing for them."""
    run, words = page.run, page.kind.trust
    folder, ordered = escape(run.folder.resolve().name), words.order
    if quality is None:
        model = f"model {escape(run.model)}" if run.model else "the model"
        return (
            f"{ordered} From which uncertainty on a result is bad is not known, since {model} "
            "carries no reference: uncertainty and score of images that it was not trained on. "
            "<code>delineate train</code> stores one with every model that it validates. Or "
            f"{words.against.format(folder=folder)}."
        )
    if quality.required is None:
        none = "No other verdicts are given" if _novel(page) else "No verdicts are given"
        return (
            f"{ordered} {none}, since no score was required: <code>delineate review {folder} "
            f"--required {_in_reach(quality.reference):g}</code> adds them without predicting "
            "again."
        )
    score = f"{escape(quality.metric)} of {quality.required:.2f}"
    accepted = sum(image.trust.verdict == "accept" for image in run.done)
    why = rests_on(quality.reference, quality.required, quality.risk, quality.metric, accepted)
    why = f" {escape(why[0].upper() + why[1:])}." if why else ""
    known = any(isfinite(image.trust.novelty) for image in run.done)
    others = f"images {words.unverified}" + (f" and those {UNLIKE}" if known else "")
    if quality.risk is not None:
        which = f"from an uncertainty of {measured(quality.u_min)} on, and so are {others}"
        if not quality.u_min or not isfinite(quality.u_min):
            which = "whatever its uncertainty" if not quality.u_min else f"only if among {others}"
        return f"An image is marked <b>verify</b> {which}.{why}"
    if not isfinite(quality.u_min):
        return (
            f"All reference images reached the required {score}: no uncertainty is known to mean "
            f"less, so only {others} are marked <b>verify</b>. With "
            f"{plural(len(quality.reference.images), 'reference image')} that is not proof that "
            "the others are good."
        )
    strange = "" if known else f" It is no promise for images {UNLIKE}, which nothing here tells."
    return (
        "An image is marked <b>verify</b> where it is as uncertain as a reference image that "
        f"missed the required {score}, and so are {others}. <b>Accept</b> means: all reference "
        f"images of so little uncertainty were good enough.{strange}{why}"
    )


def _tiles(page: Page, quality: Quality | None, truth: Truth | None) -> str:
    """The verdicts in numbers."""
    shown: list[tuple[str, str, str]] = []
    if quality is not None and quality.required is not None:
        done = page.run.done
        count = sum(i.trust.verdict == "verify" for i in done)
        share = f"{100 * count / max(1, len(done)):.0f}\u2009% of the images"
        shown.append(("To verify", f"{count:,} of {len(done):,}", share))
        asked = "" if quality.risk is None else f", at a risk of {100 * quality.risk:g}\u2009%"
        told = f"as you asked for{asked}"
        shown.append((f"Required {quality.metric}", f"{quality.required:.2f}", told))
        shown.append(("Verify from", *_limit(page, quality)))
    if quality is not None:
        name = f"Expected mean {quality.metric}"
        if quality.mean is None:
            shown.append((name, "–", f"no estimate: {quality.reason or no_estimate(_novel(page))}"))
        else:
            told = f"estimate, {_span(quality.mean)}, {_coverage(page, quality, quality.mean)}"
            shown.append((name, f"≈\u2009{quality.mean.value:.2f}", told))
    if truth is not None and truth.mean is not None:
        shown.append(
            (f"True mean {truth.name}", f"{truth.mean.value:.2f}",
             f"{plural(truth.n, 'image')}, {_span(truth.mean)}")
        )  # fmt: skip
    items = "".join(
        f'<div><dt>{escape(name)}</dt><dd>{value}</dd><dd class="sub">{escape(sub)}</dd></div>'
        for name, value, sub in shown
    )
    return f'<dl class="tiles few">{items}</dl>' if shown else ""


def _limit(page: Page, quality: Quality) -> tuple[str, str]:
    """From which uncertainty on images are verified, and what it is."""
    if not isfinite(quality.u_min):
        return "–", "none fell short" if quality.risk is None else "none is too uncertain"
    if not quality.u_min:
        return measured(0.0), "the reference vouches for no image"
    return measured(quality.u_min), "uncertainty U" + page.kind.trust.besides(quality.u_min)


def coverage(
    metric: str, done: int, n: int, missing: int = 0, novel: int = 0, extrapolated: int = 0
) -> str:
    """Of which images an expected mean is, and which are not in it.

    Parameters
    ----------
    metric : the score.
    done : images with a result.
    n : images that the mean is of.
    missing : images without an uncertainty.
    novel : images unlike the training images.
    extrapolated : of the n, those beyond the reference.

    Examples
    --------
    >>> coverage("map", 8, 5, missing=3, extrapolated=2)
    'over 5 of 8 images; 3 without objects, 2 beyond the reference'
    """
    without = "without objects" if metric in MEASURES else "without an uncertainty"
    parts = [
        f"{count:,} {what}"
        for count, what in (
            (missing, without),
            (novel, UNLIKE),
            (extrapolated, "beyond the reference"),
        )
        if count
    ]
    end = f"; {', '.join(parts)}" if parts else ""
    return f"over {n:,} of {plural(done, 'image')}{end}"


def no_estimate(novel: int) -> str:
    """Why there is no expected mean where the reference is large enough."""
    if novel:
        return "no image that is like the training images has an uncertainty"
    return "no image has an uncertainty"


def _coverage(page: Page, quality: Quality, mean: Interval) -> str:
    """The same of the images of a run."""
    done, measure = page.run.done, quality.reference.measure
    like = [i.trust.by(measure) for i in done if not is_novel(i.trust.novelty)]
    known = [u for u in like if isfinite(u)]
    beyond = sum(quality.expected.estimate(u).extrapolated for u in known)
    missing, novel = len(like) - len(known), len(done) - len(like)
    return coverage(quality.reference.metric, len(done), mean.n, missing, novel, beyond)


def _span(interval: Interval) -> str:
    if interval.n == 1:
        return "no interval from one image"
    # Word joiners keep the two numbers in one line.
    return f"{interval.level:.0%} interval {interval.low:.2f}\u2060–\u2060{interval.high:.2f}"


def _ranking(quality: Quality | None, truth: Truth | None) -> str:
    """How well uncertainty ranks quality, in numbers and in words."""
    rows = []
    if quality is not None:
        who = f"Reference images ({quality.reference.origin})"
        n = len(quality.reference.known()[0])
        rows.append(_ranking_row(who, n, quality.ranked, quality.required))
    if truth is not None:
        n = truth.n - truth.unranked
        rows.append(_ranking_row("This run against truth", n, truth.ranked, truth.required))
    if not rows:
        return ""
    single = quality is not None and quality.reference.measure == "aleatoric"
    explained = f" {_SINGLE_DRAWS}" if single else ""
    heads = ("", "Images", "Rank correlation", "Failures told apart", "In words")
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        '<div class="scroll short" tabindex="0" role="region" aria-label="How well uncertainty '
        f'ranks quality"><table><thead><tr>{top}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        '</div><p class="under">Rank correlation is Spearman’s ρ of uncertainty and score, −1 at '
        "best. Failures told apart is the AUROC: how often, of an image that misses the required "
        "score and one that reaches it, the first is the more uncertain; 0.5 is chance. Brackets "
        f"hold 95\u2009% bootstrap intervals.{explained}</p>"
    )


def _ranking_row(who: str, n: int, ranked: Ranked, required: float | None) -> str:
    said = []
    rho = ranked.spearman
    if rho is None:
        said.append("Too few images, or all alike, to tell whether uncertainty ranks them.")
    elif rho.high < 0:
        said.append("The more uncertain, the lower the score.")
    elif rho.low > 0:
        said.append("Uncertainty does not point to low scores here: do not rely on the order.")
    else:
        said.append("It is not shown that uncertainty ranks quality: take the order for a hint.")
    if required is not None and ranked.auroc is None:
        none = ranked.failures == 0
        said.append(f"{'No image' if none else 'Every image'} missed the required score.")
    return (
        f'<tr><th scope="row">{escape(who)}</th><td>{n:,}</td><td>{_bracketed(rho)}</td>'
        f'<td>{_bracketed(ranked.auroc)}</td><td class="words">{" ".join(said)}</td></tr>'
    )


def _bracketed(interval: Interval | None) -> str:
    if interval is None:
        return '<span class="none">–</span>'
    bounds = "" if interval.low == interval.high else f"[{interval.low:.2f}, {interval.high:.2f}]"
    text = f'{interval.value:.2f} <span class="ci">{bounds}</span>'
    return text.replace("-", "−")
