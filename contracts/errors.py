"""What can go wrong, in one tree: a code that never changes, and what failing so leads to (SAFETY 21).

The code becomes ``ApplicationError.type``, the heading in docs/errors.md, the word in tests, and what
`ferry explain CODE` prints. The texts are in :mod:`contracts.error_catalogue`.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from contracts.redaction import redacted


class Remedy(StrEnum):
    """What happens by itself after a failure."""

    RETRY = "retry"
    """The activity is tried again."""
    REDO = "redo"
    """The segment is sent again."""
    ASK = "ask"
    """The migration parks until a human says `retry` or `cancel`."""
    FAIL = "fail"
    """The migration ends, and the source is brought back."""


class ExitCode(IntEnum):
    """How the command line ends."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    PARTIAL = 3
    BLOCKED = 4
    WAITING = 5
    STALE_PLAN = 6
    VERIFICATION_FAILED = 7
    RUNNING = 8
    CONFLICT = 9
    AUTH = 10


@dataclass(frozen=True)
class ErrorEntry:
    """One code: what it means, and what the reader does next."""

    code: str
    remedy: Remedy
    meaning: str
    action: str
    exit_code: ExitCode = ExitCode.ERROR


class FerryError(Exception):
    """Something that went wrong and has a name. ``message`` may be shown to anyone: it holds no secret.

    Whoever makes one sees to that; what they overlooked, a server's answer that repeats a password, is taken out here.
    """

    def __init__(self, code: str, message: str) -> None:
        message = redacted(message)
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def remedy(self) -> Remedy:
        """What failing so leads to."""
        from contracts.error_catalogue import entry

        return entry(self.code).remedy
