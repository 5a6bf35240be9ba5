"""The way in and the way out of ``ferry``."""

import os
import sys
from typing import NoReturn

from contracts.errors import ExitCode, FerryError

INTERRUPTED = 130
"""What a shell says of a program that Ctrl-C ended."""


def run(arguments: list[str]) -> int:
    """Carry out one command line; errors are told, never thrown.

    Returns:
        The exit code (DESIGN §6).
    """
    from starter.app import app
    from starter.failures import as_ferry_error, tell

    try:
        app(arguments, prog_name="ferry")
    except SystemExit as end:
        return _code_of(end)
    except KeyboardInterrupt:
        return INTERRUPTED
    except FerryError as error:
        return tell(error)
    except Exception as error:
        if os.environ.get("FERRY_TRACEBACK"):
            raise
        return tell(as_ferry_error(error))
    return ExitCode.DONE


def main() -> NoReturn:
    """Run, flush, and end at once.

    ``os._exit``, since temporalio 1.35 crashes some interpreters at exit, and the exit code is what scripts go by.
    """
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            code = code or ExitCode.ERROR
    os._exit(code)


def _code_of(end: SystemExit) -> int:
    if end.code is None:
        return ExitCode.DONE
    return end.code if isinstance(end.code, int) else ExitCode.ERROR
