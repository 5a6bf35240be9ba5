"""A dynamic VHD made from a sparse raw file, streamed without a temporary file (xapi.md §2). All big-endian."""

import os
import struct
import time
import uuid
from collections.abc import Iterator

SECTOR = 512
BLOCK = 2 << 20
ABSENT = 0xFFFFFFFF
_DYNAMIC, _DIFFERENCING = 3, 4


def stream(descriptor: int, size: int, difference: set[int] | None = None) -> Iterator[bytes]:
    """Footer, header, BAT, the blocks that hold data in ascending order, footer.

    Args:
        difference: the blocks that differ from a base, sent whole, zeros too; None for the whole disk.
    """
    present = sorted(_blocks_with_data(descriptor, size) if difference is None else difference)
    entries = -(-size // BLOCK)
    table_offset = 3 * SECTOR
    table_size = -(-entries * 4 // SECTOR) * SECTOR
    first = (table_offset + table_size) // SECTOR
    table = bytearray(b"\xff" * table_size)
    for order, block in enumerate(present):
        struct.pack_into(">I", table, block * 4, first + order * (1 + BLOCK // SECTOR))
    footer = _footer(size, _DYNAMIC if difference is None else _DIFFERENCING)
    yield footer
    yield _header(table_offset, entries)
    yield bytes(table)
    bitmap = b"\xff" * SECTOR
    for block in present:
        data = os.pread(descriptor, BLOCK, block * BLOCK)
        yield bitmap
        yield data.ljust(BLOCK, b"\0")
    yield footer


def _blocks_with_data(descriptor: int, size: int) -> set[int]:
    blocks: set[int] = set()
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(descriptor, start, os.SEEK_HOLE)
        blocks.update(range(start // BLOCK, -(-min(at, size) // BLOCK)))
    return blocks


def _checksum(data: bytes) -> int:
    return ~sum(data) & 0xFFFFFFFF


def _geometry(sectors: int) -> tuple[int, int, int]:
    if sectors > 65535 * 16 * 63:
        sectors = min(sectors, 65535 * 16 * 255)
        return sectors // (16 * 255), 16, 255
    per_track = 17
    heads = max(4, (sectors // per_track + 1023) // 1024)
    if sectors // per_track >= heads * 1024 or heads > 16:
        per_track, heads = 31, 16
    if sectors // per_track >= heads * 1024:
        per_track, heads = 63, 16
    return sectors // (per_track * heads), heads, per_track


def _footer(size: int, disk_type: int) -> bytes:
    cylinders, heads, per_track = _geometry(size // SECTOR)
    plain = struct.pack(
        ">8sIIQI4sI4sQQHBBII16sB427x", b"conectix", 2, 0x00010000, SECTOR, int(time.time()) - 946684800, b"tap\0",
        0x00010003, b"\0\0\0\0", size, size, cylinders, heads, per_track, disk_type, 0, uuid.uuid4().bytes, 0,
    )  # fmt: skip
    return plain[:64] + struct.pack(">I", _checksum(plain)) + plain[68:]


def _header(table_offset: int, entries: int) -> bytes:
    plain = struct.pack(
        ">8sQQIIII16sII512s192s256x", b"cxsparse", 0xFFFFFFFFFFFFFFFF, table_offset, 0x00010000, entries, BLOCK, 0,
        b"", 0, 0, b"", b"",
    )  # fmt: skip
    return plain[:36] + struct.pack(">I", _checksum(plain)) + plain[40:]
