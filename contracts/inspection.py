"""What the command line asks of a worker, since only workers may touch platforms: the workflow ``Inspect``."""

from typing import Literal

from pydantic import Field

from contracts.base import Contract, Request
from contracts.machine import MachineSummary
from contracts.sites import Site


class InspectRequest(Request):
    """Look, touch nothing. ``source`` None: all sources (and, for ``systems``, all targets)."""

    what: Literal["inventory", "systems"] = "inventory"
    source: str | None = Field(default=None, description="name of [sources.NAME] in the worker's ferry.toml")
    site: Site = ""


class SystemCheck(Contract):
    """One line of `ferry doctor`: whether a system lets us in, and what it is."""

    name: str = Field(description="name in ferry.toml")
    kind: str = Field(description="source, target or worker")
    topic: str = Field(default="", description="what of it; empty: that it lets us in")
    ok: bool | None = Field(description="None: it could not be looked at")
    line: str = Field(description="what was found, as a sentence; never a secret")
    code: str = Field(default="", description="the code where it is not ok, or of a note")


class InspectReport(Contract):
    """What was seen."""

    machines: tuple[MachineSummary, ...] = ()
    systems: tuple[SystemCheck, ...] = ()
