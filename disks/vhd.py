"""Reading a VHD, dynamic or a difference, that comes as a stream: forward only, in bounded memory, trusting nothing.

    footer copy · dynamic header · BAT · blocks (bitmap + data), in physical order · footer

All integers are big-endian, a sector is 512 bytes (xapi.md §2). A stream that was cut short, or to which a server
appended the text of an error, is told apart from a whole one: it ends with a valid footer or it is broken.
"""

import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SECTOR = 512
HEADER = 1024
ABSENT = 0xFFFFFFFF
MOST_ENTRIES = 1 << 22
"""BAT entries: 8 TiB in blocks of 2 MiB; 16 MiB of memory."""
MOST_BLOCK = 16 << 20
DYNAMIC, DIFFERENCING = 3, 4

_FOOTER = struct.Struct(">8sIIQ4s4sI4sQQ4sII16s")
_HEADER = struct.Struct(">8sQQIIII")


class BrokenVhd(Exception):
    """The stream is not a whole VHD; the message says where and why."""


@dataclass(frozen=True)
class Footer:
    """What of the footer matters: ``header_at`` and ``capacity`` in bytes, the disk's type and id."""

    header_at: int
    capacity: int
    disk_type: int
    uuid: bytes

    @classmethod
    def parse(cls, raw: bytes | bytearray | memoryview) -> "Footer":
        """Raises :class:`BrokenVhd` unless cookie, checksum, and version are right."""
        cookie, _, version, header_at, _, _, _, _, _, capacity, _, disk_type, checksum, uuid = _FOOTER.unpack_from(raw)
        if cookie != b"conectix":
            raise BrokenVhd("no footer where one must be")
        if checksum != checksum_of(raw, 64):
            raise BrokenVhd("the footer's checksum is wrong")
        if version != 0x00010000:
            raise BrokenVhd(f"footer version {version:#x} is unknown")
        return cls(header_at, capacity, disk_type, uuid)


def checksum_of(raw: bytes | bytearray | memoryview, at: int) -> int:
    """One's complement of the sum of all bytes, those of the checksum itself (4, from ``at``) left out."""
    return ~(sum(raw) - sum(raw[at : at + 4])) & 0xFFFFFFFF


class VhdStream:
    """A VHD, read from the first byte to the last.

    Args:
        read_into: fills as much of a buffer as it likes, at least one byte, and answers how many; 0 is the end.
        difference: what is not in the stream is as in a parent, where else it is zeros.

    Raises:
        BrokenVhd: from the constructor (footer, header, BAT) or :meth:`blocks` (all else).
    """

    def __init__(self, read_into: Callable[[memoryview], int], *, difference: bool = False) -> None:
        self._read_into, self._difference = read_into, difference
        self._position = 0
        self._footer = Footer.parse(self._read(SECTOR, "the footer copy"))
        self.capacity = self._footer.capacity
        if self._footer.disk_type not in ((DYNAMIC, DIFFERENCING) if difference else (DYNAMIC,)):
            raise BrokenVhd(f"disk type {self._footer.disk_type} is not dynamic")
        if self.capacity == 0 or self.capacity % SECTOR:
            raise BrokenVhd(f"{self.capacity} bytes are no disk's size")
        self._skip_to(self._footer.header_at, "the dynamic header")
        self._table_at, self._entries, self.block = self._header(self._read(HEADER, "the dynamic header"))
        self._order = self._table()

    def blocks(self) -> Iterator[tuple[int, memoryview]]:
        """Offset and bytes of each block that is in the stream; all else of the disk reads as zeros.

        Sectors whose bitmap bit is 0 read as zeros, whatever the stream holds there; of a difference they are left
        out, so that a block may come in several pieces. The last block is clipped at the capacity. A memoryview is
        valid until the next one is asked for. Ends normally only when the final footer was seen, and nothing after it.
        """
        buffer = bytearray(self.block)
        sectors = self.block // SECTOR
        padded = -(-sectors // 8 // SECTOR) * SECTOR
        for packed in self._order:
            sector, number = packed >> 32, packed & 0xFFFFFFFF
            self._skip_to(sector * SECTOR, f"block {number}")
            bitmap = self._read(padded, f"the bitmap of block {number}")
            with memoryview(buffer) as whole:
                self._fill(whole, f"block {number}")
                offset = number * self.block
                size = min(self.block, self.capacity - offset)
                if self._difference:
                    runs = _present(bitmap, sectors)
                else:
                    _zero_what_is_absent(whole, bitmap, sectors)
                    runs = [(0, self.block)]
                for start, end in runs:
                    with whole[start : min(end, size)] as piece:
                        if piece:
                            yield offset + start, piece
        self._end()

    def _header(self, raw: bytearray) -> tuple[int, int, int]:
        cookie, _, table_at, version, entries, block, checksum = _HEADER.unpack_from(raw)
        if cookie != b"cxsparse":
            raise BrokenVhd("no dynamic header where one must be")
        if checksum != checksum_of(raw, 36):
            raise BrokenVhd("the dynamic header's checksum is wrong")
        if version != 0x00010000:
            raise BrokenVhd(f"header version {version:#x} is unknown")
        if block & (block - 1) or not 8 * SECTOR <= block <= MOST_BLOCK:
            raise BrokenVhd(f"blocks of {block} bytes are not supported")
        if not -(-self.capacity // block) <= entries <= MOST_ENTRIES:
            raise BrokenVhd(f"{entries} BAT entries do not fit {self.capacity} bytes")
        return table_at, entries, block

    def _table(self) -> "array[int]":
        """The present blocks as ``sector << 32 | number``, in physical order: 8 bytes for each."""
        self._skip_to(self._table_at, "the BAT")
        table = array("I")
        table.frombytes(self._read(self._entries * 4, "the BAT"))
        if sys.byteorder == "little":
            table.byteswap()
        most = -(-self.capacity // self.block)
        present = array("Q")
        for number, sector in enumerate(table):
            if sector == ABSENT:
                continue
            if number >= most:
                raise BrokenVhd(f"block {number} lies past the end of the disk")
            present.append(sector << 32 | number)
        return array("Q", sorted(present))

    def _end(self) -> None:
        """The last 512 bytes are a footer that agrees with its copy; what is before them is padding."""
        tail = bytearray()
        chunk = bytearray(64 << 10)
        while True:
            count = self._some(memoryview(chunk))
            if count == 0:
                break
            tail += chunk[:count]
            del tail[: max(0, len(tail) - SECTOR)]
        if len(tail) < SECTOR:
            raise BrokenVhd(f"it ends at byte {self._position}, before the final footer")
        if Footer.parse(tail) != self._footer:
            raise BrokenVhd("the final footer is not that of the beginning")
        if self._position % SECTOR:
            raise BrokenVhd(f"{self._position} bytes are no whole sectors")

    def _skip_to(self, position: int, what: str) -> None:
        if position < self._position:
            raise BrokenVhd(f"{what} lies at byte {position}, but byte {self._position} was reached")
        chunk = bytearray(64 << 10)
        while self._position < position:
            with memoryview(chunk) as whole, whole[: position - self._position] as view:
                self._fill(view, what)

    def _read(self, length: int, what: str) -> bytearray:
        raw = bytearray(length)
        with memoryview(raw) as view:
            self._fill(view, what)
        return raw

    def _fill(self, view: memoryview, what: str) -> None:
        filled = 0
        while filled < len(view):
            with view[filled:] as rest:
                count = self._some(rest)
            if count == 0:
                raise BrokenVhd(f"it ends at byte {self._position}, in or before {what}")
            filled += count

    def _some(self, view: memoryview) -> int:
        count = self._read_into(view)
        self._position += count
        return count


def _present(bitmap: bytearray, sectors: int) -> list[tuple[int, int]]:
    """Runs of sectors whose bit is 1, in bytes within the block."""
    if bitmap.count(0xFF, 0, sectors // 8) == sectors // 8:
        return [(0, sectors * SECTOR)]
    runs: list[tuple[int, int]] = []
    for at in range(sectors):
        if bitmap[at >> 3] & (0x80 >> (at & 7)):
            start = runs.pop()[0] if runs and runs[-1][1] == at * SECTOR else at * SECTOR
            runs.append((start, (at + 1) * SECTOR))
    return runs


def _zero_what_is_absent(data: memoryview, bitmap: bytearray, sectors: int) -> None:
    """Bit 0x80 of the first byte is sector 0."""
    for at in range(sectors // 8):
        if bitmap[at] == 0xFF:
            continue
        for bit in range(8):
            if not bitmap[at] & (0x80 >> bit):
                start = (at * 8 + bit) * SECTOR
                data[start : start + SECTOR] = bytes(SECTOR)
