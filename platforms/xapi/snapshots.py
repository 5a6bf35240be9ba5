"""The pre-start snapshot: the target as it was proven, before it ran for the first time."""

import hashlib

from contracts.errors import FerryError
from contracts.names import OwnerKey
from contracts.steps import Errand, SnapshotReport
from platforms.xapi.connection import LONG_CALL_SECONDS, Connection
from platforms.xapi.lookup import Record, disk_vbds, records_of, vanish, vm_ref
from platforms.xapi.marks import SNAPSHOT_KEY, WRITTEN_KEY, put

NAME = "ferry-pre-start"


def snapshot_shell(api: Connection, uuid: str, errand: Errand) -> SnapshotReport:
    """Take it, or find the one taken before of the same content.

    One that was taken in a cutover that did not come to its end, and has since been overtaken by delta passes,
    is replaced: what it holds is no longer what is about to start.
    """
    vm = vm_ref(api, uuid)
    vdis = _vdis(api, vm)
    state = _state(vdis)
    for ref, record in our_snapshots(api, vm, errand.migration).items():
        if record["other_config"].get(SNAPSHOT_KEY) == state:
            return _report(api, record, vdis)
        remove_snapshot(api, ref, record)
    # A snapshot inherits other_config: so it bears its state, like the mark, from its first moment.
    put(api, "VM", vm, SNAPSHOT_KEY, state)
    ref = api.call("VM.snapshot", vm, NAME, patience=LONG_CALL_SECONDS)
    return _report(api, api.call("VM.get_record", ref), vdis)


def find_snapshot(api: Connection, uuid: str, errand: Errand) -> SnapshotReport:
    """The one that was taken, whatever the VM has become since. Raises ``verify.snapshot_gone``."""
    vm = vm_ref(api, uuid)
    for record in our_snapshots(api, vm, errand.migration).values():
        return _report(api, record, _vdis(api, vm))
    raise FerryError("verify.snapshot_gone", f"the snapshot {NAME} of {errand.vm} was removed")


def our_snapshots(api: Connection, vm: str, migration: str) -> dict[str, Record]:
    """Ref to record of the snapshots of a VM that Ferry took for a migration."""
    return {
        ref: record
        for ref, record in records_of(api, "VM", api.call("VM.get_snapshots", vm)).items()
        if record["name_label"] == NAME and record["other_config"].get(OwnerKey.MIGRATION) == migration
    }


def remove_snapshot(api: Connection, ref: str, record: Record) -> None:
    """The snapshot and its VDIs. The data that they share with the VM's own VDIs stays."""
    vbds = disk_vbds(api, ref).values()
    for vdi in {vbd["VDI"]: vbd for vbd in vbds}:
        if api.call("VDI.get_is_a_snapshot", vdi):
            vanish(api, "VDI.destroy", vdi)
    vanish(api, "VM.destroy", ref)


def _vdis(api: Connection, vm: str) -> dict[str, Record]:
    return {
        vbd["VDI"]: record
        for vbd in disk_vbds(api, vm).values()
        for record in records_of(api, "VDI", [vbd["VDI"]]).values()
    }


def _state(vdis: dict[str, Record]) -> str:
    """What the disks hold, by the tasks that wrote them last."""
    told = sorted(f"{vdi['uuid']}={vdi['other_config'].get(WRITTEN_KEY, '')}" for vdi in vdis.values())
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]


def _report(api: Connection, record: Record, vdis: dict[str, Record]) -> SnapshotReport:
    taken: dict[str, str] = {}
    for vbd in records_of(api, "VBD", record["VBDs"]).values():
        for snapshot in records_of(api, "VDI", [vbd["VDI"]]).values():
            if snapshot["snapshot_of"] in vdis:
                taken[vdis[snapshot["snapshot_of"]]["uuid"]] = snapshot["uuid"]
    if len(taken) != len(vdis):
        raise FerryError("xapi.shell_broken", f"snapshot {record['uuid']} has {len(taken)} of {len(vdis)} disks")
    return SnapshotReport(snapshot=record["uuid"], vdis=taken)
