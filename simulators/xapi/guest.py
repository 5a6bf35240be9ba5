"""The guest of a started VM: when it booted, what its agent tells, and its reboots.

Its metrics are new at a start, but stay through a reboot until the agent tells new ones (xapi.md §3.7); a clean
reboot needs an agent that hears it (VM_LACKS_FEATURE), and the VM stays Running. ``VM_metrics.start_time`` has whole
seconds.
"""

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from simulators.xapi.database import is_null
from simulators.xapi.failure import XapiFailure
from simulators.xapi.pool import message

if TYPE_CHECKING:
    from simulators.xapi.pool import Pool

BOOT_SECONDS = 2.0


def boot(pool: "Pool", vm: str) -> None:
    """Note the time, and let the guest show up a little later."""
    record = pool.db.get("VM", vm)
    if not pool.db.has("VM_metrics", record["metrics"]):
        record["metrics"] = pool.db.add("VM_metrics", start_time=datetime.fromtimestamp(0, UTC))
    # Told at each start, and kept when it halts (cpuid_helpers.ml ``reset_cpu_flags``).
    record["last_boot_CPU_flags"] = {"vendor": "GenuineIntel", "features": "1fc9cbf5-f6b82203"}
    metrics = pool.db.get("VM_metrics", record["metrics"])
    now = datetime.now(UTC).replace(microsecond=0)
    # No machine boots twice in one second, though the lab's may.
    metrics["start_time"] = max(now, metrics["start_time"] + timedelta(seconds=1))
    threading.Timer(BOOT_SECONDS / pool.clock.speed, _shows_up, (pool, vm, metrics["start_time"])).start()


def _shows_up(pool: "Pool", vm: str, booted: datetime) -> None:
    with pool.db.lock:
        if not pool.inventory.guest_tools or not pool.db.has("VM", vm):
            return
        record = pool.db.get("VM", vm)
        if record["power_state"] != "Running":
            return
        if not pool.db.has("VM_guest_metrics", record["guest_metrics"]):
            record["guest_metrics"] = pool.db.add("VM_guest_metrics", PV_drivers_detected=True)
        address = pool.inventory.guest_address
        pool.db.get("VM_guest_metrics", record["guest_metrics"]).update(
            networks={"0/ip": address, "0/ipv4/0": address, "0/ipv6/0": "fe80::250:56ff:feaa:1"}, live=True,
            PV_drivers_version={"major": "9", "minor": "3", "micro": "0", "build": "1"},
            last_updated=max(booted, datetime.now(UTC).replace(microsecond=0)),
        )  # fmt: skip


@message("VM.clean_reboot")
def clean_reboot(pool: "Pool", session: str, vm: str) -> str:
    record = pool.db.get("VM", vm)
    if "clean_reboot" in record["blocked_operations"]:
        raise XapiFailure("OPERATION_BLOCKED", vm, record["blocked_operations"]["clean_reboot"])
    if record["power_state"] != "Running":
        raise XapiFailure("VM_BAD_POWER_STATE", vm, "running", record["power_state"].lower())
    if is_null(record["guest_metrics"]):
        raise XapiFailure("VM_LACKS_FEATURE", vm)
    boot(pool, vm)
    return ""
