"""How the command line says that something failed: a code, what it means, what to do. Never a traceback."""

import sys
from typing import TYPE_CHECKING

from contracts.error_catalogue import CATALOGUE, entry
from contracts.errors import FerryError

if TYPE_CHECKING:
    from pydantic import ValidationError


def error_block(code: str, message: str) -> str:
    """The lines that are written to stderr."""
    known = entry(code)
    return "\n".join(
        (
            f"error[{code}]: {message}",
            f"  meaning: {known.meaning}",
            f"  to do:   {known.action}",
            f"  more:    ferry explain {known.code}",
        )
    )


def tell(error: FerryError) -> int:
    """Write the block; the exit code that belongs to it."""
    print(error_block(error.code, error.message), file=sys.stderr)
    return int(entry(error.code).exit_code)


def as_ferry_error(error: BaseException) -> FerryError:
    """Any exception as one that has a code; what nobody foresaw is ``internal``."""
    if isinstance(error, FerryError):
        return error
    if "pydantic" in sys.modules:
        from pydantic import ValidationError

        if isinstance(error, ValidationError):
            return FerryError("request.invalid", fields_told(error))
    if "temporalio" in sys.modules:
        from starter.temporal_failures import told_by_temporal

        known = told_by_temporal(error)
        if known is not None:
            return known
    return FerryError("internal", f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def fields_told(error: "ValidationError") -> str:
    """What is wrong with a request, field by field."""
    from contracts import base

    return base.fields_told(error, "request")


def is_known(code: str | None) -> bool:
    """Whether `ferry explain` knows the code."""
    return code in CATALOGUE
