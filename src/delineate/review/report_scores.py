"""The section of a report on scores against true images, where the run was evaluated."""

from __future__ import annotations

from html import escape

from delineate.metrics import SCALE_INVARIANT, bracketed
from delineate.review.page import NONE, Page
from delineate.review.run_images import Score, relative_units
from delineate.review.run_trust import metric_name
from delineate.words import plural

_SHOWN = ("pearson", "ssim", "psnr", "nrmse", "si_ssim", "si_psnr")
_PREFIXES = {
    "": "",
    "kept_": ", without what is not to be measured",
}
_OTHERS = {
    "segmentation_Dice": "Dice of the segmentations",
    "segmentation_AP50": "AP50 of the segmentations",
    "segmentation_mAP": "mAP of the segmentations",
    "error_spearman": "rank correlation of uncertainty and error",
    "error_within_95": "errors within the 95\u2009% interval",
}


_RELATIVE = (
    " Results have the units of the images that they were made from, not those of the true images: "
    "only scores that brightness and contrast do not change are shown, and errors are those after "
    "the best brightness and contrast."
)
"""Said of runs whose targets were matched to their images."""


_KEPT = (
    " Scores without what is not to be measured are by the range and the spread of the whole true "
    "image, as the others are; Pearson is the correlation within these pixels, which can be lower "
    "though their errors are smaller, since they often vary less."
)
"""Said where some pixels are not to be measured."""


def scores(page: Page) -> str:
    """A table of the scores, with intervals; nothing where the run was not evaluated."""
    found = page.run.scores
    if not found:
        return ""
    relative = relative_units(page.run.recipe)
    shown = [s for s in _SHOWN if s in SCALE_INVARIANT or not relative]
    names = {p + s: f"{metric_name(s)}{t}" for p, t in _PREFIXES.items() for s in shown} | _OTHERS
    cells = {(s.channel, s.score, s.averaging): s for s in found if s.score in names}
    averages = list(dict.fromkeys(s.averaging for s in cells.values()))
    channels = list(dict.fromkeys(s.channel for s in cells.values()))
    rows = []
    for channel in channels:
        for score, name in names.items():
            own = [cells.get((channel, score, averaging)) for averaging in averages]
            if any(own):
                where = f"<td>{escape(channel) or NONE}</td>" if len(channels) > 1 else ""
                values = "".join(f"<td>{_cell(one)}</td>" for one in own)
                rows.append(f'<tr><th scope="row">{escape(name)}</th>{where}{values}</tr>')
    heads = ["Score", *(["Channel"] if len(channels) > 1 else []), *map(str.capitalize, averages)]
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    level = max(s.level for s in found)
    images = plural(max(s.images for s in found), "image")
    told = _RELATIVE if relative else ""
    told += _KEPT if any(score.startswith("kept_") for _, score, _ in cells) else ""
    return (
        '<section id="scores"><div class="head"><div><h2>Against true images</h2><p>What '
        f"<code>delineate evaluate</code> found on {images}; brackets hold {level:.0%} bootstrap "
        f"intervals over images. Each image has its scores in <code>scores.csv</code>.{told}</p>"
        "</div>"
        '</div><div class="scroll short" tabindex="0" role="region" aria-label="Scores against '
        f'true images"><table><thead><tr>{top}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        "</div></section>"
    )


def _cell(score: Score | None) -> str:
    if score is None:
        return NONE
    decibel = score.score.endswith("psnr")
    digits, unit = (1, "\u2009dB") if decibel else (3, "")
    interval = bracketed(score.low, score.high, f".{digits}f")
    value = f"{score.value:.{digits}f}{unit}"
    return f'{value} <span class="ci">{interval}</span>'.replace("-", "−")
