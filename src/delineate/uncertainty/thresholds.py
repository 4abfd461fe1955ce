"""From which uncertainty on images are verified: by U_min, or by a risk that is not exceeded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from delineate.errors import DelineateError
from delineate.uncertainty.quality import UNCERTAIN, Reference, u_min

CONFIDENCE = 0.95
"""With which the share of failures among accepted images is below the risk."""
FEW = 10
"""Reference images below a threshold, under which they are said to be few."""
RISKY = "more uncertain than the risk allows"
UNPROVEN = "too few reference images are good enough to accept any image"
"""Reasons to verify an image, beside those of `delineate.uncertainty.quality`."""


@dataclass(frozen=True)
class Threshold:
    """From which U on images are to be verified, and what of the reference it rests on.

    Parameters
    ----------
    value : U; infinite where no U is too high, 0 where every U is.
    known : reference images with a U.
    below : those of them with a U below `value`.
    failed : those of `below` that miss the required score.
    reason : to verify an image with a U of `value` or more.
    """

    value: float
    known: int
    below: int
    failed: int
    reason: str = UNCERTAIN


@dataclass(frozen=True)
class Decider:
    """The reference image that U_min is the U of; `without`: U_min if it were not there."""

    image: str
    uncertainty: float
    score: float
    without: float


def decide(reference: Reference, required: float, risk: float | None = None) -> Threshold:
    """The threshold by `u_min`, or, given a risk, by `within_risk`."""
    if risk is not None:
        return within_risk(reference, required, risk)
    value = u_min(reference, required)
    u, _ = reference.known()
    return Threshold(value, len(u), int((u < value).sum()), 0)


def within_risk(reference: Reference, required: float, risk: float) -> Threshold:
    """Accept as many images as keep the share of failures among them within a risk.

    Learn then Test (Angelopoulos, Bates, Candès, Jordan & Lei 2021, arXiv:2110.01052; by a fixed
    sequence): the k most certain reference images are accepted, for growing k, as long as an exact
    binomial test (one-sided, at 5 %; that is, while the bound of Clopper & Pearson 1934, Biometrika
    26:404, is within the risk) rejects that failures are more frequent; the first k that is not
    rejected ends it. New images are accepted below the U of the next reference image. Given that U,
    the k are a sample of the images below it, so that the test is exact; that it is made for one k
    after the other costs nothing, as long as the share of failures does not fall again while
    uncertainty grows. Then, with a probability of 95 % over references of this size, at most `risk`
    of the accepted images miss the required score. This holds of images like the reference, and for
    a score and a risk that were not chosen by looking at what they accept.

    The first k is chosen by the size of the reference and the risk alone: the largest within
    half of the reference at which one failure more is tolerated (`first_number`), so that no single
    image among the most certain decides.

    Parameters
    ----------
    reference : images with truth.
    required : the score that is good enough.
    risk : share of failures among accepted images, between 0 and 1.

    Raises
    ------
    DelineateError : the risk is not between 0 and 1.
    """
    check_risk(risk)
    u, failed = _most_certain_first(reference, required)
    n, passed = len(u), 0
    probable = _at_most(failed, np.arange(1, n + 1), risk)
    for k in _numbers(u, risk):
        if probable[k - 1] > 1 - CONFIDENCE:
            break
        passed = k
    if not passed:
        return Threshold(0.0, n, 0, 0, UNPROVEN)
    value = math.inf if passed == n else float(u[passed])
    return Threshold(value, n, passed, int(failed[passed - 1]), RISKY)


def check_risk(risk: float) -> None:
    """Whether a risk can be one.

    Raises
    ------
    DelineateError : it is not between 0 and 1.
    """
    if not 0 < risk < 1:
        raise DelineateError(
            f"a risk of {risk:g}: expected a share between 0 and 1, such as 0.2, of the accepted "
            "images that may miss the required score"
        )


@lru_cache(maxsize=256)
def fewest(risk: float, failures: int = 0) -> int:
    """Reference images needed to accept any at a risk, where so many of them fail."""
    k = max(failures + 1, math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-risk) - 1e-9))
    while _at_most(np.array([failures]), np.array([k]), risk)[0] > 1 - CONFIDENCE:
        k += 1
    return k


def first_number(n: int, risk: float) -> int:
    """How many of the n most certain reference images `within_risk` begins with."""
    first, failures = fewest(risk), 1
    while (number := fewest(risk, failures)) <= n // 2:
        first, failures = number, failures + 1
    return first


def tolerated(k: int, risk: float) -> int:
    """How many of k reference images may fail; -1 where even none is too many."""
    numbers = np.arange(k + 1)
    passes = _at_most(numbers, np.full(k + 1, k), risk) <= 1 - CONFIDENCE
    return int(passes.sum()) - 1


def decider(reference: Reference, required: float) -> Decider | None:
    """The image that decides `u_min`; None where no image with a U fails."""
    rows = [
        (u, score, name)
        for u, score, name in zip(
            reference.uncertainty, reference.score, reference.images, strict=True
        )
        if math.isfinite(u) and score < required
    ]
    if not rows:
        return None
    u, score, name = min(rows)
    others = [other for other, *_ in rows]
    others.remove(u)
    return Decider(name, u, score, min(others, default=math.inf))


def first_test(reference: Reference, required: float, risk: float) -> tuple[int, int] | None:
    """Of how many reference images `within_risk` tests first whether they may be accepted, and how
    many of them fail; None where the reference is too small for any."""
    u, failed = _most_certain_first(reference, required)
    number = next(iter(_numbers(u, risk)), None)
    return None if number is None else (number, int(failed[number - 1]))


def _most_certain_first(
    reference: Reference, required: float
) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
    """U in rising order, and how many of the images up to each fail."""
    u, score = reference.known()
    order = np.argsort(u, kind="stable")
    return u[order], np.cumsum(score[order] < required)


def _numbers(u: NDArray[np.float64], risk: float) -> Iterator[int]:
    """How many images are tested in turn; those of equal U are accepted together."""
    for k in range(first_number(len(u), risk), len(u) + 1):
        if k == len(u) or u[k] > u[k - 1]:
            yield k


def _at_most(
    failed: NDArray[np.integer], of: NDArray[np.integer], risk: float
) -> NDArray[np.float64]:
    """Probability of at most so many failures of so many images, where `risk` of all fail."""
    from scipy.special import bdtr

    return np.asarray(bdtr(failed.astype(np.float64), of, risk), np.float64)
