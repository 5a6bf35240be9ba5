"""A disk as a stream-optimised VMDK, as an ESXi host sends it: grains of 64 KiB, deflated, each behind its marker.

``end``: the grain directory comes after the grains, with a footer that says where (ESXi, ovftool); ``head``: tables and
directory stand before the grains, and neither footer nor end-of-stream marker follows (qemu-img).
"""

import struct
from collections.abc import Callable, Iterator

from isal import isal_zlib

SECTOR = 512
GRAIN = 128  # sectors
ENTRIES = 512
AT_END = 0xFFFFFFFFFFFFFFFF
EOS, TABLE, DIRECTORY, FOOTER = range(4)
_ZEROS = bytes(GRAIN * SECTOR)


def stream(
    capacity: int,
    grains: list[int],
    read: Callable[[int, int], bytes],
    name: str,
    *,
    style: str = "end",
    level: int = 1,
) -> Iterator[bytes]:
    """The file, piece by piece.

    Args:
        grains: numbers of the 64 KiB grains that may hold data, ascending; those of zeros are left out.
        read: bytes at an offset.
    """
    yield from (_with_end if style == "end" else _with_head)(capacity, grains, read, name, level)


def _with_end(
    capacity: int, grains: list[int], read: Callable[[int, int], bytes], name: str, level: int
) -> Iterator[bytes]:
    overhead = 128
    yield _header(capacity, AT_END, overhead) + _descriptor(capacity, name).ljust((overhead - 1) * SECTOR, b"\0")
    at = overhead
    tables: dict[int, int] = {}
    table, number = [0] * ENTRIES, -1
    for grain in grains:
        packed = _packed(grain, capacity, read, level)
        if packed is None:
            continue
        if grain // ENTRIES != number:
            if number >= 0:
                tables[number] = at + 1
                piece = _table(table)
                at += len(piece) // SECTOR
                yield piece
            table, number = [0] * ENTRIES, grain // ENTRIES
        table[grain % ENTRIES] = at
        at += len(packed) // SECTOR
        yield packed
    if number >= 0:
        tables[number] = at + 1
        piece = _table(table)
        at += len(piece) // SECTOR
        yield piece
    entries = -(-capacity // (SECTOR * GRAIN * ENTRIES))
    directory = struct.pack(f"<{entries}I", *(tables.get(each, 0) for each in range(entries)))
    directory += bytes(-len(directory) % SECTOR)
    yield _marker(len(directory) // SECTOR, DIRECTORY) + directory
    yield _marker(1, FOOTER) + _header(capacity, at + 1, overhead) + _marker(0, EOS)


def _with_head(
    capacity: int, grains: list[int], read: Callable[[int, int], bytes], name: str, level: int
) -> Iterator[bytes]:
    """The tables are known only when all is packed: sizes first, the bytes in a second round."""
    entries = -(-capacity // (SECTOR * GRAIN * ENTRIES))
    directory_sectors = -(-entries * 4 // SECTOR)
    first_table = 21 + directory_sectors
    overhead = -(-(first_table + entries * 4) // GRAIN) * GRAIN
    places: dict[int, int] = {}
    at = overhead
    for grain in grains:
        packed = _packed(grain, capacity, read, level)
        if packed is not None:
            places[grain] = at
            at += len(packed) // SECTOR
    head = bytearray(overhead * SECTOR)
    head[:SECTOR] = _header(capacity, 21, overhead)
    text = _descriptor(capacity, name)
    head[SECTOR : SECTOR + len(text)] = text
    for number in range(entries):
        struct.pack_into("<I", head, 21 * SECTOR + number * 4, first_table + number * 4)
    for grain, place in places.items():
        struct.pack_into("<I", head, first_table * SECTOR + grain * 4, place)
    yield bytes(head)
    for grain in places:
        packed = _packed(grain, capacity, read, level)
        assert packed is not None
        yield packed


def _packed(grain: int, capacity: int, read: Callable[[int, int], bytes], level: int) -> bytes | None:
    start = grain * GRAIN * SECTOR
    data = read(start, min(GRAIN * SECTOR, capacity - start)).ljust(GRAIN * SECTOR, b"\0")
    if data == _ZEROS:
        return None
    packed = isal_zlib.compress(data, level)  # a host deflates ten times as fast as zlib would here
    piece = struct.pack("<QI", grain * GRAIN, len(packed)) + packed
    return piece + bytes(-len(piece) % SECTOR)


def _table(table: list[int]) -> bytes:
    body = struct.pack(f"<{ENTRIES}I", *table)
    return _marker(len(body) // SECTOR, TABLE) + body


def _marker(sectors: int, kind: int) -> bytes:
    return struct.pack("<QII", sectors, 0, kind).ljust(SECTOR, b"\0")


def _header(capacity: int, directory: int, overhead: int) -> bytes:
    return struct.pack(
        "<4sIIQQQQIQQQB4sH", b"KDMV", 3, 0x30001, capacity // SECTOR, GRAIN, 1, 20, ENTRIES, 0, directory, overhead,
        0, b"\n \r\n", 1,
    ).ljust(SECTOR, b"\0")  # fmt: skip


def _descriptor(capacity: int, name: str) -> bytes:
    lines = [
        "# Disk DescriptorFile", "version=1", "CID=7b6c5d4e", "parentCID=ffffffff", 'createType="streamOptimized"',
        f'RW {capacity // SECTOR} SPARSE "{name}"', 'ddb.adapterType = "lsilogic"',
    ]  # fmt: skip
    return ("\n".join(lines) + "\n").encode()
