"""HttpNfcLease: opened, kept alive apart from the bytes, ended; shared by all disks of a machine (vsphere.md §1b).

While it is held nothing else is done to the machine, so it ends with its last reader. A lease that a dead worker left
ends by itself after five minutes; until then vSphere says that the machine is busy, and the step is tried again.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from platforms.vsphere.faults import translated
from platforms.vsphere.located import Located
from platforms.vsphere.properties import read_one
from platforms.vsphere.session import Session

READY_SECONDS = 600.0
KEEP_SECONDS = 30.0
"""Between two renewals; a lease holds for 300 s in practice."""
_CONTROLLER = re.compile(r"([A-Za-z]+)(\d+):(\d+)$")
_KINDS = (("scsi", "scsi"), ("lsilogic", "scsi"), ("buslogic", "scsi"), ("ide", "ide"), ("ahci", "sata"),
          ("sata", "sata"), ("nvme", "nvme"))  # fmt: skip


class Lease:
    """One export, held.

    Args:
        snapshot: moid of the snapshot to export; None for the machine as it is, which must be off.
    """

    def __init__(self, session: Session, vm: Located, snapshot: str | None) -> None:
        self._session = session
        self.doing = f"export {vm.name}"

        def begin(instance: Any) -> Any:
            if snapshot is None:
                return vm.managed(instance).ExportVm()
            return vim.vm.Snapshot(snapshot, instance._stub).ExportSnapshot()

        self._ref = session.call(self.doing, begin, repeat=False)
        self._over = threading.Event()
        self.lost = ""
        self.percent = 0
        try:
            self.urls = self._when_ready()
        except BaseException:
            self._call(lambda lease: lease.HttpNfcLeaseAbort(None))
            raise
        threading.Thread(target=self._keep, daemon=True, name="nfc-lease").start()

    def _when_ready(self) -> dict[str, str]:
        deadline, pause = time.monotonic() + READY_SECONDS, 0.05
        while True:
            told = read_one(self._session, self._ref, ["state", "error"], self.doing)
            if told.get("state") == "ready":
                break
            if told.get("state") in ("error", "done"):
                raise translated(told.get("error") or vim.fault.InvalidState(), self.doing)
            if time.monotonic() > deadline:
                raise FerryError("vsphere.busy", f"cannot {self.doing}: the lease is not ready")
            time.sleep(pause)
            pause = min(2.0, pause * 1.5)
        info = read_one(self._session, self._ref, ["info"], self.doing)["info"]
        return {slot: each.url for each in info.deviceUrl if each.disk and (slot := slot_of(each.key))}

    def manifest(self) -> dict[str, Any]:
        """What the host says that it sent, by slot; empty where it keeps none."""
        entries = self._session.call(
            self.doing, lambda instance: vim.HttpNfcLease(self._ref._moId, instance._stub).HttpNfcLeaseGetManifest()
        )
        return {slot: each for each in entries or [] if (slot := slot_of(each.key))}

    def end(self, *, complete: bool) -> None:
        """Let the machine go. Never raises: a lease that is gone is what was wanted."""
        self._over.set()
        if complete:
            self._call(lambda lease: lease.HttpNfcLeaseComplete())
        else:
            self._call(lambda lease: lease.HttpNfcLeaseAbort(None))

    def _keep(self) -> None:
        """Renew it from a thread of its own, whatever the stream does."""
        while not self._over.wait(KEEP_SECONDS):
            try:
                self._session.call(self.doing, self._renew)
            except FerryError as error:
                if error.code != "vsphere.unreachable":
                    self.lost = error.message
                    return

    def _renew(self, instance: Any) -> None:
        """The same percentage renews as well."""
        vim.HttpNfcLease(self._ref._moId, instance._stub).HttpNfcLeaseProgress(self.percent)

    def _call(self, work: Callable[[Any], Any]) -> None:
        with contextlib.suppress(FerryError):
            self._session.call(
                self.doing, lambda instance: work(vim.HttpNfcLease(self._ref._moId, instance._stub)), repeat=False
            )


def slot_of(key: str) -> str:
    """``scsi0:0`` of ``/vm-4681/ParaVirtualSCSIController0:0``; empty for what is no disk's key."""
    told = _CONTROLLER.search(key)
    if told is None:
        return ""
    kind = next((kind for word, kind in _KINDS if word in told[1].lower()), "")
    return f"{kind}{told[2]}:{told[3]}" if kind else ""


class Leases:
    """The leases of one source, each shared by the readers of one freeze."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str | None], tuple[Lease, int]] = {}
        self._turns: dict[str, threading.Lock] = {}
        """By machine: one lease that takes minutes to be ready keeps nobody from those of other machines."""

    def take(self, vm: Located, snapshot: str | None) -> Lease:
        """The lease of that freeze, begun if need be; give it back."""
        key = (vm.ref._moId, snapshot)
        with self._lock:
            turn = self._turns.setdefault(vm.ref._moId, threading.Lock())
        with turn:
            with self._lock:
                held = self._held.get(key)
                if held is not None and not held[0].lost:
                    self._held[key] = (held[0], held[1] + 1)
                    return held[0]
            lease = Lease(self._session, vm, snapshot)
            with self._lock:
                self._held[key] = (lease, 1)
            return lease

    def give_back(self, lease: Lease, *, complete: bool) -> None:
        """Done with it; its last reader ends it."""
        with self._lock:
            for key, (held, readers) in self._held.items():
                if held is lease:
                    if readers > 1:
                        self._held[key] = (held, readers - 1)
                        return
                    del self._held[key]
                    break
        lease.end(complete=complete)
