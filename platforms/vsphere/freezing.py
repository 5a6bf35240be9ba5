"""Freeze and thaw: one snapshot of ours at a time, none between passes (SAFETY 8, 9)."""

import json
from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from contracts.steps import Errand, Freeze, FrozenDisk
from platforms.vsphere import inventory
from platforms.vsphere.landmark import Landmark
from platforms.vsphere.located import Located
from platforms.vsphere.properties import finished, read_one
from platforms.vsphere.session import Session
from platforms.vsphere.transports.https import probe

PATIENCE = 2 * 86400.0
"""Seconds for a snapshot's removal: consolidation under a busy guest takes hours (vsphere.md §3)."""
CONSOLIDATIONS = 3


def snapshot_name(migration: str, pass_no: int) -> str:
    """By which a later attempt finds it."""
    return f"{inventory.SNAPSHOT_PREFIX}{migration[:8]}-p{pass_no}"


def freeze(session: Session, vm: Located, errand: Errand, pass_no: int, *, final: bool) -> Freeze:
    """See :meth:`platforms.ports.Source.freeze`."""
    properties = vm.properties(session)
    _no_foreign_snapshot(properties, errand.migration)
    off = properties["runtime.powerState"] == "poweredOff"
    if final and not off:
        raise FerryError("vsphere.powered_on_again", f"{vm.name} is on")
    name = snapshot_name(errand.migration, pass_no)
    mine = [each for each in inventory.snapshots_of(properties) if each.name == name]
    if not mine:
        thaw(session, vm, errand.migration)  # an older one of ours goes first: remove before create
    if final and not mine and _needs_no_snapshot(session, vm, properties):
        snapshot, devices = None, properties["config.hardware.device"]
    else:
        snapshot = mine[0].snapshot if mine else _take(session, vm, errand, pass_no, name)
        devices = read_one(session, snapshot, ["config.hardware.device"], "read the snapshot")["config.hardware.device"]
    frozen = Freeze(
        pass_no=pass_no,
        snapshot=snapshot._moId if snapshot is not None else None,
        final=final,
        disks=tuple(_frozen_disks(session, vm, devices, snapshot is not None)),
        taken_at=datetime.now(UTC),
    )
    refused = [f"{disk.slot}: {reason}" for disk in frozen.disks if (reason := _why_not(session, vm, disk))]
    if refused:
        thaw(session, vm, errand.migration)
        raise FerryError("transport.none", "; ".join(refused))
    return frozen


def check_freeze(session: Session, vm: Located, freeze: Freeze) -> None:
    """See :meth:`platforms.ports.Source.check_freeze`."""
    properties = vm.properties(session)
    if freeze.final and properties["runtime.powerState"] != "poweredOff":
        raise FerryError("vsphere.powered_on_again", f"{vm.name} was powered on")
    known = [each.snapshot._moId for each in inventory.snapshots_of(properties)]
    wanted = [freeze.snapshot] if freeze.snapshot is not None else []
    if known != wanted:
        raise FerryError("vsphere.freeze_void", f"the snapshots are {known or 'none'}, they were {wanted or 'none'}")
    chains = _chains(session, vm)
    for disk in freeze.disks:
        found = tuple(path for path, _ in chains.get(disk.key, []))
        if found != disk.chain:
            raise FerryError("vsphere.freeze_void", f"the chain of {disk.slot} is not what it was")


def thaw(session: Session, vm: Located, migration: str) -> None:
    """See :meth:`platforms.ports.Source.thaw`."""
    properties = vm.properties(session)
    ours = [each for each in inventory.snapshots_of(properties) if inventory.migration_of(each) == migration]
    for each in reversed(ours):  # children before parents
        remove_snapshot(session, each.snapshot, vm.name)
    if ours:
        properties = vm.properties(session)
        left = [each for each in inventory.snapshots_of(properties) if inventory.migration_of(each) == migration]
        if left:
            raise FerryError("vsphere.busy", f"snapshots of {vm.name} are still there")
    _consolidate(session, vm, properties)


def remove_snapshot(session: Session, snapshot: Any, name: str) -> None:
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
    finished(session, task, doing, patience=PATIENCE)


def take_snapshot(session: Session, vm: Located, name: str, told: dict[str, Any]) -> Any:
    """Neither memory nor quiescing: passes before the last are only copied ahead (vsphere.md §3)."""
    doing = f"take a snapshot of {vm.name}"
    task = session.call(
        doing,
        lambda instance: vm.managed(instance).CreateSnapshot_Task(name, json.dumps(told), False, False),
        repeat=False,
    )
    taken = finished(session, task, doing, patience=3600.0)
    if taken is not None:
        return taken
    found = [each for each in inventory.snapshots_of(vm.properties(session)) if each.name == name]
    if not found:
        raise FerryError("vsphere.snapshot_failed", f"the snapshot of {vm.name} is not there")
    return found[0].snapshot


def _take(session: Session, vm: Located, errand: Errand, pass_no: int, name: str) -> Any:
    told = {"migration": errand.migration, "pass": pass_no, "workflow": errand.workflow}
    return take_snapshot(session, vm, name, told)


def _no_foreign_snapshot(properties: dict[str, Any], migration: str) -> None:
    foreign = [each.name for each in inventory.snapshots_of(properties) if inventory.migration_of(each) != migration]
    if foreign:
        raise FerryError("vsphere.foreign_snapshot", f"snapshots that are not ours: {', '.join(foreign[:5])}")


def _needs_no_snapshot(session: Session, vm: Located, properties: dict[str, Any]) -> bool:
    """Whether an off machine can be read and asked as it is (SAFETY 9)."""
    for device in properties["config.hardware.device"]:
        change_id = getattr(device.backing, "changeId", None) if isinstance(device, vim.vm.device.VirtualDisk) else None
        if not change_id:
            continue
        key = device.key
        try:
            session.call(
                "ask what changed without a snapshot",
                lambda instance, key=key, change_id=change_id: vm.managed(instance).QueryChangedDiskAreas(  # type: ignore[misc]
                    None, key, 0, change_id
                ),
            )
        except FerryError as error:
            if error.code in ("vsphere.unreachable", "vsphere.login_refused", "vsphere.certificate"):
                raise
            return False
    return True


def _chains(session: Session, vm: Located) -> dict[int, list[tuple[str, str]]]:
    """Device key to its links, base first: descriptor path, and the path of its extent (empty: no file)."""
    session.call("refresh the layout", lambda instance: vm.managed(instance).RefreshStorageInfo())
    layout = read_one(session, vm.ref, ["layoutEx"], f"read the layout of {vm.name}")["layoutEx"]
    files = {file.key: file for file in layout.file or []}
    return {
        disk.key: [
            (
                next((files[key].name for key in link.fileKey if files[key].type == "diskDescriptor"), ""),
                next((files[key].name for key in link.fileKey if files[key].type == "diskExtent"), ""),
            )
            for link in disk.chain
        ]
        for disk in layout.disk or []
    }


def _frozen_disks(session: Session, vm: Located, devices: list[Any], snapshotted: bool) -> list[FrozenDisk]:
    chains = _chains(session, vm)
    by_key = {each.key: each for each in devices if isinstance(each, vim.vm.device.VirtualDisk)}
    found: list[FrozenDisk] = []
    for disk in inventory.disks_of(list(devices), {}):
        backing: Any = by_key[disk.key].backing
        links = chains.get(disk.key, [])
        base = links[0] if links else ("", "")
        landmark = Landmark(
            getattr(backing, "changeId", None) or "", disk.backing_uuid, disk.key, disk.capacity, base[0]
        )
        # One flat base under our leaf, or, without a snapshot, one flat base alone (SAFETY 9).
        readable = len(links) == (2 if snapshotted else 1)
        found.append(
            FrozenDisk(
                disk_id=disk.disk_id,
                key=disk.key,
                slot=disk.slot,
                capacity=disk.capacity,
                change_id=landmark.word(),
                backing_uuid=disk.backing_uuid,
                chain=tuple(path for path, _ in links),
                flat=base[1] if readable else "",
                transport="https",
                reason="" if readable else f"its chain has {len(links)} links",
            )
        )
    return found


def _why_not(session: Session, vm: Located, disk: FrozenDisk) -> str:
    """Why no transport reads a disk; empty when one does."""
    if not disk.flat:
        return disk.reason or "its datastore shows no files (vSAN, vVol)"
    return probe(session, disk.flat, vm.datacenter, disk.capacity)


def _consolidate(session: Session, vm: Located, properties: dict[str, Any]) -> None:
    doing = f"consolidate the disks of {vm.name}"
    for _ in range(CONSOLIDATIONS):
        if not properties.get("runtime.consolidationNeeded"):
            return
        task = session.call(doing, lambda instance: vm.managed(instance).ConsolidateVMDisks_Task(), repeat=False)
        finished(session, task, doing, patience=PATIENCE)
        properties = vm.properties(session)
    if properties.get("runtime.consolidationNeeded"):
        raise FerryError("vsphere.consolidation_needed", f"{vm.name} still needs consolidation")
