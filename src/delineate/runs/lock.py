"""One process at a time writes into a folder of results."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import platform
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from delineate.errors import WriteError
from delineate.runs.layout import make_folder, read_json

LOCK = ".delineate.lock"
"""Lies in a folder while a process writes there; in none of its rooms, which may be removed."""
WRITER = ".delineate.writer.json"
"""Says which process that is."""

P = ParamSpec("P")
R = TypeVar("R")


@contextlib.contextmanager
def writing(folder: Path, *, make: bool = True) -> Iterator[None]:
    """Keep other processes (and other calls in this one) from writing into a folder meanwhile.

    The lock is one of the operating system, which ends with the process, however that ends; where a
    file system has none, filelock makes the file itself the lock. On network folders whose locks
    hold within one machine only, two machines are not kept apart.

    Parameters
    ----------
    folder : is made where it lacks, and removed again if nothing came to be in it.
    make : False leaves a folder that lacks alone, and locks nothing.

    Raises
    ------
    WriteError : another process is writing there, or the folder cannot be made or written to.
    """
    from filelock import FileLock, Timeout

    if not (make or folder.is_dir()):
        yield
        return
    made: list[Path] = []
    with contextlib.suppress(OSError):
        made = [path for path in (folder, *folder.parents) if not path.exists()]
    make_folder(folder)
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise _refused(folder) from error
        except OSError as error:
            raise WriteError(
                f"{folder}: cannot be written to ({error.strerror or error}): give a folder that "
                "this user may write to"
            ) from error
        try:
            _sign(folder / WRITER)
            yield
        finally:
            for path in (folder / WRITER, folder / LOCK):
                with contextlib.suppress(OSError):  # Windows removes no open files
                    path.unlink()
            lock.release()
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


def _sign(path: Path) -> None:
    """Write who holds the lock; a full disk is no reason not to."""
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    record = {"host": platform.node(), "process": os.getpid(), "since": since}
    with contextlib.suppress(OSError):
        path.write_text(json.dumps(record), encoding="utf-8")


def _refused(folder: Path) -> WriteError:
    record, who = read_json(folder / WRITER), ""
    if isinstance(record, dict) and {"host", "process", "since"} <= set(record):
        who = f" (process {record['process']} on {record['host']}, since {record['since']})"
    return WriteError(
        f"{folder}: another call of delineate is writing there{who}: wait until it has ended, or "
        f"give each call a folder of its own. If no such process runs, remove {folder / LOCK}"
    )
