"""One ROI of ImageJ as bytes: header, coordinates, second header, name and properties.

The format is that of ImageJ 1.53 and later (version 228). Numbers are big-endian; the first header
has 64 bytes, the second, which follows the coordinates, 64 more.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.io.raster import Ring
from delineate.io.roi_curves import oval, path_rings, rectangle, spline

_FIRST = struct.Struct(">4shBxhhhhH16xhiIIhhBBhii")
_SECOND = struct.Struct(">4xiiiiiihBBifiii12x")
_VERSION = 228
_TRACED, _RECTANGLE, _FREEHAND = 8, 1, 7
_POLYGONS = (0, _FREEHAND, _TRACED)
_KINDS = (
    "polygon", "rectangle", "oval", "line", "freehand line", "segmented line", "empty selection",
    "freehand outline", "traced outline", "angle", "point",
)  # fmt: skip
_TEXT, _IMAGE = 1, 4
_SPLINE, _SUB_PIXEL = 1, 128
_WHOLE = 32767
"""Coordinate up to which outlines are whole numbers; above it they are written as fractions."""
_MOST = 65535
"""Corners that a polygon may have; one of more is written as a path."""


class Roi(NamedTuple):
    """What a ROI holds.

    `kind` is its type in words, `rings` its closed lines as (y, x), empty where it has no area.
    `position` is its place in a stack of one axis, `channel`, `z` and `t` in a hyperstack; all
    count from 1, and 0 means every one. `group` is that of ImageJ, 0 none; `name` is that inside.
    """

    kind: str
    rings: list[Ring]
    name: str = ""
    position: int = 0
    channel: int = 0
    z: int = 0
    t: int = 0
    group: int = 0
    properties: Mapping[str, str] = {}


def encode(roi: Roi, color: tuple[int, int, int] | None = None) -> bytes:
    """Bytes of a ROI whose rings lie on whole numbers: a polygon, or a path where it has several.

    Parameters
    ----------
    roi : with at least one ring; coordinates from 0.
    color : red, green and blue of its line.
    """
    corners = np.concatenate(roi.rings)
    top, left = (int(value) for value in corners.min(axis=0))
    bottom, right = (int(value) for value in corners.max(axis=0))
    kind, count, size, options = _TRACED, 0, 0, 0
    if len(roi.rings) > 1 or len(corners) > _MOST:
        path = _path(roi.rings)
        kind, size, body = _RECTANGLE, len(path), path.astype(">f4").tobytes()
    else:
        count = len(corners)
        flat = corners[:, ::-1]
        body = (flat - (left, top)).T.astype(np.int64).astype(">u2").tobytes()
        if max(right, bottom) > _WHOLE:
            kind, options = _FREEHAND, _SUB_PIXEL
            body += flat.T.astype(">f4").tobytes()
    red, green, blue = color or (0, 0, 0)
    line = 0 if color is None else 0xFF000000 | red << 16 | green << 8 | blue
    box = (_short(value) for value in (top, left, bottom, right))
    text = "".join(f"{key}: {value}\n" for key, value in roi.properties.items())
    name, properties = roi.name.encode("utf-16-be"), text.encode("utf-16-be")
    second = _FIRST.size + len(body)
    after = second + _SECOND.size
    return b"".join(
        (
            _FIRST.pack(b"Iout", _VERSION, kind, *box, count, 0, size, line, 0, 0, options,
                        0, 0, 0, roi.position, second),
            body,
            _SECOND.pack(roi.channel, roi.z, roi.t, after if name else 0, len(name) // 2, 0, 0,
                         roi.group, 0, 0, 0.0, after + len(name) if text else 0,
                         len(properties) // 2, 0),
            name,
            properties,
        )
    )  # fmt: skip


def _short(value: int) -> int:
    """A number of up to 65,535 in two bytes that ImageJ calls signed."""
    value = min(max(value, 0), 65535)
    return value - 65536 if value > 32767 else value


def _path(rings: Sequence[Ring]) -> NDArray[np.float64]:
    """Rings as a path: 0 x y moves, 1 x y draws a line, 4 closes."""
    pieces: list[NDArray[np.float64]] = []
    for ring in rings:
        steps = np.ones((len(ring), 3))
        steps[0, 0] = 0
        steps[:, 1:] = ring[:, ::-1]
        pieces += [steps.ravel(), np.array([4.0])]
    return np.concatenate(pieces)


def decode(data: bytes, rows: int) -> Roi:
    """A ROI from its bytes, whoever wrote them.

    Parameters
    ----------
    data : untrusted; no place that they name is read outside of them.
    rows : of the image, to which ovals are cut.

    Raises
    ------
    ValueError : what is wrong with the bytes.
    """
    if len(data) < _FIRST.size or data[:4] != b"Iout":
        raise ValueError("it does not begin as a ROI does")
    (_, version, number, top, left, bottom, right, count, _, size, _, _, subtype, options,
     _, _, arc, position, second) = _FIRST.unpack_from(data)  # fmt: skip
    if number >= len(_KINDS):
        raise ValueError(f"its type {number} is unknown")
    kind = _KINDS[number]
    top, left, bottom, right = (v + 65536 if v < -5000 else v for v in (top, left, bottom, right))
    fractions = version >= 222 and bool(options & _SUB_PIXEL)
    rings: list[Ring] = []
    if size > 0:
        if number != _RECTANGLE:
            raise ValueError(f"it is called composite and a {kind} at once")
        kind = "composite"
        rings = path_rings(_numbers(data, _FIRST.size, size, ">f4"))
    elif number in _POLYGONS:
        rings = [_polygon(data, count, (left, top), right - left, fractions)]
        if options & _SPLINE and len(rings[0]) > 2:
            rings = [spline(rings[0])]
    elif number in (1, 2) and subtype not in (_TEXT, _IMAGE):
        box = (float(left), float(top), float(right - left), float(bottom - top))
        if fractions and version >= 223:
            x, y, width, height = struct.unpack_from(">4f", data, 18)
            box = (x, y, width, height)
        if not all(map(np.isfinite, box)):
            raise ValueError("its coordinates are not finite")
        rings = [rectangle(*box, arc) if number == 1 else oval(*box, rows)]
    elif number in (1, 2):
        kind = "text" if subtype == _TEXT else "picture"
    if any(not np.isfinite(ring).all() for ring in rings):
        raise ValueError("its coordinates are not finite")
    return _with_second_header(
        Roi(kind, [ring for ring in rings if len(ring) > 2], position=position), data, second
    )


def _numbers(data: bytes, start: int, count: int, kind: str) -> NDArray[np.float64]:
    stop = start + count * int(kind[-1])
    if count < 0 or stop > len(data):
        raise ValueError(f"it is cut off: {stop} bytes are expected, {len(data)} are there")
    return np.frombuffer(data[start:stop], kind).astype(np.float64)


def _polygon(data: bytes, count: int, origin: tuple[int, int], width: int, fractions: bool) -> Ring:
    if count == 0:  # more than two bytes can tell
        (count,) = struct.unpack_from(">i", data, 18)
    start = _FIRST.size
    whole = _numbers(data, start, 2 * count, ">i2")
    if fractions:
        return _numbers(data, start + 4 * count, 2 * count, ">f4").reshape(2, count)[::-1].T
    # Places within the box are never negative: ImageJ takes small ones for 0.
    limit = -5000 if width <= _MOST - 5000 else 0
    whole = np.where(whole < limit, whole + 65536, np.maximum(whole, 0))
    return (whole.reshape(2, count) + np.array(origin)[:, None])[::-1].T


def _with_second_header(roi: Roi, data: bytes, start: int) -> Roi:
    if not 0 < start <= len(data) - 52:
        return roi
    padded = data[start : start + _SECOND.size].ljust(_SECOND.size, b"\0")
    (channel, z, t, name_at, name_length, _, _, group, _, _, _, text_at, text_length,
     _) = _SECOND.unpack(padded)  # fmt: skip
    lines = [line.partition(":") for line in _text(data, text_at, text_length).splitlines()]
    return roi._replace(
        name=_text(data, name_at, name_length),
        channel=channel,
        z=z,
        t=t,
        group=group,
        properties={key.strip(): value.strip() for key, colon, value in lines if colon},
    )


def _text(data: bytes, start: int, length: int) -> str:
    stop = start + 2 * length
    if start <= 0 or length <= 0 or stop > len(data):
        return ""
    return data[start:stop].decode("utf-16-be", errors="replace")
