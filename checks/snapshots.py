"""Snapshots that are there already."""

import re
from collections.abc import Iterator
from datetime import timedelta

from checks.approved_steps import REMOVE_SNAPSHOTS
from checks.registry import BLOCKER, NOTE, WARNING, check
from checks.seen import Seen

MANY, MOST_DEPTH, OLD = 3, 32, timedelta(days=3)
"""VMware's advice: two or three in a chain, never for more than 72 hours; a chain holds 32."""
BACKUP = re.compile(
    r"veeam|consolidate helper|commvault|_gx_backup|nakivo|acronis|vdp-|vranger|rubrik|cohesity|nbu_", re.I
)
"""Names that backup products give theirs, and the one that vSphere gives what it could not consolidate."""


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
    if seen.machine.foreign_snapshots and not seen.machine.read_only and not _go(seen):
        yield f"{seen.machine.name} has snapshots that are not Ferry's: {names_of(seen)}"


@check("vsphere.consolidation_needed", BLOCKER)
def consolidation_needed(seen: Seen) -> Iterator[str]:
    """The chain is not what the snapshot tree says."""
    if seen.machine.needs_consolidation:
        yield f"{seen.machine.name} has disks that need consolidation"


@check("preflight.snapshot_chain_full", BLOCKER)
def snapshot_chain_full(seen: Seen) -> Iterator[str]:
    """vSphere holds 32 in a chain: there is no room for ours."""
    deepest = _deepest(seen)
    if deepest >= MOST_DEPTH and not _go(seen):
        yield f"{deepest} snapshots in one chain, of which vSphere holds {MOST_DEPTH}"


@check("preflight.many_snapshots", WARNING)
def many_snapshots(seen: Seen) -> Iterator[str]:
    """Every read walks the chain, and each removal writes it together."""
    count = len(seen.machine.foreign_snapshots)
    if count > MANY and not _go(seen):
        yield f"{count} snapshots, {_deepest(seen)} in the longest chain; VMware advises 2 or 3"


@check("preflight.old_snapshot", NOTE)
def old_snapshot(seen: Seen) -> Iterator[str]:
    """A note, so that nothing that was approved changes only because time passes."""
    for each in seen.machine.snapshots:
        if not _go(seen) and each.created is not None and seen.at - each.created > OLD:
            yield f"{each.name!r} was taken on {each.created:%Y-%m-%d}"


@check("preflight.backup_snapshot", WARNING)
def backup_snapshot(seen: Seen) -> Iterator[str]:
    """A job runs at this moment, or one broke off and left it."""
    for name in seen.machine.foreign_snapshots:
        if BACKUP.search(name):
            yield f"{name!r} looks like that of a backup"


def _go(seen: Seen) -> bool:
    """Whether they are removed before anything is copied."""
    return REMOVE_SNAPSHOTS in seen.approved_steps


def _deepest(seen: Seen) -> int:
    return max((each.depth for each in seen.machine.snapshots), default=0)
