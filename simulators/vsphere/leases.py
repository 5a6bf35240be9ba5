"""HttpNfcLease: what ExportVm and ExportSnapshot hand out, and how long it holds."""

import hashlib
import itertools
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from simulators.vsphere import soap
from simulators.vsphere.tasks import not_found

if TYPE_CHECKING:
    from simulators.vsphere.machine import Machine, Snapshot
    from simulators.vsphere.world import World

TIMEOUT = 300
BEGINS_AFTER = 0.1
_STATE = vim.HttpNfcLease.State


@dataclass
class Sent:
    """A disk that was streamed to its end."""

    size: int
    sha1: str
    populated: int


@dataclass
class Lease:
    """``links``: how many links of each disk are exported."""

    moid: str
    machine: "Machine"
    links: dict[int, int]
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    ready_at: float = 0.0
    renewed: float = 0.0
    percent: int = 0
    renewals: int = 0
    timed_out: bool = False
    sent: dict[int, Sent] = field(default_factory=dict)


class Leases:
    """All that are held."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._held: dict[str, Lease] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.begun = self.completed = self.aborted = 0

    def export(self, machine: "Machine", snapshot: "Snapshot | None") -> Any:
        """A lease on a machine that is off, or on a snapshot. Raises TaskInProgress, InvalidPowerState."""
        with self._lock:
            if self.of(machine) is not None or machine.busy:
                raise soap.named_fault("TaskInProgress", "Another task is already in progress.")
            if snapshot is None and machine.power != "poweredOff":
                error = soap.named_fault("InvalidPowerState", "The operation cannot be performed in this power state.")
                error.requestedState, error.existingState = "poweredOff", machine.power
                raise error
            if snapshot is not None:
                links = dict(snapshot.frozen)
            else:
                links = {number: len(disk.links) for number, disk in enumerate(machine.disks)}
            now = self._world.clock.now()
            lease = Lease(f"session[{uuid.uuid4().hex[:8]}]lease-{next(self._numbers)}", machine, links)
            lease.ready_at, lease.renewed = now + BEGINS_AFTER, now
            self._held[lease.moid] = lease
            self.begun += 1
        return vim.HttpNfcLease(lease.moid)

    def of(self, machine: "Machine") -> Lease | None:
        """The lease that holds a machine."""
        return next((each for each in self._held.values() if each.machine is machine and self._alive(each)), None)

    def _alive(self, lease: Lease) -> bool:
        if not lease.timed_out and self._world.clock.now() - lease.renewed > TIMEOUT:
            lease.timed_out = True
        return not lease.timed_out

    def time_out(self) -> int:
        """All that hold, at once, as when their host loses them; how many they were."""
        with self._lock:
            alive = [each for each in self._held.values() if self._alive(each)]
            for each in alive:
                each.timed_out = True
            return len(alive)

    def _find(self, moid: str) -> Lease:
        lease = self._held.get(moid)
        if lease is None:
            raise not_found(vim.HttpNfcLease(moid))
        return lease

    def properties(self, moid: str) -> dict[str, Any] | None:
        """For the PropertyCollector."""
        lease = self._held.get(moid)
        if lease is None:
            return None
        return {
            "state": lambda: self._state(lease),
            "info": lambda: self._info(lease) if self._state(lease) == _STATE.ready else None,
            "error": lambda: soap.named_fault("Timedout", "The lease has timed out.") if lease.timed_out else None,
            "initializeProgress": lambda: 100,
            "transferProgress": lambda: lease.percent,
        }

    def _state(self, lease: Lease) -> Any:
        if not self._alive(lease):
            return _STATE.error
        return _STATE.ready if self._world.clock.now() >= lease.ready_at else _STATE.initializing

    def _info(self, lease: Lease) -> Any:
        machine = lease.machine
        # A vCenter names the host that the machine is on, as it was added; a bare host names itself by a star.
        world = self._world
        host = world.host_name(world.said.hosts[world.hosts.index(world.host_of(lease.machine.said))])
        where = f"https://{host}:{world.port}" if world.said.kind == "vcenter" else "https://*"
        urls = [
            soap.complete(
                vim.HttpNfcLease.DeviceUrl(
                    key=self.key(machine, number), importKey="", url=f"{where}/nfc/{lease.token}/disk-{number}.vmdk",
                    sslThumbprint="", disk=True, targetId=f"disk-{number}.vmdk",
                )
            )
            for number in lease.links
        ]  # fmt: skip
        capacity = sum(machine.disks[number].capacity for number in lease.links)
        return soap.complete(
            vim.HttpNfcLease.Info(
                lease=vim.HttpNfcLease(lease.moid), entity=machine.ref, deviceUrl=urls, leaseTimeout=TIMEOUT,
                totalDiskCapacityInKB=capacity >> 10,
            )
        )  # fmt: skip

    @staticmethod
    def key(machine: "Machine", number: int) -> str:
        """``/vm-100/ParaVirtualSCSIController0:0``."""
        said = machine.said.disks[number]
        kind = {
            "scsi": "ParaVirtualSCSIController", "ide": "VirtualIDEController", "sata": "VirtualAHCIController",
            "nvme": "VirtualNVMEController",
        }[said.controller[:-1]]  # fmt: skip
        return f"/{machine.moid}/{kind}{said.controller[-1]}:{said.unit}"

    def progress(self, moid: str, percent: int) -> None:
        """HttpNfcLeaseProgress: renews, also with the same percentage. Raises InvalidState, Timedout."""
        lease = self._find(moid)
        if self._state(lease) != _STATE.ready:
            raise soap.named_fault("Timedout" if lease.timed_out else "InvalidState")
        lease.renewed, lease.percent = self._world.clock.now(), percent
        lease.renewals += 1

    def end(self, moid: str, *, complete: bool) -> None:
        """HttpNfcLeaseComplete, HttpNfcLeaseAbort: the object is gone afterwards."""
        lease = self._find(moid)
        if complete and self._state(lease) != _STATE.ready:
            raise soap.named_fault("InvalidState")
        del self._held[moid]
        if complete:
            self.completed += 1
        else:
            self.aborted += 1

    def manifest(self, moid: str) -> list[Any]:
        """HttpNfcLeaseGetManifest: of what was streamed to its end."""
        lease = self._find(moid)
        if self._state(lease) != _STATE.ready:
            raise soap.named_fault("InvalidState")
        return [
            soap.complete(
                vim.HttpNfcLease.ManifestEntry(
                    key=self.key(lease.machine, number), sha1=sent.sha1, checksum=sent.sha1, checksumType="sha1",
                    size=sent.size, disk=True, capacity=lease.machine.disks[number].capacity,
                    populatedSize=sent.populated,
                )
            )
            for number, sent in sorted(lease.sent.items())
        ]  # fmt: skip

    def served(self, token: str) -> Lease | None:
        """The lease whose URLs have that token, while it holds."""
        lease = next((each for each in self._held.values() if each.token == token), None)
        return lease if lease is not None and self._state(lease) == _STATE.ready else None

    def holds(self, lease: Lease) -> bool:
        """Whether what is being sent may go on."""
        return lease.moid in self._held and self._alive(lease)

    def count(self) -> dict[str, int]:
        """For the lab's door."""
        return {"held": len(self._held), "begun": self.begun, "completed": self.completed, "aborted": self.aborted}


def note_sent(lease: Lease, number: int, size: int, digest: "hashlib._Hash", populated: int) -> None:
    """A stream came to its end."""
    lease.sent[number] = Sent(size, digest.hexdigest(), populated)
