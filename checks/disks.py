"""The machine's disks, one by one."""

from collections.abc import Iterator

from checks.registry import BLOCKER, NOTE, WARNING, check
from checks.seen import Seen


@check("preflight.no_disks", BLOCKER)
def no_disks(seen: Seen) -> Iterator[str]:
    """There is nothing to copy."""
    if not seen.machine.disks:
        yield f"{seen.machine.name} has no disk"


def _with_obstacle(seen: Seen, code: str) -> Iterator[str]:
    for disk in seen.machine.disks:
        if disk.obstacle == code:
            yield f"disk {disk.slot} ({disk.file})"


@check("preflight.rdm_disk", BLOCKER)
def rdm_disk(seen: Seen) -> Iterator[str]:
    """A raw device is frozen by no snapshot."""
    return _with_obstacle(seen, "preflight.rdm_disk")


@check("preflight.independent_disk", BLOCKER)
def independent_disk(seen: Seen) -> Iterator[str]:
    """No snapshot holds it."""
    return _with_obstacle(seen, "preflight.independent_disk")


@check("preflight.multi_writer_disk", BLOCKER)
def multi_writer_disk(seen: Seen) -> Iterator[str]:
    """Others write it too."""
    return _with_obstacle(seen, "preflight.multi_writer_disk")


@check("preflight.encrypted_disk", BLOCKER)
def encrypted_disk(seen: Seen) -> Iterator[str]:
    """What would be read is ciphertext."""
    return _with_obstacle(seen, "preflight.encrypted_disk")


@check("preflight.no_change_tracking", WARNING)
def no_change_tracking(seen: Seen) -> Iterator[str]:
    """Without it there are no passes while the machine runs."""
    if not seen.machine.change_tracking_supported and not seen.machine.in_files:  # of these preflight.in_files tells
        yield "the copy is made while the machine is off"


@check("preflight.disk_capacity_invalid", BLOCKER)
def disk_capacity_invalid(seen: Seen) -> Iterator[str]:
    """A disk of no size has no VDI."""
    for disk in seen.machine.disks:
        if disk.capacity <= 0:
            yield f"disk {disk.slot} has {disk.capacity} bytes"


@check("preflight.datastore_inaccessible", BLOCKER)
def datastore_inaccessible(seen: Seen) -> Iterator[str]:
    """No host reaches what shall be read."""
    for disk in seen.machine.disks:
        if disk.inaccessible:
            yield f"disk {disk.slot} lies on {disk.datastore}, which no host reaches"


@check("preflight.disk_4k_sectors", BLOCKER, overridable=True)
def disk_4k_sectors(seen: Seen) -> Iterator[str]:
    """Every byte is moved, and the guest finds no partition: tables count in sectors, and a VBD has 512 bytes each."""
    for disk in seen.machine.disks:
        if disk.sector > 512:
            yield f"disk {disk.slot} has sectors of {disk.sector} bytes, on the target they have 512"


@check("preflight.linked_clone", WARNING)
def linked_clone(seen: Seen) -> Iterator[str]:
    """A delta without a snapshot: its base belongs to another machine."""
    machine = seen.machine
    if machine.foreign_snapshots or machine.our_snapshots or machine.needs_consolidation:
        return
    for disk in machine.disks:
        if disk.delta:
            yield f"disk {disk.slot} ({disk.file}) is the delta of another machine's disk"


@check("preflight.first_class_disk", WARNING)
def first_class_disk(seen: Seen) -> Iterator[str]:
    """Whoever made it will look for it on vSphere."""
    for disk in seen.machine.disks:
        if disk.managed_volume:
            yield f"disk {disk.slot} is the first class disk {disk.managed_volume}"


@check("preflight.disk_serials", NOTE)
def disk_serials(seen: Seen) -> Iterator[str]:
    """The guest may have written down names that are made of them."""
    if seen.machine.settings.disk_serials:
        yield "the guest sees the disks' serial numbers, which are others on the target"
