"""Which axes a file without names of its own may have, as advice and as a doubt."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

log = logging.getLogger("delineate")

FEW = 4
"""An axis of so many places or fewer, beside long ones, holds the samples of a colour picture."""
MANY = 32
"""An axis of more places holds no channels of a microscope."""
_LONGER = 4
"""Sides of a picture are so many times longer than an axis of channels after them."""


def advice(shape: tuple[int, ...]) -> str:
    """What to name the axes of a file of this shape; only what it can be is named."""
    long = tuple(size for size in shape if size != 1)
    if len(long) <= 2:
        return "say what they are with --axes YX"
    if len(long) == 3:
        if channels_last(long):
            return "say what they are with --axes YXC (a picture, its channels last)"
        if long[0] > MANY:
            return "say what they are with --axes ZYX (a volume) or TYX (a movie)"
        return "say what they are with --axes ZYX (a volume), TYX (a movie) or CYX (channels)"
    if len(long) == 4:
        if channels_last(long):
            return "say what they are with --axes ZYXC (a volume) or TYXC (a movie)"
        return "say what they are, e.g. with --axes ZCYX, CZYX, TCYX or TZYX"
    return "say what they are with --axes, one letter of TCZYX for each axis"


def channels_last(shape: tuple[int, ...]) -> bool:
    """Whether the last axis is far too short for a side of the picture, and the two before not."""
    return shape[-1] <= FEW and min(shape[-3:-1]) >= _LONGER * shape[-1]


def doubt(path: Path, names: str, shape: tuple[int, ...]) -> None:
    """Warn, once for a file, where axes that a user named give planes of a few pixels' width.

    Parameters
    ----------
    names : letter of each axis, ``-`` where it is dropped.
    """
    kept = [(name, size) for name, size in zip(names, shape, strict=True) if name != "-"]
    named = "".join(name for name, _ in kept)
    sizes = tuple(size for _, size in kept)
    if "C" in named or "S" in named or len(named) < 3:
        return
    if named.endswith("YX") and channels_last(sizes):
        _warn(path, named, f"{named[:-3]}YXC", sizes)


@cache
def _warn(path: Path, named: str, better: str, sizes: tuple[int, ...]) -> None:
    log.warning(
        "%s: as %s its planes have %d by %d pixels; if its last axis holds channels, give --axes "
        "%s",
        path,
        named,
        sizes[-2],
        sizes[-1],
        better,
    )
