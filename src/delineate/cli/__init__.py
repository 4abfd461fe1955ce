"""The command line: thin over `delineate.runs`; errors without tracebacks, exit statuses that say.

0: all is well; 1: some images failed; 2: nothing could be done; 130: interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TextIO


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal without → or µ shows a ? for them
            stream.reconfigure(errors="replace")
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    switches = {"--debug", "--verbose", "-v"}
    debug = "--debug" in tokens
    verbose = debug or "--verbose" in tokens or "-v" in tokens
    sys.exit(_run([t for t in tokens if t not in switches], verbose, debug))


def _run(tokens: list[str], verbose: bool, debug: bool) -> int:
    from cyclopts.exceptions import CycloptsError

    from delineate.cli.app import COMMANDS, make_app
    from delineate.errors import DelineateError

    _log(verbose, debug)
    chosen = tokens[0] if tokens else ""
    try:
        status = make_app(chosen)(
            tokens, result_action="return_value", exit_on_error=False, print_error=False
        )
    except CycloptsError as error:
        _tell(error)
        command = f"delineate {chosen}" if chosen in COMMANDS else "delineate"
        print(f"{command} --help shows how, with examples", file=sys.stderr)
        return 2
    except DelineateError as error:
        if debug:
            raise
        _tell(error)
        return 2
    except KeyboardInterrupt:
        _tell("interrupted; the same command goes on from here")
        return 130
    except BrokenPipeError:
        # The reader of a pipe has gone (`| head`); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        _tell(f"{type(error).__name__}: {error} (not foreseen; --debug shows where)")
        return 2
    return status if isinstance(status, int) else 0


def _tell(what: object) -> None:
    print(f"delineate: {what}", file=sys.stderr)


def _log(verbose: bool, debug: bool) -> None:
    import logging

    class Lines(logging.StreamHandler[TextIO]):
        """Writes above a progress bar, which takes the place of standard error while it runs."""

        def emit(self, record: logging.LogRecord) -> None:
            self.stream = sys.stderr
            super().emit(record)

    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    form = "%(levelname)s %(message)s"
    logging.basicConfig(format=form, level=logging.WARNING, handlers=[Lines()])
    logging.getLogger("delineate").setLevel(level)
    # What it says of a bad file comes before the error that says what to do, in words of its own.
    logging.getLogger("tifffile").propagate = debug
