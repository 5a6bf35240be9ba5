"""The smoke test: does the started target live? Looked at from outside; what it means, a human judges."""

import contextlib
import socket
import threading
import time
from datetime import UTC, datetime

from temporalio import activity

from activities.console import seen_at
from activities.running import cuttable, in_thread
from activities.systems import Systems
from contracts.after import RebootOrder, SmokeOrder, SmokeReport, Vitals
from contracts.error_catalogue import entry
from contracts.machine import Power
from contracts.steps import Progress
from platforms.ports import Target

LOOK_EVERY = 5.0
"""Seconds between two looks."""
KNOCK = 5.0
"""Seconds for a port to answer."""


class SmokeActivities:
    """Light: nothing on the target is changed but by the reboot that was asked for."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems

    @activity.defn
    async def smoke_target(self, order: SmokeOrder) -> SmokeReport:
        """Look until nothing is missing, or until the time is over; a VM that does not run is not waited for."""
        target, info = self._systems.target(order.errand.target), activity.info()
        name = f"{(info.workflow_run_id or 'run')[:8]}-{info.activity_id}"
        return await cuttable(
            lambda cut: self._told(target, order, _watched(target, order, cut), name, cut),
            pool=self._systems.pool,
            details=lambda: Progress(disk="", step="smoke test"),
        )

    def _told(
        self, target: Target, order: SmokeOrder, report: SmokeReport, name: str, cut: threading.Event
    ) -> SmokeReport:
        """With what its console shows, where that was asked for. A rollback does not wait for a picture."""
        if not order.console or report.vitals.power is not Power.ON or cut.is_set():
            return report
        seen = seen_at(target, self._systems.store, order.errand.migration, order.vm, name)
        found = (f"its console tells of {seen.diagnosis}: {entry(seen.diagnosis).meaning}",) if seen.diagnosis else ()
        # A guest whose tools answer and whose ports are open lives, whatever was printed on its way there.
        lives = report.passed and (order.ports or order.guest_tools)
        return report.model_copy(
            update={"console": seen, "missing": report.missing if lives else report.missing + found}
        )

    @activity.defn
    async def reboot_target(self, order: RebootOrder) -> None:
        """By the guest's tools. Raises ``smoke.no_reboot``, ``source.stale_epoch``."""
        target = self._systems.target(order.errand.target)
        await in_thread(
            lambda: target.reboot(order.vm, order.errand.mark(order.epoch), order.booted_at), pool=self._systems.pool
        )


def _watched(target: Target, order: SmokeOrder, cut: threading.Event) -> SmokeReport:
    deadline = time.monotonic() + order.within.total_seconds()
    while True:
        report = look(order, target.vitals(order.vm))
        over = time.monotonic() + LOOK_EVERY > deadline
        # Where nothing tells that it has booted, its console is worth a look only once it had its time.
        blind = order.console and not order.ports and not order.guest_tools
        if (report.passed and not blind) or over or report.vitals.power is not Power.ON or cut.wait(LOOK_EVERY):
            return report


def look(order: SmokeOrder, vitals: Vitals) -> SmokeReport:
    """One look, from which nothing is missing that was asked for."""
    missing: list[str] = []
    opened: list[str] = []
    if vitals.power is not Power.ON:
        missing.append(f"the VM does not run: it is {vitals.power.value}")
    elif order.booted_since is not None and (vitals.booted_at is None or vitals.booted_at <= order.booted_since):
        missing.append("it was not rebooted yet")
    else:
        if order.guest_tools and not vitals.tools:
            missing.append("the guest's tools tell nothing")
        opened, shut = _knocked(order, vitals)
        missing += shut
    return SmokeReport(at=datetime.now(UTC), vitals=vitals, open_ports=tuple(opened), missing=tuple(missing))


def _knocked(order: SmokeOrder, vitals: Vitals) -> tuple[list[str], list[str]]:
    """What is open, and what is not: a port counts when it is open at one of the addresses."""
    addresses = (order.address,) if order.address else vitals.addresses
    if order.ports and not addresses:
        return [], ["no address is known to try its ports at: the guest's tools tell none, and none was named"]
    opened: list[str] = []
    shut: list[str] = []
    for port in order.ports:
        found = next((address for address in addresses if _is_open(address, port)), None)
        if found is not None:
            opened.append(f"{found}:{port}")
        else:
            shut.append(f"port {port} is not open at {', '.join(addresses)}")
    return opened, shut


def _is_open(address: str, port: int) -> bool:
    with contextlib.suppress(OSError, UnicodeError), socket.create_connection((address, port), timeout=KNOCK):
        return True
    return False
