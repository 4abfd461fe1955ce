"""What verdicts and estimates rest on, in sentences that report and command line share."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from delineate.review.run_trust import metric_name
from delineate.uncertainty.quality import Reference
from delineate.uncertainty.thresholds import (
    CONFIDENCE,
    FEW,
    Threshold,
    decide,
    decider,
    fewest,
    first_test,
    tolerated,
    within_risk,
)

SUGGESTED = 0.2
"""The risk that is suggested, where it accepts anything."""

OPTIMISTIC = (
    "the reference images also chose weights and thresholds of the model, so that new images may "
    "well score lower than estimated"
)
"""Said of every estimate."""


def no_estimate_line(metric: str, reason: str) -> str:
    """Why no score is expected of the images of a run."""
    return f"expected mean {metric_name(metric)}: no estimate, since {reason}"


def verdict_lines(
    quality: Mapping[str, Any], done: int, verify: int, unknown: int = 0
) -> list[str]:
    """How many images are to be verified, and what that rests on.

    Parameters
    ----------
    quality : as run.json has it, with a required score.
    done : images with a result.
    verify : of them, those to be verified.
    unknown : of them, those of which no uncertainty tells.
    """
    name, limit = metric_name(quality["metric"]), quality["u_min"]
    required, risk = quality["required"], quality.get("risk")
    told = "no reference image falls short of it" if risk is None else "none is too uncertain"
    if limit is not None:
        told = f"from an uncertainty of {limit:.4g} on"
    asked = "" if risk is None else f" at a risk of {risk:g}"
    lines = [
        f"to verify: {verify} of {done} images ({name} of {required:g} required{asked}, {told})"
    ]
    reference = Reference.from_dict(quality)
    if why := rests_on(reference, required, risk, name, done - verify - unknown):
        lines.append(why)
    return lines


def rests_on(
    reference: Reference, required: float, risk: float | None, name: str, accepted: int
) -> str:
    """What makes images accepted, or none of them: a sentence, or several, without the last stop.

    Parameters
    ----------
    reference : of the model.
    required : the score that is good enough, called `name`.
    risk : share of the accepted images that may miss it; None: U_min decides.
    accepted : images of the run that are accepted.

    Returns
    -------
    Empty where U_min rests on enough reference images, and images are accepted.
    """
    threshold = decide(reference, required, risk)
    if risk is None:
        return _by_u_min(reference, required, threshold, name, accepted)
    if not threshold.value:
        return _nothing_proven(reference, required, risk, name)
    return (
        f"accepted images: with {CONFIDENCE:.0%} confidence at most {risk:.0%} of such images miss "
        f"{name} {required:g}; of the {threshold.below} most certain reference images "
        f"{_do(threshold.failed)}"
    )


def _by_u_min(
    reference: Reference, required: float, threshold: Threshold, name: str, accepted: int
) -> str:
    decides = decider(reference, required)
    if decides is None or (threshold.below >= FEW and accepted):
        return ""
    if threshold.below >= FEW:
        return (
            f"none is accepted: none is more certain than {decides.image}, the most certain of "
            f"{threshold.known} reference images that miss {name} {required:g}"
        )
    fewer = f"only {threshold.below}" if threshold.below else "none"
    without = "none would be verified for its uncertainty"
    if isfinite(decides.without):
        without = f"images would be verified from {decides.without:.4g} on"
    other = ""
    if within_risk(reference, required, SUGGESTED).value:
        other = f", or --risk {SUGGESTED:g} (so many of the accepted may miss it),"
    return (
        f"one of {threshold.known} reference images decides: {decides.image} has {name} "
        f"{decides.score:.3f} at an uncertainty of {decides.uncertainty:.4g}, and {fewer} of the "
        f"others {'is' if threshold.below < 2 else 'are'} more certain; without it {without}. "
        f"A lower --required{other} need not hang on one image"
    )


def _nothing_proven(reference: Reference, required: float, risk: float, name: str) -> str:
    tested = first_test(reference, required, risk)
    if tested is None:
        return (
            f"--risk {risk:g} accepts no image: it takes {fewest(risk)} reference images of which "
            f"none misses {name} {required:g}, and the model has {len(reference.known()[0])}. Give "
            "a higher --risk, or train with more validation images"
        )
    number, failed = tested
    most = tolerated(number, risk)
    return (
        f"--risk {risk:g} accepts no image: of the {number} most certain reference images {failed} "
        f"miss {name} {required:g}, and {'none' if not most else f'only {most}'} may. Give a lower "
        "--required or a higher --risk"
    )


def _do(count: int) -> str:
    return f"{count or 'none'} {'do' if count > 1 else 'does'}"
