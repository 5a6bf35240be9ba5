"""Machines, as far as an export of RVTools tells of them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from contracts.assessment import Unread
from contracts.machine import LOST, Firmware, Machine, Nic, Power, SourceDisk
from starter.assessment.rvtools.tables import Row, Table

_POWER = {"poweredon": Power.ON, "poweredoff": Power.OFF, "suspended": Power.SUSPENDED}
_RUNNING = {"toolsok", "toolsold"}
_SLOT = re.compile(r"(scsi|sata|ide|nvme|ahci)\D*(\d+)", re.IGNORECASE)
OUR_SNAPSHOT = "ferry-"
TRACKED_SINCE = 7
"""The hardware version from which on there is change tracking (vsphere.md §2)."""


@dataclass
class Export:
    """What is in a file. ``left_out``: what kind of VM to how many of it that are no candidates."""

    machines: list[Machine | Unread] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    twins: int = 0
    """VMs that share their name with another, where the file names them in no other way."""


Key = tuple[str, str]


def export_of(tables: Mapping[str, Table], source: str) -> Export:
    """All VMs of vInfo, in its order, with what the other sheets tell.

    Args:
        source: what a VM's source is called where the file names no vCenter.
    """
    info = tables["vInfo"]
    by_id = info.has("vm_id") and all(table.has("vm_id") for table in tables.values())
    others = {name: _by_machine(table, by_id) for name, table in tables.items() if name != "vInfo"}
    found = Export()
    seen: set[Key] = set()
    for row in info:
        if not row.text("vm"):
            continue
        kind = "template" if row.flag("template") else "SRM placeholder" if row.flag("placeholder") else ""
        if kind:
            found.left_out[kind] += 1
            continue
        key = _key(row, by_id)
        found.twins += key in seen and not by_id
        seen.add(key)
        found.machines.append(_machine(row, {name: rows.get(key, []) for name, rows in others.items()}, tables, source))
    return found


def _by_machine(table: Table, by_id: bool) -> dict[Key, list[Row]]:
    found: dict[Key, list[Row]] = defaultdict(list)
    for row in table:
        found[_key(row, by_id)].append(row)
    return found


def _key(row: Row, by_id: bool) -> Key:
    """Morefs are alike in different vCenters, and an export may hold several."""
    return row.text("server"), row.text("vm_id" if by_id else "vm")


def _machine(row: Row, more: Mapping[str, list[Row]], tables: Mapping[str, Table], source: str) -> Machine | Unread:
    name, ref = row.text("vm"), row.text("vm_id")
    state = row.text("connection")
    if state and state.lower() != "connected":
        code = "vm.inaccessible" if state.lower() in LOST else "vm.not_connected"
        return Unread(ref=ref, name=name, code=code, message=f"{name} was {state}")
    power = _POWER.get(row.text("power").lower().replace(" ", ""))
    if power is None:
        return Unread(
            ref=ref, name=name, code="assess.unreadable", message=f"{name}: Powerstate is {row.text('power')[:40]!r}"
        )
    snapshots = [each.text("name") for each in more.get("vSnapshot", [])]
    version = re.search(r"\d+", row.text("hw_version"))
    isos = [each.text("device") for each in more.get("vCD", []) if "iso" in each.text("device").lower()]
    return Machine(
        source=row.text("server") or source,
        machine_id=row.text("uuid") if row.table.has("bios_uuid") else "",
        ref=ref,
        name=name,
        power=power,
        firmware=Firmware.UEFI if "efi" in row.text("firmware").lower() else Firmware.BIOS,
        secure_boot=bool(row.flag("secure_boot")),
        bios_uuid=row.text("bios_uuid") or row.text("uuid"),
        cpus=row.number("cpus") or 0,
        memory=(row.number("memory") or 0) << 20,
        guest_name=row.text("guest"),
        tools_running=_tools_run(row, more.get("vTools", [])),
        description=row.text("description"),
        host=row.text("host"),
        has_cdrom=bool(more.get("vCD")),
        mounted_iso=isos[0] if isos else None,
        nics=tuple(_nics(more.get("vNetwork", []))),
        disks=tuple(_disks(more["vDisk"])) if "vDisk" in tables else _counted_disks(row),
        foreign_snapshots=tuple(each for each in snapshots if not each.startswith(OUR_SNAPSHOT)),
        our_snapshots=tuple(each for each in snapshots if each.startswith(OUR_SNAPSHOT)),
        change_tracking_supported=version is None or int(version[0][:4]) >= TRACKED_SINCE,
        needs_consolidation=bool(row.flag("consolidation")),
    )


def _tools_run(row: Row, tools: Iterable[Row]) -> bool:
    """vTools tells; else the state of the guest, which only tools report."""
    said = [each.text("tools").lower() for each in tools if each.text("tools")]
    return said[0] in _RUNNING if said else row.text("guest_state").lower() == "running"


def _nics(rows: Iterable[Row]) -> list[Nic]:
    return [
        Nic(
            index=index,
            mac=row.text("mac"),
            network=row.text("network"),
            label=row.text("label"),
            connected_at_start=row.flag("connected") is not False,
        )
        for index, row in enumerate(rows)
    ]


def _disks(rows: Iterable[Row]) -> list[SourceDisk]:
    return [
        SourceDisk(
            disk_id=row.text("uuid") or row.text("key") or str(index),
            key=row.number("key") or index,
            backing_uuid=row.text("uuid"),
            slot=_slot(row),
            capacity=(row.number("capacity") or 0) << 20,
            datastore=_datastore(row.text("path")),
            file=row.text("path"),
            thin=row.flag("thin") is not False,
            obstacle=_obstacle(row),
        )
        for index, row in enumerate(rows)
    ]


def _slot(row: Row) -> str:
    """``scsi0:1`` of "SCSI controller 0" and unit 1; what cannot be told so is told as it stands there."""
    match = _SLOT.search(row.text("controller"))
    unit = row.number("unit")
    if match is None or unit is None:
        return row.text("label") or "?"
    return f"{match[1].lower().replace('ahci', 'sata')}{match[2]}:{unit}"


def _datastore(path: str) -> str:
    match = re.match(r"\[([^\]]*)\]", path)
    return match[1] if match else ""


def _obstacle(row: Row) -> str | None:
    if row.flag("raw"):
        return "preflight.rdm_disk"
    bus = row.text("shared_bus").lower()
    if "multi" in row.text("sharing").lower() or bus not in ("", "nosharing", "none"):
        return "preflight.multi_writer_disk"
    if row.text("mode").lower().startswith("independent"):
        return "preflight.independent_disk"
    return None


def _counted_disks(row: Row) -> tuple[SourceDisk, ...]:
    """vInfo tells how many, and how large they are together."""
    count = min(row.number("disks") or 0, 256)
    whole = (row.number("capacity") or 0) << 20
    return tuple(
        SourceDisk(disk_id=str(each), key=each, slot="?", capacity=whole if each == 0 else 0) for each in range(count)
    )
