"""What the machine is made of besides its disks, and the state that it is in."""

import re
from collections.abc import Iterator

from checks.registry import BLOCKER, NOTE, WARNING, check
from checks.seen import Seen
from contracts.machine import Power
from contracts.sizes import spoken_size

MANY_CPUS, MOST_CPUS, MOST_MEMORY = 32, 64, 3 << 39
"""XenServer 8's configuration limits for a VM, the last in bytes: XCP-ng publishes none of its own."""
LONG_NAME = 63
"""Characters of a DNS label."""


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


@check("preflight.template", BLOCKER)
def template(seen: Seen) -> Iterator[str]:
    """It can neither be frozen nor marked."""
    if seen.machine.settings.template:
        yield f"{seen.machine.name} is a template"


@check("preflight.question_pending", BLOCKER)
def question_pending(seen: Seen) -> Iterator[str]:
    """Whatever we ask for waits behind it."""
    if seen.machine.settings.question:
        yield f"vSphere asks: {seen.machine.settings.question[:300]}"


@check("preflight.too_many_cpus", BLOCKER, overridable=True)
def too_many_cpus(seen: Seen) -> Iterator[str]:
    """XenServer's limit; Xen itself counts to 128."""
    if seen.machine.cpus > MOST_CPUS:
        yield f"{seen.machine.cpus} virtual CPUs, of which XCP-ng supports {MOST_CPUS}"


@check("preflight.many_cpus", NOTE)
def many_cpus(seen: Seen) -> Iterator[str]:
    """Beyond it, some guests are not supported."""
    if MANY_CPUS < seen.machine.cpus <= MOST_CPUS:
        yield f"{seen.machine.cpus} virtual CPUs: not every guest is supported with more than {MANY_CPUS}"


@check("preflight.too_much_memory", BLOCKER, overridable=True)
def too_much_memory(seen: Seen) -> Iterator[str]:
    """XenServer's limit."""
    if seen.machine.memory > MOST_MEMORY:
        yield f"{spoken_size(seen.machine.memory)} of memory, of which XCP-ng supports {spoken_size(MOST_MEMORY)}"


@check("preflight.name_odd", NOTE)
def name_odd(seen: Seen) -> Iterator[str]:
    """XAPI takes any name; scripts and DNS do not. vCenter writes ``/ \\ %`` as ``%2f %5c %25``."""
    name = seen.machine.name
    if len(name) > LONG_NAME or not name.isprintable() or name != name.strip() or re.search(r"%(2f|5c|25)", name, re.I):
        yield f"{name!r} is kept as it is"
