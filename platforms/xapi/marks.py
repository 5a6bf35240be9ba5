"""What Ferry writes into ``other_config`` of the things it makes, and how it reads it again (SAFETY 12-14)."""

from collections.abc import Mapping
from typing import Any

from contracts.errors import FerryError
from contracts.machine import OwnerMark
from contracts.names import OwnerKey
from platforms.xapi.connection import Connection
from platforms.xapi.faults import XapiFailure

WRITTEN_KEY = "ferry.written"
"""Of a VDI: uuid of the latest task that may have written it. Without it, it was never written."""
DISKS_KEY = "ferry.disks"
"""Of a VM: how many disks it must have before it may be started."""
RELEASED_KEY = "ferry.released"
"""Of a VM: its start was allowed once, so it may have run."""
SNAPSHOT_KEY = "ferry.snapshot_of"
"""Of a snapshot: digest of what its VDIs held when it was taken."""
BASE_KEY = "ferry.base"
"""Of a snapshot VDI: it was taken to be read back while the source runs, and goes when the target has started."""
TASK_VDI, TASK_DISK, TASK_RANGE, TASK_WRITER = "ferry.vdi", "ferry.disk", "ferry.range", "ferry.writer"
"""Of a task (SAFETY 13)."""
TASK_CHECKSUM, TASK_ASKER = "ferry.checksum", "ferry.asker"
"""Of a task: uuid of the VDI whose checksum it computes, and the workflow's run that asked for it."""


def as_other_config(mark: OwnerMark) -> dict[str, str]:
    """The owner mark as XAPI keeps it."""
    return {
        OwnerKey.MIGRATION.value: mark.migration,
        OwnerKey.WORKFLOW.value: mark.workflow,
        OwnerKey.EPOCH.value: str(mark.epoch),
    }


def belongs_to(record: Mapping[str, Any], migration: str) -> bool:
    """Whether a thing bears the mark of that migration."""
    return bool(record["other_config"].get(OwnerKey.MIGRATION) == migration)


def epoch_of(other_config: Mapping[str, str]) -> int | None:
    """None where there is none, or none that is a number."""
    told = other_config.get(OwnerKey.EPOCH, "")
    return int(told) if told.isdigit() else None


def check_epoch(other_config: Mapping[str, str], mark: OwnerMark) -> None:
    """See that the mark is ours and no newer decision was made (SAFETY 14).

    A missing epoch is refused as well: somebody is just writing a higher one.

    Raises:
        FerryError: ``xapi.shell_broken``, ``source.stale_epoch``.
    """
    owner = other_config.get(OwnerKey.MIGRATION)
    if owner != mark.migration:
        raise FerryError("xapi.shell_broken", "the VM does not bear the mark of this migration")
    epoch = epoch_of(other_config)
    if epoch is None or epoch > mark.epoch:
        raise FerryError("source.stale_epoch", f"the VM is at epoch {epoch}, this step was ordered at {mark.epoch}")


def put(api: Connection, kind: str, ref: str, key: str, value: str) -> None:
    """Set one key of ``other_config`` and leave the others to whoever sets them.

    XAPI adds and removes, and never replaces: two of us who do so at once are told apart by its refusal.
    """
    for _ in range(5):
        api.call(f"{kind}.remove_from_other_config", ref, key)
        try:
            api.call(f"{kind}.add_to_other_config", ref, key, value)
        except XapiFailure as failure:
            if failure.wire != "MAP_DUPLICATE_KEY":
                raise
        else:
            return
    raise FerryError("xapi.busy", f"{key} is being written by several at once")
