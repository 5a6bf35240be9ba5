"""A datastore on NFS, read directly: from a mounted path, or without mounting it (vsphere.md §1d).

NFS knows none of ESXi's locks, so what keeps us from a file that is written is our own rule: frozen links only.
"""

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from contracts.errors import FerryError
from disks.extents import Extent
from platforms.vsphere.transports.nfs3 import Export, NfsError, NfsFile
from platforms.vsphere.transports.reader import NotServed, Reader

ASKS_AHEAD = 4
"""Reads that a mount is told of: over holes the kernel does not read ahead by itself."""


def export_of(exports: Mapping[str, str], datastore: str) -> str | None:
    """What ferry.toml says of a datastore: a mounted path, or ``nfs://host/export``; None when it says nothing.

    Its name is understood as it is, and as Xen Orchestra's users spell it: ``[VMWARE]name``, ``[VmWare] name``.
    """
    for name, where in exports.items():
        if _plain(name) == datastore:
            return where
    return None


def spelled_as(exports: Mapping[str, str], datastore: str) -> str:
    """The key in ferry.toml that is understood as that datastore; empty when none is."""
    return next((name for name in exports if _plain(name) == datastore), "")


def _plain(name: str) -> str:
    head, bracket, rest = name.partition("]")
    return rest.strip() if bracket and head.strip().lower() == "[vmware" else name


def open_nfs(where: str, path: str, size: int) -> Reader:
    """Open ``[datastore] folder/file`` on its export.

    Raises:
        FerryError: :class:`NotServed` for what is not there or of another size; ``vsphere.read_failed`` for trouble
            on the way.
    """
    inside = PurePosixPath(path.partition("] ")[2])
    if inside.is_absolute() or ".." in inside.parts or not inside.parts:
        raise NotServed(f"{path} is no path inside a datastore")
    if where.startswith("nfs://"):
        try:
            file = NfsFile(Export.parse(where), inside.parts)
        except NfsError as error:
            raise (NotServed if error.meant else _passing)(f"{where}: {error}") from None
        reader: UnmountedFile | MountedFile = UnmountedFile(file, where)
    else:
        reader = MountedFile(Path(where) / inside)
    found = reader.size
    if found != size:
        reader.close()
        raise NotServed(f"{where}: {inside} has {found} bytes, the disk has {size}")
    return reader


def _passing(message: str) -> FerryError:
    return FerryError("vsphere.read_failed", message)


class MountedFile:
    """A file of a datastore that is mounted here (read-only, hard)."""

    asks_ahead = ASKS_AHEAD

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            # What an earlier pass left in the page cache is from before the host wrote on: opening asks the server
            # (close-to-open), and this drops what it did not.
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            self.size = os.fstat(self._descriptor).st_size
        except OSError as error:
            raise NotServed(f"{file}: {error.strerror}") from None

    def ask(self, offset: int, length: int) -> None:
        """Let the kernel fetch it."""
        with contextlib.suppress(OSError):
            os.posix_fadvise(self._descriptor, offset, length, os.POSIX_FADV_WILLNEED)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer."""
        at = 0
        while at < len(buffer):
            try:
                with buffer[at:] as rest:
                    count = os.preadv(self._descriptor, [rest], offset + at)
            except OSError as error:
                raise NotServed(f"{self._file}: {error.strerror}") from None
            if not count:
                raise NotServed(f"{self._file} ends at byte {offset + at}")
            at += count

    def extents(self) -> list[Extent] | None:
        """Where the file has no holes, as far as its server tells (NFS 4.2; before that all of it is data)."""
        found: list[Extent] = []
        try:
            at = 0
            while at < self.size:
                start = os.lseek(self._descriptor, at, os.SEEK_DATA)
                at = os.lseek(self._descriptor, start, os.SEEK_HOLE)
                found.append(Extent(start, at))
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing but a hole from here to the end
                return None
        return found

    def hang_up(self) -> None:
        """A hard mount waits for its server, whatever we do."""

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class UnmountedFile:
    """A file read by our own NFSv3 client."""

    asks_ahead = 3

    def __init__(self, file: NfsFile, where: str) -> None:
        self._file, self._where = file, where
        self.size = file.size

    def ask(self, offset: int, length: int) -> None:
        """Send the READs."""
        self._file.ask(offset, length)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer."""
        try:
            self._file.read_into(offset, buffer)
        except NfsError as error:
            raise (NotServed if error.meant else _passing)(f"{self._where}: {error}") from None

    def hang_up(self) -> None:
        """End whatever waits."""
        self._file.hang_up()

    def close(self) -> None:
        """Hang up."""
        self._file.close()
