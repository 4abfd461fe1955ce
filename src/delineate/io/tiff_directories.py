"""Whether a TIFF is whole: every directory and every value that it points to lies in the file.

A library that meets the end of a truncated file takes it for the end of the list of pages; the
planes that are missing would go unnoticed.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from delineate.errors import ReadError

_SIZES = np.zeros(65536, np.int64)
_SIZES[1:14] = (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)
_SIZES[16:19] = 8
"""Bytes of a value of each type (TIFF 6.0, p. 15; BigTIFF adds 16 to 18)."""


def check_directories(path: Path) -> None:
    """Walk along the directories of a TIFF or BigTIFF.

    Raises
    ------
    ReadError : a directory, or a value of one, lies beyond the end of the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        if len(head) < 8 or head[:2] not in (b"II", b"MM"):
            raise _truncated(path, size)
        big = struct.unpack(order + "H", head[2:4])[0] == 43
        number, short = ("Q", "Q") if big else ("I", "H")
        entry = np.dtype(
            [
                ("tag", order + "u2"),
                ("type", order + "u2"),
                ("count", order + ("u8" if big else "u4")),
                ("value", order + ("u8" if big else "u4")),
            ]
        )
        inline = 8 if big else 4
        at = 8 if big else 4
        (offset,) = _unpacked(path, size, order + number, head[at : at + struct.calcsize(number)])
        seen: set[int] = set()
        while offset and offset not in seen:
            seen.add(offset)
            file.seek(offset)
            (count,) = _unpacked(path, size, order + short, file.read(struct.calcsize(short)))
            length = count * entry.itemsize
            content = file.read(length) if offset + length <= size else b""
            if len(content) != length:
                raise _truncated(path, size)
            entries = np.frombuffer(content, entry)
            lengths = _SIZES[entries["type"]] * entries["count"].astype(np.float64)
            ends = np.where(lengths > inline, entries["value"] + lengths, 0)
            if ends.max(initial=0) > size:
                raise _truncated(path, size)
            (offset,) = _unpacked(path, size, order + number, file.read(struct.calcsize(number)))


def _unpacked(path: Path, size: int, form: str, content: bytes) -> tuple[int, ...]:
    if len(content) != struct.calcsize(form):
        raise _truncated(path, size)
    return struct.unpack(form, content)


def _truncated(path: Path, size: int) -> ReadError:
    return ReadError(
        f"{path}: is truncated or damaged: it points beyond its end at byte {size:,}; "
        "copy or save it anew"
    )
