"""What of a migration is carried through continue-as-new: its passes, decisions, way back, and all else it knows."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from contracts.after import SmokeReport
from contracts.base import Contract
from contracts.fleet import MemberTold
from contracts.names import Phase
from contracts.record import RecordState
from contracts.request import MigrateVmRequest
from contracts.steps import Errand, FenceJournal, Freeze, Preflight, ProofReport, SealOrder, Shell, SnapshotReport
from contracts.test_boot import TestBoot, TestBootReport
from contracts.windows import Opening


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
    UNDIVERGE_TARGET = "undiverge_target"


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


class PermitState(Contract):
    """``number``: of its last wish for permits; ``asked``: that it still has; ``granted``: they are held."""

    number: int = 0
    asked: bool = False
    granted: bool = False


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
    permits: PermitState = PermitState()
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
    unsealed: SealOrder | None = Field(default=None, description="of a cutover that was undone: due before any pass")
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
    fleet_told: MemberTold | None = Field(default=None, description="what its fleet was told last")
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
