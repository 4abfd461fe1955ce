"""Writing under a temporary name and moving into place: no half file ever bears a final name."""

from __future__ import annotations

import errno
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from delineate.errors import WriteError

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Errors of the disk, which concern whatever is being written."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; what is written there takes its place on success.

    The temporary name is hidden, ends in the suffixes of `path` and lies in the same folder, which
    is created where it lacks. A file replaces a file in one step. A folder (OME-Zarr) replaces a
    folder by two renames, so that at every moment one of the two is whole. On any failure,
    interruption included, the temporary file or folder is removed and `path` stays as it was.

    Parameters
    ----------
    path : name that the finished file or folder is to have.

    Raises
    ------
    WriteError : the folder cannot be created, nothing was written, or it cannot be moved.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{path}: its folder cannot be created: {error.strerror}") from error
    stem, dot, suffixes = path.name.partition(".")
    temporary = path.with_name(f".{stem}-{secrets.token_hex(4)}.partial{dot}{suffixes}")
    try:
        yield temporary
        if not temporary.exists():
            raise WriteError(f"{path}: nothing was written")
        _move(temporary, path)
    except OSError as error:
        concerned = error.errno in _DISK or temporary.name in f"{error.filename} {error.filename2}"
        if not concerned:
            raise
        raise WriteError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        _remove(temporary)


def _move(temporary: Path, path: Path) -> None:
    if temporary.is_dir() and path.is_dir():
        old = temporary.with_name(temporary.name + ".old")
        path.replace(old)
        try:
            temporary.replace(path)
        except OSError:
            old.replace(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        temporary.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # a read-only file system refuses it even where there is no file
            path.unlink()
