"""What the request approved to be done on the source before anything is copied."""

from collections.abc import Iterator

from checks.registry import BLOCKER, NOTE, check
from checks.seen import Seen

REMOVE_SNAPSHOTS, EJECT_ISO = "remove-snapshots", "eject-iso"


@check("preflight.snapshots_will_go", NOTE)
def snapshots_will_go(seen: Seen) -> Iterator[str]:
    """These and no others."""
    if REMOVE_SNAPSHOTS in seen.approved_steps and seen.machine.snapshots:
        yield f"removed for good: {', '.join(each.name for each in seen.machine.snapshots)}"


@check("preflight.iso_will_be_ejected", NOTE)
def iso_will_be_ejected(seen: Seen) -> Iterator[str]:
    """An empty drive stays."""
    if EJECT_ISO in seen.approved_steps and seen.machine.mounted_iso:
        yield f"{seen.machine.mounted_iso} is ejected"


@check("preflight.step_impossible", BLOCKER)
def step_impossible(seen: Seen) -> Iterator[str]:
    """The licence lets us change nothing there."""
    if seen.machine.read_only:
        for step in seen.approved_steps:
            yield f"{step} was approved, and the licence of {seen.machine.name}'s host does not allow it"
