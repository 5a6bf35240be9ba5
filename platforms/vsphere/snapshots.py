"""Snapshots of ours: taken, removed, consolidated; one at a time, none between passes (SAFETY 8)."""

import contextlib
import json
import time
from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from platforms.vsphere import inventory
from platforms.vsphere.located import Located
from platforms.vsphere.properties import finished, read_one
from platforms.vsphere.session import Session

REMOVAL = 2 * 86400.0
"""Seconds for a snapshot's removal: consolidation under a busy guest takes hours (vsphere.md §3)."""
CREATION = 3600.0
CONSOLIDATION_PAUSES = (0.0, 2.0, 10.0, 30.0)
"""Seconds before each try: a backup proxy that holds a disk lets go after a while, or never."""


def snapshot_name(migration: str, pass_no: int) -> str:
    """By which a later attempt finds it; pass 0 is the stun that begins change tracking."""
    return f"{inventory.SNAPSHOT_PREFIX}{migration[:8]}-p{pass_no}"


def take_snapshot(session: Session, vm: Located, migration: str, pass_no: int, *, final: bool = False) -> Any:
    """Neither memory nor quiescing: passes before the last are only copied ahead (vsphere.md §3).

    Returns:
        The snapshot's ref.
    """
    name, doing = snapshot_name(migration, pass_no), f"take a snapshot of {vm.name}"
    told = json.dumps({"migration": migration, "pass": pass_no, **({"final": True} if final else {})})
    task = session.call(
        doing, lambda instance: vm.managed(instance).CreateSnapshot_Task(name, told, False, False), repeat=False
    )
    taken = finished(session, task, doing, patience=CREATION)
    if taken is not None:
        return taken
    found = [each for each in _ours(vm.properties(session), migration) if each.name == name]
    if not found:
        raise FerryError("vsphere.snapshot_failed", f"the snapshot of {vm.name} is not there")
    return found[0].snapshot


def thaw(session: Session, vm: Located, migration: str) -> None:
    """See :meth:`platforms.ports.Source.thaw`."""
    settled(session, vm)
    ours = _ours(vm.properties(session), migration)
    for each in reversed(ours):  # children before parents
        remove(session, each.snapshot, vm.name)
    properties = vm.properties(session)
    if _ours(properties, migration):
        raise FerryError("vsphere.busy", f"snapshots of {vm.name} are still there")
    consolidate(session, vm, properties)


def settled(session: Session, vm: Located) -> None:
    """Wait for what an earlier attempt, or a backup, began: a snapshot leaves the tree before its removal ends."""
    found = read_one(session, vm.ref, ["recentTask"], f"look at the tasks of {vm.name}")
    for task in found.get("recentTask") or []:
        with contextlib.suppress(FerryError):
            told = read_one(session, task, ["info.state", "info.descriptionId"], f"look at a task of {vm.name}")
            about = str(told.get("info.descriptionId", "")).lower()
            if told.get("info.state") in ("queued", "running") and ("snapshot" in about or "consolidate" in about):
                finished(session, task, f"wait for a snapshot of {vm.name}", patience=REMOVAL)


def _ours(properties: dict[str, Any], migration: str) -> list[Any]:
    return [each for each in inventory.snapshots_of(properties) if inventory.migration_of(each) == migration]


def remove(session: Session, snapshot: Any, name: str) -> None:
    """Remove one and wait for its consolidation; one that is gone is removed."""
    doing = f"remove a snapshot of {name}"
    try:
        task = session.call(
            doing,
            lambda instance: vim.vm.Snapshot(snapshot._moId, instance._stub).RemoveSnapshot_Task(False, True),
            repeat=False,
        )
    except FerryError as error:
        if error.code == "vm.gone":
            return
        raise
    finished(session, task, doing, patience=REMOVAL)


def consolidate(session: Session, vm: Located, properties: dict[str, Any]) -> None:
    """Where it is needed, until it is not. Raises ``vsphere.consolidation_needed``."""
    doing, reason = f"consolidate the disks of {vm.name}", "it says so after a consolidation that went well"
    for pause in CONSOLIDATION_PAUSES:
        if not properties.get("runtime.consolidationNeeded"):
            return
        time.sleep(pause)
        try:
            task = session.call(doing, lambda instance: vm.managed(instance).ConsolidateVMDisks_Task(), repeat=False)
            finished(session, task, doing, patience=REMOVAL)
        except FerryError as error:
            if error.code not in ("vsphere.busy", "vsphere.fault"):
                raise
            reason = error.message
        properties = vm.properties(session)
    if properties.get("runtime.consolidationNeeded"):
        raise FerryError("vsphere.consolidation_needed", f"{vm.name} needs consolidation: {reason}")
