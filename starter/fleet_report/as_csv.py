"""A fleet for a spreadsheet: a row a VM. Times are UTC, sizes bytes, durations seconds."""

import csv
import io

from contracts.fleet_rows import MemberRow
from starter.assessment.as_csv import harmless
from starter.fleets import SeenFleet

COLUMNS = (
    "fleet", "wave", "vm", "outcome", "phase", "code", "message", "approved_by", "began", "copied", "ended",
    "downtime_s", "passes", "bytes_sent", "bytes_disks", "tries", "workflow",
)  # fmt: skip


def as_csv(seen: SeenFleet) -> str:
    """With a header, in the order of the waves. No cell is a formula, whatever a VM is called."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([harmless(cell) for cell in _cells(seen.status.fleet, row)] for row in seen.members)
    return out.getvalue()


def _cells(fleet: str, row: MemberRow) -> tuple[str | int, ...]:
    times = [
        each.isoformat(timespec="seconds") if each is not None else "" for each in (row.began, row.copied, row.ended)
    ]
    return (
        fleet, row.wave, row.vm, row.standing, row.phase, row.needs_human or row.code, row.message, row.approved_by,
        *times, f"{row.downtime_s:.1f}" if row.downtime_s is not None else "", row.passes, row.bytes_sent,
        row.bytes_total, row.tries, row.workflow,
    )  # fmt: skip
