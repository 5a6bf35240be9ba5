"""What an export of RVTools tells, and what it cannot: a check that is not named here was not made."""

from collections.abc import Mapping

from checks import CHECKS
from contracts.assessment import NotLooked
from starter.assessment.rvtools.tables import Table

TOLD_BY: dict[str, tuple[tuple[str, str], ...]] = {
    "preflight.suspended": (("vInfo", "power"),),
    "preflight.no_disks": (("vDisk", "vm"), ("vInfo", "disks")),
    "preflight.rdm_disk": (("vDisk", "raw"),),
    "preflight.independent_disk": (("vDisk", "mode"),),
    "preflight.multi_writer_disk": (("vDisk", "sharing"), ("vDisk", "shared_bus")),
    "preflight.no_change_tracking": (("vInfo", "hw_version"),),
    "preflight.secure_boot": (("vInfo", "secure_boot"),),
    "preflight.tools_not_running": (("vTools", "tools"), ("vInfo", "guest_state")),
    "preflight.iso_mounted": (("vCD", "device"),),
    "vsphere.foreign_snapshot": (("vSnapshot", "name"),),
    "vsphere.consolidation_needed": (("vInfo", "consolidation"),),
}
"""Code of a check to the columns that tell of it; one of them is enough."""


def made_from(tables: Mapping[str, Table]) -> frozenset[str]:
    """The checks that this export tells enough for."""
    return frozenset(
        code
        for code, columns in TOLD_BY.items()
        if any(sheet in tables and tables[sheet].has(column) for sheet, column in columns)
    )


def lacks_of(tables: Mapping[str, Table]) -> tuple[NotLooked, ...]:
    """What was not looked at, and why."""
    made = made_from(tables)
    missing = tuple(code for code in CHECKS if code in TOLD_BY and code not in made)
    pool = tuple(rule.code for rule in CHECKS.values() if rule.group == "placement")
    never = tuple(code for code in CHECKS if code not in TOLD_BY and code not in pool)
    sheets = {sheet for code in missing for sheet, _ in TOLD_BY[code] if sheet not in tables}
    columns = f" (sheets {', '.join(sorted(sheets))})" if sheets else ""
    lacks = [
        NotLooked(codes=missing, why=f"not in this file{columns}"),
        NotLooked(codes=never, why="RVTools does not tell; `ferry assess` without --rvtools asks vSphere itself"),
        NotLooked(codes=pool, why="a file has no target: SR, networks and templates are looked at by a worker"),
    ]
    return tuple(each for each in lacks if each.codes)
