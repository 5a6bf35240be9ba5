"""Sizes that need a format, or a format's support, of their own."""

from collections.abc import Iterator

from checks.registry import NOTE, check
from checks.seen import Seen
from contracts.sizes import spoken_size
from contracts.steps import VHD_MOST

TWO_TB = (2 << 40) - (8 << 20)
"""Bytes above which other tools for XCP-ng move nothing automatically (field.md row 10)."""


@check("preflight.disk_needs_qcow2", NOTE)
def disk_needs_qcow2(seen: Seen) -> Iterator[str]:
    """Where the SR holds none, another check stops: here only what comes of it."""
    most = seen.target.disk_most if seen.target is not None and seen.target.sr_uuid else None
    for disk in seen.machine.disks:
        if disk.capacity > VHD_MOST and (most is None or disk.capacity <= most):
            yield f"disk {disk.slot} has {spoken_size(disk.capacity)}: it becomes qcow2, since a VHD holds 2040 GiB"


@check("preflight.disk_over_2_tb", NOTE)
def disk_over_2_tb(seen: Seen) -> Iterator[str]:
    """Backups and moves of it later meet the limits of tools that know VHD only."""
    for disk in seen.machine.disks:
        if disk.capacity > TWO_TB:
            yield f"disk {disk.slot} has {spoken_size(disk.capacity)}, more than 2 TiB - 8 MiB"
