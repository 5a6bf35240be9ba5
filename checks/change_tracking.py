"""Whether the source tells what changed."""

from collections.abc import Iterator

from checks.approved_steps import REMOVE_SNAPSHOTS
from checks.registry import NOTE, check
from checks.seen import Seen


@check("preflight.change_tracking_off", NOTE)
def change_tracking_off(seen: Seen) -> Iterator[str]:
    """Switched on by us, which is a reconfiguration that somebody may want to know of."""
    machine = seen.machine
    if seen.source is None:
        return  # only the source itself knows
    if machine.foreign_snapshots and REMOVE_SNAPSHOTS not in seen.approved_steps:
        return  # under them it stays off (docs/operations.md)
    if machine.change_tracking_supported and not machine.change_tracking and not machine.read_only:
        yield f"it is switched on for {machine.name}, and off again at the end"


@check("preflight.disk_not_tracked", NOTE)
def disk_not_tracked(seen: Seen) -> Iterator[str]:
    """The machine is tracked, and one of its disks is not: it was added since, or not stunned."""
    machine = seen.machine
    if seen.source is None or not machine.change_tracking or machine.read_only:
        return
    for disk in machine.disks:
        if not disk.change_tracked and disk.obstacle is None:
            yield f"disk {disk.slot} is not tracked yet"
