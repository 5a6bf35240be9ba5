"""A dynamic VHD written as a stream: as much of a disk as is to be written, in blocks of 2 MiB (xapi.md §2).

    footer copy · dynamic header · BAT · blocks (bitmap + data) · footer

A receiver leaves alone what has no block, and within a block the sectors whose bit is 0: so a stream of some pieces is
a write of just these.
"""

import struct
import uuid
from collections.abc import Iterator, Sequence

from disks.vhd import ABSENT, DYNAMIC, HEADER, SECTOR, checksum_of

BLOCK = 2 << 20
_BITMAP = BLOCK // SECTOR // 8
_EPOCH_NONE = 0
_TABLE_AT = SECTOR + HEADER
Piece = tuple[int, bytes | bytearray | memoryview]


def vhd_of(pieces: Sequence[Piece], virtual_size: int) -> Iterator[bytes | bytearray]:
    """The stream, part by part.

    Args:
        pieces: offset and bytes, ascending, disjoint, in whole sectors.
        virtual_size: of the disk, in bytes.
    """
    entries = -(-virtual_size // BLOCK)
    places = [ABSENT] * entries
    table_bytes = -(-entries * 4 // SECTOR) * SECTOR
    first = (_TABLE_AT + table_bytes) // SECTOR
    numbers = sorted({number for start, data in pieces for number in _blocks(start, len(data))})
    for at, number in enumerate(numbers):
        places[number] = first + at * (BLOCK + SECTOR) // SECTOR
    footer = _footer(virtual_size)
    yield footer
    yield _header(entries)
    yield struct.pack(f">{entries}I", *places).ljust(table_bytes, b"\xff")
    inside = 0
    for number in numbers:
        start = number * BLOCK
        bitmap, block = bytearray(SECTOR), bytearray(BLOCK)
        while inside < len(pieces) and pieces[inside][0] + len(pieces[inside][1]) <= start:
            inside += 1
        for offset, data in pieces[inside:]:
            if offset >= start + BLOCK:
                break
            begin, end = max(offset, start), min(offset + len(data), start + BLOCK)
            block[begin - start : end - start] = memoryview(data)[begin - offset : end - offset]
            _mark(bitmap, (begin - start) // SECTOR, (end - start) // SECTOR)
        yield bitmap
        yield block
    yield footer


def _blocks(start: int, length: int) -> range:
    return range(start // BLOCK, -(-(start + length) // BLOCK))


def _mark(bitmap: bytearray, first: int, last: int) -> None:
    """Set the bits of sectors ``[first, last)``; the highest bit of a byte is its first sector."""
    bits = int.from_bytes(bitmap[:_BITMAP], "big")
    bits |= ((1 << (last - first)) - 1) << (_BITMAP * 8 - last)
    bitmap[:_BITMAP] = bits.to_bytes(_BITMAP, "big")


def _footer(virtual_size: int) -> bytes:
    data = bytearray(SECTOR)
    struct.pack_into(
        ">8sIIQI4sI4sQQHBBI", data, 0, b"conectix", 2, 0x00010000, SECTOR, _EPOCH_NONE, b"frry", 0x00010000, b"Wi2k",
        virtual_size, virtual_size, *_geometry(virtual_size), DYNAMIC,
    )  # fmt: skip
    data[68:84] = uuid.uuid4().bytes
    struct.pack_into(">I", data, 64, checksum_of(data, 64))
    return bytes(data)


def _header(entries: int) -> bytes:
    data = bytearray(HEADER)
    struct.pack_into(">8sQQIII", data, 0, b"cxsparse", 0xFFFFFFFFFFFFFFFF, _TABLE_AT, 0x00010000, entries, BLOCK)
    struct.pack_into(">I", data, 36, checksum_of(data, 36))
    return bytes(data)


def _geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads, sectors per track, as the specification reckons them; readers go by the size in bytes."""
    sectors = min(size // SECTOR, 65535 * 16 * 255)
    if sectors > 65535 * 16 * 63:
        return sectors // 255 // 16, 16, 255
    per_track = 17
    heads = max(4, (sectors // per_track + 1023) // 1024)
    if sectors // per_track >= heads * 1024 or heads > 16:
        per_track, heads = 31, 16
    if sectors // per_track >= heads * 1024:
        per_track, heads = 63, 16
    return sectors // per_track // heads, heads, per_track
