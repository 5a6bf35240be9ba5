"""Reading a stream-optimised VMDK forward only, in bounded memory, distrusting every field (vsphere.md §1b).

    header · descriptor · [tables and directory] · grains, each behind its marker · [tables · directory · footer · end]

The grain directory stands behind the grains (ESXi, ovftool: then a footer and an end-of-stream marker follow) or
before them (qemu-img: then nothing follows, and the tables tell how many grains there must be). All integers are
little-endian, a sector is 512 bytes. What no grain covers is zeros, which only holds when the end was seen: a stream
that was cut short is told apart from a whole one.
"""

import struct
from array import array
from collections.abc import Callable

from isal import isal_zlib

SECTOR = 512
AT_END = 0xFFFFFFFFFFFFFFFF
MOST_CAPACITY = 64 << 40
MOST_GRAIN = 1 << 20
MOST_OVERHEAD = 1 << 30
MOST_TABLES = 1 << 22
"""16 MiB of directory: the largest disk in grains of 64 KiB needs half of it."""
_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
_MARKER = struct.Struct("<QI")
_BUFFER = 2 << 20
_COMPRESSED, _MARKERS, _DEFLATE = 1 << 16, 1 << 17, 1
_EOS, _FOOTER = 0, 3
_MOST_PADDING = 1 << 20


class BrokenVmdk(Exception):
    """The stream is not a whole stream-optimised VMDK; the message says where and why."""


class VmdkStream:
    """A stream-optimised VMDK, read from the first byte to the last.

    Args:
        read_into: fills as much of a buffer as it likes, at least one byte, and answers how many; 0 is the end.

    Raises:
        BrokenVmdk: from the constructor and from :meth:`read_into`.
    """

    def __init__(self, read_into: Callable[[memoryview], int]) -> None:
        self._source = read_into
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._before = 0  # bytes of the stream before the buffer's first
        self._position = 0
        self._next: tuple[int, int] | None = None  # offset on the disk and size of the packed grain that comes next
        self._last_grain = -1
        self._grains = 0
        self._expected: int | None = None
        self.ended = False
        self._read_header()

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill the view with the disk's bytes from that offset. Offsets must not descend.

        Grains that lie before the offset are passed over without being inflated.
        """
        if offset < self._position or offset + len(view) > self.capacity:
            raise ValueError(f"{offset}+{len(view)} cannot be read any more, or is past the end")
        end, at = offset + len(view), offset
        self._position = end
        while (found := self._peek()) is not None and found[0] < end:
            start, size = found
            upto = min(start + self.grain, self.capacity)
            if upto <= offset:
                self._pass(size)
                continue
            data = self._inflated(start, size)
            first, last = max(start, offset), min(upto, end)
            if first > at:
                view[at - offset : first - offset] = bytes(first - at)
            view[first - offset : last - offset] = data[first - start : last - start]
            at = last
            if upto > end:
                break  # the rest of this grain belongs to the next read
            self._pass(size)
        if at < end:
            view[at - offset :] = bytes(end - at)
        if end == self.capacity and self._peek() is not None:
            raise BrokenVmdk("there are grains past the end of the disk")

    # -- the head

    def _read_header(self) -> None:
        magic, version, flags, capacity, grain, _, _, entries, _, directory, overhead, _, _, method = (
            _HEADER.unpack_from(self._need(SECTOR, "the header"))
        )
        if magic != b"KDMV":
            raise BrokenVmdk("no VMDK header where one must be")
        if not 1 <= version <= 3 or not flags & _COMPRESSED or not flags & _MARKERS or method != _DEFLATE:
            raise BrokenVmdk(f"version {version}, flags {flags:#x}, compression {method}: not stream-optimised")
        self.capacity, self.grain = capacity * SECTOR, grain * SECTOR
        if not 0 < self.capacity <= MOST_CAPACITY:
            raise BrokenVmdk(f"{self.capacity} bytes are no disk's size")
        if grain & (grain - 1) or not 4096 <= self.grain <= MOST_GRAIN:
            raise BrokenVmdk(f"grains of {self.grain} bytes are not supported")
        if not 0 < entries <= 4096 or not 0 < overhead * SECTOR <= MOST_OVERHEAD:
            raise BrokenVmdk(f"{entries} entries a table, {overhead} sectors of overhead: not believable")
        self._shape = (capacity, grain)
        if directory != AT_END:
            self._expected = self._counted(directory, entries, overhead)
        self._skip_to(overhead * SECTOR, "the first grain")

    def _counted(self, directory: int, entries: int, overhead: int) -> int:
        """How many grains the tables before them tell of."""
        tables = -(-self.capacity // (self.grain * entries))
        if not 0 < directory < overhead or tables > MOST_TABLES:
            raise BrokenVmdk("the grain directory is not before the grains")
        self._skip_to(directory * SECTOR, "the grain directory")
        places = array("I", bytes(self._long(tables * 4, "the grain directory")))
        count = 0
        for place in sorted(each for each in places if each):
            if place >= overhead:
                raise BrokenVmdk("a grain table is not before the grains")
            self._skip_to(place * SECTOR, "a grain table")
            count += sum(entry > 1 for entry in array("I", bytes(self._need(entries * 4, "a grain table"))))
        return count

    # -- the grains

    def _peek(self) -> tuple[int, int] | None:
        """Where the next grain belongs, and its packed size; None when the end was seen."""
        while self._next is None and not self.ended:
            self._read_marker()
        return self._next

    def _read_marker(self) -> None:
        if self._at_end():
            return
        word, size = _MARKER.unpack_from(self._look(16, "a marker"))
        if size:
            offset = word * SECTOR
            if offset % self.grain or offset >= self.capacity:
                raise BrokenVmdk(f"a grain for byte {offset}")
            if offset <= self._last_grain:
                raise BrokenVmdk(f"the grain for byte {offset} comes after that for byte {self._last_grain}")
            if size > self.grain + self.grain // 8:
                raise BrokenVmdk(f"the grain for byte {offset} is packed into {size} bytes")
            self._next = (offset, size)
            self._last_grain = offset
            self._grains += 1
            return
        kind = struct.unpack_from("<I", self._look(16, "a marker"), 12)[0]
        self._need(SECTOR, "a marker")
        if kind == _EOS:
            return self._end_of_stream()
        if kind == _FOOTER:
            return self._read_footer()
        self._skip_to(self._place() + word * SECTOR, "what is behind a marker")
        return None

    def _at_end(self) -> bool:
        """The stream ended between grains: right where the tables told how many there are, and all came."""
        if self._end > self._start or self._fill() or self.ended:
            return False
        if self._expected is None or self._grains != self._expected:
            told = f", after {self._grains} of {self._expected} grains" if self._expected is not None else ""
            raise BrokenVmdk(f"it ends at byte {self._place()}, before its end-of-stream marker{told}")
        self.ended = True
        return True

    def _read_footer(self) -> None:
        found = _HEADER.unpack_from(self._need(SECTOR, "the footer"))
        if found[0] != b"KDMV" or (found[3], found[4]) != self._shape:
            raise BrokenVmdk("the footer is not that of the header")
        word, size = _MARKER.unpack_from(self._need(SECTOR, "the end-of-stream marker"))
        if size or word:
            raise BrokenVmdk("something else follows the footer")
        self._expected = self._expected or self._grains
        self._end_of_stream()

    def _end_of_stream(self) -> None:
        if self._expected is None or self._expected != self._grains:
            raise BrokenVmdk("it ends without a footer, or with grains missing")
        self._pass_padding()
        self.ended = True

    def _pass_padding(self) -> None:
        """qemu-img rounds the file up; more than that is not part of it."""
        left = _MOST_PADDING
        while self._end > self._start or self._fill():
            rest = self._need(self._end - self._start, "the end")
            left -= len(rest)
            if left < 0 or any(rest):
                raise BrokenVmdk(f"there is more after its end, near byte {self._place()}")

    def _inflated(self, offset: int, size: int) -> bytes:
        packed = self._look(12 + size, f"the grain for byte {offset}")[12:]
        try:
            data: bytes = isal_zlib.decompress(packed, bufsize=self.grain)  # a bomb inflates 1032-fold: 76 MB
        except isal_zlib.error as error:  # type: ignore[misc]  # its stub calls it a value
            raise BrokenVmdk(f"the grain for byte {offset}: {error}") from None
        if len(data) != self.grain and not (len(data) == self.capacity - offset < self.grain):
            raise BrokenVmdk(f"the grain for byte {offset} inflates to {len(data)} bytes")
        return data

    def _pass(self, size: int) -> None:
        whole = 12 + size
        self._need(whole + -whole % SECTOR, "a grain")
        self._next = None

    # -- the bytes

    def _place(self) -> int:
        return self._before + self._start

    def _fill(self) -> bool:
        """Read more; False at the end of the stream."""
        if self._end == len(self._buffer):
            left = self._end - self._start
            self._buffer[:left] = self._buffer[self._start : self._end]
            self._before += self._start
            self._start, self._end = 0, left
        with self._view[self._end :] as room:
            count = self._source(room)
        self._end += count
        return count > 0

    def _look(self, length: int, what: str) -> memoryview:
        """The next bytes, which stay."""
        if self._start == self._end:
            self._before += self._start
            self._start = self._end = 0
        while self._end - self._start < length:
            if not self._fill():
                raise BrokenVmdk(f"it ends at byte {self._before + self._end}, in or before {what}")
        return self._view[self._start : self._start + length]

    def _need(self, length: int, what: str) -> memoryview:
        """The next bytes; the view is good until more is read."""
        found = self._look(length, what)
        self._start += length
        return found

    def _long(self, length: int, what: str) -> bytearray:
        """More bytes than the buffer may hold."""
        got = bytearray()
        while len(got) < length:
            got += self._need(min(1 << 20, length - len(got)), what)
        return got

    def _skip_to(self, place: int, what: str) -> None:
        if place < self._place():
            raise BrokenVmdk(f"{what} lies at byte {place}, but byte {self._place()} was reached")
        while (left := place - self._place()) > 0:
            self._need(min(left, 1 << 20), what)
