"""What a migration tells: its status while it runs, its report at the end."""

from datetime import datetime

from pydantic import Field

from contracts.after import SmokeReport
from contracts.base import Contract
from contracts.migration import Decision, HeardSignal, PassSummary
from contracts.names import Phase
from contracts.steps import Check, Errand, ProofReport
from contracts.test_boot import TestBootReport
from contracts.windows import Opening


class Status(Contract):
    """What the query ``status`` answers."""

    vm: str
    source: str
    target: str
    migration: str = ""
    site: str = Field(default="", description="whose workers do it")
    phase: Phase
    paused: bool = False
    needs_human: str = ""
    message: str = ""
    next_step: str = Field(default="", description="what happens or is waited for next, as a sentence")
    approval_ticket: str = ""
    approval_facts: tuple[str, ...] = ()
    approved_by: str = ""
    approvals: tuple[Decision, ...] = Field(default=(), description="each a different person's yes that counts now")
    quorum: int = 1
    window: Opening | None = Field(default=None, description="that is open, or opens next")
    windows: tuple[str, ...] = ()
    held: str = Field(default="", description="why the cutover does not begin, though it is approved")
    overruns: int = 0
    checks: tuple[Check, ...] = ()
    passes: tuple[PassSummary, ...] = ()
    bytes_allocated: int = 0
    bytes_sent: int = 0
    bytes_sent_again: int = 0
    predicted_downtime_s: float | None = None
    predicted_proof: str = Field(default="", description="what of the target is proven within that downtime, and how")
    next_pass_at: datetime | None = None
    bandwidth: str = Field(default="", description="the limit that holds, as it was written")
    powered_off_at: datetime | None = None
    started_at: datetime | None = None
    target_vm: str = ""
    disks: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    signals: tuple[HeardSignal, ...] = ()
    runs: int = 1
    smoke_tests: tuple[SmokeReport, ...] = ()
    probation_ends_at: datetime | None = None
    test_boot: str = Field(default="", description="who asked for the one that is under way; empty: none is")
    test_boots: tuple[TestBootReport, ...] = ()


class DiskReport(Contract):
    """One disk at the end."""

    disk_id: str
    slot: str
    capacity: int
    vdi: str
    transport: str = ""
    reason: str = ""
    repaired: tuple[ProofReport, ...] = Field(default=(), description="proofs that did not hold and were mended")
    proof_target_is_sent: ProofReport | None = None
    proof_target_is_source: ProofReport | None = None


class Report(Contract):
    """The end of a migration: what `demo`, `start --wait` and `report` print."""

    outcome: str = Field(description="done, rolled-back, cancelled or failed")
    vm: str = ""
    source: str = ""
    target: str = ""
    migration: str = ""
    errand: Errand | None = Field(default=None, description="by which `ferry verify` finds the disks again")
    target_vm: str = ""
    passes: int = 0
    bytes_allocated: int = 0
    bytes_sent: int = 0
    bytes_sent_again: int = 0
    downtime_s: float | None = None
    proof_target_is_sent: str = Field(default="not-made", description="holds, differs or not-made")
    proof_target_is_source: str = "not-made"
    disks: tuple[DiskReport, ...] = ()
    error: str = ""
    message: str = ""
    kept_vdis: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    pass_list: tuple[PassSummary, ...] = ()
    smoke_tests: tuple[SmokeReport, ...] = ()
    retired_as: str = Field(default="", description="what the source is called now; empty: as it was")
    test_boots: tuple[TestBootReport, ...] = ()
    epoch: int | None = Field(default=None, description="of its last step, for whoever goes on with it")
    pass_no: int = 0
    notes: tuple[str, ...] = ()
    record_head: str = Field(default="", description="digest of the last entry of the record (contracts/record.py)")
    record_entries: int = 0
