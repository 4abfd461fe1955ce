"""One process at a time writes into a folder of results."""

from __future__ import annotations

import contextlib
import errno
import functools
import inspect
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

from delineate.errors import WriteError
from delineate.runs.layout import make_folder, read_json

LOCK = ".delineate.lock"
"""Lies in a folder while a process writes there; in none of its rooms, which may be removed."""

P = ParamSpec("P")
R = TypeVar("R")
_BUSY = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
_FAR = 1 << 30  # Windows lets nobody read a locked byte: lock one far beyond what is written


class Holder(NamedTuple):
    """The process that writes: its host and number there, and since when."""

    host: str
    pid: int
    since: str


@contextlib.contextmanager
def writing(folder: Path, *, make: bool = True) -> Iterator[None]:
    """Keep other processes (and other calls in this one) from writing into a folder meanwhile.

    The file `LOCK` is locked by the operating system, which ends with the process, however that
    ends: what a killed process left is taken over, also from another machine where the network
    folder shares such locks. Where a file system has none the file itself is the lock: it is taken
    over when its process no longer runs on this machine; of another machine nobody can tell, and
    the message says what to remove. On folders whose locks hold within one machine only, two
    machines are not kept apart.

    Parameters
    ----------
    folder : is made where it lacks, and removed again if nothing came to be in it.
    make : False leaves a folder that lacks alone, and locks nothing.

    Raises
    ------
    WriteError : another process is writing there, or the folder cannot be made or written to.
    """
    if not (make or folder.is_dir()):
        yield
        return
    made: list[Path] = []
    with contextlib.suppress(OSError):
        made = [path for path in (folder, *folder.parents) if not path.exists()]
    make_folder(folder)
    try:
        file = _take(folder / LOCK)
        try:
            yield
        finally:
            _release(file, folder / LOCK)
    finally:
        with contextlib.suppress(OSError):  # something is in it
            for path in made:
                path.rmdir()


def alone(*, make: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function keep others from writing into the folder that its parameter `out` names.

    Parameters
    ----------
    make : see `writing`.
    """

    def decorate(work: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(work)

        @functools.wraps(work)
        def locked(*args: P.args, **kwargs: P.kwargs) -> R:
            with writing(Path(signature.bind(*args, **kwargs).arguments["out"]), make=make):
                return work(*args, **kwargs)

        return locked

    return decorate


def _take(path: Path) -> int:
    """The open file of the lock, which is held."""
    while True:
        try:
            file, new = _open(path)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            locked = _lock(file)
            if locked is False:
                raise _refused(path, certain=True)
            if locked is None and not new:
                if _may_run(_holder(path)):
                    raise _refused(path, certain=False)
                path.unlink(missing_ok=True)
            elif _lies_at(file, path):  # it was not removed by its last holder since it was opened
                with contextlib.suppress(OSError):  # the disk is full; it is held all the same
                    _sign(file)
                return file
        except OSError as error:
            os.close(file)
            raise _unwritable(path, error) from error
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _release(file: int, path: Path) -> None:
    """Remove the lock: while it is held, or on Windows, which removes no open files, just after."""
    if sys.platform == "win32":
        os.close(file)
        with contextlib.suppress(OSError):  # another call has it open
            path.unlink()
        return
    with contextlib.suppress(OSError):
        if _lies_at(file, path):
            path.unlink()
    os.close(file)


def _open(path: Path) -> tuple[int, bool]:
    """The file, and whether it is new."""
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):  # it was removed just now
                return os.open(path, os.O_RDWR), False


def _lock(file: int) -> bool | None:
    """Whether the system gives the lock of a file; None where it has none for it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, _FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return None
    except OSError as error:
        return False if error.errno in _BUSY else None
    return True


def _lies_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _sign(file: int) -> None:
    """Write into a lock who holds it."""
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    os.ftruncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)
    os.write(file, json.dumps(Holder(platform.node(), os.getpid(), since)._asdict()).encode())


def _holder(path: Path) -> Holder | None:
    """Who holds a lock; None where that is not written there yet."""
    record = read_json(path)
    try:
        return Holder(str(record["host"]), int(record["pid"]), str(record["since"]))
    except (TypeError, KeyError, ValueError):
        return None


def _may_run(holder: Holder | None) -> bool:
    """Whether the process may be at work; of this machine only it is known."""
    if holder is None or holder.host != platform.node() or sys.platform == "win32":
        return True
    if holder.pid == os.getpid():  # of a container that was started again: all have the same number
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _refused(path: Path, *, certain: bool) -> WriteError:
    """What to say of a lock; `certain`: the system knows that its process runs."""
    holder, who, remedy = _holder(path), "", ""
    if holder is not None:
        who = f" (process {holder.pid} on {holder.host}, since {holder.since})"
    if not certain or (holder is not None and holder.host != platform.node()):
        remedy = f". If that process no longer runs, remove {path}"
    return WriteError(
        f"{path.parent}: another call of delineate is writing there{who}: wait until it has ended, "
        f"or give each call a folder of its own{remedy}"
    )


def _unwritable(path: Path, error: OSError) -> WriteError:
    return WriteError(
        f"{path}: cannot be written ({error.strerror or error}): give a folder that this user may "
        "write to"
    )
