"""Devices that are not moved. What the guest cannot do without stops; the request may say that it can."""

from collections.abc import Iterator

from checks.guest_families import is_windows
from checks.registry import BLOCKER, NOTE, WARNING, check
from checks.seen import Seen


@check("preflight.pci_passthrough", BLOCKER, overridable=True)
def pci_passthrough(seen: Seen) -> Iterator[str]:
    """It cannot be frozen while it runs, and the device stays behind."""
    if seen.machine.devices.passthrough:
        yield f"passed through: {', '.join(seen.machine.devices.passthrough)}"


@check("preflight.vgpu", BLOCKER, overridable=True)
def vgpu(seen: Seen) -> Iterator[str]:
    """The pool may have none, or others."""
    if seen.machine.devices.vgpu:
        yield f"virtual GPU: {', '.join(seen.machine.devices.vgpu)}"


@check("preflight.usb_device", BLOCKER, overridable=True)
def usb_device(seen: Seen) -> Iterator[str]:
    """Most are licence keys."""
    if seen.machine.devices.usb:
        yield f"attached: {', '.join(seen.machine.devices.usb)}"


@check("preflight.bitlocker", BLOCKER, overridable=True)
def bitlocker(seen: Seen) -> Iterator[str]:
    """Nobody can tell from outside whether it is on; whoever boots without its TPM is asked for the key."""
    if seen.machine.devices.tpm and is_windows(seen.machine):
        yield f"{seen.machine.name} runs Windows and has a virtual TPM: its disks may be locked by BitLocker"


@check("preflight.tpm", WARNING)
def tpm(seen: Seen) -> Iterator[str]:
    """Its secrets stay behind."""
    if seen.machine.devices.tpm and not is_windows(seen.machine):
        yield "what its virtual TPM holds is not moved; the target has none"


@check("preflight.persistent_memory", BLOCKER)
def persistent_memory(seen: Seen) -> Iterator[str]:
    """It holds data that no disk has: nothing is left behind in silence."""
    if seen.machine.devices.memory_modules:
        yield f"persistent memory: {', '.join(seen.machine.devices.memory_modules)}"


@check("preflight.ports", NOTE)
def ports(seen: Seen) -> Iterator[str]:
    """Serial, parallel, floppy."""
    if seen.machine.devices.ports:
        yield f"not moved: {', '.join(seen.machine.devices.ports)}"


@check("preflight.clocks", NOTE)
def clocks(seen: Seen) -> Iterator[str]:
    """Xen has clocks of its own."""
    if seen.machine.devices.clocks:
        yield f"not moved: {', '.join(seen.machine.devices.clocks)}"


@check("preflight.host_cdrom", NOTE)
def host_cdrom(seen: Seen) -> Iterator[str]:
    """The target's drive is empty."""
    if seen.machine.devices.host_cdrom:
        yield "its CD drive is the host's own; on the target it is an empty one"
