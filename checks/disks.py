"""The machine's disks, one by one."""

from collections.abc import Iterator

from checks.registry import BLOCKER, WARNING, check
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
    if not seen.machine.change_tracking_supported:
        yield "the copy is made while the machine is off"
