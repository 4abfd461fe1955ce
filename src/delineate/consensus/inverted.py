"""Which masks look inverted: what they leave out fits the others, what they mark does not."""

from __future__ import annotations

from math import nan, sqrt
from typing import NamedTuple

import numpy as np

from delineate.consensus.agreement import Agreement

_CLEARLY, _LEAST = 1 / 3, 0.1
"""Share of the correlation of the others with each other, and of two experts the correlation; and
what it is at least. Inverting one of 140 masks of 28 images that five experts drew gives a mean
correlation of -0.3 or less, and as they are 0.3 or more."""
_TOGETHER = 0.8
"""Share of the pixels that a mask and its opposite mark together, at least."""


class Inverted(NamedTuple):
    """A mask that looks inverted, and the shares of the pixels that it and the others mark."""

    expert: int
    share: float
    others: tuple[float, ...]

    def note(self, name: str) -> str:
        """The finding as a question to a person; `name` is of the expert."""
        low, high = (f"{100 * f(self.others):.2g} %" for f in (min, max))
        theirs = low if low == high else f"{low} to {high}"
        if self.share == 1:
            return f"the mask of {name} is the whole image, those of others {theirs}: inverted?"
        return (
            f"the mask of {name} ({100 * self.share:.3g} % of the image) fits what others leave "
            f"out (theirs: {theirs}): is it inverted?"
        )


def inverted(found: Agreement, pixels: int) -> tuple[Inverted, ...]:
    """Experts whose mask looks like the inverse of those of the others, by their place.

    The correlation of two masks (phi coefficient, Yule 1912) changes nothing but its sign where one
    of them is inverted, so that masks fall into two sides. Those of the smaller side (of equal ones
    of that which marks more) are inverted where

    - their mean correlation with the others is below zero by more than a third of that of the
      others with each other, and by 0.1; of two experts, by more than 1/3;
    - they mark more than half of the image, and the others less, or the reverse;
    - they and the others mark four fifths of it together.

    A mask of the whole image is inverted where the others mark less than half of it.

    Parameters
    ----------
    found : agreement of masks of one foreground class.
    pixels : number of pixels of the image.
    """
    marked: dict[int, int] = {}
    for pair, c in found.pairs.items():
        marked |= dict(zip(pair, c.pixels[1:], strict=True))
    share = {e: n / max(pixels, 1) for e, n in sorted(marked.items())}
    known = [e for e, s in share.items() if 0 < s < 1]
    phi = np.full((len(found.drawn),) * 2, nan)
    union = np.zeros_like(phi)
    for (a, b), c in found.pairs.items():
        common, x, y = c.pixels[0] / max(pixels, 1), share[a], share[b]
        union[a, b] = union[b, a] = x + y - common
        if a in known and b in known:
            phi[a, b] = phi[b, a] = (common - x * y) / sqrt(x * (1 - x) * y * (1 - y))
    whole = _whole(share)
    if len(known) < 2:
        return whole
    anchor = max(known, key=lambda e: np.nansum(np.abs(phi[e])))
    sides = [[e for e in known if e == anchor or phi[anchor, e] >= 0]]
    sides.append([e for e in known if e not in sides[0]])
    odd, rest = sorted(sides, key=lambda s: (len(s), -sum(share[e] for e in s)))
    within = [phi[a, b] for a in rest for b in rest if a < b]
    least = max(_LEAST, _CLEARLY * (float(np.mean(within)) if within else 1.0))
    theirs = tuple(share[e] for e in rest)
    mean = float(np.mean(theirs))
    turned = tuple(
        Inverted(e, share[e], theirs)
        for e in odd
        if phi[e, rest].mean() < -least
        and (share[e] - 0.5) * (mean - 0.5) < 0
        and union[e, rest].mean() > _TOGETHER
    )
    return tuple(sorted(turned + whole))


def _whole(share: dict[int, float]) -> tuple[Inverted, ...]:
    """Masks of the whole image where the others mark less than half of it."""
    others = tuple(s for s in share.values() if s < 1)
    if not others or np.mean(others) >= 0.5:
        return ()
    return tuple(Inverted(e, s, others) for e, s in share.items() if s == 1)
