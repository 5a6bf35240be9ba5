"""An assessment for a spreadsheet: a row a VM."""

import csv
import io

from contracts.assessment import Assessed, Assessment

COLUMNS = (
    "source", "vm", "verdict", "power", "guest", "cpus", "memory_bytes", "disks", "capacity_bytes", "capacity_gib",
    "blockers", "warnings", "notes", "details", "vm_id", "ref",
)  # fmt: skip

_FORMULA = ("=", "+", "-", "@", "\t")
"""A cell that begins so is a formula to a spreadsheet, and VMs may be called anything (CWE-1236)."""


def as_csv(assessment: Assessment) -> str:
    """With a header, in the order of the inventory. Codes in a cell are parted by spaces."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([harmless(cell) for cell in _cells(row)] for row in assessment.machines)
    return out.getvalue()


def _cells(row: Assessed) -> tuple[str | int, ...]:
    def codes(severity: str) -> str:
        return " ".join(dict.fromkeys(check.code for check in row.checks if check.severity == severity))

    return (
        row.source, row.name, row.verdict, row.power, row.guest, row.cpus, row.memory, row.disks, row.capacity,
        f"{row.capacity / (1 << 30):.1f}", codes("blocker"), codes("warning"), codes("note"),
        "; ".join(f"{check.code}: {check.message}" for check in row.checks), row.machine_id, row.ref,
    )  # fmt: skip


def harmless(cell: str | int) -> str | int:
    """A text that no spreadsheet takes for a formula: an apostrophe goes before it."""
    if isinstance(cell, int):
        return cell
    text = cell.replace("\r", " ")  # the csv module does not quote it, and readers take it for the end of a row
    return f"'{text}" if text.lstrip(" \n").startswith(_FORMULA) else text
