"""Exports as RVTools makes them, small: the columns that Ferry reads among some that it does not.

openpyxl writes the workbooks: neither our hand nor our reading of the format.
"""

import csv
import io
import zipfile
from pathlib import Path

from openpyxl import Workbook

SERVER = "vcenter.example"
Sheets = dict[str, list[list[object]]]

# As RVTools 4.x heads its sheets (of 4.4 and 4.7; columns left out, none renamed).
HEADS = {
    "vInfo": ["VM", "Powerstate", "Template", "SRM Placeholder", "Config status", "Connection state", "Guest state",
              "Consolidation Needed", "CPUs", "Memory", "NICs", "Disks", "Total disk capacity MiB", "Provisioned MiB",
              "In Use MiB", "EFI Secure boot", "Firmware", "HW version", "Annotation", "Datacenter", "Host",
              "OS according to the configuration file", "VM ID", "SMBIOS UUID", "VM UUID", "VI SDK Server"],
    "vDisk": ["VM", "Powerstate", "Template", "SRM Placeholder", "Disk", "Disk Key", "Disk UUID", "Disk Path",
              "Capacity MiB", "Raw", "Disk Mode", "Sharing mode", "Thin", "Controller", "SCSI Unit #", "Unit #",
              "Shared Bus", "Path", "VM ID", "VM UUID", "VI SDK Server"],
    "vNetwork": ["VM", "Powerstate", "NIC label", "Adapter", "Network", "Switch", "Connected", "Starts Connected",
                 "Mac Address", "VM ID", "VI SDK Server"],
    "vSnapshot": ["VM", "Powerstate", "Name", "Description", "Date / time", "Size MiB (total)", "VM ID",
                  "VI SDK Server"],
    "vTools": ["VM", "Powerstate", "Template", "VM Version", "Tools", "Tools Version", "VM ID", "VI SDK Server"],
    "vCD": ["VM", "Powerstate", "Device Node", "Connected", "Starts Connected", "Device Type", "VM ID",
            "VI SDK Server"],
    "vHealth": ["Name", "Message"],
}  # fmt: skip


def vm(number: int, name: str, **more: object) -> dict[str, list[list[object]]]:
    """One VM's rows, by sheet. ``more``: what differs, by the column's name in lower case and underscores."""
    ref = f"vm-{100 + number}"
    said = {
        "power": "poweredOn", "template": False, "placeholder": False, "state": "connected", "guest": "running",
        "consolidation": False, "capacity": 40960, "raw": False, "mode": "persistent", "sharing": "sharingNone",
        "bus": "noSharing", "secure": False, "hw": "vmx-19", "tools": "toolsOk", "snapshots": (), "device": "", **more,
    }  # fmt: skip
    on = said["power"]
    return {
        "vInfo": [[name, on, said["template"], said["placeholder"], "green", said["state"], said["guest"],
                   said["consolidation"], 4, 8192, 1, 1, said["capacity"], 60000, 1000, said["secure"], "efi",
                   said["hw"], "", "DC", "esx1", "Debian GNU/Linux 12 (64-bit)", ref, f"5{number:035}",
                   f"6{number:035}", SERVER]],
        "vDisk": [[name, on, said["template"], False, "Hard disk 1", 2000, f"7{number:035}",
                   f"[ds1] {name}/{name}.vmdk", said["capacity"], said["raw"], said["mode"], said["sharing"], True,
                   "SCSI controller 0", 0, 0, said["bus"], "", ref, "", SERVER]],
        "vNetwork": [[name, on, "Network adapter 1", "Vmxnet3", "VM Network", "vSwitch0", True, True,
                      f"00:50:56:00:00:{number % 256:02x}", ref, SERVER]],
        "vSnapshot": [[name, on, each, "", "", 10, ref, SERVER] for each in said["snapshots"]],
        "vTools": [[name, on, False, 19, said["tools"], 12352, ref, SERVER]],
        "vCD": [[name, on, "CD/DVD drive 1", bool(said["device"]), False, said["device"] or "Client device", ref,
                 SERVER]],
    }  # fmt: skip


def sheets_of(*vms: dict[str, list[list[object]]]) -> Sheets:
    """Heads and rows of all sheets."""
    return {
        sheet: [list(heads), *(row for each in vms for row in each.get(sheet, []))] for sheet, heads in HEADS.items()
    }


def as_xlsx(path: Path, sheets: Sheets) -> Path:
    """One workbook."""
    book = Workbook(write_only=True)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def as_csvs(folder: Path, sheets: Sheets, *, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """A folder of CSV files, as "Export all to csv" makes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in sheets.items():
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=delimiter).writerows(rows)
        (folder / f"RVTools_tab{name}.csv").write_bytes(text.getvalue().encode(encoding))
    return folder


def as_zip(path: Path, folder: Path) -> Path:
    """That folder in a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in folder.iterdir():
            archive.write(each, f"export/{each.name}")
    return path


def with_parts(path: Path, sheets: Sheets, **parts: bytes) -> Path:
    """A workbook of which some parts are others: ``sheet1`` and so on."""
    as_xlsx(path, sheets)
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, parts.get(Path(name).stem, data))
    return path
