"""Sheets and columns of RVTools by our names, in the spellings that its versions have.

Spellings: 3.x (MB) and 4.x (MiB), and the names of its own grid that some exports bear (``vInfoVMName``).
Source: its documentation, and headers of exports of 3.9 to 4.7.
"""

from collections.abc import Sequence

from contracts.errors import FerryError
from starter.assessment.rvtools.tables import MOST_COLUMNS, Table, plain

_COMMON = {
    "vm": ("VM", "VM Name", "Name"),
    "vm_id": ("VM ID", "Object ID"),
    "server": ("VI SDK Server", "vCenter"),
}
SHEETS: dict[str, dict[str, tuple[str, ...]]] = {
    "vInfo": {
        **_COMMON,
        "power": ("Powerstate",),
        "template": ("Template",),
        "placeholder": ("SRM Placeholder",),
        "connection": ("Connection state",),
        "guest_state": ("Guest state",),
        "consolidation": ("Consolidation Needed",),
        "cpus": ("CPUs", "# CPUs"),
        "memory": ("Memory", "Memory Size"),
        "disks": ("Disks", "Num Virtual Disks"),
        "capacity": ("Total disk capacity", "Provisioned"),
        "firmware": ("Firmware",),
        "secure_boot": ("EFI Secure boot",),
        "hw_version": ("HW version",),
        "host": ("Host",),
        "guest": ("OS according to the configuration file", "OS"),
        "description": ("Annotation",),
        "uuid": ("VM UUID", "UUID"),
        "bios_uuid": ("SMBIOS UUID",),
    },
    "vDisk": {
        **_COMMON,
        "label": ("Disk", "Label"),
        "key": ("Disk Key",),
        "uuid": ("Disk UUID",),
        "capacity": ("Capacity",),
        "raw": ("Raw",),
        "mode": ("Disk Mode",),
        "sharing": ("Sharing mode",),
        "shared_bus": ("Shared Bus",),
        "thin": ("Thin",),
        "controller": ("Controller",),
        "unit": ("Unit #", "SCSI Unit #"),
        "path": ("Disk Path", "Path"),
    },
    "vNetwork": {
        **_COMMON,
        "label": ("NIC label", "Network Adapter"),
        "network": ("Network",),
        "mac": ("Mac Address",),
        "connected": ("Starts Connected",),
    },
    "vSnapshot": {**_COMMON, "name": ("Name",), "description": ("Description",), "vm": ("VM", "VM Name")},
    "vTools": {**_COMMON, "tools": ("Tools", "Tools Status")},
    "vCD": {**_COMMON, "device": ("Device Type",), "connected": ("Connected",)},
}
NEEDED = {"vInfo": ("vm", "power")}
"""Without these nothing can be told."""


def sheet_of(name: str) -> str | None:
    """Our name of a sheet or a CSV file: ``RVTools_tabvInfo.csv`` is vInfo."""
    bare = plain(name.rpartition("/")[2].removesuffix(".csv").removesuffix(".CSV"))
    bare = bare.removeprefix("rvtools").removeprefix("tab")
    return next((sheet for sheet in SHEETS if bare == sheet.lower()), None)


def table_of(sheet: str, heads: Sequence[str]) -> Table:
    """An empty table with the columns that are known.

    Raises:
        FerryError: ``rvtools.missing`` for a column without which nothing can be told.
    """
    places: dict[str, int] = {}
    for place, head in enumerate(heads[:MOST_COLUMNS]):
        bare = plain(head)
        for spelling in (bare, bare.removeprefix(sheet.lower())):
            if spelling:
                places.setdefault(spelling, place)
    found = {}
    for name, spellings in SHEETS[sheet].items():
        known = next((plain(each) for each in spellings if plain(each) in places), None)
        if known is not None:
            found[name] = places[known]
    table = Table(sheet, found, tuple(head[:64] for head in heads if head))
    for name in NEEDED.get(sheet, ()):
        if not table.has(name):
            known = ", ".join(table.heads[:12]) or "none"
            raise FerryError(
                "rvtools.missing", f"sheet {sheet} has no column {SHEETS[sheet][name][0]!r}; its columns are {known}"
            )
    return table
