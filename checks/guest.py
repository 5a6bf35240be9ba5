"""What runs inside, and what is mounted or attached that belongs to it."""

from collections.abc import Iterator

from checks.approved_steps import EJECT_ISO
from checks.guest_families import has_no_home, is_windows, running_os
from checks.registry import NOTE, WARNING, check
from checks.seen import Seen
from contracts.machine import Power


@check("preflight.tools_not_running", WARNING)
def tools_not_running(seen: Seen) -> Iterator[str]:
    """Then the power-off ladder has no first rung."""
    if seen.machine.power is Power.ON and not seen.machine.tools_running:
        yield "the guest cannot be asked to shut down"


@check("preflight.iso_mounted", NOTE)
def iso_mounted(seen: Seen) -> Iterator[str]:
    """It is a file of the source's."""
    if seen.machine.mounted_iso and EJECT_ISO not in seen.approved_steps:
        yield f"{seen.machine.mounted_iso} stays behind"


@check("preflight.tags_unread", NOTE)
def tags_unread(seen: Seen) -> Iterator[str]:
    """Then the target gets none."""
    if seen.machine.tags_unread:
        yield f"the target gets no tags: {seen.machine.tags_unread}"


@check("preflight.hostname_unknown", NOTE)
def hostname_unknown(seen: Seen) -> Iterator[str]:
    """The tools run and tell none."""
    if seen.machine.guest.hostname == "":
        yield "the guest tells no host name"


@check("preflight.hostname_default", NOTE)
def hostname_default(seen: Seen) -> Iterator[str]:
    """Nobody gave it one."""
    if (seen.machine.guest.hostname or "").lower() in ("localhost", "localhost.localdomain"):
        yield f"the guest is called {seen.machine.guest.hostname}"


@check("preflight.guest_address_unknown", NOTE)
def guest_address_unknown(seen: Seen) -> Iterator[str]:
    """So nobody can compare it with that of the target."""
    if seen.machine.guest.addresses == () and seen.machine.nics:
        yield "the guest tells no IP address"


@check("preflight.guest_os_differs", NOTE)
def guest_os_differs(seen: Seen) -> Iterator[str]:
    """The template is chosen by what is configured."""
    machine = seen.machine
    if machine.guest.os and machine.guest_os and machine.guest.os.lower() != machine.guest_os.lower():
        yield f"configured as {machine.guest_os}, the guest says {machine.guest.os}"


@check("preflight.guest_os_unsupported", WARNING)
def guest_os_unsupported(seen: Seen) -> Iterator[str]:
    """It is moved whole and may not boot."""
    if has_no_home(seen.machine):
        yield f"XCP-ng does not support {running_os(seen.machine)}"


@check("preflight.drive_letter_unmapped", NOTE)
def drive_letter_unmapped(seen: Seen) -> Iterator[str]:
    """Where the tools tell of some drives on which disk they lie, and not of others."""
    volumes = seen.machine.guest.volumes
    if not is_windows(seen.machine) or all(each.disk_keys is None for each in volumes):
        return
    for volume in volumes:
        if volume.disk_keys is None:
            yield f"{volume.path} lies on no disk that the tools could name"


@check("preflight.smoke_not_started", WARNING)
def smoke_not_started(seen: Seen) -> Iterator[str]:
    """What does not run shows nothing."""
    machine = seen.machine
    if seen.smoke and machine.power is not Power.ON:
        yield f"{machine.name} is {machine.power.value}, so its target stays off, and the smoke test is not made"
