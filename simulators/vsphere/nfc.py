"""What a lease's URLs send: a disk as it is exported, as a stream-optimised VMDK."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators.vsphere import vmdk_writer
from simulators.vsphere.leases import Lease, note_sent

if TYPE_CHECKING:
    from simulators.vsphere.world import World

AT_ONCE = 256 << 10
"""Bytes that are gathered before they are sent."""


class LeaseEnded(Exception):
    """Aborted, completed or timed out while its disk was sent."""


@dataclass
class Export:
    """One disk of a lease."""

    world: "World"
    lease: Lease
    number: int

    def pieces(self) -> Iterator[bytes]:
        """The stream. Raises :class:`LeaseEnded`."""
        machine, upto = self.lease.machine, self.lease.links[self.number] - 1
        disk = machine.disks[self.number]
        digest, size, gathered = hashlib.sha1(usedforsecurity=False), 0, bytearray()
        populated = 0
        with disk.lock:
            grains = sorted(disk.allocated(upto))

        def read(offset: int, length: int) -> bytes:
            return disk.read(offset, length, upto)

        stream = vmdk_writer.stream(
            disk.capacity, grains, read, f"disk-{self.number}.vmdk", style=self.world.said.nfc_directory
        )
        for piece in stream:
            gathered += piece
            populated += 64 << 10
            if len(gathered) >= AT_ONCE:
                if not self.world.leases.holds(self.lease):
                    raise LeaseEnded
                digest.update(gathered)
                size += len(gathered)
                yield bytes(gathered)
                gathered.clear()
        digest.update(gathered)
        size += len(gathered)
        # Before the last byte goes: whoever has read it may ask for the manifest at once.
        note_sent(self.lease, self.number, size, digest, populated)
        yield bytes(gathered)


def find(world: "World", path: str) -> Export | None:
    """The disk that a URL names; None where no lease that holds has it."""
    told = re.fullmatch(r"/nfc/([0-9a-f]{32})/disk-(\d+)\.vmdk", path)
    lease = world.leases.served(told[1]) if told is not None else None
    if told is None or lease is None or int(told[2]) not in lease.links:
        return None
    return Export(world, lease, int(told[2]))
