"""Retiring the source of a finished migration, and removing it by a second yes: what is asked, and what was done."""

from typing import Literal

from pydantic import Field

from contracts.base import Contract, Request
from contracts.told import Report


class RetireRequest(Request):
    """``report``: of the migration, as it ended. ``remove`` needs ``confirm``."""

    report: Report
    who: str = Field(min_length=1, max_length=200, pattern=r"\S")
    note: str = Field(default="", max_length=2000)
    remove: bool = Field(default=False, description="remove it with its disks, for good; else rename and annotate it")
    confirm: str = Field(default="", description="the source's name as it is now, or its instanceUuid, typed again")


class RetireReport(Contract):
    """What became of the source."""

    vm: str
    migration: str
    outcome: Literal["renamed", "removed"]
    name: str = Field(default="", description="what it is or was called on the source")
    who: str = ""
    note: str = ""
