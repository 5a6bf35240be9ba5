"""A delta link as vmfsSparse keeps it ("COWD"): 512-byte grains found through a directory of tables.

Header of one sector, the directory at sector 4, tables of 4096 entries; an entry is the grain's sector in this file,
0 says that the parent has it. All little-endian. So qemu-img reads the chain as vSphere would.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

SECTOR = 512
TABLE = 4096
DIRECTORY_AT = 4


class Cowd:
    """One delta file. Not safe for threads: the disk's lock is."""

    def __init__(self, file: Path, capacity: int) -> None:
        self.file = file
        self.sectors = capacity // SECTOR
        entries = -(-self.sectors // TABLE)
        self._directory_sectors = -(-entries * 4 // SECTOR)
        self._where: dict[int, int] = {}  # sector of the disk to sector of this file
        self._tables: dict[int, int] = {}
        self._end = DIRECTORY_AT + self._directory_sectors
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        header = struct.pack("<4s8I", b"COWD", 1, 3, self.sectors & 0xFFFFFFFF, 1, DIRECTORY_AT, entries, self._end, 0)
        os.pwrite(self._descriptor, header.ljust(DIRECTORY_AT * SECTOR, b"\0"), 0)
        os.ftruncate(self._descriptor, self._end * SECTOR)

    def __len__(self) -> int:
        return len(self._where)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Whole sectors."""
        first = offset // SECTOR
        fresh = [each for each in range(first, first + len(data) // SECTOR) if each not in self._where]
        for sector in fresh:
            self._where[sector] = self._end
            self._end += 1
            self._note(sector)
        for at, sector in enumerate(range(first, first + len(data) // SECTOR)):
            os.pwrite(self._descriptor, data[at * SECTOR : (at + 1) * SECTOR], self._where[sector] * SECTOR)

    def overlay(self, offset: int, buffer: memoryview) -> None:
        """Put what this link has over the buffer's bytes."""
        first = offset // SECTOR
        count = len(buffer) // SECTOR
        if not self._where:
            return
        mine = (
            (sector for sector in range(first, first + count) if sector in self._where)
            if count < len(self._where)
            else (sector for sector in list(self._where) if first <= sector < first + count)
        )
        for sector in mine:
            at = (sector - first) * SECTOR
            buffer[at : at + SECTOR] = os.pread(self._descriptor, SECTOR, self._where[sector] * SECTOR)

    def grains(self) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of every sector that this link has."""
        for sector, place in list(self._where.items()):
            yield sector * SECTOR, os.pread(self._descriptor, SECTOR, place * SECTOR)

    def offsets(self) -> list[int]:
        """Where this link has sectors, ascending."""
        return sorted(sector * SECTOR for sector in self._where)

    def read(self, offset: int, length: int) -> bytes:
        """The file as it is."""
        return os.pread(self._descriptor, length, offset)

    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._descriptor).st_size

    def remove(self) -> None:
        """Delete the file."""
        os.close(self._descriptor)
        self.file.unlink()

    def close(self) -> None:
        """Give back the file."""
        os.close(self._descriptor)

    def _note(self, sector: int) -> None:
        table = sector // TABLE
        if table not in self._tables:
            # The sector's own place was taken already: the table goes behind it.
            place = self._end
            self._tables[table] = place
            self._end += TABLE * 4 // SECTOR
            os.pwrite(self._descriptor, bytes(TABLE * 4), place * SECTOR)
            os.pwrite(self._descriptor, struct.pack("<I", place), DIRECTORY_AT * SECTOR + table * 4)
        entry = self._tables[table] * SECTOR + sector % TABLE * 4
        os.pwrite(self._descriptor, struct.pack("<I", self._where[sector]), entry)
