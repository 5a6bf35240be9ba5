"""A frozen disk: what is allocated and changed by SOAP, its bytes by the best transport that holds."""

from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from contracts.steps import Freeze, FrozenDisk
from disks.extents import Extent, both
from platforms.vsphere.changes import changed_areas
from platforms.vsphere.landmark import PRESENT, Landmark, distrust
from platforms.vsphere.located import Located
from platforms.vsphere.session import Session
from platforms.vsphere.transports.ladder import Ladder
from platforms.vsphere.transports.nfs import MountedFile
from platforms.vsphere.transports.reader import Reader
from platforms.vsphere.transports.vddk import VddkReader

_PASSING = ("vsphere.unreachable", "vsphere.login_refused", "vsphere.certificate", "vsphere.no_permission")
_NO_USE = ("vsphere.unreachable", "vsphere.login_refused", "vsphere.stream_disbelieved")
"""Of no transport's making: another one fails of it as well; or what it gave is to be sent again, all of it."""


class FrozenVsphereDisk:
    """A :class:`disks.protocols.DiskSource`.

    Raises:
        FerryError: from the constructor, as :meth:`Ladder.open`.
    """

    def __init__(self, session: Session, ladder: Ladder, vm: Located, freeze: Freeze, disk: FrozenDisk) -> None:
        self._session, self._ladder, self._vm, self._freeze, self._disk = session, ladder, vm, freeze, disk
        self._snapshot = vim.vm.Snapshot(freeze.snapshot) if freeze.snapshot is not None else None
        self._left = list(disk.usable)
        self._given_up: list[str] = []
        self._reader: Reader | None = None
        self._hung_up = False
        self._open()

    def _open(self) -> None:
        while True:
            try:
                self._reader = self._ladder.open(self._vm, self._freeze, self._disk, self._left[0])
                if self._hung_up:  # while it was being opened
                    self._reader.hang_up()
                return
            except FerryError as error:
                if not self._give_up(error):
                    raise

    def _give_up(self, error: FerryError) -> bool:
        if error.code in _NO_USE or len(self._left) < 2:
            return False
        self._given_up.append(f"{self._left.pop(0)} was given up: {error.message}")
        return True

    def step_down(self, error: FerryError) -> bool:
        """See the protocol. What stands in every transport's way (a login, a snapshot that is gone) is no reason."""
        if not error.code.startswith("vsphere.") or not self._give_up(error):
            return False
        if self._reader is not None:
            self._reader.close()
        self._open()
        return True

    @property
    def transport(self) -> str:
        """``nfs``, ``https`` or ``nfc``."""
        return self._left[0]

    @property
    def reason(self) -> str:
        """Why that one."""
        return "; ".join([self._disk.reason, *self._given_up])

    @property
    def asks_ahead(self) -> int:
        """As the transport can bear."""
        return self._reader.asks_ahead if self._reader is not None else 0

    def ask(self, offset: int, length: int) -> None:
        """See the protocol."""
        if self._reader is not None:
            self._reader.ask(offset, length)

    @property
    def capacity(self) -> int:
        """Bytes."""
        return self._disk.capacity

    def allocated(self) -> list[Extent]:
        """By change tracking's ``*`` and the holes of a mounted file; VDDK tells by itself; else the whole disk.

        Change tracking knows nothing of holes on NFS (vsphere.md §2), so that a mount's own are asked for, too.
        """
        told, reader = None, self._reader
        if isinstance(reader, MountedFile) or (isinstance(reader, VddkReader) and not self._disk.change_id):
            told = reader.extents()
        whole = [Extent(0, self.capacity)] if told is None else told
        if not self._disk.change_id or Landmark.parse(self._disk.change_id).foreign.endswith(PRESENT):
            return whole
        try:
            return both(whole, changed_areas(self._query, "*", self.capacity))
        except FerryError as error:
            if error.code in _PASSING:
                raise
            return whole

    def changed_since(self, landmark: str) -> list[Extent]:
        """By change tracking, where it can be believed."""
        if not self._disk.change_id:
            raise FerryError("vsphere.change_tracking_unusable", f"{self._disk.slot}: the disk has no change id")
        then, now = Landmark.parse(landmark), Landmark.parse(self._disk.change_id)
        reason = distrust(then, now)
        if reason:
            raise FerryError("vsphere.change_tracking_unusable", f"{self._disk.slot}: {reason}")
        try:
            return changed_areas(self._query, then.change_id, self.capacity)
        except FerryError as error:
            if error.code in _PASSING:
                raise
            raise FerryError("vsphere.change_tracking_unusable", f"{self._disk.slot}: {error.message}") from None

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer."""
        if offset < 0 or offset + len(buffer) > self.capacity:
            raise ValueError(f"{offset}+{len(buffer)} is past the end of a {self.capacity}-byte disk")
        assert self._reader is not None
        self._reader.read_into(offset, buffer)

    def hang_up(self) -> None:
        """See the protocol."""
        self._hung_up = True
        reader = self._reader
        if reader is not None:
            reader.hang_up()

    def close(self) -> None:
        """Give back connections."""
        if self._reader is not None:
            self._reader.close()

    def _query(self, start: int, change_id: str) -> Any:
        return self._session.call(
            f"ask what changed on {self._disk.slot}",
            lambda instance: self._vm.managed(instance).QueryChangedDiskAreas(
                self._snapshot, self._disk.key, start, change_id
            ),
        )
