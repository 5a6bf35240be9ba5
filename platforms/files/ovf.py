"""OVF descriptors, in VMware's and VirtualBox's dialects: what machine they describe. Pure.

DMTF DSP0243 (OVF 1.1 and 2.0); ``vmw:`` as VMware's ovftool writes it, ``vbox:Machine`` as VirtualBox does.
"""

import re
from xml.etree.ElementTree import Element

from contracts.errors import FerryError
from contracts.machine import Firmware
from platforms.files.described import MOST_DISKS, MOST_SIZE, ORDER, Described, DescribedDisk, DescribedNic, whole
from platforms.files.xml import attribute, children, local, parsed, text

_UNITS = re.compile(r"byte(?:\s*\*\s*(?:(2|10)\^(\d{1,2})|(\d{1,12})))?", re.IGNORECASE)
_WORDS = {"bytes": 0, "kilobytes": 10, "kb": 10, "megabytes": 20, "mb": 20, "gigabytes": 30, "gb": 30, "terabytes": 40}
"""Of OVF 0.9 and VirtualBox; powers of two."""
_CONTROLLERS = {"5": "ide", "6": "scsi", "20": "sata"}
"""CIM's resource types. 20, "other storage", is AHCI, or by its subtype NVMe."""
_CPU, _MEMORY, _NIC, _CD, _DVD, _DISK = "3", "4", "10", "15", "16", "17"
_EXTENT = "31"
"""A disk too, as OVF 2.0 may have it."""


def machines_in(data: bytes, what: str) -> list[Described]:
    """All that the descriptor describes.

    Raises:
        FerryError: ``file.unreadable``, ``file.too_large``.
    """
    root = parsed(data, what)
    if local(root.tag) != "Envelope":
        raise FerryError("file.unreadable", f"{what} is no OVF: its root is {local(root.tag)!r}")
    systems = [*children(root, "VirtualSystem"), *children(root, "VirtualSystemCollection", "VirtualSystem")]
    if not systems:
        raise FerryError("file.unreadable", f"{what} describes no virtual system")
    files = {attribute(each, "id"): each for each in children(root, "References", "File")}
    disks = {attribute(each, "diskId"): each for each in children(root, "DiskSection", "Disk")}
    options = children(root, "DeploymentOptionSection", "Configuration")
    default = [each for each in options if attribute(each, "default").lower() in ("true", "1")] or options
    option = attribute(default[0], "id") if default else ""
    return [_System(each, files, disks, what, option).machine() for each in systems]


class _System:
    def __init__(
        self, system: Element, files: dict[str, Element], disks: dict[str, Element], what: str, option: str
    ) -> None:
        self._system, self._files, self._disks, self._what = system, files, disks, what
        hardware = children(system, "VirtualHardwareSection")
        self._hardware = hardware[0] if hardware else system
        self._items = [
            each
            for each in self._hardware
            if local(each.tag) in ("Item", "StorageItem", "EthernetPortItem") and _is_meant(each, option)
        ]
        self._vbox = children(system, "Machine")

    def machine(self) -> Described:
        """All of it; disks and NICs in their order."""
        cpu, memory = self._of(_CPU), self._of(_MEMORY)
        operating = children(self._system, "OperatingSystemSection")
        guest = operating[0] if operating else self._system
        told = text(guest, "Description") if operating else ""
        cpus = _number(text(cpu[0], "VirtualQuantity") or "1", self._what) if cpu else 1
        return Described(
            name=(text(self._system, "Name") or attribute(self._system, "id") or "machine")[:255],
            description=text(self._system, "AnnotationSection", "Annotation"),
            cpus=max(1, cpus),
            cores_per_socket=max(1, _number(text(cpu[0], "CoresPerSocket") or "1", self._what) if cpu else 1),
            memory=self._memory(memory),
            firmware=self._firmware(),
            secure_boot=self._config("bootOptions.efiSecureBootEnabled").lower() == "true",
            guest_os=(attribute(guest, "osType") if operating else "") or _vbox_os(self._vbox),
            guest_name=told,
            has_cdrom=bool(self._of(_CD) or self._of(_DVD)),
            disks=tuple(self._its_disks()),
            nics=tuple(self._nics()),
            bios_uuid=self._config("uuid"),
            notes=tuple(self._notes()),
        )

    def _of(self, kind: str) -> list[Element]:
        return [each for each in self._items if text(each, "ResourceType") == kind]

    def _memory(self, items: list[Element]) -> int:
        if not items:
            raise FerryError("file.unreadable", f"{self._what} says nothing of the memory")
        units = text(items[0], "AllocationUnits") or "byte * 2^20"
        return _sized(text(items[0], "VirtualQuantity"), units, self._what)

    def _firmware(self) -> Firmware | None:
        told = self._config("firmware").lower()
        if not told and self._vbox:
            found = children(self._vbox[0], "Hardware", "Firmware")
            told = attribute(found[0], "type").lower() if found else "bios"  # VirtualBox writes it where it is not BIOS
        if not told:
            return None
        return Firmware.UEFI if told.startswith("efi") or told == "uefi" else Firmware.BIOS

    def _config(self, key: str) -> str:
        for each in self._hardware.iter():
            if local(each.tag) in ("Config", "ExtraConfig") and attribute(each, "key") == key:
                return attribute(each, "value")
        return ""

    def _its_disks(self) -> list[DescribedDisk]:
        controllers = {text(each, "InstanceID"): each for each in self._items
                       if text(each, "ResourceType") in _CONTROLLERS}  # fmt: skip
        kinds = {name: self._kind(each) for name, each in controllers.items()}
        buses: dict[str, int] = {}
        seen: dict[str, int] = {}
        ordered = sorted(controllers, key=lambda name: _whole(text(controllers[name], "Address")))
        for name in ordered:
            buses[name] = seen.get(kinds[name], 0)
            seen[kinds[name]] = buses[name] + 1
        found = []
        for number, item in enumerate([*self._of(_DISK), *self._of(_EXTENT)]):
            parent = text(item, "Parent")
            kind, bus = kinds.get(parent, "scsi"), buses.get(parent, 0)
            place = text(item, "AddressOnParent")
            unit = _whole(place) if place else number
            if kind == "ide":  # two IDE controllers are the two channels of one
                kind, bus = "ide", bus
            found.append(((ORDER[kind], bus, unit, number), self._disk(item, f"{kind}{bus}:{unit}")))
        if len(found) > MOST_DISKS:
            raise FerryError("file.too_large", f"{self._what} has {len(found)} disks")
        slots = [disk.slot for _, disk in found]
        if doubled := next((slot for slot in slots if slots.count(slot) > 1), ""):
            raise FerryError("file.unreadable", f"{self._what} has two disks at {doubled}")
        return [disk for _, disk in sorted(found, key=lambda each: each[0])]

    def _kind(self, controller: Element) -> str:
        subtype = text(controller, "ResourceSubType").lower()
        return "nvme" if "nvme" in subtype else _CONTROLLERS[text(controller, "ResourceType")]

    def _disk(self, item: Element, slot: str) -> DescribedDisk:
        where = text(item, "HostResource")
        kind, _, name = where.removeprefix("ovf:").strip("/").partition("/")
        disk = self._disks.get(name) if kind == "disk" else None
        reference = attribute(disk, "fileRef") if disk is not None else name if kind == "file" else ""
        if disk is None and kind != "file":
            raise FerryError("file.unreadable", f"{self._what}: the disk at {slot} is {where!r}, which is not there")
        if disk is not None and attribute(disk, "parentRef"):
            raise FerryError("file.chain", f"{self._what}: the disk at {slot} is a delta of another")
        file = self._files.get(reference)
        if reference and file is None:
            raise FerryError(
                "file.unreadable", f"{self._what}: the file {reference!r} of the disk at {slot} is not there"
            )
        capacity = 0
        if disk is not None:
            units = attribute(disk, "capacityAllocationUnits") or "byte"
            capacity = _sized(attribute(disk, "capacity"), units, self._what)
        size = attribute(file, "size") if file is not None else ""
        packed = attribute(file, "compression") if file is not None else ""
        return DescribedDisk(
            slot=slot, capacity=capacity, file=attribute(file, "href") if file is not None else "",
            size=whole(size),
            compressed=packed if packed != "identity" else "",
        )  # fmt: skip

    def _nics(self) -> list[DescribedNic]:
        macs = _vbox_macs(self._vbox)
        return [
            DescribedNic(
                network=text(each, "Connection"),
                mac=mac_of(text(each, "Address")) or (macs[at] if at < len(macs) else ""),
                kind=text(each, "ResourceSubType").lower(), label=text(each, "ElementName"),
            )
            for at, each in enumerate(self._of(_NIC))
        ]  # fmt: skip

    def _notes(self) -> list[str]:
        return (
            ["properties for the guest (ProductSection) are not carried over"]
            if children(self._system, "ProductSection", "Property")
            else []
        )


def _is_meant(item: Element, option: str) -> bool:
    """Of an appliance in several sizes only the default one; the ends of a range are no hardware."""
    sizes = attribute(item, "configuration").split()
    return (not sizes or option in sizes) and attribute(item, "bound") in ("", "normal")


def _vbox_macs(machine: list[Element]) -> list[str]:
    """VirtualBox writes them nowhere else; adapters that are off have no item."""
    adapters = children(machine[0], "Hardware", "Network", "Adapter") if machine else []
    on = [each for each in adapters if attribute(each, "enabled").lower() == "true"]
    on.sort(key=lambda each: _whole(attribute(each, "slot")))
    return [mac_of(attribute(each, "MACAddress")) for each in on]


def _vbox_os(machine: list[Element]) -> str:
    return attribute(machine[0], "OSType") if machine else ""


def mac_of(told: str) -> str:
    digits = re.sub(r"[^0-9a-fA-F]", "", told).lower()
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2)) if len(digits) == 12 else ""


def _sized(number: str, units: str, what: str) -> int:
    """Bytes."""
    word, found = _WORDS.get(units.strip().lower()), _UNITS.fullmatch(units.strip())
    if found is None and word is None:
        raise FerryError("file.unreadable", f"{what}: {units[:60]!r} is no unit that Ferry knows")
    factor = 1 << (word or 0)
    if found is not None:
        factor = int(found[1]) ** int(found[2]) if found[1] else int(found[3] or 1)
    size = _number(number, what) * factor
    if size > MOST_SIZE:
        raise FerryError("file.too_large", f"{what}: {size} bytes are more than any machine has")
    return size


def _number(told: str, what: str) -> int:
    number = whole(told)
    if number is None:
        raise FerryError("file.unreadable", f"{what}: {told[:60]!r} is no number")
    return number


def _whole(told: str) -> int:
    return whole(told, 9) or 0
