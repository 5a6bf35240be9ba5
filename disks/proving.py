"""Two proofs (SAFETY 19): the target against the manifest, and the source against the manifest."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from contracts.errors import FerryError
from disks.batches import batches
from disks.copying import Meter
from disks.extents import Extent, aligned, total
from disks.manifest import Manifest, digest_of, is_zero
from disks.protocols import DiskSource, RangeReader, ReadBack, TargetRanges
from disks.reading import Read, ReadAhead

MOST_TOLD = 20
Parts = dict[int, tuple[bytearray, int]]


@dataclass
class Finding:
    """What a proof found.

    Attributes:
        different: how many blocks differ.
        differences: offsets of the first of them.
        extents: all of them.
    """

    blocks: int = 0
    bytes_read: int = 0
    different: int = 0
    differences: list[int] = field(default_factory=list)
    extents: list[Extent] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Every byte is as it should be."""
        return self.different == 0

    def differs(self, offset: int, length: int = 0) -> None:
        """Count a block that is not as it should be. ``length``: 0 for what no sending mends."""
        self.different += 1
        if self.extents and self.extents[-1].end == offset:
            self.extents[-1] = Extent(self.extents[-1].start, offset + length)
        elif length:
            self.extents.append(Extent(offset, offset + length))
        if len(self.differences) < MOST_TOLD:
            self.differences.append(offset)


class Interrupted(Exception):
    """The proof was called off from outside; it says nothing."""


def prove_source(
    source: DiskSource,
    manifest: Manifest,
    cut: threading.Event,
    meter: Meter,
    allow: Callable[[int, threading.Event], bool] = lambda count, cut: not cut.is_set(),
    also: Callable[[memoryview], None] = lambda data: None,
) -> Finding:
    """Read the source in full, holes and all, and compare every block with the manifest.

    Args:
        allow: waits until that many bytes more may pass; False when it was cut meanwhile.
        also: hears all bytes, in order.
    """
    if source.capacity != manifest.capacity:
        finding = Finding(blocks=manifest.blocks)
        finding.differs(min(source.capacity, manifest.capacity))
        return finding
    return prove_ranges(source, [Extent(0, source.capacity)], manifest, cut, meter, allow, also)


def prove_ranges(
    reader: RangeReader,
    extents: Sequence[Extent],
    manifest: Manifest,
    cut: threading.Event,
    meter: Meter,
    allow: Callable[[int, threading.Event], bool] = lambda count, cut: not cut.is_set(),
    also: Callable[[memoryview], None] = lambda data: None,
) -> Finding:
    """Read every block that the extents touch, and compare it with the manifest."""
    finding, block = Finding(), manifest.block
    meter.total = total(aligned(extents, to=block, capacity=manifest.capacity))
    wanted = batches(extents, block=block, capacity=manifest.capacity)
    with ReadAhead(reader, wanted, block=block) as reading:
        for read in _unless_cut(reading, cut):
            if not allow(len(read.data), cut):
                raise Interrupted
            also(read.data)
            for number, digest in read.digests.items():
                if digest != manifest.digest(number):
                    start = number * block
                    finding.differs(start, min(block, manifest.capacity - start))
            finding.blocks += len(read.digests)
            finding.bytes_read += len(read.data)
            meter.done = meter.moved = finding.bytes_read
    return finding


def prove_all_ranges(target: TargetRanges, manifest: Manifest, cut: threading.Event, meter: Meter) -> Finding:
    """Read the target in full by its ranges, holes and all, and compare every block with the manifest; the tail too."""
    if target.virtual_size < manifest.capacity:
        finding = Finding(blocks=manifest.blocks)
        finding.differs(target.virtual_size)
        return finding
    finding = prove_ranges(target, [Extent(0, manifest.capacity)], manifest, cut, meter)
    for offset in range(manifest.capacity, target.virtual_size, manifest.block):
        tail = bytearray(min(manifest.block, target.virtual_size - offset))
        target.ask(offset, len(tail))
        target.read_into(offset, memoryview(tail))
        if not is_zero(tail):
            finding.differs(offset)  # the tail up to the rounded size must be zeros (SAFETY 5)
    return finding


def _unless_cut(reading: ReadAhead, cut: threading.Event) -> Iterator[Read]:
    """A read that was hung up by the cut is no failure."""
    try:
        yield from reading
    except FerryError:
        if cut.is_set():
            raise Interrupted from None
        raise


def prove_target(target: ReadBack, manifest: Manifest, cut: threading.Event, meter: Meter) -> Finding:
    """Compare what the target holds with the manifest: every block, the tail past the capacity too.

    What the target does not mention is zeros there, so the manifest must say zeros as well.
    """
    finding = Finding(blocks=manifest.blocks)
    meter.total = sum(manifest.block for _ in manifest.not_zero())
    if target.virtual_size < manifest.capacity:
        finding.differs(target.virtual_size)
        return finding
    seen = bytearray(manifest.blocks)  # a byte per block: 8 MB for the largest disk, where a set takes 600
    for number, data in _blocks_and_zeros(target, manifest, finding):
        if cut.is_set():
            raise Interrupted
        seen[number] = 1
        if digest_of(data) != manifest.digest(number):
            finding.differs(number * manifest.block, len(data))
        meter.done = meter.moved = finding.bytes_read
    for number in manifest.not_zero():
        if not seen[number]:
            start = number * manifest.block
            finding.differs(start, min(manifest.block, manifest.capacity - start))
    return finding


def whole_blocks(
    target: ReadBack, manifest: Manifest, finding: Finding, parts: Parts, most_parts: int = sys.maxsize
) -> Iterator[tuple[int, bytearray | memoryview]]:
    """Join the target's pieces into digest blocks; bytes past the capacity that are no zeros are a difference.

    Args:
        parts: filled with the blocks of which only a part has come: by number, their bytes and how many came.
        most_parts: where there are more of them it ends.
    """
    block, capacity = manifest.block, manifest.capacity
    for start, piece in target.blocks():
        finding.bytes_read += len(piece)
        at = 0
        while at < len(piece):
            offset = start + at
            if offset >= capacity:
                if not is_zero(piece[at:]):
                    finding.differs(offset)  # the tail up to the rounded size must be zeros (SAFETY 5)
                break
            number, within = divmod(offset, block)
            size = min(block, capacity - number * block)
            step = min(len(piece) - at, size - within)
            if step == size:
                yield number, piece[at : at + step]
            else:
                buffer, came = parts.pop(number, (bytearray(size), 0))
                buffer[within : within + step] = piece[at : at + step]
                if came + step == size:
                    yield number, buffer
                else:
                    parts[number] = buffer, came + step
            at += step
        if len(parts) > most_parts:
            return


def _blocks_and_zeros(
    target: ReadBack, manifest: Manifest, finding: Finding
) -> Iterator[tuple[int, bytearray | memoryview]]:
    """All blocks that hold something: what of a block does not come is zeros."""
    parts: Parts = {}
    yield from whole_blocks(target, manifest, finding, parts)
    for number in sorted(parts):
        if parts[number][0].count(0) != len(parts[number][0]):
            yield number, parts[number][0]
