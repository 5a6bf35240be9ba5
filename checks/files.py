"""What speaks against a machine that lies in files: an appliance says less than a hypervisor does."""

from collections.abc import Iterator

from checks.registry import BLOCKER, WARNING, check
from checks.seen import Seen
from contracts.sizes import spoken_size


@check("preflight.in_files", WARNING)
def in_files(seen: Seen) -> Iterator[str]:
    """What it was exported from may run on, and what is written there never arrives."""
    if seen.machine.in_files:
        yield f"{seen.machine.name} is as it was when {seen.machine.ref} was made: keep what it came from off"


@check("preflight.firmware_disagrees", BLOCKER, overridable=True)
def firmware_disagrees(seen: Seen) -> Iterator[str]:
    """The descriptor and the disk say different things: one of them boots."""
    machine = seen.machine
    if machine.firmware_told and machine.firmware_on_disk not in ("", machine.firmware.value):
        yield f"the descriptor says {machine.firmware.value}, the first disk is made for {machine.firmware_on_disk}"


@check("preflight.firmware_guessed", WARNING)
def firmware_guessed(seen: Seen) -> Iterator[str]:
    """Neither says it."""
    machine = seen.machine
    if not machine.firmware_told and not machine.firmware_on_disk:
        yield f"{machine.firmware.value} is assumed: neither the descriptor nor the first disk says what boots it"


@check("preflight.no_mac", WARNING)
def no_mac(seen: Seen) -> Iterator[str]:
    """The pool makes one: Windows then asks for its activation, and DHCP gives another address."""
    for nic in seen.machine.nics:
        if not nic.mac:
            yield f"NIC {nic.index} on {nic.network!r} has no MAC in the descriptor: it gets a new one"


@check("preflight.hardware_guessed", WARNING)
def hardware_guessed(seen: Seen) -> Iterator[str]:
    """A disk image on its own is no machine."""
    machine = seen.machine
    if not machine.hardware_told:
        memory = spoken_size(machine.memory)
        yield f"{machine.ref} is a disk alone: {machine.cpus} CPUs, {memory} of memory and no NIC are assumed"
