"""A frozen disk: what is allocated and changed by SOAP, its bytes by `/folder`."""

from typing import Any

from pyVmomi import vim

from contracts.errors import FerryError
from contracts.steps import Freeze, FrozenDisk
from disks.extents import Extent
from platforms.vsphere.changes import changed_areas
from platforms.vsphere.landmark import Landmark, distrust
from platforms.vsphere.session import Session
from platforms.vsphere.transports.https import FolderFile

_PASSING = ("vsphere.unreachable", "vsphere.login_refused", "vsphere.certificate", "vsphere.no_permission")


class FrozenVsphereDisk:
    """A :class:`disks.protocols.DiskSource`."""

    def __init__(self, session: Session, machine: Any, freeze: Freeze, disk: FrozenDisk, datacenter: str) -> None:
        self._session, self._machine, self._disk = session, machine, disk
        self._snapshot = vim.vm.Snapshot(freeze.snapshot) if freeze.snapshot is not None else None
        self._file = FolderFile(session, disk.flat, datacenter, disk.capacity)

    @property
    def capacity(self) -> int:
        """Bytes."""
        return self._disk.capacity

    def allocated(self) -> list[Extent]:
        """By change tracking's ``*``; the whole disk where vSphere cannot tell (NFS, tracking off)."""
        whole = [Extent(0, self.capacity)]
        if not self._disk.change_id:
            return whole
        try:
            return changed_areas(self._query, "*", self.capacity)
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
        self._file.read_into(offset, buffer)

    def close(self) -> None:
        """Give back connections."""
        self._file.close()

    def _query(self, start: int, change_id: str) -> Any:
        return self._session.call(
            f"ask what changed on {self._disk.slot}",
            lambda instance: vim.VirtualMachine(self._machine._moId, instance._stub).QueryChangedDiskAreas(
                self._snapshot, self._disk.key, start, change_id
            ),
        )
