"""A VM's own configuration file (``.vmx``) beside its disks, as VMware's hypervisors keep it. Pure."""

import re

from contracts.errors import FerryError
from contracts.machine import Firmware
from platforms.files.described import MOST_DISKS, MOST_SIZE, ORDER, Described, DescribedDisk, DescribedNic, whole
from platforms.files.ovf import mac_of

MOST_BYTES = 1 << 20
_LINE = re.compile(r'\s*([A-Za-z0-9_.:]{1,200})\s*=\s*"(.*)"\s*')
_ENCODING = re.compile(
    rb'^\.encoding\s*=\s*"(windows-125[0-8]|gbk|big5|shift_jis|euc-kr)"', re.IGNORECASE | re.MULTILINE
)
_DISK = re.compile(r"(ide|sata|scsi|nvme)(\d{1,2}):(\d{1,3})\.filename")


def machine_in(data: bytes, what: str) -> Described:
    """The machine.

    Raises:
        FerryError: ``file.unreadable``, ``file.too_large``.
    """
    if len(data) > MOST_BYTES:
        raise FerryError("file.too_large", f"{what} is longer than {MOST_BYTES >> 20} MiB")
    told = {found[1].lower(): _plain(found[2]) for line in data.decode(_encoding(data), "replace").splitlines()
            if (found := _LINE.fullmatch(line))}  # fmt: skip
    if "memsize" not in told and "displayname" not in told:
        raise FerryError("file.unreadable", f"{what} is no configuration of a VM")
    memory = _number(told.get("memsize", "256"), what) << 20
    if not 0 < memory <= MOST_SIZE:
        raise FerryError("file.too_large", f"{what}: {memory} bytes are no machine's memory")
    devices = [(found, file) for key, file in told.items() if (found := _DISK.fullmatch(key))]
    here = [(found, file) for found, file in devices if _is_there(told, found)]
    disks = sorted(
        (found[1], int(found[2]), int(found[3]), file) for found, file in here if _is_disk(told, found, file)
    )
    disks.sort(key=lambda each: (ORDER[each[0]], each[1], each[2]))
    if len(disks) > MOST_DISKS:
        raise FerryError("file.too_large", f"{what} has {len(disks)} disks")
    return Described(
        name=(told.get("displayname") or what.removesuffix(".vmx"))[:255], description=told.get("annotation", ""),
        cpus=max(1, _number(told.get("numvcpus", "1"), what)),
        cores_per_socket=max(1, _number(told.get("cpuid.corespersocket", "1"), what)),
        memory=memory, firmware=Firmware.UEFI if told.get("firmware", "").lower() == "efi" else Firmware.BIOS,
        secure_boot=told.get("uefi.secureboot.enabled", "").lower() == "true",
        guest_os=_guest(told.get("guestos", "")),
        bios_uuid=_uuid(told.get("uuid.bios", "")), has_cdrom=len(here) > len(disks),
        disks=tuple(DescribedDisk(slot=f"{kind}{bus}:{unit}", file=file) for kind, bus, unit, file in disks),
        nics=tuple(_nics(told)),
    )  # fmt: skip


def _encoding(data: bytes) -> str:
    """As it says of itself; of those that hypervisors write, since some others take quadratic time."""
    found = _ENCODING.search(data[:4096])
    return found[1].decode() if found else "utf-8"


def _is_there(told: dict[str, str], found: "re.Match[str]") -> bool:
    return told.get(f"{found[1]}{found[2]}:{found[3]}.present", "").lower() == "true"


def _is_disk(told: dict[str, str], found: "re.Match[str]", file: str) -> bool:
    kind = told.get(f"{found[1]}{found[2]}:{found[3]}.devicetype", "disk").lower()
    return "cdrom" not in kind and "atapi" not in kind and not file.lower().endswith(".iso") and file != "auto detect"


def _nics(told: dict[str, str]) -> list[DescribedNic]:
    numbers = sorted(int(key[8:-8]) for key, value in told.items()
                     if re.fullmatch(r"ethernet\d{1,2}\.present", key) and value.lower() == "true")  # fmt: skip
    return [
        DescribedNic(
            network=told.get(f"ethernet{at}.networkname") or told.get(f"ethernet{at}.connectiontype") or "",
            # A hand-set MAC is in another key than a made one.
            mac=mac_of(told.get(f"ethernet{at}.address") or told.get(f"ethernet{at}.generatedaddress", "")),
            kind=told.get(f"ethernet{at}.virtualdev", "").lower(), label=f"ethernet{at}",
        )
        for at in numbers
    ]  # fmt: skip


def _plain(told: str) -> str:
    """``|0A`` and the like are bytes."""
    return re.sub(r"\|([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), told)


def _guest(told: str) -> str:
    """``debian11-64`` is vSphere's ``debian11_64Guest``."""
    return f"{told.replace('-', '_')}Guest" if told and not told.endswith("Guest") else told


def _uuid(told: str) -> str:
    digits = re.sub(r"[^0-9a-fA-F]", "", told).lower()
    if len(digits) != 32:
        return ""
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _number(told: str, what: str) -> int:
    number = whole(told, 12)
    if number is None:
        raise FerryError("file.unreadable", f"{what}: {told[:40]!r} is no number")
    return number
