"""Units of length: whatever a file calls them, pixel sizes come out in micrometres."""

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
    # Decimal factors below 1 are divided by their inverse: 100 nm are 0.1 µm, not 0.1000…01.
    scaled = {a: s * factor if factor >= 1 else s / round(1 / factor) for a, s in usable.items()}
    return scaled, "µm"


def _spelled(unit: str) -> str:
    """Name of a unit with ImageJ's escapes resolved and the two characters for micro made one."""
    text = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), unit)
    return text.strip().strip("\x00").replace("\u03bc", "µ").replace("Â", "")
