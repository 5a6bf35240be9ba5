"""One virtual disk: a raw base and delta links, in files with the names that vSphere gives them."""

import os
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

from simulators.vsphere.cowd import SECTOR, Cowd
from simulators.vsphere.tracking import GRAIN, ChangeTracking


@dataclass
class Link:
    """``delta`` is None for the base."""

    descriptor: str
    extent: str
    content_id: str
    delta: Cowd | None


class Disk:
    """Base first, leaf last. Writes go to the leaf; frozen links never change, but by consolidation."""

    def __init__(self, folder: Path, stem: str, capacity: int) -> None:
        self.folder, self.stem, self.capacity = folder, stem, capacity
        self.backing_uuid = "6000C29" + uuid.uuid4().hex[:25]
        self.lock = threading.RLock()
        self.tracking: ChangeTracking | None = None
        self._written = False
        self._next_link = 1
        self.base_file = folder / f"{stem}-flat.vmdk"
        if not self.base_file.exists():
            self.base_file.touch()
        os.truncate(self.base_file, capacity)
        self._base = os.open(self.base_file, os.O_RDWR)
        self.links = [Link(f"{stem}.vmdk", f"{stem}-flat.vmdk", uuid.uuid4().hex[:8], None)]
        self._describe(0)

    @property
    def leaf(self) -> Link:
        """Where writes go."""
        return self.links[-1]

    def write(self, offset: int, data: bytes) -> None:
        """A guest's write: whole sectors, inside the disk."""
        if offset % SECTOR or len(data) % SECTOR or offset + len(data) > self.capacity:
            raise ValueError("a guest writes whole sectors inside its disk")
        with self.lock:
            self._put(len(self.links) - 1, offset, data)
            self._written = True
            if self.tracking is not None:
                self.tracking.record(offset, len(data))

    def grow(self, capacity: int) -> None:
        """Somebody makes it larger, as vSphere lets them: never smaller, and not while there is a snapshot."""
        if capacity % SECTOR or capacity <= self.capacity or len(self.links) > 1:
            raise ValueError("a disk grows by whole sectors, and not while it has a snapshot")
        with self.lock:
            os.truncate(self.base_file, capacity)
            self.capacity = capacity
            self._describe(0)

    def put_down(self) -> None:
        """At power-off: a disk that is closed after a write has a new content id (vsphere.md §6)."""
        with self.lock:
            if self._written:
                self.leaf.content_id = uuid.uuid4().hex[:8]
                self._describe(len(self.links) - 1)
                self._written = False

    def read(self, offset: int, length: int, upto: int | None = None) -> bytes:
        """What the guest sees; with ``upto`` what the link of that number and its parents hold."""
        with self.lock:
            data = bytearray(os.pread(self._base, length, offset).ljust(length, b"\0"))
            view = memoryview(data)
            for link in self.links[1 : None if upto is None else upto + 1]:
                assert link.delta is not None
                link.delta.overlay(offset, view)
            return bytes(data)

    def read_extent(self, name: str, offset: int, length: int) -> bytes:
        """The bytes of one file of the chain, as `/folder` serves them."""
        if name == self.links[0].extent:
            return os.pread(self._base, length, offset)
        link = next(each for each in self.links if each.extent == name)
        assert link.delta is not None
        with self.lock:
            return link.delta.read(offset, length)

    def extent_size(self, name: str) -> int:
        """Bytes of a file of the chain."""
        if name == self.links[0].extent:
            return self.capacity
        link = next(each for each in self.links if each.extent == name)
        assert link.delta is not None
        return link.delta.size()

    def freeze(self) -> str | None:
        """A new leaf. Answers the change id of what is frozen now, where it is tracked."""
        with self.lock:
            number = self._next_link
            self._next_link += 1
            stem = f"{self.stem}-{number:06d}"
            delta = Cowd(self.folder / f"{stem}-delta.vmdk", self.capacity)
            self.links.append(Link(f"{stem}.vmdk", f"{stem}-delta.vmdk", uuid.uuid4().hex[:8], delta))
            self._describe(len(self.links) - 1)
            return self.tracking.close() if self.tracking is not None else None

    def pending(self, number: int) -> int:
        """Bytes that the consolidation of that link has to move."""
        delta = self.links[number].delta
        return len(delta) * SECTOR if delta is not None else 0

    def merge(self, number: int) -> None:
        """Put a link's content into its parent, and drop it: the parent takes its place."""
        with self.lock:
            link = self.links[number]
            assert link.delta is not None
            for offset, data in link.delta.grains():
                self._put(number - 1, offset, data)
            del self.links[number]
            link.delta.remove()
            (self.folder / link.descriptor).unlink()
            for each in range(number, len(self.links)):
                self._describe(each)

    def allocated(self, upto: int) -> set[int]:
        """64 KiB grains that may hold data in the chain up to that link."""
        grains: set[int] = set()
        at = 0
        while at < self.capacity:
            try:
                start = os.lseek(self._base, at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(self._base, start, os.SEEK_HOLE)
            grains.update(range(start // GRAIN, -(-min(at, self.capacity) // GRAIN)))
        for link in self.links[1 : upto + 1]:
            assert link.delta is not None
            grains.update(offset // GRAIN for offset in link.delta.offsets())
        return grains

    def close(self) -> None:
        """Give back the files; a write that comes later is refused: its number may be another file's by then."""
        with self.lock:
            os.close(self._base)
            self._base = -1
        for link in self.links[1:]:
            assert link.delta is not None
            link.delta.close()

    def _put(self, number: int, offset: int, data: bytes) -> None:
        delta = self.links[number].delta
        if delta is None:
            os.pwrite(self._base, data, offset)
        else:
            delta.write(offset, data)

    def _describe(self, number: int) -> None:
        """Write a link's descriptor."""
        link = self.links[number]
        parent = self.links[number - 1] if number else None
        lines = [
            "# Disk DescriptorFile",
            "version=1",
            'encoding="UTF-8"',
            f"CID={link.content_id}",
            f"parentCID={parent.content_id if parent else 'ffffffff'}",
            f'createType="{"vmfsSparse" if parent else "vmfs"}"',
            *([f'parentFileNameHint="{parent.descriptor}"'] if parent else []),
            f'RW {self.capacity // SECTOR} {"VMFSSPARSE" if parent else "VMFS"} "{link.extent}"',
            'ddb.adapterType = "lsilogic"',
            f'ddb.uuid = "{self.backing_uuid}"',
        ]
        (self.folder / link.descriptor).write_text("\n".join(lines) + "\n")
