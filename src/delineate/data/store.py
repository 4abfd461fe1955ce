"""Prepared arrays of an image in one file, mapped into memory where they are used.

The files have the safetensors format: a header, then the arrays as they lie in memory.
"""

from __future__ import annotations

import json
import os
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.errors import DataError

ENDING = ".safetensors"
MOST = 1024
"""At most so many files are mapped at a time; a system allows some ten thousand mappings."""
OLD = 3600.0
"""Seconds after which a half file must be that of a process that was killed."""

_NAMES = {"F32": np.float32, "F64": np.float64, "I32": np.int32, "I64": np.int64}


class Header(NamedTuple):
    """What a file holds.

    Parameters
    ----------
    arrays : type, shape and first byte of each array.
    notes : texts.
    start : byte at which the arrays begin.
    size : bytes of the whole file.
    """

    arrays: dict[str, tuple[np.dtype[Any], tuple[int, ...], int]]
    notes: dict[str, str]
    start: int
    size: int


def write(path: Path, arrays: Mapping[str, NDArray[Any]], notes: Mapping[str, str]) -> None:
    """Write arrays of 32 and 64 bits and texts, whole or not at all.

    Raises
    ------
    WriteError : the disk is full, or not to be written.
    """
    from delineate.io import atomic_path

    kinds = {np.dtype(kind): name for name, kind in _NAMES.items()}
    # The widest first, so that each begins at a multiple of its width.
    ordered = sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize)
    flat = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for _, array in ordered]
    checksum, place, entries = 0, 0, {}
    for (name, array), raw in zip(ordered, flat, strict=True):
        checksum = zlib.crc32(raw, checksum)
        entries[name] = {
            "dtype": kinds[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [place, place + raw.nbytes],
        }
        place += raw.nbytes
    written = int(time.time())
    own = {"crc32": str(checksum), "written": str(written)}
    text = json.dumps({"__metadata__": {**notes, **own}, **entries}).encode()
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for raw in flat:
                file.write(raw)
        # The time at which it was written tells later whether anybody touched it since.
        os.utime(temporary, (written, written))


def read_header(path: Path) -> Header:
    """What a file holds.

    Raises
    ------
    OSError, ValueError : there is none, or it is damaged.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= path.stat().st_size:
            raise ValueError(f"{path}: no header")
        entries = json.loads(file.read(length))
    start = 8 + length
    notes = entries.pop("__metadata__")
    arrays = {
        name: (np.dtype(_NAMES[e["dtype"]]), tuple(e["shape"]), start + e["data_offsets"][0])
        for name, e in entries.items()
    }
    size = start + max((e["data_offsets"][1] for e in entries.values()), default=0)
    return Header(arrays, notes, start, size)


def intact(path: Path) -> Header | None:
    """The header of a file that is as it was written; None where it lacks or was damaged.

    Its content is read only where the file was touched since.
    """
    try:
        found = read_header(path)
        stat = path.stat()
        if stat.st_size != found.size:
            return None
        if stat.st_mtime_ns != int(found.notes["written"]) * 10**9:
            checksum = 0
            with path.open("rb") as file:
                file.seek(found.start)
                while block := file.read(2**22):
                    checksum = zlib.crc32(block, checksum)
            if checksum != int(found.notes["crc32"]):
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found


def remove_half_files(folder: Path) -> None:
    """Remove what processes that were killed had begun to write."""
    for path in folder.glob(".*.partial*"):
        try:
            if time.time() - path.stat().st_mtime > OLD:
                path.unlink()
        except OSError:  # another process was faster
            continue


class Shelf:
    """Files mapped into memory: opened on first use, and closed when many others were used since.

    Parameters
    ----------
    most : files that are mapped at a time.

    An array that somebody holds stays valid. No file is kept open: a process may open some hundred
    only.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._open: OrderedDict[Path, dict[str, NDArray[Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Shelf], tuple[int]]:
        return Shelf, (self.most,)  # other processes map the files by themselves

    def __len__(self) -> int:
        return len(self._open)

    def arrays(self, path: Path) -> dict[str, NDArray[Any]]:
        """Arrays of a file, by their names; what is changed in them does not reach the file.

        Raises
        ------
        DataError : the file is gone or damaged.
        """
        with self._lock:
            if path in self._open:
                self._open.move_to_end(path)
                return self._open[path]
            try:
                found = _mapped(path)
            except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
                raise DataError(
                    f"{path}: the prepared image is gone or damaged; start again to prepare it anew"
                ) from error
            self._open[path] = found
            if len(self._open) > self.most:
                self._open.popitem(last=False)
            return found


@dataclass(frozen=True, slots=True)
class Stored:
    """An array in a file of a shelf."""

    shelf: Shelf
    path: Path
    name: str

    def __call__(self) -> NDArray[Any]:
        """The array, mapped into memory."""
        return self.shelf.arrays(self.path)[self.name]


def _mapped(path: Path) -> dict[str, NDArray[Any]]:
    """`numpy.memmap` would hold a file descriptor for each array."""
    import torch

    header = read_header(path)
    if path.stat().st_size < header.size:
        raise ValueError(f"{path}: too short")
    whole = torch.from_file(str(path), shared=False, size=header.size, dtype=torch.uint8).numpy()
    found = {}
    for name, (dtype, shape, first) in header.arrays.items():
        count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        found[name] = whole[first : first + count].view(dtype).reshape(shape)
    return found
