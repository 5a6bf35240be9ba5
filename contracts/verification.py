"""Proving a finished migration again: what is asked, and what was found."""

from pydantic import Field

from contracts.base import Contract, Request
from contracts.steps import ProofReport
from contracts.told import Report


class VerifyRequest(Request):
    """``report``: of the migration, as it ended; it names the disks, the target VM and the store."""

    report: Report


class VerifyReport(Contract):
    """Both proofs, made anew; empty where one cannot be made any more, which ``notes`` explain."""

    vm: str
    migration: str
    holds: bool = Field(description="false also where nothing could be proven")
    target: tuple[ProofReport, ...] = Field(default=(), description="the pre-start snapshot beside what was sent")
    source: tuple[ProofReport, ...] = Field(default=(), description="the source, which is off, beside what was sent")
    notes: tuple[str, ...] = ()
    slots: dict[str, str] = Field(default={}, description="disk id to controller and unit, such as scsi0:0")
