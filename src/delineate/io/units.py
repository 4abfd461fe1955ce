"""Units of length and time: whatever a file calls them, out come micrometres and seconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite

_PER_UNIT = {
    "µm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometers": 1.0,
    "micrometre": 1.0,
    "micrometres": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometers": 1e-3,
    "nanometre": 1e-3,
    "pm": 1e-6,
    "picometer": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "centimetre": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
    "inch": 25400.0,
    "in": 25400.0,
    "ft": 304800.0,
    "thou": 25.4,
    "mil": 25.4,
}
_NO_UNIT = {"", "pixel", "pixels", "px", "reference frame"}

_PREFIXES = (
    ("", "", 0),
    ("yotta", "Y", 24),
    ("zetta", "Z", 21),
    ("exa", "E", 18),
    ("peta", "P", 15),
    ("tera", "T", 12),
    ("giga", "G", 9),
    ("mega", "M", 6),
    ("kilo", "k", 3),
    ("hecto", "h", 2),
    ("deca", "da", 1),
    ("deci", "d", -1),
    ("centi", "c", -2),
    ("milli", "m", -3),
    ("micro", "µ", -6),
    ("micro", "u", -6),
    ("nano", "n", -9),
    ("pico", "p", -12),
    ("femto", "f", -15),
    ("atto", "a", -18),
    ("zepto", "z", -21),
    ("yocto", "y", -24),
)
"""Words and letters that OME puts before a second, with their powers of ten."""

_SECONDS_PER_UNIT = {
    **{f"{word}second": 10.0**power for word, _, power in _PREFIXES},
    **{f"{word}seconds": 10.0**power for word, _, power in _PREFIXES},
    **{f"{letter}s": 10.0**power for _, letter, power in _PREFIXES},
    **{f"{letter}sec": 10.0**power for _, letter, power in _PREFIXES},
    "secs": 1.0,
    "min": 60.0,
    "mins": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "hrs": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "days": 86400.0,
}


def micrometres(sizes: Mapping[str, float], unit: str) -> tuple[dict[str, float], str]:
    """Pixel sizes in micrometres, with their unit.

    Sizes that are no positive number are left out, and so are all sizes of a unit that says
    "pixels". A unit of which nothing is known stays as it is, with its sizes.

    Parameters
    ----------
    sizes : size of a pixel along each axis, in `unit`.
    unit : name of the unit, as the file has it (``"um"``, ``"\\\\u00B5m"``, ``"nanometer"``...).
    """
    name = _spelled(unit)
    usable = {a: float(s) for a, s in sizes.items() if isfinite(float(s)) and float(s) > 0}
    if name.lower() in _NO_UNIT:
        return {}, "µm"
    factor = _PER_UNIT.get(name, _PER_UNIT.get(name.lower()))
    if factor is None:
        return usable, name
    return {axis: _scaled(size, factor) for axis, size in usable.items()}, "µm"


def seconds(interval: float | str | None, unit: str) -> float | None:
    """Time between two frames in seconds; None where the file does not tell it.

    So it is where the interval is no positive number, or nothing is known of its unit.

    Parameters
    ----------
    interval : time between two frames, in `unit`, as the file has it.
    unit : name of the unit, as the file has it (``"ms"``, ``"sec"``, ``"millisecond"``...).
    """
    name = _spelled(unit)
    # Upper and lower case differ: Ms are a million seconds, ms the thousandth of one.
    factor = _SECONDS_PER_UNIT.get(name, _SECONDS_PER_UNIT.get(name.lower()))
    if interval is None or factor is None:
        return None
    try:
        found = _scaled(float(interval), factor)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if isfinite(found) and found > 0 else None


def _scaled(size: float, factor: float) -> float:
    """Product; by a decimal factor below 1 without its error: 100 nm are 0.1 µm, not 0.1000…01."""
    return size * factor if factor >= 1 else size / round(1 / factor)


def _spelled(unit: str) -> str:
    """Name of a unit with ImageJ's escapes resolved and the two characters for micro made one."""
    text = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), unit)
    return text.strip().strip("\x00").replace("\u03bc", "µ").replace("Â", "")
