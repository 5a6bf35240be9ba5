"""Moving a running VM's disks to another SR: what cures a VHD whose journal is lost ("opening journal failed: -2")."""

import time

from contracts.errors import FerryError
from contracts.move_disk import MovedDisk, MoveDiskReport, MoveDiskRequest
from platforms.xapi.connection import Connection
from platforms.xapi.faults import XapiFailure
from platforms.xapi.lookup import GONE, Record, disk_vbds

LOOK_EVERY = 2.0
"""Seconds between two looks at XAPI's task, which takes as long as the disk is copied."""


def move_disks(api: Connection, request: MoveDiskRequest) -> MoveDiskReport:
    """One after the other; what is on that SR already is left alone.

    Raises:
        FerryError: ``move.refused`` with the reason; ``xapi.busy`` while a move that an earlier attempt began goes on.
    """
    sr = _one(api, "SR", request.sr)
    vm = _one(api, "VM", request.vm)
    record: Record = api.call("VM.get_record", vm)
    if record["power_state"] != "Running":
        raise FerryError("move.refused", f"{request.vm} is {record['power_state']}: its disks are moved while it runs")
    vbds = sorted(disk_vbds(api, vm).values(), key=lambda vbd: int(vbd["userdevice"]))
    moved: list[MovedDisk] = []
    for vbd in vbds:
        vdi: Record = api.call("VDI.get_record", vbd["VDI"])
        if request.disk not in ("", vbd["userdevice"], vdi["uuid"]):
            continue
        if vdi["SR"] == sr:
            moved.append(MovedDisk(device=vbd["userdevice"], vdi=vdi["uuid"], moved=False))
            continue
        if vdi["current_operations"] or api.call("VM.get_current_operations", vm):
            raise FerryError("xapi.busy", f"{request.vm}: disk {vbd['userdevice']} is being worked at")
        _moved(api, api.call("Async.VDI.pool_migrate", vbd["VDI"], sr, {}), request.vm)
        now = api.call("VDI.get_uuid", api.call("VBD.get_VDI", api.call("VBD.get_by_uuid", vbd["uuid"])))
        moved.append(MovedDisk(device=vbd["userdevice"], vdi=now))
    if not moved:
        raise FerryError("move.refused", f"{request.vm} has no disk {request.disk or 'at all'}")
    return MoveDiskReport(vm=request.vm, sr=request.sr, disks=tuple(moved))


def _moved(api: Connection, task: str, vm: str) -> None:
    """Wait for the task, and take it away."""
    while (record := api.call("task.get_record", task))["status"] == "pending":
        time.sleep(LOOK_EVERY)
    api.call("task.destroy", task)
    if record["status"] != "success":
        raise XapiFailure(f"move a disk of {vm}", record["error_info"])


def _one(api: Connection, kind: str, wanted: str) -> str:
    """By uuid or name. Raises ``move.refused``."""
    try:
        return str(api.call(f"{kind}.get_by_uuid", wanted))
    except XapiFailure as failure:
        if failure.wire not in GONE:
            raise
    found: list[str] = api.call(f"{kind}.get_by_name_label", wanted)
    if kind == "VM":
        found = [ref for ref in found if not api.call("VM.get_is_a_template", ref)]
    if len(found) != 1:
        raise FerryError("move.refused", f"the pool has {len(found)} {kind}s called {wanted!r}: name it by its uuid")
    return found[0]
