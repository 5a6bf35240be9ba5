"""A fault of the grid, put into a lab: by its simulators' rules and outages, after the real thing."""

import threading
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from simulators.faults import FaultRule
from simulators.lab import Lab
from simulators.outages import Outage
from tests.chaos.grid import FAULTS, Orders, requests_of
from tests.chaos.reach import REACH

HOUR = 3600
STATUSES = (500, 502, 503, 504)
LOOKS_AGAIN = ("smoke_target", "source_goes_off")
"""They look until they see what they wait for, which may be at once."""
DETACHED = ["HostNotConnected", "HostCommunication", "HostNotReachable"]


class Armed:
    """What was put in force, whether it struck, and its end."""

    def __init__(self, lab: Lab, orders: Orders) -> None:
        self._lab, self._orders = lab, orders
        self._rules: list[FaultRule] = []
        self._outages: list[Outage] = []
        self._lasting = False
        self._counted: Callable[[], int] = lambda: 0
        self._side: Any = lab.vsphere if orders.cell.side == "vsphere" else lab.xapi
        {
            "session expired": self._session_expired,
            "task lost": self._task_lost,
            "host rebooting": self._host_rebooting,
            "datastore full": self._datastore_full,
            "SR full": self._sr_full,
            "lease lost": self._lease_lost,
            "removal of an hour": self._removal,
            "disk locked": self._disk_locked,
            "toolstack restart": self._restart,
            "master changed": self._master_changed,
            "network cut": lambda: self._outage("cut", count=-1, seconds=orders.seconds),
            "slow": lambda: self._outage("slow", count=-1, seconds=3.0, argument=0.2 + orders.number),
            "truncated": self._truncated,
            "5xx": lambda: self._outage("http", count=orders.count, argument=STATUSES[int(orders.number * 4)]),
            "wrong certificate": lambda: self._outage("certificate", count=-1, seconds=orders.seconds),
        }[orders.cell.fault]()  # fmt: skip

    @property
    def struck(self) -> int:
        """How often it met somebody."""
        return sum(each.struck for each in (*self._rules, *self._outages)) if not self._lasting else self._counted()

    def activity_ended(self) -> None:
        """What has not begun by now is called off: it would meet another activity than the grid says."""
        if not self.struck:
            self.mend()

    def mend(self) -> None:
        """All is well again."""
        for rule in self._rules:
            rule.count = 0
        for outage in self._outages:
            outage.count = 0
        self._side.gate.clear()

    # -- each fault

    def _skip(self) -> int:
        cell = self._orders.cell
        # An activity that comes again has less to ask, and the table holds the most that was seen.
        looks_again = self._orders.occurrence or cell.activity in LOOKS_AGAIN
        most = requests_of(cell.activity, cell.side) * (0.2 if looks_again else 0.6)
        return int(self._orders.moment**2 * most)

    def _outage(self, kind: str, **said: Any) -> None:
        self._outages.append(self._side.gate.begin(Outage(kind, skip=self._skip(), **said)))

    def _on_calls(self, **said: Any) -> None:
        """A rule for each call of the activity that the fault is about; only as many strike as it says, in each."""
        cell = self._orders.cell
        for call in sorted(REACH[cell.activity][cell.side]):
            if any(fnmatchcase(call, each) for each in FAULTS[cell.side, cell.fault]):
                self._rule(call, **said)

    def _rule(self, method: str, **said: Any) -> None:
        self._rules.append(self._side.faults.add(FaultRule(method=method, **said)))

    def _session_expired(self) -> None:
        self._outage("sessions")

    def _task_lost(self) -> None:
        tasks = self._lab.vsphere.world.tasks if self._orders.cell.side == "vsphere" else self._lab.xapi.pool.tasks
        tasks.lose()
        before = tasks.lost
        self._lasting, self._counted = True, lambda: tasks.lost - before

    def _host_rebooting(self) -> None:
        """Its calls cannot be carried out for a while; then all is as before. Its machines are left as they are."""
        seconds = 0.5 + self._orders.seconds
        if self._orders.cell.side == "vsphere":  # vCenter answers, but not for the host (vsphere.md §5)
            fault = DETACHED[int(self._orders.number * len(DETACHED))]
            for call in ("*_Task", "ShutdownGuest", "QueryChangedDiskAreas", "Export*"):
                self._rule(call, action="fault", argument=fault, count=-1)
            for door in ("GET /folder", "GET /nfc"):
                self._rule(door, action="http", argument=503, count=-1)
        else:  # nobody listens, then XAPI is still starting (xapi.md §3.11); sessions of a master are its database's
            self._outage("restart", closed=seconds / 2)
            self._rule("*", action="error", argument=["HOST_STILL_BOOTING", "OpaqueRef:host"], count=-1, skip=10**9)
        threading.Thread(target=self._until_booted, args=(seconds,), daemon=True).start()

    def _until_booted(self, seconds: float) -> None:
        while not self.struck and any(each.count for each in (*self._rules, *self._outages)):
            time.sleep(0.01)
        for rule in self._rules:
            rule.skip = 0
        time.sleep(seconds)
        for rule in self._rules:
            rule.count = 0

    def _datastore_full(self) -> None:
        self._fail_task("NoDiskSpace", count=-1)

    def _fail_task(self, fault: str, count: int) -> None:
        cell = self._orders.cell
        for call in sorted(REACH[cell.activity][cell.side]):
            if call in ("CreateSnapshot_Task", "RemoveSnapshot_Task", "PowerOnVM_Task"):
                self._rule(f"{call}!", action="task-fault", argument=fault, count=count)

    def _sr_full(self) -> None:
        wire = ["SR_BACKEND_FAILURE_44", "", "There is insufficient space", ""]
        self._on_calls(action="error", argument=wire if self._orders.number < 0.7 else ["SR_FULL", "0", "0"], count=-1)

    def _lease_lost(self) -> None:
        self._outage("leases")

    def _removal(self) -> None:
        self._rule("RemoveSnapshot_Task!", action="lab-seconds", argument=HOUR)

    def _disk_locked(self) -> None:
        if self._orders.cell.side == "vsphere":
            self._fail_task("FileLocked", count=self._orders.count)
            if "GET /folder" in REACH[self._orders.cell.activity]["vsphere"]:
                self._rule("GET /folder", action="http", argument=500, count=self._orders.count)
        else:
            wire = ["VDI_IN_USE", "OpaqueRef:vdi", "attach"]
            if self._orders.number < 0.3:
                wire = ["SR_BACKEND_FAILURE_46", "", "The VDI is not available", ""]
            self._on_calls(action="error", argument=wire, count=self._orders.count)

    def _restart(self) -> None:
        self._outage("restart", closed=self._orders.seconds, argument=self._orders.number < 0.5)

    def _master_changed(self) -> None:
        self._outage("master")

    def _truncated(self) -> None:
        self._outage("truncated", count=self._orders.count, argument=int(40 + self._orders.number * 600))
