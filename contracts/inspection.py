"""What `ferry inventory` and `ferry doctor` ask of a worker, and its answer."""

from typing import Literal

from contracts.base import Contract, Request
from contracts.machine import MachineSummary


class InspectRequest(Request):
    """``inventory`` of one source, or a check of all ``systems``."""

    what: Literal["inventory", "systems"]
    source: str | None = None


class SystemCheck(Contract):
    """Whether a worker can log in to a system, and what it is. ``code``: of the error, where it cannot."""

    name: str
    kind: str
    ok: bool
    line: str
    code: str = ""


class InspectReport(Contract):
    """The answer."""

    machines: tuple[MachineSummary, ...] = ()
    systems: tuple[SystemCheck, ...] = ()
