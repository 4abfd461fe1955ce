"""Starts the processes of a training on this machine, and hears what the first of them tells."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from delineate.errors import DelineateError
from delineate.training.processes import Work, leave

GRACE = 3.0
"""Seconds in which a process that is told to end may do so by itself."""


class _Failure(NamedTuple):
    """Why a process could not do its work."""

    error: DelineateError | None
    text: str


class _Child(NamedTuple):
    process: BaseProcess
    line: Connection


def launch(work: Work, processes: int, hear: Callable[[Any], None], *, cuda: bool = False) -> None:
    """Do the same work in several processes at once; returns when all have done it.

    Each finds in its environment what `torch.distributed` and Lightning ask for: MASTER_ADDR,
    MASTER_PORT, LOCAL_RANK. They are not forks of this process, whose threads and GPUs a fork would
    leave in disorder, so `work` must be picklable. Where this process ends, however it does, so do
    they.

    Parameters
    ----------
    processes : how many.
    hear : called here with each message of the first process.
    cuda : whether they work on GPUs.

    Raises
    ------
    DelineateError : what one of them raised.
    RuntimeError : one of them failed otherwise, or was killed.
    """
    # A server that has imported what is needed starts processes at once; none runs on Windows,
    # and CUDA asks for processes that have no past.
    server = not cuda and "forkserver" in multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if server else "spawn")
    if server:
        context.set_forkserver_preload(["delineate.training.fit"])
    packed = pickle.dumps(work, pickle.HIGHEST_PROTOCOL)
    port, threads = _free_port(), max(1, _threads() // processes)
    children: list[_Child] = []
    try:
        for rank in range(processes):
            ours, theirs = context.Pipe()
            given = (rank, port, threads, str(Path.cwd()), packed, theirs)
            process = context.Process(target=_child, args=given, name=f"training {rank}")
            with _errors_only():
                process.start()
            theirs.close()
            children.append(_Child(process, ours))
        failure = _listen(children, hear)
    finally:
        _stop(children)
    if failure is None:
        return
    if failure.error is not None:
        raise failure.error
    raise RuntimeError(failure.text)


def _listen(children: Sequence[_Child], hear: Callable[[Any], None]) -> _Failure | None:
    """Hear until all are done, or one fails."""
    by_line: dict[Any, BaseProcess] = {child.line: child.process for child in children}
    while by_line:
        for line in wait(list(by_line)):
            assert isinstance(line, Connection)
            try:
                message = line.recv()
            except (EOFError, OSError):
                process = by_line.pop(line)
                process.join()
                if process.exitcode:
                    return _Failure(None, _ending(process))
                continue
            if isinstance(message, _Failure):
                return message
            hear(message)
    return None


def _ending(process: BaseProcess) -> str:
    code = process.exitcode or 0
    if code < 0:
        why = " (is the memory exhausted?)" if code == -signal.SIGKILL else ""
        return f"the process of {process.name} was ended by signal {-code}{why}"
    return f"the process of {process.name} ended with status {code}"


def _stop(children: Sequence[_Child]) -> None:
    for child in children:
        if child.process.is_alive():
            child.process.terminate()
    for child in children:
        child.process.join(GRACE)
        if child.process.is_alive():
            child.process.kill()
            child.process.join()
        child.line.close()


def _child(
    rank: int, port: int, threads: int, folder: str, packed: bytes, line: Connection
) -> None:
    # Who started this process hears an interruption from the keyboard, and ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), LOCAL_RANK=str(rank), NODE_RANK="0"
    )
    import torch

    torch.set_num_threads(threads)
    os.chdir(folder)  # paths may be relative
    try:
        pickle.loads(packed)(line.send)
    except BaseException as error:
        own = error if isinstance(error, DelineateError) else None
        with contextlib.suppress(OSError):
            line.send(_Failure(own, f"a process of the training failed:\n{traceback.format_exc()}"))
        sys.exit(1)
    finally:
        leave()


def _end_with(line: Connection) -> None:
    """End where the other end of the line is gone: who started this process was killed."""
    with contextlib.suppress(EOFError, OSError):
        line.recv()
    os._exit(1)


@contextlib.contextmanager
def _errors_only() -> Iterator[None]:
    """Processes that are started within do not print the warnings of torch's C++ side."""
    name = "TORCH_CPP_LOG_LEVEL"
    before = os.environ.get(name)
    os.environ.setdefault(name, "ERROR")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
