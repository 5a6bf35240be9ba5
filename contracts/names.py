"""Names that people type and that live in histories: they never change."""

from enum import StrEnum

QUEUE = "ferry"
"""Workflows and light activities."""
TRANSFER_QUEUE = "ferry-transfer"
"""Activities that move bytes."""

MIGRATE_VM = "MigrateVm"
DEPLOYMENT = "ferry"
"""What Temporal calls all our workers together, where they tell their build."""
MIGRATE_FLEET = "MigrateFleet"
"""Many of them, in waves."""
VERIFY_VM = "VerifyVm"
"""The workflow behind `ferry verify`."""
RETIRE_VM = "RetireVm"
"""The workflow behind `ferry retire`."""
MOVE_DISK = "MoveDisk"
"""The workflow behind `ferry move-disk`."""
ASSESS = "Assess"
"""The workflow behind `ferry assess`."""
PAGE = "page"
"""Its query: some of the rows."""
INSPECT = "Inspect"
"""The short workflow behind `ferry inventory` and `ferry doctor`."""
COLLECT_LEFTOVERS = "CollectLeftovers"
"""The workflow behind `ferry gc`."""
READ_RECORD = "ReadRecord"
"""The short workflow behind `ferry report --export`."""


class Phase(StrEnum):
    """Where a migration is; the search attribute ``FerryPhase``."""

    PREFLIGHT = "preflight"
    SHELL = "shell"
    INITIAL_SYNC = "initial-sync"
    DELTA_SYNC = "delta-sync"
    AWAITING_APPROVAL = "awaiting-approval"
    CUTOVER = "cutover"
    START = "start"
    PROBATION = "probation"
    DONE = "done"
    TEST_COPY = "test-copy"
    ROLLED_BACK = "rolled-back"
    CANCELLED = "cancelled"
    FAILED = "failed"


GOOD_ENDS = frozenset({Phase.DONE.value, Phase.TEST_COPY.value})
"""Outcomes of a report that are what was asked for."""


class Attribute(StrEnum):
    """Search attributes; the worker registers what is missing."""

    PHASE = "FerryPhase"
    SOURCE = "FerrySource"
    VM = "FerryVm"
    TARGET = "FerryTarget"
    NEEDS_HUMAN = "FerryNeedsHuman"
    FLEET = "FerryFleet"


class Message(StrEnum):
    """Updates of ``MigrateVm``."""

    APPROVE = "approve"
    REJECT = "reject"
    PAUSE = "pause"
    RESUME = "resume"
    SYNC_NOW = "sync_now"
    SET_LIMITS = "set_limits"
    RETRY = "retry"
    ROLLBACK = "rollback"
    TEST_BOOT = "test_boot"


SIGNAL_TWINS: dict[str, Message] = {
    "approve_cutover": Message.APPROVE,
    "reject_cutover": Message.REJECT,
    "pause_migration": Message.PAUSE,
    "resume_migration": Message.RESUME,
    "sync_migration_now": Message.SYNC_NOW,
    "set_migration_limits": Message.SET_LIMITS,
    "retry_migration": Message.RETRY,
    "rollback_migration": Message.ROLLBACK,
    "test_boot_migration": Message.TEST_BOOT,
}
"""Signal name to the update of the same effect, for clients that know no updates."""

CAPACITY = "Capacity"
"""Who may use what; there is one, and this, in small, is its id."""
CAPACITY_ID = "capacity"
ASKED, RELEASED = "asked", "released"
"""Its signals."""
PERMITS_GRANTED = "permits_granted"
"""The signal by which it tells a migration that it has them."""
MEMBER_TOLD = "member_told"
"""The signal by which a migration tells its fleet where it is."""

STATUS = "status"
"""The query."""
MEMBERS = "members"
"""The query of a fleet for a row a member."""
RECORD = "record"
"""The query for the end of the record, which is not in the store yet."""

_SYNCING = frozenset({Phase.INITIAL_SYNC, Phase.DELTA_SYNC, Phase.AWAITING_APPROVAL})

ACCEPTED_IN: dict[Message, frozenset[Phase]] = {
    Message.APPROVE: frozenset({Phase.DELTA_SYNC, Phase.AWAITING_APPROVAL}),
    Message.REJECT: frozenset(
        {
            Phase.PREFLIGHT,
            Phase.SHELL,
            Phase.INITIAL_SYNC,
            Phase.DELTA_SYNC,
            Phase.AWAITING_APPROVAL,
            Phase.CUTOVER,
        }
    ),
    Message.PAUSE: _SYNCING,
    Message.RESUME: _SYNCING,
    Message.SYNC_NOW: _SYNCING,
    Message.SET_LIMITS: _SYNCING,
    Message.TEST_BOOT: frozenset({Phase.DELTA_SYNC, Phase.AWAITING_APPROVAL}),
    Message.RETRY: frozenset(Phase),
    Message.ROLLBACK: frozenset({Phase.CUTOVER, Phase.START, Phase.PROBATION}),
}
"""In which phases a message is accepted (reject: only until power-off begins; retry: only when parked)."""


class OwnerKey(StrEnum):
    """Keys of the owner mark, in extraConfig on the source and ``other_config`` on the target (SAFETY 12)."""

    MIGRATION = "ferry.migration"
    WORKFLOW = "ferry.workflow"
    EPOCH = "ferry.epoch"


SOURCE_DISK_KEY = "ferry.source_disk"
"""``other_config`` key of a VDI: the id of the source disk whose bytes it holds."""
SOURCE_MACHINE_KEY = "ferry.source_machine"
"""``other_config`` key of a shell: the id of the machine that it is made of, where that one cannot bear the mark itself
(SAFETY 12). Taken off when the migration is done."""
WRITER_KEY = "ferry.writer"
"""``other_config`` key of a VDI: the token of the one writer that may write it (SAFETY 13)."""


def usual_workflow_id(source: str, vm: str) -> str:
    """``migrate/<source>/<vm>``."""
    return f"migrate/{source}/{vm}"


FLEET = "fleet/"
"""What the workflow ids of fleets begin with."""


def fleet_workflow_id(fleet: str) -> str:
    """``fleet/<name>``."""
    return f"{FLEET}{fleet}"
