"""Movies and stacks in training: times, and planes for 2D networks, are images of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from delineate.data.options import DataOptions
from delineate.data.pairs import USED, Pair
from delineate.data.truth_files import Used, check_lengths
from delineate.errors import AxesError, DataError


def single_images(pairs: Sequence[Pair], options: DataOptions) -> list[Pair]:
    """Replace each pair of a file with a time axis by one for each time point that is used.

    They are called ``NAME/t0``, ``NAME/t1`` …; and likewise, for each plane that is chosen for 2D
    networks (`DataOptions.flat`), ``NAME/z3`` or ``NAME/t0/z3``. What has no such axis stays as it
    is, and so does what a table leaves out, which is not opened.

    Parameters
    ----------
    options : times, planes and axes of the files.

    Raises
    ------
    DataError : a file has no such time point or plane, or what belongs to it is shorter or longer.
    AxesError, ReadError : a file cannot be read, or its axes are not known.
    """
    found, split = [], any(p.split for p in pairs)
    for pair in pairs:
        if split and pair.split not in USED:
            found.append(pair)
            continue
        sizes = _sizes(pair, options.axes)
        times = _used(pair, sizes, "T", options.times)
        planes = None if options.planes is None else _used(pair, sizes, "Z", options.planes)
        if used := [axis for axis in (times, planes) if axis]:
            check_lengths(pair, used, options.axes, options.flat)
        apart = planes if options.flat else None
        for t, z in product(*(used.chosen if used else (None,) for used in (times, apart))):
            name = pair.name + ("" if t is None else f"/t{t}") + ("" if z is None else f"/z{z}")
            found.append(replace(pair, name=name, time=t, plane=z))
    return found


def _used(
    pair: Pair, sizes: dict[str, int], axis: str, wanted: Sequence[int] | None
) -> Used | None:
    """What is used of an axis, each number once; None where a file has no such axis.

    Raises
    ------
    DataError : a number lies outside it.
    """
    if axis not in sizes:
        return None
    count, first = sizes[axis], 0
    if wanted is None:
        return Used(axis, count, tuple(range(count)))
    if axis == "Z":  # planes may be counted from the last, -1
        first = -count
    used = Used(axis, count, tuple(dict.fromkeys(i % count for i in wanted)))
    if outside := [i for i in wanted if not first <= i < count]:
        raise DataError(
            f"{pair.image}: has {count} {used.parts}, 0 to {count - 1}; {used.setting} asks for "
            f"{outside[0]}"
        )
    return used


def _sizes(pair: Pair, axes: str | None) -> dict[str, int]:
    """Sizes of the axes of a file."""
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
    return image.sizes
