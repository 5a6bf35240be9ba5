"""Snapshots that are there already."""

from collections.abc import Iterator

from checks.registry import BLOCKER, WARNING, check
from checks.seen import Seen


def names_of(seen: Seen) -> str:
    """The first five."""
    return ", ".join(seen.machine.foreign_snapshots[:5])


@check("preflight.free_licence_snapshots", BLOCKER)
def free_licence_snapshots(seen: Seen) -> Iterator[str]:
    """Nothing that the licence allows reads through them."""
    if seen.machine.read_only and seen.machine.foreign_snapshots:
        yield f"{seen.machine.name} has snapshots: {names_of(seen)}"


@check("vsphere.foreign_snapshot", WARNING)
def foreign_snapshot(seen: Seen) -> Iterator[str]:
    """It stays, and slows every pass (SAFETY 8)."""
    if seen.machine.foreign_snapshots and not seen.machine.read_only:
        yield f"{seen.machine.name} has snapshots that are not Ferry's: {names_of(seen)}"


@check("vsphere.consolidation_needed", BLOCKER)
def consolidation_needed(seen: Seen) -> Iterator[str]:
    """The chain is not what the snapshot tree says."""
    if seen.machine.needs_consolidation:
        yield f"{seen.machine.name} has disks that need consolidation"
