"""What sizes a patch must have for its discriminators; no torch, so that recipes can ask."""

from __future__ import annotations


def smallest_side(layers: int, scales: int = 1) -> int:
    """The fewest pixels along an axis that are judged at every one of several scales.

    `layers` convolutions of 4 pixels and stride 2, padded by 1, halve an axis, rounding down; two
    more take a pixel each (Isola et al. 2017, §6.1.2). Each scale has half the pixels of the one
    before, rounded up (Wang et al. 2018, §3.2).

    Parameters
    ----------
    layers : convolutions that halve the resolution.
    scales : discriminators.
    """
    return (3 * 2**layers - 1) * 2 ** (scales - 1) + 1


def fitting_scales(side: int, layers: int) -> int:
    """How many scales judge an axis of `side` pixels; 0 where it is too short for any."""
    scales = 0
    while smallest_side(layers, scales + 1) <= side:
        scales += 1
    return scales


def too_small(side: int, layers: int, scales: int) -> str | None:
    """What to change where a patch is too small for its discriminators; None where it is not.

    Parameters
    ----------
    side : pixels along the shortest axis of the patch.
    layers, scales : of the discriminators.
    """
    fit = fitting_scales(side, layers)
    if fit >= scales:
        return None
    needed = smallest_side(layers, scales)
    if not fit:
        one = smallest_side(layers)
        more = "" if scales == 1 else f", and {needed} at {scales} scales"
        return (
            f"too small for the discriminator, which needs {one} along each axis{more}: raise "
            "train.patch, or lower regime.discriminator.layers"
        )
    return (
        f"too small for regime.discriminator.scales {scales}, which need {needed} along each axis: "
        f"raise train.patch, or set regime.discriminator.scales to {fit}"
    )
