"""How a VM does: its power, when it booted, and what its guest tells (xapi.md §3.7)."""

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from contracts.after import Vitals
from contracts.errors import FerryError
from contracts.machine import OwnerMark, Power
from platforms.xapi.connection import LONG_CALL_SECONDS, Connection
from platforms.xapi.faults import XapiFailure
from platforms.xapi.lookup import Record, records_of, vm_ref
from platforms.xapi.marks import check_epoch

_POWER = {"Halted": Power.OFF, "Suspended": Power.SUSPENDED}
_NO_WAY_IN = ("VM_LACKS_FEATURE", "VM_MISSING_PV_DRIVERS", "VM_OLD_PV_DRIVERS", "VM_SHUTDOWN_TIMEOUT")


def vitals(api: Connection, uuid: str) -> Vitals:
    """Raises ``xapi.shell_broken`` when the VM is gone."""
    record: Record = api.call("VM.get_record", vm_ref(api, uuid))
    booted = None
    for metrics in records_of(api, "VM_metrics", [record["metrics"]]).values():
        booted = moment(metrics["start_time"])
    power = _POWER.get(record["power_state"], Power.ON)
    if power is not Power.ON:
        return Vitals(power=power)
    for guest in records_of(api, "VM_guest_metrics", [record["guest_metrics"]]).values():
        told = moment(guest["last_updated"])
        # A VM that was rebooted keeps its metrics until its guest tells new ones: what is older is no sign of life.
        fresh = booted is None or told is None or told >= booted
        if fresh and guest["live"]:
            return Vitals(power=power, tools=True, addresses=addresses(guest["networks"].values()), booted_at=booted)
    return Vitals(power=power, booted_at=booted)


def addresses(told: Iterable[str]) -> tuple[str, ...]:
    """Those that somebody else can reach, each once: ``0/ip`` and ``0/ipv4/0`` tell the same one."""
    found: list[str] = []
    for each in told:
        try:
            address = ipaddress.ip_address(each)
        except ValueError:
            continue
        if not address.is_link_local and str(address) not in found:
            found.append(str(address))
    return tuple(found)


def reboot(api: Connection, uuid: str, mark: OwnerMark, booted_at: datetime | None) -> None:
    """In order, by the guest's tools; one that was rebooted since is left alone.

    Raises:
        FerryError: ``smoke.no_reboot`` where nobody inside can be asked; ``source.stale_epoch`` (SAFETY 14).
    """
    seen = vitals(api, uuid)
    if booted_at is not None and seen.booted_at is not None and seen.booted_at > booted_at:
        return
    vm = vm_ref(api, uuid)
    check_epoch(api.call("VM.get_other_config", vm), mark)
    try:
        api.call("VM.clean_reboot", vm, patience=LONG_CALL_SECONDS)
    except XapiFailure as failure:
        if failure.wire in _NO_WAY_IN or failure.wire == "VM_BAD_POWER_STATE":
            raise FerryError("smoke.no_reboot", failure.message) from None
        raise


def moment(told: Any) -> datetime | None:
    """A time as XAPI's XML-RPC tells it (``20261125T01:51:06Z``); None for the epoch, which means never."""
    text = str(told).rstrip("Z")
    for form in ("%Y%m%dT%H:%M:%S", "%Y%m%dT%H:%M:%S.%f"):
        try:
            found = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return found if found.year > 1970 else None
    return None
