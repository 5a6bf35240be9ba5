"""The proof of what was written since a snapshot was read back whole, from the difference to that snapshot."""

import threading

from disks.copying import Meter
from disks.manifest import Manifest, digest_of
from disks.protocols import NotOffered, ReadBack
from disks.proving import Finding, Interrupted, Parts, whole_blocks

_CODE = "xapi.read_back_failed"
MOST_PARTS = 64
"""Digest blocks of which a part has come, before it is given up: those of a VHD's block come one after the other."""


def prove_difference(
    difference: ReadBack, base: Manifest, manifest: Manifest, cut: threading.Event, meter: Meter
) -> Finding:
    """Compare every block that differs from the base with the manifest, and see that no other should differ.

    A block that the difference leaves out is as in the base, so the manifest must say of it what it said then: that is
    how a write is found that was lost.

    Args:
        base: the digests that the base was read to have.

    Raises:
        NotOffered: the difference holds parts of blocks only, which no digest tells of.
    """
    finding = Finding()
    if difference.virtual_size < manifest.capacity:
        finding.differs(difference.virtual_size)
        return finding
    seen = bytearray(manifest.blocks)
    parts: Parts = {}
    for number, data in whole_blocks(difference, manifest, finding, parts, MOST_PARTS):
        if cut.is_set():
            raise Interrupted
        seen[number] = 1
        finding.blocks += 1
        if digest_of(data) != manifest.digest(number):
            finding.differs(number * manifest.block, len(data))
        meter.done = meter.moved = finding.bytes_read
    if parts:
        raise NotOffered(_CODE, "the difference holds blocks in part")
    for number in manifest.differing(base):
        if not seen[number]:
            finding.blocks += 1
            start = number * manifest.block
            finding.differs(start, min(manifest.block, manifest.capacity - start))
    return finding
