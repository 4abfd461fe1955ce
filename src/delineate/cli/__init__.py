"""The command line: thin over `delineate.runs`; errors without tracebacks, exit statuses that say.

0: all is well; 1: some images failed; 2: nothing could be done; 130: interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name, and exit."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    switches = {"--debug", "--verbose", "-v"}
    debug = "--debug" in tokens
    verbose = debug or "--verbose" in tokens or "-v" in tokens
    sys.exit(_run([t for t in tokens if t not in switches], verbose, debug))


def _run(tokens: list[str], verbose: bool, debug: bool) -> int:
    from delineate.cli.app import make_app
    from delineate.errors import DelineateError

    _log(verbose, debug)
    try:
        status = make_app(tokens[0] if tokens else "")(tokens, result_action="return_value")
    except DelineateError as error:
        if debug:
            raise
        print(f"delineate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("delineate: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    return status if isinstance(status, int) else 0


def _log(verbose: bool, debug: bool) -> None:
    import logging

    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("delineate").setLevel(level)
