"""Start, stop, and what holds the start back. Each re-reads the epoch just before it acts (SAFETY 14)."""

import time

from contracts.errors import FerryError
from contracts.machine import OwnerMark, Power
from contracts.names import OwnerKey
from platforms.xapi import blueprint
from platforms.xapi.connection import LONG_CALL_SECONDS, Connection
from platforms.xapi.faults import XapiFailure, told
from platforms.xapi.lookup import Record, disk_vbds, records_of, vm_ref
from platforms.xapi.marks import DISKS_KEY, RELEASED_KEY, check_epoch, epoch_of, put

STOP_SECONDS = 300.0
_POWER = {"Halted": Power.OFF, "Suspended": Power.SUSPENDED}


def block(api: Connection, vm: str, text: str) -> None:
    """Forbid the start, where it is not forbidden already."""
    blocked: dict[str, str] = api.call("VM.get_blocked_operations", vm)
    for operation in blueprint.BLOCKED:
        if operation not in blocked:
            _add_block(api, vm, operation, text)


def _add_block(api: Connection, vm: str, operation: str, text: str) -> None:
    try:
        api.call("VM.add_to_blocked_operations", vm, operation, text)
    except XapiFailure as failure:
        if failure.wire != "MAP_DUPLICATE_KEY":
            raise


def unblock(api: Connection, uuid: str, mark: OwnerMark) -> None:
    """Allow the start, when the shell is whole. What others have forbidden stays forbidden.

    Raises:
        FerryError: ``xapi.shell_broken``, ``source.stale_epoch``.
    """
    vm = vm_ref(api, uuid)
    _see_that_it_is_whole(api, vm, mark)
    record = _checked(api, vm, mark)
    if RELEASED_KEY not in record["other_config"]:
        put(api, "VM", vm, RELEASED_KEY, "true")
    for operation, text in record["blocked_operations"].items():
        if operation in blueprint.BLOCKED and text.startswith(blueprint.BLOCKED_BY):
            api.call("VM.remove_from_blocked_operations", vm, operation)


def _see_that_it_is_whole(api: Connection, vm: str, mark: OwnerMark) -> None:
    """As many disks as it was made with, each ours (DESIGN §1.3)."""
    record: Record = api.call("VM.get_record", vm)
    vdis = records_of(api, "VDI", [vbd["VDI"] for vbd in disk_vbds(api, vm).values()]).values()
    ours = [vdi for vdi in vdis if vdi["other_config"].get(OwnerKey.MIGRATION) == mark.migration]
    wanted = record["other_config"].get(DISKS_KEY, "")
    if str(len(ours)) != wanted:
        raise FerryError("xapi.shell_broken", f"{record['name_label']} has {len(ours)} of {wanted or '?'} disks")


def start(api: Connection, uuid: str, mark: OwnerMark) -> None:
    """Start it; running is success.

    Raises:
        FerryError: ``xapi.cannot_start`` with the reasons of each host, ``source.stale_epoch``.
    """
    vm = vm_ref(api, uuid)
    if _checked(api, vm, mark)["power_state"] == "Running":
        return
    try:
        api.call("VM.start", vm, False, False, patience=LONG_CALL_SECONDS)
    except XapiFailure as failure:
        if failure.wire == "VM_BAD_POWER_STATE" and api.call("VM.get_power_state", vm) == "Running":
            return
        if failure.wire == "NO_HOSTS_AVAILABLE" or failure.code == "xapi.cannot_start":
            reasons = _why_not(api, vm)
            raise FerryError("xapi.cannot_start", "; ".join([failure.message, *reasons])) from None
        if failure.code == "xapi.failure":
            raise FerryError("xapi.cannot_start", failure.message) from None
        raise


def _why_not(api: Connection, vm: str) -> list[str]:
    """What each host has against it."""
    reasons: list[str] = []
    for host in api.call("host.get_all"):
        try:
            api.call("VM.assert_can_boot_here", vm, host)
        except XapiFailure as failure:
            name = api.call("host.get_name_label", host)
            reasons.append(f"{name}: {told([failure.wire, *failure.params])}")
    return reasons


def stop(api: Connection, uuid: str) -> None:
    """Hard, and see it halted. Halted is success."""
    vm = vm_ref(api, uuid)
    deadline = time.monotonic() + STOP_SECONDS
    wait = 0.2
    while api.call("VM.get_power_state", vm) != "Halted":
        try:
            api.call("VM.hard_shutdown", vm, patience=LONG_CALL_SECONDS)
        except XapiFailure as failure:
            if failure.wire not in ("VM_BAD_POWER_STATE", "OTHER_OPERATION_IN_PROGRESS"):
                raise
        if time.monotonic() > deadline:
            raise FerryError("xapi.busy", "the VM does not come to a halt")
        time.sleep(wait)
        wait = min(5.0, wait * 2)


def power(api: Connection, uuid: str) -> Power:
    """Paused is on: its disks are open."""
    return _POWER.get(api.call("VM.get_power_state", vm_ref(api, uuid)), Power.ON)


def raise_epoch(api: Connection, uuid: str, mark: OwnerMark) -> None:
    """Write a higher epoch; a lower one, or the same, is ignored. Raises ``xapi.shell_broken``."""
    vm = vm_ref(api, uuid)
    other_config: dict[str, str] = api.call("VM.get_other_config", vm)
    if other_config.get(OwnerKey.MIGRATION) != mark.migration:
        raise FerryError("xapi.shell_broken", "the VM does not bear the mark of this migration")
    if (epoch_of(other_config) or 0) < mark.epoch or OwnerKey.EPOCH not in other_config:
        put(api, "VM", vm, OwnerKey.EPOCH.value, str(mark.epoch))


def _checked(api: Connection, vm: str, mark: OwnerMark) -> Record:
    record: Record = api.call("VM.get_record", vm)
    check_epoch(record["other_config"], mark)
    return record
