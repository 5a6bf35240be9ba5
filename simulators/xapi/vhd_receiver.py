"""What `vhd-tool serve` does with a dynamic VHD: delta semantics, forward only (xapi.md §1.9, xapi-receive.md).

Blocks come in any physical order. A sector whose bitmap bit is 0, and a block that is not in the table, is left alone,
never zeroed. The virtual size in the footer is not compared with the VDI's. Blocks of another size than 2 MiB are
taken for 2 MiB, and corrupt without a word.
"""

import struct
from collections.abc import Callable

from simulators.xapi.receiver import BlockDevice, Body, ReceiverFailed

SECTOR = 512
BLOCK = 2 << 20
ABSENT = 0xFFFFFFFF


def receive_vhd(stream: Body, device: BlockDevice, wrote: Callable[[int], None]) -> None:
    """Raises ReceiverFailed for what is no dynamic VHD, and where the stream ends before its last block."""
    reader = _Forward(stream)
    footer = reader.take(SECTOR)
    if footer[:8] != b"conectix" or struct.unpack_from(">I", footer, 60)[0] != 3:
        raise ReceiverFailed("no dynamic VHD")
    reader.skip_to(struct.unpack_from(">Q", footer, 16)[0])
    header = reader.take(1024)
    if header[:8] != b"cxsparse":
        raise ReceiverFailed("no dynamic header")
    table_at, entries = struct.unpack_from(">Q", header, 16)[0], struct.unpack_from(">I", header, 28)[0]
    reader.skip_to(table_at)
    table = struct.unpack(f">{entries}I", reader.take(entries * 4))
    buffer = bytearray(BLOCK)
    for place, number in sorted((place, number) for number, place in enumerate(table) if place != ABSENT):
        reader.skip_to(place * SECTOR)
        bitmap = reader.take(SECTOR)
        with memoryview(buffer) as view:
            reader.fill(view)
            for first, last in _runs(bitmap):
                with view[first * SECTOR : last * SECTOR] as run:
                    device.write(number * BLOCK + first * SECTOR, run)
                    wrote(len(run))


def _runs(bitmap: bytes) -> list[tuple[int, int]]:
    """Sectors whose bit is set, as runs; bit 0x80 of the first byte is sector 0."""
    if bitmap == b"\xff" * SECTOR:
        return [(0, BLOCK // SECTOR)]
    runs: list[tuple[int, int]] = []
    for sector in range(BLOCK // SECTOR):
        if bitmap[sector >> 3] & (0x80 >> (sector & 7)):
            if runs and runs[-1][1] == sector:
                runs[-1] = (runs[-1][0], sector + 1)
            else:
                runs.append((sector, sector + 1))
    return runs


class _Forward:
    def __init__(self, stream: Body) -> None:
        self._stream, self._position = stream, 0

    def fill(self, view: memoryview) -> None:
        at = 0
        while at < len(view):
            count = self._stream.readinto1(view[at:])
            if not count:
                raise ReceiverFailed("end of file")
            at += count
        self._position += len(view)

    def take(self, length: int) -> bytes:
        data = bytearray(length)
        self.fill(memoryview(data))
        return bytes(data)

    def skip_to(self, place: int) -> None:
        if place < self._position:
            raise ReceiverFailed("the stream would have to be read backwards")
        while self._position < place:
            self.take(min(1 << 20, place - self._position))
