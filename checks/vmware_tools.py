"""VMware Tools under Xen: what is to become of them is said in the request (`vmware_tools`).

Ferry runs nothing inside a guest: these say what a person should run, and when.
"""

from collections.abc import Iterator

from checks.guest_families import is_suse, is_windows, running_os
from checks.registry import NOTE, WARNING, check
from checks.seen import Seen
from contracts.machine import Machine, Power
from contracts.machine_facts import Tools

_WINDOWS = (
    "$t = Get-ItemProperty HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\* | "
    "Where-Object DisplayName -eq 'VMware Tools'; msiexec /x $t.PSChildName /qn /norestart"
)


def removal_of(machine: Machine) -> str:
    """The command, by family."""
    if is_windows(machine):
        return _WINDOWS
    if is_suse(machine):
        package = "zypper remove open-vm-tools"
    elif running_os(machine).startswith(("debian", "ubuntu")):
        package = "apt-get purge open-vm-tools"
    else:
        package = "dnf remove open-vm-tools"
    if machine.guest.tools is Tools.UNMANAGED:
        return package
    return f"{package}, or where VMware's own package is installed: vmware-uninstall-tools.pl"


def are_there(machine: Machine) -> bool:
    """Where nobody knows, nothing is said."""
    return machine.guest.tools not in (Tools.UNKNOWN, Tools.NONE)


@check("preflight.vmware_tools_stay", WARNING)
def vmware_tools_stay(seen: Seen) -> Iterator[str]:
    """On Linux they notice that they are not on VMware, and do nothing."""
    if seen.vmware_tools == "leave" and is_windows(seen.machine) and are_there(seen.machine):
        yield "VMware Tools stay in Windows, and their installer removes them on VMware only"


@check("preflight.vmware_tools_remove_before", NOTE)
def vmware_tools_remove_before(seen: Seen) -> Iterator[str]:
    """While the machine still runs on VMware."""
    if seen.vmware_tools == "remove-before" and are_there(seen.machine):
        yield f"before you approve, run inside: {removal_of(seen.machine)}"


@check("preflight.vmware_tools_out_of_reach", WARNING)
def vmware_tools_out_of_reach(seen: Seen) -> Iterator[str]:
    """Nothing can be removed from what does not run."""
    machine = seen.machine
    if seen.vmware_tools == "remove-before" and are_there(machine) and machine.power is not Power.ON:
        yield f"{machine.name} is {machine.power.value}: VMware Tools cannot be removed before it is moved"


@check("preflight.vmware_tools_remove_after", NOTE)
def vmware_tools_remove_after(seen: Seen) -> Iterator[str]:
    """Once the target runs."""
    if seen.vmware_tools == "remove-after" and are_there(seen.machine) and not is_windows(seen.machine):
        yield f"once the target runs, run inside: {removal_of(seen.machine)}"


@check("preflight.vmware_tools_hard_to_remove", WARNING)
def vmware_tools_hard_to_remove(seen: Seen) -> Iterator[str]:
    """Their installer refuses to run where it finds no VMware."""
    if seen.vmware_tools == "remove-after" and is_windows(seen.machine) and are_there(seen.machine):
        yield "VMware Tools of Windows are removed on VMware only: choose remove-before"


@check("preflight.tools_too_old", WARNING)
def tools_too_old(seen: Seen) -> Iterator[str]:
    """They may not do what they are asked to."""
    if seen.machine.guest.tools is Tools.TOO_OLD:
        yield f"VMware Tools {seen.machine.guest.tools_version}: a shutdown may not be heeded".replace("  ", " ")
