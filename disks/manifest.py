"""The manifest of a disk: one digest per block, so that any block can be proven by itself (SAFETY 7).

A file of 32-byte BLAKE3 digests in block order, after a header line of 4096 bytes (JSON, padded). A digest of
all zeros says that the block is zeros; as the file is sparse, a disk that is mostly hole costs nothing. The last
block is digested up to the disk's capacity.
"""

import contextlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from blake3 import blake3

from contracts.errors import FerryError
from disks.store import sync_folder

BLOCK = 256 << 10
"""Bytes per digest. Measured in docs/results: 64 KiB costs four times the manifest, 1 MiB reads four times as
much for a scattered delta."""
DIGEST = 32
ZERO_DIGEST = bytes(DIGEST)
_HEADER = 4096
_ZEROS = bytes(BLOCK)


def digest_of(block: bytearray | bytes | memoryview) -> bytes:
    """The digest of one block's bytes; all zeros for a block of zeros."""
    if is_zero(block):
        return ZERO_DIGEST
    return blake3(block).digest()


def is_zero(data: bytearray | bytes | memoryview) -> bool:
    """Whether all bytes are zero.

    Through bytes(), since comparing a memoryview goes element by element in CPython (dataplane.md §3).
    """
    if len(data) and data[0]:
        return False
    plain = bytes(data) if isinstance(data, memoryview) else data
    if len(plain) <= BLOCK:
        return plain == (_ZEROS if len(plain) == BLOCK else _ZEROS[: len(plain)])
    return plain.count(0) == len(plain)


class Manifest:
    """Digests of one disk, in a file. One writer at a time."""

    def __init__(self, file: Path, capacity: int, block: int = BLOCK) -> None:
        self._file = file
        if not file.exists():
            _create(file, capacity, block)
        self._descriptor = os.open(file, os.O_RDWR)
        self.capacity, self.block = self._read_header()
        if self.capacity != capacity:
            os.close(self._descriptor)
            raise FerryError("store.damaged", f"{file} describes a disk of {self.capacity} bytes, not {capacity}")

    def _read_header(self) -> tuple[int, int]:
        try:
            header = json.loads(os.pread(self._descriptor, _HEADER, 0))
            if header["format"] != 1 or header["digest"] != "blake3":
                raise ValueError("unknown format")
            return int(header["capacity"]), int(header["block"])
        except (ValueError, KeyError, TypeError) as error:
            os.close(self._descriptor)
            raise FerryError("store.damaged", f"{self._file} has no readable header: {error}") from None

    @property
    def blocks(self) -> int:
        """How many blocks the disk has."""
        return -(-self.capacity // self.block)

    def digest(self, number: int) -> bytes:
        """The digest of one block."""
        found = os.pread(self._descriptor, DIGEST, _HEADER + number * DIGEST)
        return found.ljust(DIGEST, b"\0")

    def put(self, digests: Iterable[tuple[int, bytes]]) -> None:
        """Record digests by block number; durable when this returns."""
        for number, digest in digests:
            os.pwrite(self._descriptor, digest, _HEADER + number * DIGEST)
        os.fsync(self._descriptor)

    def not_zero(self) -> Iterator[int]:
        """Numbers of the blocks that are not zeros, ascending."""
        for first, piece in self._pieces():
            for at in range(0, len(piece), DIGEST):
                if piece[at : at + DIGEST] != ZERO_DIGEST:
                    yield first + at // DIGEST

    def root(self) -> str:
        """One digest for the whole disk: over header and all digests, as hex."""
        hasher = blake3(json.dumps([self.capacity, self.block]).encode())
        for _, piece in self._pieces():
            hasher.update(piece)
        return str(hasher.hexdigest())

    def _pieces(self) -> Iterator[tuple[int, bytes]]:
        size = 1 << 20
        for at in range(0, self.blocks * DIGEST, size):
            wanted = min(size, self.blocks * DIGEST - at)
            yield at // DIGEST, os.pread(self._descriptor, wanted, _HEADER + at).ljust(wanted, b"\0")

    def close(self) -> None:
        """Give back the file."""
        os.close(self._descriptor)


def _create(file: Path, capacity: int, block: int) -> None:
    """An empty manifest, there whole or not at all; one that another attempt has made meanwhile stays."""
    header = json.dumps({"format": 1, "capacity": capacity, "block": block, "digest": "blake3"})
    draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}.draft")
    with draft.open("wb") as out:
        out.write(header.encode().ljust(_HEADER))
        out.truncate(_HEADER + -(-capacity // block) * DIGEST)
        out.flush()
        os.fsync(out.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()
    sync_folder(file.parent)
