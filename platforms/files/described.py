"""A machine as a descriptor tells of it, whichever kind of descriptor that is."""

from dataclasses import dataclass, field

from contracts.machine import Firmware

MOST_DISKS = 256
MOST_SIZE = 1 << 50
"""Bytes of anything that a descriptor claims."""
ORDER = {"sata": 0, "ide": 1, "scsi": 2, "nvme": 3}
"""In which VMware boots from them (vsphere.md §4)."""


def whole(told: str, digits: int = 18) -> int | None:
    """A number as descriptors write it, in so many digits at most; other scripts have digits too, which are none."""
    return int(told) if told.isascii() and told.isdigit() and len(told) <= digits else None


@dataclass(frozen=True)
class DescribedDisk:
    """``file``: as it is named there; empty for an empty disk. ``capacity``: bytes; 0 where it is not told."""

    slot: str
    file: str
    capacity: int = 0
    size: int | None = None
    compressed: str = ""


@dataclass(frozen=True)
class DescribedNic:
    """``mac``: empty where none is told."""

    network: str
    mac: str = ""
    kind: str = ""
    label: str = ""


@dataclass(frozen=True)
class Described:
    """``firmware`` None: it is not told. ``guessed``: nothing told of CPUs, memory and NICs. ``memory``: bytes."""

    name: str
    cpus: int
    memory: int
    description: str = ""
    cores_per_socket: int = 1
    firmware: Firmware | None = None
    secure_boot: bool = False
    guest_os: str = ""
    guest_name: str = ""
    has_cdrom: bool = False
    disks: tuple[DescribedDisk, ...] = ()
    nics: tuple[DescribedNic, ...] = ()
    bios_uuid: str = ""
    guessed: bool = False
    notes: tuple[str, ...] = field(default=())
