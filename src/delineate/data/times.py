"""Movies in training: each time point is an image of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from delineate.data.pairs import USED, Pair
from delineate.data.truth_files import check_lengths
from delineate.errors import AxesError, DataError


def time_points(
    pairs: Sequence[Pair], times: Sequence[int] | None, axes: str | None = None
) -> list[Pair]:
    """Replace each pair of a file with a time axis by one for each time point.

    They are called ``NAME/t0``, ``NAME/t1`` …; what has no time axis stays as it is, and so does
    what a table leaves out, which is not opened.

    Parameters
    ----------
    times : time points that are used, from 0; None: all.
    axes : of the files, where they do not say.

    Raises
    ------
    DataError : a movie, or what belongs to it, has no such time point.
    AxesError, ReadError : a file cannot be read, or its axes are not known.
    """
    found, split = [], any(p.split for p in pairs)
    for pair in pairs:
        if split and pair.split not in USED:
            found.append(pair)
            continue
        count = _length(pair, axes)
        if count is None:
            found.append(pair)
            continue
        chosen = range(count) if times is None else list(dict.fromkeys(times))
        outside = [t for t in chosen if not 0 <= t < count]
        if outside:
            raise DataError(
                f"{pair.image}: has {count} time points, 0 to {count - 1}; data.times asks for "
                f"{outside[0]}"
            )
        check_lengths(pair, count, max(chosen, default=0), axes)
        found += [replace(pair, name=f"{pair.name}/t{t}", time=t) for t in chosen]
    return found


def _length(pair: Pair, axes: str | None) -> int | None:
    """Time points of a file; None where it has no time axis."""
    from delineate.io import read

    try:
        image = read(pair.image, axes=axes)
    except AxesError:
        if pair.only != "target":
            raise
        # What belongs to images may lack their channels; its time axis then has to be named.
        spatial = "".join(a for a in (axes or "").upper() if a in "TZYX")
        if not spatial:
            raise
        image = read(pair.image, axes=spatial)
    return image.sizes.get("T")
