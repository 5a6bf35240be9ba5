"""Finding things by what lasts: uuids and marks. Refs are looked up anew for every step."""

from typing import Any

from contracts.errors import FerryError
from contracts.machine import OwnerMark
from contracts.names import SOURCE_MACHINE_KEY, OwnerKey
from platforms.xapi.connection import Connection
from platforms.xapi.faults import XapiFailure
from platforms.xapi.marks import belongs_to, epoch_of
from platforms.xapi.wire import NULL

Record = dict[str, Any]
GONE = ("UUID_INVALID", "HANDLE_INVALID")


def vm_ref(api: Connection, uuid: str) -> str:
    """Raises ``xapi.shell_broken`` when it is gone."""
    return _ref(api, "VM", uuid)


def vdi_ref(api: Connection, uuid: str) -> str:
    """Raises ``xapi.shell_broken`` when it is gone."""
    return _ref(api, "VDI", uuid)


def _ref(api: Connection, kind: str, uuid: str) -> str:
    try:
        return str(api.call(f"{kind}.get_by_uuid", uuid))
    except XapiFailure as failure:
        if failure.wire in GONE:
            raise FerryError("xapi.shell_broken", f"{kind} {uuid} is not there any more") from None
        raise


def marked(api: Connection, kind: str, migration: str, *, snapshots: bool = False) -> dict[str, Record]:
    """Ref to record of all that bears the mark of a migration. Snapshots inherit it, and count on demand only."""
    records: dict[str, Record] = api.call(f"{kind}.get_all_records")
    return {
        ref: record
        for ref, record in records.items()
        if belongs_to(record, migration) and (snapshots or not record["is_a_snapshot"])
    }


def shell_of(api: Connection, migration: str) -> tuple[str, Record] | None:
    """The VM of a migration, if it was made.

    Raises:
        FerryError: ``xapi.shell_broken`` when somebody cloned it, so that there are several.
    """
    found = [(ref, record) for ref, record in marked(api, "VM", migration).items() if not record["is_control_domain"]]
    if len(found) > 1:
        names = ", ".join(f"{record['name_label']} ({record['uuid']})" for _, record in found)
        raise FerryError("xapi.shell_broken", f"several VMs bear the mark of this migration: {names}")
    return found[0] if found else None


def other_owner(api: Connection, machine_id: str, migration: str) -> OwnerMark | None:
    """Another migration's mark on a shell that is being filled from that machine."""
    records: dict[str, Record] = api.call("VM.get_all_records")
    for record in records.values():
        said = record["other_config"]
        rival = said.get(SOURCE_MACHINE_KEY) == machine_id and not belongs_to(record, migration)
        if rival and not record["is_a_snapshot"]:
            owner = said.get(OwnerKey.MIGRATION, "")
            return OwnerMark(migration=owner, workflow=said.get(OwnerKey.WORKFLOW, ""), epoch=epoch_of(said) or 0)
    return None


def records_of(api: Connection, kind: str, refs: list[str]) -> dict[str, Record]:
    """Ref to record; those that vanish meanwhile are left out."""
    records: dict[str, Record] = {}
    for ref in refs:
        if ref == NULL:
            continue
        try:
            records[ref] = api.call(f"{kind}.get_record", ref)
        except XapiFailure as failure:
            if failure.wire not in GONE:
                raise
    return records


def disk_vbds(api: Connection, vm: str) -> dict[str, Record]:
    """Ref to record of a VM's VBDs that hold a disk."""
    vbds = records_of(api, "VBD", api.call("VM.get_VBDs", vm))
    return {ref: vbd for ref, vbd in vbds.items() if vbd["type"] == "Disk" and vbd["VDI"] != NULL}


def vanish(api: Connection, method: str, ref: str, *gone: str, patience: float = 900.0) -> None:
    """Call something that takes a thing away; that it is away already is success (xapi.md §3.12)."""
    try:
        api.call(method, ref, patience=patience)
    except XapiFailure as failure:
        if failure.wire not in (*GONE, *gone):
            raise
