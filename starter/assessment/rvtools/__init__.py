"""An assessment of an RVTools export: no vCenter, no worker, no Temporal."""

from collections.abc import Sequence
from pathlib import Path

from checks import Seen, run_checks
from contracts.assessment import (
    Assessed,
    Assessment,
    Named,
    Unread,
    assessed,
    is_wanted,
    notes_of,
    totals_of,
    unread,
)
from contracts.errors import FerryError
from contracts.machine import Machine
from starter.assessment.rvtools.lacks import lacks_of, made_from
from starter.assessment.rvtools.machines import Export, export_of
from starter.assessment.rvtools.reading import read_export


def assess_export(path: Path, vms: Sequence[str] = ()) -> Assessment:
    """The checks that the export tells enough for, over all its VMs or those that are wanted.

    Raises:
        FerryError: ``rvtools.*``; ``vm.unknown`` where none is called so.
    """
    tables = read_export(path)
    export = export_of(tables, path.stem)
    made = made_from(tables)
    rows = [_row(each, made, path.stem) for each in export.machines if is_wanted(_named(each), vms)]
    if vms and not rows:
        raise FerryError("vm.unknown", f"no VM of {path} is called {' or '.join(vms)}")
    totals = totals_of(rows)
    return Assessment(
        origin=f"RVTools export {path.name}",
        totals=totals,
        notes=(*notes_of(totals), *_notes(export)),
        not_looked_at=lacks_of(tables),
        machines=tuple(rows),
    )


def _named(found: Machine | Unread) -> Named:
    return Named(ref=found.ref, name=found.name, machine_id=found.machine_id if isinstance(found, Machine) else "")


def _row(found: Machine | Unread, made: frozenset[str], source: str) -> Assessed:
    if isinstance(found, Unread):
        return unread(source, found)
    return assessed(found, [check for check in run_checks(Seen(machine=found)) if check.code in made])


def _notes(export: Export) -> list[str]:
    notes = [
        f"{count} {kind}{'s are' if count > 1 else ' is'} left out: no candidates for a migration."
        for kind, count in export.left_out.items()
    ]
    if export.twins:
        notes.append(
            f"{export.twins} VMs share their name with another and the file has no VM ID: disks, snapshots and NICs of "
            "each such name are counted for every VM of it."
        )
    return notes
