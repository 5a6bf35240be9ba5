"""The request that starts a migration, the messages that steer it, and what it tells."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from contracts.after import Smoke, SmokeReport
from contracts.approved_steps import ApprovedStep
from contracts.bandwidth import Bandwidth
from contracts.base import Contract, Request
from contracts.durations import Duration
from contracts.names import Phase
from contracts.record import RecordState
from contracts.sizes import Size
from contracts.steps import (
    Check,
    CopyReport,
    Errand,
    FenceJournal,
    Freeze,
    Preflight,
    ProofReport,
    Shell,
    SnapshotReport,
)
from contracts.test_boot import TestBoot, TestBootReport
from contracts.windows import Opening, Windows

Reason = Annotated[str, Field(min_length=1, max_length=2000)]


class Adopted(Request):
    """An ended migration, as its report tells of it: its VDIs and its place in the store are gone on with."""

    migration: str = Field(min_length=1)
    store_id: str = Field(min_length=1)
    epoch: int = Field(ge=0)
    pass_no: int = Field(ge=0)


class MigrateVmRequest(Request):
    """Move one VM. Three words are enough: ``{"source":"vc","vm":"web01","target":"pool"}``."""

    source: str = Field(min_length=1, description="name of [sources.NAME] in the worker's ferry.toml")
    vm: str = Field(min_length=1, description="name, instanceUuid or moref")
    target: str = Field(min_length=1, description="name of [targets.NAME]")
    sr: str | None = Field(default=None, description="name or uuid; default: the target's configured SR")
    networks: dict[str, str] = Field(default={}, description="source network to target network")
    overrides: dict[str, Reason] = Field(
        default={}, description="code of a preflight check to the reason why it shall not block"
    )
    vmware_tools: Literal["leave", "remove-before", "remove-after"] = Field(
        default="leave", description="what you do about VMware Tools; the preflight says what it takes"
    )
    approved_steps: dict[ApprovedStep, Reason] = Field(
        default={}, description="what Ferry may do on the source beforehand, and why: remove-snapshots, eject-iso"
    )
    approval: Literal["manual", "auto"] = "manual"
    delta_interval: Duration = timedelta(minutes=15)
    downtime_budget: Duration = timedelta(minutes=5)
    max_passes: int = Field(default=10, ge=1, le=10_000)
    segment_bytes: Size = Field(default=8 << 30, ge=1 << 20, description="bytes of data per PUT")
    power_off: Literal["guest-then-ask", "guest-then-hard", "hard"] = "guest-then-ask"
    power_off_patience: Duration = timedelta(minutes=10)
    power_off_deadline: Duration = Field(default=timedelta(minutes=2), description="for a hard power-off to be seen")
    start_target: bool | None = Field(default=None, description="default: as the source was when it began")
    bandwidth: Bandwidth = Field(default="", description='bytes a second: "50M", "off", "08:00,50M 19:00,off"')
    windows: Windows = Field(default=(), description="when a cutover may be; none: always")
    quorum: int = Field(default=1, ge=1, le=20, description="distinct people whose yes it takes")
    approval_expires: Duration | None = Field(default=None, description="so long a yes counts; default: for ever")
    max_downtime: Duration | None = Field(default=None, description="no cutover whose predicted downtime is longer")

    @model_validator(mode="after")
    def _a_rule_is_nobody(self) -> Self:
        if self.approval == "auto" and self.quorum > 1:
            raise ValueError("approval: auto asks nobody, so there can be no quorum: leave one of them out")
        return self

    smoke: Smoke | None = Field(default=None, description="what the started target must show; else it is told only")
    adopt: Adopted | None = Field(
        default=None,
        description="an ended migration whose copied data is gone on with: `ferry retry VM --from` fills it in",
    )
    test_copy: bool = Field(
        default=False, description="a copy of one moment, without cards, started on request only; nothing is stopped"
    )
    probation: Duration = Field(
        default=timedelta(0), le=timedelta(days=365), description="days in which a rollback is still possible"
    )
    retire: Literal["rename", "none"] | None = Field(
        default=None, description="what becomes of the source in the end; default: rename, after a probation"
    )

    @model_validator(mode="after")
    def _nothing_comes_after_a_test_copy(self) -> "MigrateVmRequest":
        if self.test_copy and (self.probation or self.retire == "rename" or self.smoke is not None):
            raise ValueError("test_copy stops no source: it has no probation, smoke test or retirement")
        return self


def _tidy(value: object) -> object:
    return {} if value is None else value


class Approve(Request):
    """Yes to the cutover, for the facts that the ticket digests."""

    approval_ticket: str = Field(min_length=1)
    who: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=2000)
    expires: Duration | None = Field(default=None, description="so long this yes counts, if not less by the request")
    max_downtime: Duration | None = Field(default=None, description="it counts for no longer predicted downtime")


class Reject(Request):
    """No to the cutover, or a yes taken back."""

    approval_ticket: str = ""
    who: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=2000)


class Steer(Request):
    """Who says so, and why; for pause, resume, sync_now and retry."""

    who: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=2000)


class Retry(Steer):
    """Try again; or, where that is offered, go on with things as they are."""

    from_phase: Literal["", "initial-sync", "proof"] = Field(
        default="", description="initial-sync: compare every disk in full; proof: prove again what differed"
    )
    accept: bool = Field(default=False, description="as it is: a smoke test that did not pass")


class SetLimits(Request):
    """Bandwidth while it runs, from the next second on; what is left out stays as it is."""

    who: str = Field(default="", max_length=200)
    bandwidth: Bandwidth | None = None
    windows: Windows | None = Field(default=None, description="as in the request; an empty list: at any time")


class Rollback(Request):
    """Back to the source; what the target wrote since its start is lost, so that time must be named."""

    who: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=2000)
    lose_target_writes_since: str = Field(
        default="", description="the `started_at` that `ferry status` shows, once the target was started"
    )


SteerInput = Annotated[Steer, BeforeValidator(_tidy)]


class Ack(Contract):
    """The answer to an update."""

    accepted: bool = True
    phase: Phase
    message: str = ""


class Decision(Contract):
    """What a human said, and what they saw when they did; or what became of it by itself."""

    decision: str = Field(description="approved, rejected, rollback; expired, void: an approval counts no more")
    who: str
    who_is: str = Field(
        default="claimed", description="claimed: whoever sent the message says so; ferry: it was decided by rule"
    )
    at: datetime
    note: str = ""
    approval_ticket: str = ""
    phase: Phase = Phase.AWAITING_APPROVAL
    predicted_downtime_s: float | None = None
    passes: int = 0
    expires_at: datetime | None = None
    max_downtime_s: float | None = None


class HeardSignal(Contract):
    """A signal and what became of it: a signal cannot be refused."""

    name: str
    outcome: str = Field(description="accepted, or ignored with the reason")
    at: datetime


class UndoStep(StrEnum):
    """Steps of the way back (SAFETY 20): each idempotent."""

    RELEASE_SOURCE = "release_source"
    REMOVE_SHELL = "remove_shell"
    CHANGE_TRACKING_OFF = "change_tracking_off"
    THAW = "thaw"
    POWER_ON_SOURCE = "power_on_source"
    UNFENCE_SOURCE = "unfence_source"
    BLOCK_TARGET = "block_target"
    DROP_BASES = "drop_bases"
    DROP_TEST = "drop_test"
    UNDO_OVERRIDES = "undo_overrides"


class Undo(Contract):
    """One registered way back: data, so that it survives continue-as-new."""

    step: UndoStep
    argument: str = ""


class PassSummary(Contract):
    """One freeze of the whole VM and what was moved."""

    pass_no: int
    kind: str
    bytes_sent: int = 0
    bytes_sent_again: int = 0
    bytes_planned: int = 0
    seconds: float = 0.0
    complete: bool = True
    reason: str = ""
    transport: str = Field(default="", description="what read the disks; by disk where they differ")
    transport_reason: str = Field(default="", description="why that one; empty where it is as for the pass before")
    rewritten: int = Field(default=0, description="as in SealReport")


class MigrationState(Contract):
    """All that must survive continue-as-new; ``status`` is told from it."""

    schema_version: int = 1
    errand: Errand | None = None
    phase: Phase = Phase.PREFLIGHT
    paused: bool = False
    needs_human: str = Field(default="", description="the code of what it waits for a human with; empty: nothing")
    needs_human_message: str = ""
    preflight: Preflight | None = None
    shell: Shell | None = None
    initial_done: bool = False
    passes: tuple[PassSummary, ...] = ()
    pass_no: int = 0
    last_copies: tuple[CopyReport, ...] = ()
    bytes_allocated: int = 0
    undo: tuple[Undo, ...] = ()
    approval_ticket: str = ""
    approved: Decision | None = Field(default=None, description="the yes that made the quorum full")
    approvals: tuple[Decision, ...] = Field(default=(), description="each a different person's yes that counts now")
    window: Opening | None = Field(default=None, description="that is open, or opens next")
    windows: tuple[str, ...] | None = Field(
        default=None, description="as set_limits changed them; None: as they were asked for"
    )
    no_window_left: bool = False
    held: str = Field(default="", description="why the cutover does not begin, though it is approved")
    pass_due: bool = Field(default=False, description="a pass must come before the next cutover")
    proof_overran: bool = Field(
        default=False, description="reading back took longer than foreseen: it comes after the start"
    )
    overruns: int = Field(default=0, description="cutovers that were called back since they took too long")
    decisions: tuple[Decision, ...] = ()
    handled: tuple[str, ...] = Field(default=(), description="ids of updates already acted upon")
    signals: tuple[HeardSignal, ...] = ()
    sync_requested: bool = False
    epoch: int = 0
    bandwidth: str | None = Field(default=None, description="as set_limits changed it; None: as it was asked for")
    fence: FenceJournal | None = None
    overrides: FenceJournal | None = Field(default=None, description="what could have switched the source on by itself")
    switched_tracking_on: bool = False
    was_on: bool = True
    runs: int = 1
    passes_this_run: int = 0
    power_off_began: bool = Field(default=False, description="from here on a no is a rollback")
    powered_off_at: datetime | None = None
    started_at: datetime | None = None
    leaving: bool = Field(default=False, description="what a rollback needs is being removed: it is too late for one")
    final_freeze: Freeze | None = None
    snapshot: SnapshotReport | None = None
    proofs_sent: tuple[ProofReport, ...] = ()
    proofs_source: tuple[ProofReport, ...] = ()
    proofs_between: tuple[ProofReport, ...] = Field(
        default=(), description="of whole disks while the source ran; made False: the pool does not offer it"
    )
    bases: dict[str, str] = Field(default={}, description="as in BaseReport")
    repaired: tuple[ProofReport, ...] = Field(default=(), description="what differed, and was sent again")
    kept_vdis: tuple[str, ...] = ()
    smoke_tests: tuple[SmokeReport, ...] = Field(default=(), description="the latest ones")
    probation_ends_at: datetime | None = None
    retired_as: str = Field(default="", description="what the source is called now; empty: as it was")
    distrust: str = Field(default="", description="why the next pass compares every disk in full; empty: it need not")
    test_boot: TestBoot | None = Field(default=None, description="asked for, and not over yet")
    tests: int = Field(default=0, description="test boots that were begun")
    test_boots: tuple[TestBootReport, ...] = Field(default=(), description="the latest ones")
    notes: tuple[str, ...] = ()
    last_message: str = ""
    predicted_downtime_s: float | None = None
    predicted_proof: str = Field(default="", description="what of the target is proven within that downtime, and how")
    rate: float = Field(default=0.0, description="bytes per second of the latest passes")
    record: RecordState | None = Field(default=None, description="None: begun by code that kept none")


class MigrateVmInput(MigrateVmRequest):
    """The request, and after a continue-as-new the state that is carried on."""

    state: MigrationState | None = None

    @model_validator(mode="before")
    @classmethod
    def _carried_by_a_newer_one(cls, said: Any) -> Any:
        """What a new run is begun with was said by a worker, maybe a newer one: what we do not know, we pass over."""
        if isinstance(said, dict) and isinstance(said.get("state"), dict) and said["state"].get("errand"):
            return {key: value for key, value in said.items() if key in cls.model_fields}
        return said


class Status(Contract):
    """What the query ``status`` answers."""

    vm: str
    source: str
    target: str
    migration: str = ""
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
