"""The section "How far to trust this run": verdicts, what they rest on, and what is unusual."""

from __future__ import annotations

from html import escape
from math import isfinite

from delineate.metrics import Interval
from delineate.review.charts import measured
from delineate.review.page import Page, plural
from delineate.review.report_calibration import calibration
from delineate.review.run_trust import Quality, Ranked, Truth
from delineate.review.trust_figures import checking, novelty, order, scores, unit


def trust(page: Page) -> str:
    """Verdicts, estimates and charts; nothing where the run knows no uncertainty."""
    run, single = page.run, page.kind.trust.single
    quality, truth = run.trust.quality, run.trust.truth
    if not page.speaks_of_trust:
        return ""
    if single and not run.ranked:
        return _section(f"<p>{single}</p>", _tiles(page, None, truth), [novelty(page)])
    figures = [
        scores(page, quality, truth),
        order(page, quality),
        checking(page, truth),
        calibration(page),
        novelty(page),
    ]
    numbers = _tiles(page, quality, truth)
    return _section(_lead(page, quality), numbers, figures, _ranking(quality, truth))


def _section(lead: str, numbers: str, figures: list[str], end: str = "") -> str:
    charts = "".join(figures)
    return (
        '<section id="trust"><div class="head"><div><h2>How far to trust this run</h2>'
        f"{lead}</div></div>{numbers}"
        + (f'<div class="charts">{charts}</div>' if charts else "")
        + f"{end}</section>"
    )


def _lead(page: Page, quality: Quality | None) -> str:
    """What the verdicts say, or what is missing for them."""
    run, words = page.run, page.kind.trust
    folder, ordered = escape(run.folder.resolve().name), words.order
    if quality is None:
        model = f"model {escape(run.model)}" if run.model else "the model"
        return (
            f"<p>{ordered} From which uncertainty on a result is bad is not known, since {model} "
            "carries no reference: uncertainty and score of images that it was not trained on. "
            "<code>delineate train</code> stores one with every model that it validates. Or "
            f"{words.against.format(folder=folder)}.</p>"
        )
    if quality.required is None:
        return (
            f"<p>{ordered} No verdicts are given, since no score was required: <code>delineate "
            f"review {folder} --required 0.8</code> adds them without predicting again.</p>"
        )
    score = f"{escape(quality.metric)} of {quality.required:.2f}"
    if not isfinite(quality.u_min):
        return (
            f"<p>All reference images reached the required {score}: no uncertainty is known to "
            f"mean less, so only images {words.unverified} are marked <b>verify</b>. With "
            f"{plural(len(quality.reference.images), 'reference image')} that is not proof that "
            "the others are good.</p>"
        )
    return (
        f"<p>An image is marked <b>verify</b> where it is as uncertain as a reference image that "
        f"missed the required {score}, and so are images {words.unverified}. <b>Accept</b> "
        "means: all reference images of so little uncertainty were good enough. It is no promise "
        "for images unlike those that the model knows, which novelty tells.</p>"
    )


def _tiles(page: Page, quality: Quality | None, truth: Truth | None) -> str:
    """The verdicts in numbers."""
    shown: list[tuple[str, str, str]] = []
    if quality is not None and quality.required is not None:
        done = page.run.done
        count = sum(i.trust.verdict == "verify" for i in done)
        share = f"{100 * count / max(1, len(done)):.0f}\u2009% of the images"
        shown.append(("To verify", f"{count:,} of {len(done):,}", share))
        shown.append((f"Required {quality.metric}", f"{quality.required:.2f}", "as you asked for"))
        limit = measured(quality.u_min) if isfinite(quality.u_min) else "–"
        said = unit(quality).lower().replace(" u", " U") + page.kind.trust.besides(quality.u_min)
        shown.append(("Verify from", limit, said if isfinite(quality.u_min) else "none fell short"))
    if quality is not None:
        name = f"Expected mean {quality.metric}"
        if quality.mean is None:
            reason = quality.reason or "no image has an uncertainty"
            shown.append((name, "–", f"no estimate: {reason}"))
        else:
            shown.append(
                (name, f"≈\u2009{quality.mean.value:.2f}", f"estimate, {_span(quality.mean)}")
            )
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
    heads = ("", "Images", "Rank correlation", "Failures told apart", "In words")
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        '<div class="scroll short" tabindex="0" role="region" aria-label="How well uncertainty '
        f'ranks quality"><table><thead><tr>{top}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        '</div><p class="under">Rank correlation is Spearman’s ρ of uncertainty and score, −1 at '
        "best. Failures told apart is the AUROC: how often, of an image that misses the required "
        "score and one that reaches it, the first is the more uncertain; 0.5 is chance. Brackets "
        "hold 95\u2009% bootstrap intervals.</p>"
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
