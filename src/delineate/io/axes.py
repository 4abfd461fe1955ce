"""From what a file holds to an `Image`: which axis is which, by metadata, by rule or by the user.

The rules, in this order; the log (``logging.getLogger("delineate")``) says which one decided:

1. The axes that the user names with a ! after them decide (``TYX!``; letters T C Z Y X, and S for
   the samples of a colour picture).
2. The axes that the file names decide; of unknown ones (and of T, C, Z) those of length 1 are
   dropped, λ (E) is taken for C where there is no other channel axis. Where the user names others
   a line says so.
3. The axes that the user names decide.
4. Two axes without names are Y and X.
5. Anything else is an `AxesError` that asks for ``--axes``.

The samples of a colour picture become the channels red, green and blue; its alpha is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.errors import AxesError, ReadError
from delineate.image import AXES, Image, LazyArray
from delineate.io.axes_advice import advice, doubt
from delineate.io.lazy import View

log = logging.getLogger("delineate")

EAGER_BYTES = 16 * 2**20
"""Images up to this size are read at once; larger ones where they are indexed."""


class Raw(NamedTuple):
    """What a reader of one format finds in a file.

    `axes` has one letter an axis: T C Z Y X, S for the samples of a pixel, any other letter for
    an axis of which the file does not say what it is. `rgb` says that the samples are colours,
    `alpha` that the last of them is the opacity. `indices` are the numbers that a palette turned
    into the colours of `data`: in a label image they are the ids. `frame_interval` are the seconds
    between two time points, where the file tells them. `black` is the value that is black where
    0 is white; None where 0 is black.
    """

    data: LazyArray
    axes: str
    pixel_size: Mapping[str, float] = {}
    unit: str = "µm"
    channels: tuple[str, ...] = ()
    rgb: bool = False
    alpha: bool = False
    indices: NDArray[Any] | None = None
    frame_interval: float | None = None
    black: int | None = None


def to_image(raw: Raw, path: Path, axes: str | None) -> Image:
    """`Image` with the axes of `raw`, or with those that the user names where it does not say.

    Raises
    ------
    AxesError : the axes are not known, not usable, or those named do not fit.
    ReadError : the pixels are no numbers that an image can have.
    """
    _check_type(np.dtype(raw.data.dtype), path)
    shape = tuple(int(size) for size in raw.data.shape)
    names = _known(raw, shape, path) if axes is None else _asked(raw, shape, axes, path)
    channels, rgb, alpha = raw.channels, raw.rgb, raw.alpha
    keep: dict[int, int] = {}
    if "S" in names:
        if "C" in names:
            raise AxesError(
                f"{path}: has both channels and colour samples (axes {names}, shape {shape}); "
                "save the channels as separate images"
            )
        s = names.index("S")
        if axes is not None and "S" not in raw.axes:
            rgb, alpha = shape[s] in (3, 4), shape[s] in (2, 4)
        samples = shape[s] - alpha
        if alpha:
            log.info("%s: alpha channel dropped", path.name)
            keep[s] = samples
        if rgb and samples == 3:
            channels = ("red", "green", "blue")
            log.info("%s: a colour picture, its channels are red, green and blue", path.name)
        names = names.replace("S", "C" if samples > 1 else "-")
    if "Y" not in names or "X" not in names:
        raise AxesError(
            f"{path}: axes {names.replace('-', '')!r} lack Y or X (shape {shape}); {advice(shape)}"
        )
    final = "".join(name for name in AXES if name in names)
    fixed = {i: 0 for i, name in enumerate(names) if name == "-"}
    data: Any = View(raw.data, [names.index(name) for name in final], fixed, keep)
    if isinstance(raw.data, np.ndarray) or data.nbytes <= EAGER_BYTES:
        data = np.ascontiguousarray(data[...])
    n_channels = data.shape[final.index("C")] if "C" in final else 1
    renamed = not rgb and "C" in raw.axes + names and raw.axes.find("C") != names.find("C")
    if len(channels) != n_channels or ("C" in final and renamed):
        channels = ()
    sizes = {a: raw.pixel_size[a] for a in "ZYX" if a in raw.pixel_size and a in final}
    interval = raw.frame_interval if "T" in final else None
    return Image(data, final, sizes, raw.unit, channels, path, interval)


def _check_type(dtype: np.dtype[np.generic], path: Path) -> None:
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise ReadError(
            f"{path}: its pixels are of type {dtype}, expected integers or floating-point numbers; "
            "save one real number a pixel (for complex pixels e.g. the magnitude)"
        )


def usable_axes(axes: str) -> str:
    """Axes that a user names, as letters, without the ! after them.

    Raises
    ------
    AxesError : they are no axes of an image.
    """
    wanted = axes.strip().upper().removesuffix("!")
    known = set(wanted) <= set(AXES + "S") and len(set(wanted)) == len(wanted)
    if not known or not set("YX") <= set(wanted):
        raise AxesError(
            f"axes {axes!r} are not usable: expected different letters of TCZYX (and S for the "
            "samples of a colour picture), Y and X among them, e.g. ZYX"
        )
    return wanted


def _asked(raw: Raw, shape: tuple[int, ...], axes: str, path: Path) -> str:
    """Letter of each axis, ``-`` where it is dropped, where the user names axes.

    Raises
    ------
    AxesError : they are no axes, or those of a file that does not say do not fit it.
    """
    wanted = usable_axes(axes)
    said = None if axes.strip().endswith("!") else _said(raw, shape)
    if said is None:
        return _named(raw, shape, wanted, path)
    letters = said.replace("-", "")
    # Channels may be named for samples, and axes that this file, of length 1, does not have.
    samples_renamed = len(letters) == len(wanted) and "S" in letters and not set("CS") & {*wanted}
    if samples_renamed or not _is_part(letters.replace("S", ""), wanted):
        _say_once(path, letters, wanted)
    log.info("%s: axes %s from the file", path.name, letters)
    return said


@cache
def _say_once(path: Path, said: str, wanted: str) -> None:
    log.warning(
        "%s: says that its axes are %s, which are taken; --axes %s is for files that do not say "
        "(%s! also for those that do)",
        path,
        said,
        wanted,
        wanted,
    )


def _said(raw: Raw, shape: tuple[int, ...]) -> str | None:
    """Letter of each axis as the file alone has it, ``-`` where it is dropped; None: it is silent.

    A file that names only some of its axes is silent, as is one with two of a kind.
    """
    names = _without_singletons(raw.axes, shape)
    if "C" not in names:
        names = names.replace("E", "C")
    letters = names.replace("-", "")
    known = set(letters) <= set(AXES + "S") and len(set(letters)) == len(letters)
    return names if known and set("YX") <= {*letters} and not set("CS") <= {*letters} else None


def _named(raw: Raw, shape: tuple[int, ...], wanted: str, path: Path) -> str:
    """Letter of each axis of the file, ``-`` where it is dropped, as the user names them."""
    long = [i for i, size in enumerate(shape) if size != 1]
    colour = raw.axes.find("S") if raw.rgb or raw.alpha else -1
    fits = {
        "all": list(range(len(shape))),
        "without colour": [i for i in range(len(shape)) if i != colour],
        "without length 1": long,
        "without both": [i for i in long if i != colour],
    }
    for places in fits.values():
        if len(places) == len(wanted):
            break
    else:
        known = _without_singletons(raw.axes, shape)
        if _is_part(known.replace("-", "").replace("S", ""), wanted):
            log.info("%s: axes %s, the others of %s have length 1", path.name, known, wanted)
            return known
        raise AxesError(
            f"{path}: axes {wanted!r} name {len(wanted)} axes, the file has {len(shape)} "
            f"(shape {shape}); {advice(shape)}"
        )
    letters = ["-"] * len(shape)
    for place, letter in zip(places, wanted, strict=True):
        letters[place] = letter
    if colour >= 0 and letters[colour] == "-":
        letters[colour] = "S"
    names = _without_singletons("".join(letters), shape)
    doubt(path, names, shape)
    log.info("%s: axes %s as asked for (the file says %s)", path.name, wanted, raw.axes)
    return names


def _known(raw: Raw, shape: tuple[int, ...], path: Path) -> str:
    """Letter of each axis of the file, ``-`` where it is dropped, as the file or a rule has it."""
    if len(shape) < 2:
        raise ReadError(f"{path}: is no picture: it has {len(shape)} axes (shape {shape})")
    names = _without_singletons(raw.axes, shape)
    if "E" in names and "C" not in names:
        names = names.replace("E", "C")
        log.info("%s: the axis λ is taken for the channels", path.name)
    unknown = [i for i, name in enumerate(names) if name not in AXES + "S-"]
    places = [i for i, name in enumerate(names) if name not in "S-"]
    unnamed = bool(unknown) or not places
    if unnamed and len(places) < 2:
        # A picture one pixel high or wide: the last two axes are Y and X.
        places = [i for i in range(len(shape)) if names[i] != "S"][-2:]
    if unnamed and len(places) == 2:
        letters = list(names)
        for place, letter in zip(places, "YX", strict=True):
            letters[place] = letter
        log.info("%s: axes YX, as a picture of two axes without names", path.name)
        return "".join(letters)
    if unknown or len(set(names.replace("-", ""))) != len(names.replace("-", "")):
        said = "does not say what its axes are" if set(names) & set("QI") else f"has axes {names!r}"
        raise AxesError(f"{path}: the file {said} (shape {shape}); {advice(shape)}")
    log.info("%s: axes %s from the file", path.name, names.replace("-", ""))
    return names


def _without_singletons(names: str, shape: tuple[int, ...]) -> str:
    return "".join(
        "-" if size == 1 and name not in "YX" else name
        for name, size in zip(names, shape, strict=True)
    )


def _is_part(letters: str, wanted: str) -> bool:
    """Whether `wanted` has all `letters` in the same order."""
    return "".join(letter for letter in wanted if letter in letters) == letters
