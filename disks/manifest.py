"""The manifest of a disk: one digest per block, so that any block can be proven by itself (SAFETY 7).

Cells of 32-byte BLAKE3 digests in block order, with a JSON header. A digest of all zeros says that the block is
zeros; as cells that nobody wrote are zeros, a disk that is mostly hole costs nothing. The last
block is digested up to the disk's capacity.
"""

import json
from collections.abc import Iterable, Iterator

from blake3 import blake3

from contracts.errors import FerryError
from disks.store import Shelf

BLOCK = 256 << 10
"""Bytes per digest. Measured in docs/results: 64 KiB costs four times the manifest, 1 MiB reads four times as
much for a scattered delta."""
DIGEST = 32
ZERO_DIGEST = bytes(DIGEST)
MANIFEST = "manifest"
"""Its name in the store."""
BASE = "base-manifest"
"""The name of a copy of it: of the snapshot that was read back whole while the source ran."""
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
    """Digests of one disk. One writer at a time."""

    def __init__(self, shelf: Shelf, capacity: int, block: int = BLOCK, *, name: str = MANIFEST) -> None:
        header = json.dumps({"format": 1, "capacity": capacity, "block": block, "digest": "blake3"}).encode()
        self._cells = shelf.cells(name, header, -(-capacity // block) * DIGEST)
        self.capacity, self.block = self._read_header()
        if self.capacity != capacity:
            self._cells.close()
            raise FerryError("store.damaged", f"the manifest tells of {self.capacity} bytes, the disk has {capacity}")

    def _read_header(self) -> tuple[int, int]:
        try:
            header = json.loads(self._cells.header)
            if header["format"] != 1 or header["digest"] != "blake3":
                raise ValueError("unknown format")
            return int(header["capacity"]), int(header["block"])
        except (ValueError, KeyError, TypeError) as error:
            self._cells.close()
            raise FerryError("store.damaged", f"the manifest has no readable header: {error}") from None

    @property
    def blocks(self) -> int:
        """How many blocks the disk has."""
        return -(-self.capacity // self.block)

    def digest(self, number: int) -> bytes:
        """The digest of one block."""
        return self._cells.read(number * DIGEST, DIGEST)

    def put(self, digests: Iterable[tuple[int, bytes]]) -> None:
        """Record digests by block number; durable when this returns."""
        self._cells.write((number * DIGEST, digest) for number, digest in digests)

    def copy(self, other: "Manifest") -> None:
        """Become what another one of the same disk is now; durable when this returns."""
        pairs = zip(self._pieces(), other._pieces(), strict=True)
        self._cells.write((first * DIGEST, theirs) for (first, ours), (_, theirs) in pairs if ours != theirs)

    def differing(self, other: "Manifest") -> Iterator[int]:
        """Numbers of the blocks whose digest is another there, ascending."""
        for (first, ours), (_, theirs) in zip(self._pieces(), other._pieces(), strict=True):
            if ours != theirs:
                for at in range(0, len(ours), DIGEST):
                    if ours[at : at + DIGEST] != theirs[at : at + DIGEST]:
                        yield first + at // DIGEST

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
            yield at // DIGEST, self._cells.read(at, wanted)

    def close(self) -> None:
        """Give back the cells."""
        self._cells.close()
