"""What the machine is made of besides its disks, and the state that it is in."""

from collections.abc import Iterator

from checks.registry import BLOCKER, WARNING, check
from checks.seen import Seen
from contracts.machine import Power


@check("vm.already_migrating", BLOCKER)
def already_migrating(seen: Seen) -> Iterator[str]:
    """One owner per machine (SAFETY 12)."""
    machine = seen.machine
    if machine.owner is not None and machine.owner.migration != seen.migration:
        yield f"{machine.name} bears the mark of {machine.owner.workflow}"


@check("preflight.suspended", BLOCKER)
def suspended(seen: Seen) -> Iterator[str]:
    """Its disks do not agree with its memory."""
    if seen.machine.power is Power.SUSPENDED:
        yield f"{seen.machine.name} is suspended"


@check("preflight.secure_boot", WARNING)
def secure_boot(seen: Seen) -> Iterator[str]:
    """A pool needs certificates of its own for it."""
    if seen.machine.secure_boot:
        yield "Secure Boot is off on the target"
