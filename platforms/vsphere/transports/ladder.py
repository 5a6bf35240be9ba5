"""Which transports can read a frozen disk, best first, and why the others cannot (DESIGN §4).

nbd     VDDK behind nbdkit                    any datastore, where ferry.toml has [sources.NAME.vddk]
nfs     the datastore's export, directly      a flat base, and ferry.toml names the export
https   ranges of `/folder`                   a flat base that the host serves: it is tried, each time
nfc     a stream of the whole disk            any datastore, through any chain; a lease holds the machine meanwhile
"""

import contextlib
import time
from collections.abc import Mapping

from contracts.errors import FerryError
from contracts.steps import Freeze, FrozenDisk, Rung
from platforms.vsphere.located import Located
from platforms.vsphere.session import Session
from platforms.vsphere.transports.https import FolderFile
from platforms.vsphere.transports.lease import Leases
from platforms.vsphere.transports.nfc import NfcReader
from platforms.vsphere.transports.nfs import export_of, open_nfs
from platforms.vsphere.transports.reader import NotServed, Reader
from platforms.vsphere.transports.vddk import VddkReader

_PASSING = ("vsphere.unreachable", "vsphere.login_refused", "vsphere.certificate", "vsphere.busy", "vm.gone")

SILENT_SECONDS = 60.0
"""An NFS server that did not answer is not asked again so soon: each disk of a frozen machine would wait for it."""


class Ladder:
    """The transports of one source."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._leases = Leases(session)
        self._silent: dict[str, tuple[float, str]] = {}

    def climb(
        self, vm: Located, disk: FrozenDisk, snapshot: str | None, stores: Mapping[str, str], *, final: bool,
        read_only: bool = False,
    ) -> FrozenDisk:  # fmt: skip
        """The disk with its ladder, and the best transport that answers now.

        Args:
            disk: ``flat`` is the path of its one flat base, or empty with the reason why there is none.
            stores: datastore name to its type.
            read_only: the host's licence allows no change, and a lease is one.

        Raises:
            FerryError: what passes (``vsphere.unreachable``, …) where it kept it from being told.
        """
        rungs: list[Rung] = []
        if self._session.config.vddk is not None:
            refusal = self._why_not(vm, disk, "nbd", snapshot)
            rungs.append(Rung(transport="nbd", usable=not refusal, reason=refusal or "VDDK behind nbdkit"))
        store = disk.flat.removeprefix("[").partition("] ")[0]
        export = export_of(self._session.config.nfs, store) if disk.flat else None
        if disk.flat and (export is not None or stores.get(store, "").startswith("NFS")):
            refusal = f"ferry.toml names no export of {store}" if export is None else self._why_no_nfs(vm, disk, export)
            rungs.append(Rung(transport="nfs", usable=not refusal, reason=refusal or f"{store} is read at {export}"))
        refusal = self._why_not(vm, disk, "https") if disk.flat else disk.reason
        rungs.append(Rung(transport="https", usable=not refusal, reason=refusal or "/folder serves its base"))
        if read_only:
            rungs.append(Rung(transport="nfc", usable=False, reason="the free licence allows no export"))
        elif any(rung.usable for rung in rungs):
            rungs.append(Rung(transport="nfc", usable=True, reason="a stream of the whole disk, if need be"))
        else:
            refusal = self._why_no_export(vm, disk, None if final else snapshot)
            rungs.append(Rung(transport="nfc", usable=not refusal, reason=refusal or "a stream of the whole disk"))
        best = next((rung.transport for rung in rungs if rung.usable), "")
        # Of those below the best, only what cannot be used is worth a word.
        told = [f"{rung.transport}: {rung.reason}" for rung in rungs if rung.transport == best or not rung.usable]
        return disk.model_copy(update={"ladder": tuple(rungs), "transport": best, "reason": "; ".join(told)})

    def open(self, vm: Located, freeze: Freeze, disk: FrozenDisk, transport: str) -> Reader:
        """Raises :class:`NotServed` where that transport means it; other FerryErrors for trouble that may pass."""
        match transport:
            case "nfs":
                store = disk.flat.removeprefix("[").partition("] ")[0]
                export = export_of(self._session.config.nfs, store)
                if export is None:
                    raise NotServed(f"this worker's ferry.toml names no export of {store}")
                return open_nfs(export, disk.flat, disk.capacity)
            case "https":
                return FolderFile(self._session, disk.flat, vm.datacenter, disk.capacity)
            case "nbd":
                if self._session.config.vddk is None:
                    raise NotServed("this worker's ferry.toml has no VDDK")
                return VddkReader(self._session, self._session.config.vddk, vm, freeze, disk)
            case "nfc":
                # A machine that is off is exported as it is: its cold snapshot may be gone by then.
                snapshot = None if freeze.final else freeze.snapshot
                return NfcReader(self._session, self._leases, vm, snapshot, disk.slot, disk.capacity)
            case _:
                raise NotServed(f"nobody here knows the transport {transport!r}")

    def _why_not(self, vm: Located, disk: FrozenDisk, transport: str, snapshot: str | None = None) -> str:
        """Empty when the first and the last sector can be read now.

        Evidence on running VMs of VMFS conflicts (vsphere.md §1a), so it is tried, each time.
        """
        sector = memoryview(bytearray(min(512, disk.capacity)))
        freeze = Freeze(pass_no=0, snapshot=snapshot, disks=(disk,))
        try:
            with contextlib.closing(self.open(vm, freeze, disk, transport)) as reader:
                reader.read_into(0, sector)
                reader.read_into(disk.capacity - len(sector), sector)
        except FerryError as error:
            if isinstance(error, NotServed):
                return error.message
            raise
        return ""

    def _why_no_nfs(self, vm: Located, disk: FrozenDisk, export: str) -> str:
        """The same; a server that does not answer is told of for a while before it is asked again."""
        until, told = self._silent.get(export, (0.0, ""))
        if time.monotonic() < until:
            return told
        try:
            return self._why_not(vm, disk, "nfs")
        except FerryError as error:
            if error.code != "vsphere.read_failed":
                raise
            self._silent[export] = time.monotonic() + SILENT_SECONDS, error.message
            return error.message

    def _why_no_export(self, vm: Located, disk: FrozenDisk, snapshot: str | None) -> str:
        """Empty when a lease can be had; it is given back at once."""
        try:
            NfcReader(self._session, self._leases, vm, snapshot, disk.slot, disk.capacity).close()
        except FerryError as error:
            if error.code in _PASSING:
                raise
            return error.message
        return ""
