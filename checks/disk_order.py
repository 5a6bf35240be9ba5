"""Where the disks sit, and which of them boots."""

from collections.abc import Iterator

from checks.registry import BLOCKER, NOTE, WARNING, check
from checks.seen import Seen
from contracts.machine import Firmware, Machine

MOST_DISKS = 240
"""XenServer's limit is 241 VDIs a VM with the CD drive among them (its configuration limits, note 3)."""
SEEN_AT_ONCE = 3
"""Only four positions are emulated IDE, and the CD drive has one of them (xapi.md §3.4)."""
_TOLD = 12


def order_of(machine: Machine) -> str:
    """``scsi0:0, scsi0:5, nvme0:0``: the first dozen."""
    slots = [disk.slot for disk in machine.disks]
    more = f" and {len(slots) - _TOLD} more" if len(slots) > _TOLD else ""
    return ", ".join(slots[:_TOLD]) + more


@check("preflight.too_many_disks", BLOCKER, overridable=True)
def too_many_disks(seen: Seen) -> Iterator[str]:
    """Beyond what is supported; a VM has no more than 255 positions."""
    count = len(seen.machine.disks)
    if count > MOST_DISKS:
        yield f"{count} disks, of which XCP-ng supports {MOST_DISKS} beside a CD drive"


@check("preflight.many_disks", NOTE)
def many_disks(seen: Seen) -> Iterator[str]:
    """Without its drivers the guest misses the others, and may wait for them at boot."""
    count = len(seen.machine.disks)
    if count > SEEN_AT_ONCE:
        yield f"{count} disks: a guest without Xen drivers sees the first {SEEN_AT_ONCE} of {order_of(seen.machine)}"


@check("preflight.nvme_disks", NOTE)
def nvme_disks(seen: Seen) -> Iterator[str]:
    """Other tools pass over them; the guest finds them under other names."""
    if any(disk.slot.startswith("nvme") for disk in seen.machine.disks):
        yield f"all are moved, in this order: {order_of(seen.machine)}"


@check("preflight.sparse_units", NOTE)
def sparse_units(seen: Seen) -> Iterator[str]:
    """Other tools pass over what comes after a gap (field.md, finding 4)."""
    units: dict[str, list[int]] = {}
    for disk in seen.machine.disks:
        controller, _, unit = disk.slot.partition(":")
        if unit.isdigit():
            units.setdefault(controller, []).append(int(unit))
    for controller, found in units.items():
        # Unit 7 is the SCSI controller's own: a gap there is none.
        reserved = 1 if controller.startswith("scsi") and max(found) > 7 else 0
        if max(found) + 1 - reserved > len(found):
            yield f"{controller} has gaps; all disks are moved, in this order: {order_of(seen.machine)}"
            return


@check("preflight.boot_disk_not_first", WARNING)
def boot_disk_not_first(seen: Seen) -> Iterator[str]:
    """BIOS boots from the first disk only."""
    machine = seen.machine
    wanted = machine.settings.boot_disk
    if machine.firmware is Firmware.UEFI or wanted is None or not machine.disks or machine.disks[0].key == wanted:
        return
    for disk in machine.disks:
        if disk.key == wanted:
            yield f"it boots from {disk.slot}; on the target from {machine.disks[0].slot}, the first"


@check("preflight.boots_from_network", WARNING)
def boots_from_network(seen: Seen) -> Iterator[str]:
    """The target tries disk, CD drive and network, in this order."""
    if seen.machine.settings.boots_from_network:
        yield "it boots from the network first; on the target its disk comes first"
